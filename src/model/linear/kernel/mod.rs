//! Dot products of dense weight rows with f32 activations, on the CPU.
//!
//! One rule makes results comparable: every output is summed in the same order whatever the tile
//! it was computed in, so a row's result does not depend on how many rows went along with it.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod plain;

use std::ops::Range;

use half::{bf16, f16};

/// A type dense weights are held in.
pub trait Element: Copy + Send + Sync + 'static {
    /// Widens a run of weights, exactly.
    fn widen_into(values: &[Self], out: &mut [f32]);

    /// Computes outputs `rows`.
    ///
    /// # Safety
    /// As for [`Product::rows`]; shapes were checked and the processor is [`avx2::available`].
    #[cfg(target_arch = "x86_64")]
    unsafe fn rows_avx2(product: &Product<'_, Self>, rows: Range<usize>, out: &Columns<'_>);
}

macro_rules! element {
    ($type:ty, |$values:ident, $out:ident| $widen:expr) => {
        impl Element for $type {
            fn widen_into($values: &[Self], $out: &mut [f32]) {
                $widen
            }

            #[cfg(target_arch = "x86_64")]
            unsafe fn rows_avx2(
                product: &Product<'_, Self>,
                rows: Range<usize>,
                out: &Columns<'_>,
            ) {
                // SAFETY: the caller's promise.
                unsafe { avx2::rows(product, rows, out) }
            }
        }
    };
}

element!(f32, |values, out| out.copy_from_slice(values));
element!(f16, |values, out| half::slice::HalfFloatSliceExt::convert_to_f32_slice(values, out));
element!(bf16, |values, out| half::slice::HalfFloatSliceExt::convert_to_f32_slice(values, out));

/// `x · wᵀ + bias`: `x` is `[m, k]`, `w` is `[n, k]`, both row-major.
pub struct Product<'a, T> {
    pub x: &'a [f32],
    pub w: &'a [T],
    pub bias: Option<&'a [f32]>,
    pub m: usize,
    pub n: usize,
    pub k: usize,
}

/// Multiplications below this many are not worth waking other threads for.
const ALONE: usize = 48 * 1024;

/// Weight rows handed out at a time: whole tiles of three and of four.
const UNIT: usize = 12;

impl<T: Element> Product<'_, T> {
    /// Computes the whole product into `out`, `[m, n]` row-major, on all threads.
    ///
    /// # Panics
    /// When a slice is not as long as `m`, `n` and `k` say.
    pub fn run(&self, out: &mut [f32]) {
        let columns = Columns::new(out, self.m, self.n);
        if self.m * self.n * self.k <= ALONE {
            // SAFETY: one thread.
            return unsafe { self.rows(0..self.n, &columns) };
        }
        // The pool that candle's own kernels use: its threads are awake during a pass.
        candle_core::utils::barrier_pool().execute_chunked(self.n.div_ceil(UNIT), |units| {
            let rows = units.start * UNIT..(units.end * UNIT).min(self.n);
            // SAFETY: the pool hands out every unit once, so columns are disjoint.
            unsafe { self.rows(rows, &columns) }
        });
    }

    /// Computes the output columns that belong to the weight rows `rows`, for every row of `x`.
    ///
    /// # Safety
    /// No other thread may compute any of the same columns of the same output meanwhile.
    unsafe fn rows(&self, rows: Range<usize>, out: &Columns<'_>) {
        assert!(self.x.len() == self.m * self.k && self.w.len() == self.n * self.k);
        assert!(rows.end <= self.n && out.columns == self.n && out.rows == self.m);
        assert!(self.bias.is_none_or(|bias| bias.len() == self.n));
        #[cfg(target_arch = "x86_64")]
        if avx2::available() {
            // SAFETY: shapes and processor were checked; the caller's promise covers the columns.
            return unsafe { T::rows_avx2(self, rows, out) };
        }
        plain::rows(self, rows, out);
    }
}

/// Output `[rows, columns]` that several threads fill, each its own columns.
pub struct Columns<'a> {
    start: *mut f32,
    rows: usize,
    columns: usize,
    borrow: std::marker::PhantomData<&'a mut [f32]>,
}

// SAFETY: it is a `&mut [f32]` in parts; `set` promises that no two threads write one element.
unsafe impl Send for Columns<'_> {}
unsafe impl Sync for Columns<'_> {}

impl<'a> Columns<'a> {
    /// Takes the whole output for as long as threads write to it.
    pub fn new(out: &'a mut [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(out.len(), rows * columns);
        Self { start: out.as_mut_ptr(), rows, columns, borrow: std::marker::PhantomData }
    }

    /// Writes one element.
    ///
    /// # Safety
    /// No other thread may write the same element while this borrow lasts.
    #[inline(always)]
    unsafe fn set(&self, row: usize, column: usize, value: f32) {
        debug_assert!(row < self.rows && column < self.columns);
        // SAFETY: inside the slice given to `new`, by the callers' loops over m and n.
        unsafe { *self.start.add(row * self.columns + column) = value }
    }
}

/// Name of the vector features the kernels use on this computer, for the device line.
pub fn features() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if avx2::available() { "AVX2, FMA, F16C" } else { "no AVX2" }
    }
    #[cfg(target_arch = "aarch64")]
    {
        "NEON"
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        "plain code"
    }
}

/// True when 16-bit floats are widened by the processor, so that holding them costs no speed.
pub fn widens_half_fast() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        avx2::available()
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        cfg!(target_arch = "aarch64")
    }
}

#[cfg(test)]
mod tests;
