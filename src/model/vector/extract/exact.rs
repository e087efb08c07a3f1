//! Differences that give back the aligned value to the last bit.

use crate::model::vector::values::rounded_bits;
use crate::model::weights::StoredType;

/// The differences in f64, when `from + delta`, rounded to `dtype`, is not `to` everywhere; `None`
/// when f32 is enough.
///
/// An f32 difference loses the low bits of a value much smaller than the base's. In f64 it is
/// exact; where only a sign of zero would be lost, its neighbour is taken.
pub fn wide(from: &[f32], to: &[f32], delta: &[f32], dtype: StoredType) -> Option<Vec<f64>> {
    let gives = |from: f32, delta: f64, to: f32| {
        rounded_bits(f64::from(from) + delta, dtype) == rounded_bits(f64::from(to), dtype)
    };
    let enough =
        from.iter().zip(to).zip(delta).all(|((from, to), d)| gives(*from, f64::from(*d), *to));
    if enough {
        return None;
    }
    let exact = from.iter().zip(to).map(|(from, to)| {
        let plain = f64::from(*to) - f64::from(*from);
        [plain, plain.next_down(), plain.next_up()]
            .into_iter()
            .find(|delta| gives(*from, *delta, *to))
            .unwrap_or(plain)
    });
    Some(exact.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_comes_back_in_its_own_type() {
        let from = [1.0_f32, 1e-5, 0.0, 3.0, -2.5, 0.5];
        let to = [1.000_000_1_f32, -2e-9, -0.0, 3.0, 1e-7, 0.25];
        let delta: Vec<f32> = from.iter().zip(&to).map(|(from, to)| to - from).collect();
        for dtype in [StoredType::F32, StoredType::F16, StoredType::BF16] {
            let round = |x: f32| match dtype {
                StoredType::F16 => half::f16::from_f32(x).to_f32(),
                StoredType::BF16 => half::bf16::from_f32(x).to_f32(),
                _ => x,
            };
            let exact = wide(&from.map(round), &to.map(round), &delta, dtype).unwrap();
            for ((from, to), delta) in from.map(round).iter().zip(to.map(round)).zip(exact) {
                let sum = rounded_bits(f64::from(*from) + delta, dtype);
                assert_eq!(sum, rounded_bits(f64::from(to), dtype), "{from} {to} {dtype}");
            }
        }
    }

    #[test]
    fn small_steps_need_no_more_than_f32() {
        let from = [1.0_f32, -0.5, 0.25];
        let to = [1.0625_f32, -0.5, 0.125];
        let delta: Vec<f32> = from.iter().zip(&to).map(|(from, to)| to - from).collect();
        assert!(wide(&from, &to, &delta, StoredType::BF16).is_none());
    }
}
