//! Counter-based random numbers: each draw is a function of its keys, never of a shared generator,
//! so that a run taken up again draws what the uninterrupted run would have drawn. For training and
//! for making vectors; replies have draws of their own.

/// One 64-bit number out of three keys (the finaliser of SplitMix64, applied after each key).
pub fn number(seed: u64, stream: u64, index: u64) -> u64 {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    for key in [seed, stream, index] {
        state = mix(state ^ key.wrapping_mul(0xD1B5_4A32_D192_ED03));
    }
    state
}

fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Uniform in `[0, 1)`.
pub fn unit(seed: u64, stream: u64, index: u64) -> f64 {
    (number(seed, stream, index) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Standard normal (Box and Muller's transform of two uniform draws).
pub fn normal(seed: u64, stream: u64, index: u64) -> f32 {
    let radius = (-2.0 * (1.0 - unit(seed, stream, 2 * index)).ln()).sqrt();
    let angle = std::f64::consts::TAU * unit(seed, stream, 2 * index + 1);
    (radius * angle.cos()) as f32
}

/// A sequence of draws for code that asks for one after another.
#[derive(Debug, Clone)]
pub struct Draws {
    seed: u64,
    stream: u64,
    next: u64,
}

impl Draws {
    /// The draws of one stream of one seed, from its beginning.
    pub fn new(seed: u64, stream: u64) -> Self {
        Self { seed, stream, next: 0 }
    }

    /// Uniform in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        self.next += 1;
        unit(self.seed, self.stream, self.next - 1)
    }

    /// Uniform in `0..below`; 0 when `below` is 0.
    pub fn below(&mut self, below: usize) -> usize {
        ((self.unit() * below as f64) as usize).min(below.saturating_sub(1))
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// One of a slice, `None` when it is empty.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }

    /// Puts a slice in random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_depend_on_every_key_and_on_nothing_else() {
        assert_eq!(number(1, 2, 3), number(1, 2, 3));
        assert_ne!(number(1, 2, 3), number(2, 2, 3));
        assert_ne!(number(1, 2, 3), number(1, 3, 3));
        assert_ne!(number(1, 2, 3), number(1, 2, 4));
    }

    #[test]
    fn normal_draws_have_mean_zero_and_variance_one() {
        let draws: Vec<f64> = (0..20_000).map(|i| f64::from(normal(7, 0, i))).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|x| x * x).sum::<f64>() / draws.len() as f64;
        assert!(mean.abs() < 0.03, "{mean}");
        assert!((variance - 1.0).abs() < 0.05, "{variance}");
    }

    #[test]
    fn shuffling_keeps_every_item() {
        let mut items: Vec<usize> = (0..100).collect();
        Draws::new(3, 1).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
