//! Squared Euclidean distances between a query in f32 and keys in f16: eight at a time where the
//! processor has AVX2 and F16C, by plain loops elsewhere, and exactly in f64 for the few that count.

use half::f16;

/// The squared distance of a query and a key, f32 sums in a fixed order.
pub fn squared(query: &[f32], key: &[f16]) -> f32 {
    debug_assert_eq!(query.len(), key.len());
    #[cfg(target_arch = "x86_64")]
    if avx2::available() {
        // SAFETY: the processor has what it takes, and both have the length of the shorter one.
        return unsafe { avx2::squared(query, key) };
    }
    plain(query, key)
}

/// The same in f64: what decides between neighbours and what weights are made of.
pub fn exactly(query: &[f32], key: &[f16]) -> f64 {
    query.iter().zip(key).map(|(q, k)| (f64::from(*q) - f64::from(k.to_f32())).powi(2)).sum()
}

/// The squared distance of two keys.
pub fn between(a: &[f16], b: &[f16]) -> f32 {
    #[cfg(target_arch = "x86_64")]
    if avx2::available() {
        // SAFETY: the processor has what it takes, and both have the length of the shorter one.
        return unsafe { avx2::between(a, b) };
    }
    a.iter().zip(b).map(|(a, b)| (a.to_f32() - b.to_f32()).powi(2)).sum()
}

fn plain(query: &[f32], key: &[f16]) -> f32 {
    let mut sums = [0_f32; 8];
    for (q, k) in query.chunks(8).zip(key.chunks(8)) {
        for (sum, (q, k)) in sums.iter_mut().zip(q.iter().zip(k)) {
            let difference = q - k.to_f32();
            *sum += difference * difference;
        }
    }
    sums.iter().sum()
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use half::f16;

    /// True when this processor has what it takes (asked once, then cached by std).
    #[inline]
    pub fn available() -> bool {
        is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c")
    }

    /// # Safety
    /// The processor must be [`available`].
    #[target_feature(enable = "avx2,fma,f16c")]
    pub unsafe fn squared(query: &[f32], key: &[f16]) -> f32 {
        let length = query.len().min(key.len());
        let mut sums = [_mm256_setzero_ps(); 4];
        let mut at = 0;
        // SAFETY: all loads lie below `length`, which both slices have.
        unsafe {
            while at + 32 <= length {
                let mut lane = 0;
                while lane < 4 {
                    let q = _mm256_loadu_ps(query.as_ptr().add(at + 8 * lane));
                    let k =
                        _mm256_cvtph_ps(_mm_loadu_si128(key.as_ptr().add(at + 8 * lane).cast()));
                    let difference = _mm256_sub_ps(q, k);
                    sums[lane] = _mm256_fmadd_ps(difference, difference, sums[lane]);
                    lane += 1;
                }
                at += 32;
            }
            while at + 8 <= length {
                let q = _mm256_loadu_ps(query.as_ptr().add(at));
                let k = _mm256_cvtph_ps(_mm_loadu_si128(key.as_ptr().add(at).cast()));
                let difference = _mm256_sub_ps(q, k);
                sums[0] = _mm256_fmadd_ps(difference, difference, sums[0]);
                at += 8;
            }
        }
        let both = _mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3]));
        let mut lanes = [0_f32; 8];
        // SAFETY: there is room for eight.
        unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), both) };
        let mut sum: f32 = lanes.iter().sum();
        while at < length {
            let difference = query[at] - key[at].to_f32();
            sum += difference * difference;
            at += 1;
        }
        sum
    }

    /// # Safety
    /// The processor must be [`available`].
    #[target_feature(enable = "avx2,fma,f16c")]
    pub unsafe fn between(a: &[f16], b: &[f16]) -> f32 {
        let length = a.len().min(b.len());
        let mut sums = [_mm256_setzero_ps(); 2];
        let mut at = 0;
        // SAFETY: all loads lie below `length`, which both slices have.
        unsafe {
            while at + 16 <= length {
                let mut lane = 0;
                while lane < 2 {
                    let from = at + 8 * lane;
                    let a = _mm256_cvtph_ps(_mm_loadu_si128(a.as_ptr().add(from).cast()));
                    let b = _mm256_cvtph_ps(_mm_loadu_si128(b.as_ptr().add(from).cast()));
                    let difference = _mm256_sub_ps(a, b);
                    sums[lane] = _mm256_fmadd_ps(difference, difference, sums[lane]);
                    lane += 1;
                }
                at += 16;
            }
        }
        let mut lanes = [0_f32; 8];
        // SAFETY: there is room for eight.
        unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), _mm256_add_ps(sums[0], sums[1])) };
        let mut sum: f32 = lanes.iter().sum();
        while at < length {
            let difference = a[at].to_f32() - b[at].to_f32();
            sum += difference * difference;
            at += 1;
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::random;

    #[test]
    fn all_ways_agree_at_every_length() {
        for length in [0, 1, 7, 8, 9, 31, 32, 40, 63, 64, 100, 257] {
            let query: Vec<f32> = (0..length).map(|at| random::normal(1, 0, at)).collect();
            let key: Vec<f16> =
                (0..length).map(|at| f16::from_f32(random::normal(2, 0, at))).collect();
            let exact = exactly(&query, &key);
            let halves: Vec<f16> = query.iter().map(|value| f16::from_f32(*value)).collect();
            let rounded: Vec<f32> = halves.iter().map(|value| value.to_f32()).collect();
            let (found, wanted) = (between(&halves, &key), exactly(&rounded, &key));
            assert!((f64::from(found) - wanted).abs() <= 1e-5 * wanted.max(1.0), "{length}");
            for sum in [squared(&query, &key), plain(&query, &key)] {
                assert!((f64::from(sum) - exact).abs() <= 1e-5 * exact.max(1.0), "{length}: {sum}");
            }
        }
        assert_eq!(squared(&[1.5, -2.0], &[f16::from_f32(1.5), f16::from_f32(-2.0)]), 0.0);
    }
}
