//! Products of many activation rows with weights in blocks, through f32.
//!
//! Candle multiplies some block types one activation row at a time, which reads and unpacks the
//! weights anew for every row. From a few rows on it is cheaper to widen some weight rows once,
//! while they are near, and to let the f32 kernel meet them with every activation row.

use std::cell::RefCell;

use candle_core::quantized::GgmlDType;
use candle_core::quantized::k_quants::{self, GgmlType};

use super::{Columns, Product};

/// Widened weights kept near at a time, in elements: half of a small second-level cache.
const PANEL: usize = 32 * 1024;

/// `x · wᵀ + bias` as [`Product`], with the bytes of blocks for `w`.
pub struct BlockProduct<'a> {
    pub x: &'a [f32],
    /// As candle holds them: aligned for their type.
    pub w: &'a [u8],
    pub dtype: GgmlDType,
    pub bias: Option<&'a [f32]>,
    pub m: usize,
    pub n: usize,
    pub k: usize,
}

/// True when widening is faster than candle's own product for so many activation rows.
///
/// `tiled` says that candle multiplies several rows at once from a copy in tiles.
pub fn widening_pays(dtype: GgmlDType, rows: usize, tiled: bool) -> bool {
    let from = match dtype {
        GgmlDType::Q8_0 => 3,
        _ => 8,
    };
    cfg!(target_arch = "x86_64") && !tiled && rows >= from
}

impl BlockProduct<'_> {
    /// Computes the whole product into `out`, `[m, n]` row-major, on all threads.
    ///
    /// # Panics
    /// When a slice is not as long as `m`, `n` and `k` say.
    pub fn run(&self, out: &mut [f32]) {
        thread_local! {
            static WIDE: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
        }
        let (n, k) = (self.n, self.k);
        let row = k / self.dtype.block_size() * self.dtype.type_size();
        assert!(k.is_multiple_of(self.dtype.block_size()) && self.w.len() == n * row);
        let columns = Columns::new(out, self.m, n);
        // Whole tiles of three and of four weight rows where there is room.
        let unit = (PANEL / k.max(1) / 12 * 12).clamp(4, 48);
        let work = |units: std::ops::Range<usize>| {
            WIDE.with_borrow_mut(|wide| {
                for first in units.map(|index| index * unit) {
                    let count = unit.min(n - first);
                    wide.resize(count * k, 0.0);
                    widen(self.dtype, &self.w[first * row..(first + count) * row], wide);
                    let bias = self.bias.map(|bias| &bias[first..first + count]);
                    let product = Product { x: self.x, w: wide, bias, m: self.m, n: count, k };
                    // SAFETY: the pool hands out every unit once, so columns are disjoint.
                    unsafe { product.rows(0..count, &columns.part(first, count)) };
                }
            });
        };
        if self.m * n * k <= super::ALONE {
            return work(0..n.div_ceil(unit));
        }
        candle_core::utils::barrier_pool().execute_chunked(n.div_ceil(unit), work);
    }
}

/// Widens whole blocks, to the same numbers candle widens them to.
fn widen(dtype: GgmlDType, bytes: &[u8], out: &mut [f32]) {
    match dtype {
        GgmlDType::Q8_0 => {
            #[cfg(target_arch = "x86_64")]
            if super::avx2::available() {
                // SAFETY: the processor was asked.
                return unsafe { super::avx2::widen_q8_0(bytes, out) };
            }
            through::<k_quants::BlockQ8_0>(bytes, out);
        }
        GgmlDType::Q4_0 => through::<k_quants::BlockQ4_0>(bytes, out),
        GgmlDType::Q4_1 => through::<k_quants::BlockQ4_1>(bytes, out),
        GgmlDType::Q5_0 => through::<k_quants::BlockQ5_0>(bytes, out),
        GgmlDType::Q5_1 => through::<k_quants::BlockQ5_1>(bytes, out),
        GgmlDType::Q8_1 => through::<k_quants::BlockQ8_1>(bytes, out),
        GgmlDType::Q2K => through::<k_quants::BlockQ2K>(bytes, out),
        GgmlDType::Q3K => through::<k_quants::BlockQ3K>(bytes, out),
        GgmlDType::Q4K => through::<k_quants::BlockQ4K>(bytes, out),
        GgmlDType::Q5K => through::<k_quants::BlockQ5K>(bytes, out),
        GgmlDType::Q6K => through::<k_quants::BlockQ6K>(bytes, out),
        GgmlDType::Q8K => through::<k_quants::BlockQ8K>(bytes, out),
        GgmlDType::F32 => through::<f32>(bytes, out),
        GgmlDType::F16 => through::<half::f16>(bytes, out),
        GgmlDType::BF16 => through::<half::bf16>(bytes, out),
    }
}

/// Reads bytes as the blocks candle made them of.
fn through<B: GgmlType>(bytes: &[u8], out: &mut [f32]) {
    // SAFETY: the types above are plain numbers, for which any bytes are valid; what `align_to`
    // leaves over at the ends is checked to be nothing.
    let (before, blocks, after) = unsafe { bytes.align_to::<B>() };
    assert!(before.is_empty() && after.is_empty(), "blocks lie aligned and whole");
    B::to_float(blocks, out);
}
