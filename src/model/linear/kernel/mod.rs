//! Dot products of dense weight rows with f32 activations, on the CPU.
//!
//! One rule makes results comparable: every output is summed in the same order whatever the tile
//! it was computed in, so a row's result does not depend on how many rows went along with it.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod blocks;
mod panels;
#[cfg(target_arch = "x86_64")]
mod panels_avx2;
mod plain;
#[cfg(target_arch = "x86_64")]
mod unrolled;
#[cfg(target_arch = "x86_64")]
mod widen_avx2;

use std::ops::Range;

use half::{bf16, f16};

pub use blocks::{BlockProduct, widening_pays};
pub use panels::{Block, Coordinates, Panels, Place, Run, add as add_panels};
#[cfg(target_arch = "x86_64")]
use unrolled::unrolled;

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

    /// Adds one panel of a thin product.
    ///
    /// # Safety
    /// As for [`panels_avx2::add_panel`].
    #[cfg(target_arch = "x86_64")]
    unsafe fn panel_avx2(
        values: &[Self],
        runs: &[Run],
        h: Coordinates<'_>,
        y: &Columns<'_>,
        place: Place,
    );
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

            #[cfg(target_arch = "x86_64")]
            unsafe fn panel_avx2(
                values: &[Self],
                runs: &[Run],
                h: Coordinates<'_>,
                y: &Columns<'_>,
                place: Place,
            ) {
                // SAFETY: the caller's promise.
                unsafe { panels_avx2::add_panel(values, runs, h, y, place) }
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
        assert!(rows.end <= self.n && out.count == self.n && out.rows == self.m);
        assert!(self.bias.is_none_or(|bias| bias.len() == self.n));
        #[cfg(target_arch = "x86_64")]
        if avx2::available() {
            // SAFETY: shapes and processor were checked; the caller's promise covers the columns.
            return unsafe { T::rows_avx2(self, rows, out) };
        }
        plain::rows(self, rows, out);
    }
}

/// Some columns of an output `[rows, width]` that several threads fill, each its own columns.
pub struct Columns<'a> {
    /// The first of these columns in the first row.
    start: *mut f32,
    rows: usize,
    /// How many columns these are.
    count: usize,
    /// How many columns the whole output has.
    width: usize,
    borrow: std::marker::PhantomData<&'a mut [f32]>,
}

// SAFETY: it is a `&mut [f32]` in parts; `set` promises that no two threads write one element.
unsafe impl Send for Columns<'_> {}
unsafe impl Sync for Columns<'_> {}

impl<'a> Columns<'a> {
    /// Takes the whole output for as long as threads write to it.
    fn new(out: &'a mut [f32], rows: usize, width: usize) -> Self {
        assert_eq!(out.len(), rows * width);
        let start = out.as_mut_ptr();
        Self { start, rows, count: width, width, borrow: std::marker::PhantomData }
    }

    /// Some of these columns.
    fn part(&self, first: usize, count: usize) -> Self {
        assert!(first + count <= self.count);
        Self { start: self.start.wrapping_add(first), count, ..*self }
    }

    /// Writes one element.
    ///
    /// # Safety
    /// `row` and `column` are among these; no other thread may write the same element while the
    /// borrow of the output lasts.
    #[inline(always)]
    unsafe fn set(&self, row: usize, column: usize, value: f32) {
        debug_assert!(row < self.rows && column < self.count);
        // SAFETY: inside the slice given to `new`, by the caller's promise.
        unsafe { *self.start.add(row * self.width + column) = value }
    }

    /// Adds to neighbouring elements of one row.
    ///
    /// # Safety
    /// As for `set`, for all of them; they have been written before.
    #[inline(always)]
    unsafe fn add(&self, row: usize, column: usize, values: &[f32]) {
        debug_assert!(row < self.rows && column + values.len() <= self.count);
        // SAFETY: inside the slice given to `new`; nobody else has these elements meanwhile.
        let to = unsafe {
            let start = self.start.add(row * self.width + column);
            std::slice::from_raw_parts_mut(start, values.len())
        };
        for (to, value) in to.iter_mut().zip(values) {
            *to += value;
        }
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
