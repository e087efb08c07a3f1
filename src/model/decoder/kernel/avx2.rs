//! Queries with keys on x86-64 with AVX2 and FMA, two by four at a time.
//!
//! Written out because the compiler does not keep eight such sums in registers on its own: this is
//! six times as fast as the plain loop, and it is what a long context costs at every token.

use std::arch::x86_64::*;

/// Keys per tile.
const KEYS: usize = 4;
/// Values per register.
const LANES: usize = 8;

/// True when this processor can run `score` (asked once, then remembered by std).
pub(super) fn available() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// Fills `scores[q · width + k]` for the first whole tiles of keys; returns how many keys that is.
///
/// # Panics
/// When a head is no whole number of registers, or `scores` is too short.
#[target_feature(enable = "avx2,fma")]
pub(super) fn score(
    queries: &[f32],
    keys: &[f32],
    size: usize,
    scores: &mut [f32],
    width: usize,
) -> usize {
    let (queries_count, keys_count) = (queries.len() / size, keys.len() / size / KEYS * KEYS);
    assert!(size.is_multiple_of(LANES) && queries_count > 0);
    assert!(scores.len() >= (queries_count - 1) * width + keys_count);
    for key in (0..keys_count).step_by(KEYS) {
        for query in (0..queries_count).step_by(2) {
            // The last of an odd number stands in for its missing neighbour.
            let second = (query + 1).min(queries_count - 1);
            // SAFETY: both queries and four keys from `key` on are within their slices, `size`
            // values each, by the bounds of the loops.
            let (a, b) = unsafe {
                let (x, y) =
                    (queries.as_ptr().add(query * size), queries.as_ptr().add(second * size));
                tile(x, y, keys.as_ptr().add(key * size), size)
            };
            // SAFETY: `second · width + key + 4` is within `scores`, as asserted above.
            unsafe {
                _mm_storeu_ps(scores.as_mut_ptr().add(second * width + key), b);
                _mm_storeu_ps(scores.as_mut_ptr().add(query * width + key), a);
            }
        }
    }
    keys_count
}

/// Two queries with four neighbouring keys: the four products of each.
///
/// # Safety
/// `x` and `y` must be readable for `size` values, `keys` for four times as many; `size` is a whole
/// number of registers.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn tile(x: *const f32, y: *const f32, keys: *const f32, size: usize) -> (__m128, __m128) {
    let mut of_x = [_mm256_setzero_ps(); KEYS];
    let mut of_y = [_mm256_setzero_ps(); KEYS];
    for at in (0..size).step_by(LANES) {
        // SAFETY: `at + 8 ≤ size`, and the caller's promise.
        unsafe {
            let (x, y) = (_mm256_loadu_ps(x.add(at)), _mm256_loadu_ps(y.add(at)));
            for key in 0..KEYS {
                let values = _mm256_loadu_ps(keys.add(key * size + at));
                of_x[key] = _mm256_fmadd_ps(x, values, of_x[key]);
                of_y[key] = _mm256_fmadd_ps(y, values, of_y[key]);
            }
        }
    }
    (fold(of_x), fold(of_y))
}

/// Adds up the lanes of four registers.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn fold([a, b, c, d]: [__m256; KEYS]) -> __m128 {
    let halves = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps(halves, 1))
}
