//! The kernels for x86-64 with AVX2, FMA and F16C: tiles of weight rows by activation rows.
//!
//! Weights are widened in registers, eight at a time, and meet as many activation rows as there
//! are registers for. Each output has one accumulator of eight lanes, added up in a fixed order.

use std::arch::x86_64::*;
use std::ops::Range;

use half::{bf16, f16};

use super::{Columns, Element, Product, unrolled};

/// Bytes of activations kept close while a run of weight rows passes by.
const NEAR_BYTES: usize = 192 * 1024;

/// True when this processor has what the kernels need (asked once, then cached by std).
#[inline]
pub fn available() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c")
}

/// Loads eight weights as f32.
pub trait Load: Element {
    /// # Safety
    /// `at` must be readable for eight values, and the processor must be [`available`].
    unsafe fn load(at: *const Self) -> __m256;
    /// Widens one weight.
    fn widen(self) -> f32;
}

impl Load for f32 {
    #[inline(always)]
    unsafe fn load(at: *const Self) -> __m256 {
        // SAFETY: the caller's promise.
        unsafe { _mm256_castsi256_ps(_mm256_lddqu_si256(at.cast())) }
    }
    #[inline(always)]
    fn widen(self) -> f32 {
        self
    }
}

impl Load for bf16 {
    #[inline(always)]
    unsafe fn load(at: *const Self) -> __m256 {
        // A bf16 is the upper half of an f32.
        // SAFETY: the caller's promise.
        unsafe {
            let halves = _mm256_cvtepu16_epi32(_mm_lddqu_si128(at.cast()));
            // Two bytes up within each half register: as a shift by 16 bits, since all are 0 above.
            _mm256_castsi256_ps(_mm256_bslli_epi128::<2>(halves))
        }
    }
    #[inline(always)]
    fn widen(self) -> f32 {
        self.to_f32()
    }
}

impl Load for f16 {
    #[inline(always)]
    unsafe fn load(at: *const Self) -> __m256 {
        // SAFETY: the caller's promise.
        unsafe { _mm256_cvtph_ps(_mm_lddqu_si128(at.cast())) }
    }
    #[inline(always)]
    fn widen(self) -> f32 {
        self.to_f32()
    }
}

/// Computes outputs `rows`.
///
/// # Safety
/// The processor must be [`available`]; x, w and bias have the lengths m·k, n·k and n; `rows` lies
/// in `0..n`, and no other thread writes these columns.
pub unsafe fn rows<T: Load>(product: &Product<'_, T>, rows: Range<usize>, out: &Columns<'_>) {
    // Few activation rows stay in the second-level cache while the weights pass.
    let near = (NEAR_BYTES / (4 * product.k.max(1)) / 4 * 4).max(4);
    let mut first = 0;
    while first < product.m {
        let last = (first + near).min(product.m);
        // SAFETY: the caller's promise.
        unsafe { block(product, first..last, rows.clone(), out) };
        first = last;
    }
}

/// # Safety
/// The processor must be [`available`]; `xs` lies in `0..m`, `ws` in `0..n`, and no other thread
/// writes these columns.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn block<T: Load>(p: &Product<'_, T>, xs: Range<usize>, ws: Range<usize>, out: &Columns) {
    let mut w = ws.start;
    // One to three rows: four weight rows at once hide the latency of the additions.
    let few = xs.len() < 4;
    while w < ws.end {
        let left = ws.end - w;
        let step = if few && left >= 4 {
            4
        } else if left >= 3 {
            3
        } else {
            1
        };
        let mut x = xs.start;
        while x < xs.end {
            let rows = (xs.end - x).min(4);
            // SAFETY: the caller's promise; x + rows <= m and w + step <= n.
            unsafe {
                match (step, rows) {
                    (4, 1) => tile_4x1(p, x, w, out),
                    (4, 2) => tile_4x2(p, x, w, out),
                    (4, _) => tile_4x3(p, x, w, out),
                    (3, 1) => tile_3x1(p, x, w, out),
                    (3, 2) => tile_3x2(p, x, w, out),
                    (3, 3) => tile_3x3(p, x, w, out),
                    (3, _) => tile_3x4(p, x, w, out),
                    (_, 1) => tile_1x1(p, x, w, out),
                    (_, 2) => tile_1x2(p, x, w, out),
                    (_, 3) => tile_1x3(p, x, w, out),
                    (_, _) => tile_1x4(p, x, w, out),
                }
            }
            x += rows;
        }
        w += step;
    }
}

