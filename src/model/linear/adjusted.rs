//! Small tensors that strengths move (norm weights, biases): `base + Σ λ·delta`, made anew from
//! the base at every change, so that nothing drifts.

use super::strengths::{Strengths, set_of};

/// Values summed at a time, so that the sums stay in registers.
const PIECE: usize = 64;

/// A tensor of one dimension and what vectors add to it.
#[derive(Debug, Clone)]
pub struct Adjusted {
    base: Vec<f32>,
    /// Added in f32 once the sum is rounded: Gemma's 1 on norm weights.
    offset: f32,
    /// Vector and its delta, as long as the base.
    deltas: Vec<(usize, Vec<f32>)>,
    /// `[sets, width]`; empty while every strength is 0.
    now: Vec<f32>,
    sets: usize,
}

impl Adjusted {
    /// Deltas must be as long as the base; the caller has checked it.
    pub fn new(base: Vec<f32>, offset: f32, deltas: Vec<(usize, Vec<f32>)>) -> Self {
        debug_assert!(deltas.iter().all(|(_, delta)| delta.len() == base.len()));
        Self { base, offset, deltas, now: Vec::new(), sets: 0 }
    }

    /// Takes up strengths; `None` is the base alone.
    ///
    /// Sums are f64 and rounded once: with a delta that is exact, strength 1 gives the aligned
    /// tensor itself.
    pub fn set(&mut self, strengths: Option<Strengths<'_>>) {
        self.now.clear();
        self.sets = 0;
        let Some(strengths) = strengths else { return };
        if !self.deltas.iter().any(|(vector, _)| strengths.in_play(*vector)) {
            return;
        }
        self.sets = strengths.sets();
        let width = self.base.len();
        self.now.resize(self.sets * width, 0.0);
        for (set, now) in self.now.chunks_exact_mut(width.max(1)).enumerate() {
            for (piece, now) in now.chunks_mut(PIECE).enumerate() {
                let from = piece * PIECE;
                let mut sums = [0f64; PIECE];
                for (sum, base) in sums.iter_mut().zip(&self.base[from..from + now.len()]) {
                    *sum = f64::from(*base);
                }
                for (vector, delta) in &self.deltas {
                    let strength = f64::from(strengths.of(set, *vector));
                    for (sum, delta) in sums.iter_mut().zip(&delta[from..from + now.len()]) {
                        *sum += strength * f64::from(*delta);
                    }
                }
                for (now, sum) in now.iter_mut().zip(sums) {
                    *now = sum as f32 + self.offset;
                }
            }
        }
    }

    /// The values for a row; `None` while the base stands as it is.
    pub fn of(&self, row: usize) -> Option<&[f32]> {
        let width = self.base.len();
        let set = set_of(self.sets, row);
        (self.sets > 0).then(|| &self.now[set * width..(set + 1) * width])
    }

    /// All sets one after the other, and how many; empty while the base stands as it is.
    pub fn all(&self) -> (&[f32], usize) {
        (&self.now, self.sets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strength_one_is_the_saved_tensor_and_a_half_the_middle() {
        // Values as a 16-bit file holds them: their differences are exact in f32.
        let half = |i: u32| half::bf16::from_f32((i.wrapping_mul(2_654_435_761) >> 9) as f32 / 4e6);
        let base: Vec<f32> = (0..150).map(|i| half(i).to_f32() - 1.0).collect();
        let saved: Vec<f32> = (0..150).map(|i| half(i + 77).to_f32() - 1.0).collect();
        let delta: Vec<f32> = saved.iter().zip(&base).map(|(a, b)| a - b).collect();
        let mut adjusted = Adjusted::new(base.clone(), 0.0, vec![(0, delta)]);
        let mut at = |strength: f32| {
            adjusted.set(Strengths::new(&[strength], 1));
            adjusted.of(5).map(<[f32]>::to_vec)
        };
        assert_eq!(at(1.0).unwrap(), saved);
        let middle: Vec<f32> = saved.iter().zip(&base).map(|(a, b)| (a + b) / 2.0).collect();
        assert_eq!(at(0.5).unwrap(), middle);
        assert_eq!(at(0.0), None);
    }

    #[test]
    fn each_row_has_its_own_set_and_the_offset_comes_last() {
        let mut adjusted =
            Adjusted::new(vec![1.0, 2.0], 1.0, vec![(1, vec![4.0, 8.0]), (0, vec![1.0, 0.0])]);
        adjusted.set(Strengths::new(&[0.0, 0.0, 1.0, 0.5, -1.0, 0.25], 2));
        assert_eq!(adjusted.of(0), Some(&[2.0, 3.0][..]));
        assert_eq!(adjusted.of(1), Some(&[5.0, 7.0][..]));
        assert_eq!(adjusted.of(2), Some(&[2.0, 5.0][..]));
        adjusted.set(None);
        assert_eq!(adjusted.of(0), None);
    }
}
