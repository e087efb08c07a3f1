//! Element-wise loops in forms a compiler turns into vector code, compiled for the best
//! instruction set the processor has.

/// Runs a loop compiled for the processor at hand.
///
/// The closure is inlined into each version; mark it and what it calls `#[inline(always)]`.
#[inline(always)]
pub fn wide<R>(body: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        #[target_feature(enable = "avx2,fma")]
        fn with_avx2<R>(body: impl FnOnce() -> R) -> R {
            body()
        }
        // SAFETY: the processor has both, as was just asked.
        return unsafe { with_avx2(body) };
    }
    body()
}

/// `e^x` to about one part in ten million, without branches (so that loops over it vectorise):
/// `x = n·ln 2 + r`, a polynomial in `r`, then `n` added to the exponent bits.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // Adding and subtracting 1.5·2²³ rounds to a whole number in any vector unit.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 88.0);
    let n = (x * std::f32::consts::LOG2_E + ROUND) - ROUND;
    // ln 2 in two parts, so that r keeps its low bits.
    let r = (x - n * 0.693_359_4) - n * -2.121_944_4e-4;
    let mut p = 1.987_569_1e-4_f32;
    p = p * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 0.5;
    let e = p * r * r + r + 1.0;
    f32::from_bits((((n as i32) + 127) << 23) as u32) * e
}

/// Sixteen partial sums, folded at the end in one fixed order.
#[inline(always)]
fn fold(
    values: &[f32],
    start: f32,
    term: impl Fn(f32) -> f32,
    join: impl Fn(f32, f32) -> f32,
) -> f32 {
    let mut lanes = [start; 16];
    let chunks = values.chunks_exact(16);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = join(*lane, term(value));
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(rest) {
        *lane = join(*lane, term(value));
    }
    lanes.into_iter().fold(start, join)
}

/// The largest value, minus infinity of none.
#[inline(always)]
pub fn max(values: &[f32]) -> f32 {
    fold(values, f32::NEG_INFINITY, |x| x, |a, b| if a > b { a } else { b })
}

/// The sum of squares.
#[inline(always)]
pub fn sum_of_squares(values: &[f32]) -> f32 {
    fold(values, 0.0, |x| x * x, |a, b| a + b)
}

/// The sum.
#[inline(always)]
pub fn sum(values: &[f32]) -> f32 {
    fold(values, 0.0, |x| x, |a, b| a + b)
}

/// The sum of products.
#[inline(always)]
pub fn dot(left: &[f32], right: &[f32]) -> f32 {
    let mut lanes = [0.0; 16];
    let (a, b) = (left.chunks_exact(16), right.chunks_exact(16));
    let rest = a.remainder().iter().zip(b.remainder());
    for (i, (x, y)) in rest.enumerate() {
        lanes[i] += x * y;
    }
    for (a, b) in a.zip(b) {
        for i in 0..16 {
            lanes[i] += a[i] * b[i];
        }
    }
    lanes.into_iter().fold(0.0, |a, b| a + b)
}

/// Replaces a row of scores with its softmax; returns the maximum and the sum of exponentials.
#[inline(always)]
pub fn softmax(row: &mut [f32]) -> (f32, f32) {
    let top = max(row);
    for value in row.iter_mut() {
        *value = exp(*value - top);
    }
    let total = sum(row);
    let scale = 1.0 / total;
    for value in row.iter_mut() {
        *value *= scale;
    }
    (top, total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_right_over_its_whole_range() {
        let mut x = -80.0_f32;
        while x < 80.0 {
            let (got, want) = (f64::from(exp(x)), f64::from(x).exp());
            assert!(((got - want) / want).abs() < 4e-7, "e^{x}: {got} against {want}");
            x += 0.013;
        }
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(-1e9) < 1e-37);
    }

    #[test]
    fn sums_see_every_element() {
        let values: Vec<f32> = (1..=37).map(|i| i as f32).collect();
        assert_eq!(sum(&values), 703.0);
        assert_eq!(max(&values), 37.0);
        assert_eq!(dot(&values, &values), sum_of_squares(&values));
        assert_eq!(sum_of_squares(&values), 17_575.0);
        let mut row = vec![1.0, 2.0, 3.0];
        wide(|| softmax(&mut row));
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!((row[2] / row[1] - std::f32::consts::E).abs() < 1e-5);
    }
}
