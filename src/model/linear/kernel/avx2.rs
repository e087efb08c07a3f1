//! The kernels for x86-64 with AVX2, FMA and F16C: tiles of weight rows by activation rows.
//!
//! Weights are widened in registers, eight at a time, and meet as many activation rows as there
//! are registers for. Each output has one accumulator of eight lanes, added up in a fixed order.

use std::arch::x86_64::*;
use std::ops::Range;

use half::{bf16, f16};

use super::{Columns, Element, Product};

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
        unsafe { _mm256_loadu_ps(at) }
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
            let halves = _mm256_cvtepu16_epi32(_mm_loadu_si128(at.cast()));
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(halves))
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
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(at.cast())) }
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
                    (4, 1) => tile::<T, 4, 1>(p, x, w, out),
                    (4, 2) => tile::<T, 4, 2>(p, x, w, out),
                    (4, _) => tile::<T, 4, 3>(p, x, w, out),
                    (3, 1) => tile::<T, 3, 1>(p, x, w, out),
                    (3, 2) => tile::<T, 3, 2>(p, x, w, out),
                    (3, 3) => tile::<T, 3, 3>(p, x, w, out),
                    (3, _) => tile::<T, 3, 4>(p, x, w, out),
                    (_, 1) => tile::<T, 1, 1>(p, x, w, out),
                    (_, 2) => tile::<T, 1, 2>(p, x, w, out),
                    (_, 3) => tile::<T, 1, 3>(p, x, w, out),
                    (_, _) => tile::<T, 1, 4>(p, x, w, out),
                }
            }
            x += rows;
        }
        w += step;
    }
}

/// `W` weight rows from `w` on by `X` activation rows from `x` on.
///
/// # Safety
/// As for [`block`]; `x + X <= m`, `w + W <= n`.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn tile<T: Load, const W: usize, const X: usize>(
    p: &Product<'_, T>,
    x: usize,
    w: usize,
    out: &Columns<'_>,
) {
    let k = p.k;
    // SAFETY: rows x..x+X of x and w..w+W of w exist, each k long; `i + 8 <= k` in the loop.
    unsafe {
        let xs = p.x.as_ptr().add(x * k);
        let ws = p.w.as_ptr().add(w * k);
        let mut sums = [[_mm256_setzero_ps(); W]; X];
        let mut i = 0;
        while i + 8 <= k {
            let mut weights = [_mm256_setzero_ps(); W];
            let mut r = 0;
            while r < W {
                weights[r] = T::load(ws.add(r * k + i));
                r += 1;
            }
            let mut c = 0;
            while c < X {
                let activations = _mm256_loadu_ps(xs.add(c * k + i));
                let mut r = 0;
                while r < W {
                    sums[c][r] = _mm256_fmadd_ps(weights[r], activations, sums[c][r]);
                    r += 1;
                }
                c += 1;
            }
            i += 8;
        }
        let mut c = 0;
        while c < X {
            let mut r = 0;
            while r < W {
                let mut sum = add_lanes(sums[c][r]);
                let mut j = i;
                while j < k {
                    sum = (*ws.add(r * k + j)).widen().mul_add(*xs.add(c * k + j), sum);
                    j += 1;
                }
                if let Some(bias) = p.bias {
                    sum += *bias.get_unchecked(w + r);
                }
                out.set(x + c, w + r, sum);
                r += 1;
            }
            c += 1;
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
