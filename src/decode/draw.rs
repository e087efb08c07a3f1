//! Random draws as a function of (seed, reply, row, step): no shared generator, so neither batch
//! size nor order of work changes what a row draws.
//!
//! Philox 4x32 with ten rounds: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy
//! as 1, 2, 3", SC 2011.

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// Ten rounds of Philox over a counter and a key.
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let first = u64::from(MULTIPLIERS[0]) * u64::from(counter[0]);
        let second = u64::from(MULTIPLIERS[1]) * u64::from(counter[2]);
        counter = [
            (second >> 32) as u32 ^ counter[1] ^ key[0],
            second as u32,
            (first >> 32) as u32 ^ counter[3] ^ key[1],
            first as u32,
        ];
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    counter
}

/// A number in [0, 1) with 53 random bits, for one row of one reply at one token.
///
/// `step` counts the reply's tokens from its very beginning, the given ones included, so that a
/// reply continued from token 10 draws what it would have drawn there.
pub fn uniform(seed: u64, reply: u64, row: u32, step: u32) -> f64 {
    let words =
        philox([reply as u32, (reply >> 32) as u32, row, step], [seed as u32, (seed >> 32) as u32]);
    let bits = (u64::from(words[0]) << 32 | u64::from(words[1])) >> 11;
    bits as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_authors_known_answers() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(
            philox([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox(
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0]
            ),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn every_part_of_the_key_matters() {
        let base = uniform(1, 2, 3, 4);
        assert_eq!(base, uniform(1, 2, 3, 4));
        let others = [
            uniform(2, 2, 3, 4),
            uniform(1 | 1 << 32, 2, 3, 4),
            uniform(1, 3, 3, 4),
            uniform(1, 2 | 1 << 32, 3, 4),
            uniform(1, 2, 4, 4),
            uniform(1, 2, 3, 5),
        ];
        for (at, other) in others.iter().enumerate() {
            assert_ne!(base, *other, "part {at}");
        }
    }

    #[test]
    fn looks_uniform_and_independent_along_steps_and_rows() {
        const COUNT: u32 = 64_000;
        for draw in [
            (|i| uniform(7, 1, 0, i)) as fn(u32) -> f64,
            |i| uniform(7, 1, i, 0),
            |i| uniform(u64::from(i), 1, 0, 0),
            |i| uniform(7, u64::from(i), 0, 0),
        ] {
            let values: Vec<f64> = (0..COUNT).map(draw).collect();
            assert!(values.iter().all(|u| (0.0..1.0).contains(u)));
            let n = f64::from(COUNT);
            let mean = values.iter().sum::<f64>() / n;
            assert!((mean - 0.5).abs() < 5.0 * (1.0 / 12.0 / n).sqrt(), "mean {mean}");
            // Chi-squared over 64 bins, 63 degrees of freedom: beyond 130 is one in 10⁶.
            let mut bins = [0_f64; 64];
            for u in &values {
                bins[(u * 64.0) as usize] += 1.0;
            }
            let expected = n / 64.0;
            let chi: f64 = bins.iter().map(|b| (b - expected).powi(2) / expected).sum();
            assert!(chi < 130.0, "chi-squared {chi}");
            let lag: f64 = values.windows(2).map(|w| (w[0] - 0.5) * (w[1] - 0.5)).sum::<f64>();
            let correlation = lag / n * 12.0;
            assert!(correlation.abs() < 5.0 / n.sqrt(), "lag-1 correlation {correlation}");
        }
    }
}