/// Makes the function for tiles of so many weight rows by so many activation rows.
macro_rules! tile {
    ($name:ident, $weight_rows:tt, $activation_rows:tt) => {
        /// Weight rows from `w` on by activation rows from `x` on.
        ///
        /// # Safety
        /// As for [`block`]; the tile must lie within `m` and `n`.
        #[target_feature(enable = "avx2,fma,f16c")]
        unsafe fn $name<T: Load>(p: &Product<'_, T>, x: usize, w: usize, out: &Columns<'_>) {
            let k = p.k;
            let whole = k - k % 8;
            let mut sums = [[_mm256_setzero_ps(); $weight_rows]; $activation_rows];
            // SAFETY: the tile's rows exist, each k long, and `i + 8 <= k` in the loop.
            unsafe {
                let ws = p.w.as_ptr().add(w * k);
                let xs = p.x.as_ptr().add(x * k);
                let mut i = 0usize;
                while i < whole {
                    let mut weights = [_mm256_setzero_ps(); $weight_rows];
                    unrolled!($weight_rows, R, {
                        weights[R] = T::load(ws.wrapping_add(k.wrapping_mul(R).wrapping_add(i)));
                    });
                    unrolled!($activation_rows, C, {
                        let at = xs.wrapping_add(k.wrapping_mul(C).wrapping_add(i));
                        let activations = f32::load(at);
                        unrolled!($weight_rows, R, {
                            sums[C][R] = _mm256_fmadd_ps(weights[R], activations, sums[C][R]);
                        });
                    });
                    i = i.wrapping_add(8);
                }
                finish(p, x, w, &sums, out);
            }
        }
    };
}

tile!(tile_4x1, 4, 1);
tile!(tile_4x2, 4, 2);
tile!(tile_4x3, 4, 3);
tile!(tile_3x1, 3, 1);
tile!(tile_3x2, 3, 2);
tile!(tile_3x3, 3, 3);
tile!(tile_3x4, 3, 4);
tile!(tile_1x1, 1, 1);
tile!(tile_1x2, 1, 2);
tile!(tile_1x3, 1, 3);
tile!(tile_1x4, 1, 4);

/// Adds up the lanes of a tile, then what a row has beyond whole vectors, then the bias.
///
/// # Safety
/// As for the tile functions.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn finish<T: Load, const W: usize, const X: usize>(
    p: &Product<'_, T>,
    x: usize,
    w: usize,
    sums: &[[__m256; W]; X],
    out: &Columns<'_>,
) {
    let rest = p.k - p.k % 8..p.k;
    for (c, sums) in sums.iter().enumerate() {
        let activations = &p.x[(x + c) * p.k..][rest.clone()];
        for (r, lanes) in sums.iter().enumerate() {
            let weights = &p.w[(w + r) * p.k..][rest.clone()];
            let mut sum = add_lanes(*lanes);
            for (weight, activation) in weights.iter().zip(activations) {
                sum = weight.widen().mul_add(*activation, sum);
            }
            if let Some(bias) = p.bias {
                sum += bias[w + r];
            }
            // SAFETY: the caller's promise.
            unsafe { out.set(x + c, w + r, sum) };
        }
    }
}

/// Adds the eight lanes, always in the same order.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn add_lanes(sums: __m256) -> f32 {
    let four = _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps::<1>(sums));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
}
