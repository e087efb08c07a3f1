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
/// `tiled` says that candle multiplies several rows at once from a copy in tiles. The numbers are
/// measured (`benches/speed`, products): candle has no vector code at all for three of the types,
/// and its tiles pay most where the processor multiplies bytes (VNNI).
pub fn widening_pays(dtype: GgmlDType, rows: usize, tiled: bool) -> bool {
    let from = match dtype {
        _ if tiled && multiplies_bytes() => return false,
        _ if tiled => 48,
        GgmlDType::Q4_1 | GgmlDType::Q5_0 | GgmlDType::Q5_1 => 1,
        GgmlDType::Q8_0 | GgmlDType::Q4_0 => 3,
        GgmlDType::Q2K | GgmlDType::Q3K => 48,
        _ => 8,
    };
    rows >= from && has_vectors()
}

/// True where the products of bytes have an instruction of their own.
fn multiplies_bytes() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        is_x86_feature_detected!("avx512vnni") || is_x86_feature_detected!("avxvnni")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        cfg!(target_arch = "aarch64")
    }
}

/// True where our f32 kernel and the widening are written for the processor at hand. On aarch64
/// candle has vector code for every type.
fn has_vectors() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        super::avx2::available()
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
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
        // Whole tiles of three and of four weight rows; a single one where each is used up at once.
        let unit = if self.m < 4 { 4 } else { (PANEL / k.max(1) / 12 * 12).clamp(6, 48) };
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
    #[cfg(target_arch = "x86_64")]
    if super::avx2::available() {
        use super::widen_avx2::{nibbles, q8_0};
        // SAFETY: the processor was asked.
        unsafe {
            match dtype {
                GgmlDType::Q8_0 => return q8_0(bytes, out),
                GgmlDType::Q4_0 => return nibbles::<18, false, false>(bytes, out),
                GgmlDType::Q4_1 => return nibbles::<20, false, true>(bytes, out),
                GgmlDType::Q5_0 => return nibbles::<22, true, false>(bytes, out),
                GgmlDType::Q5_1 => return nibbles::<24, true, true>(bytes, out),
                _ => {}
            }
        }
    }
    match dtype {
        GgmlDType::Q8_0 => through::<k_quants::BlockQ8_0>(bytes, out),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widening_gives_the_bits_that_candle_gives() {
        let values: Vec<f32> =
            (0..2048u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 8e6 - 1.0).collect();
        for dtype in [
            GgmlDType::Q4_0,
            GgmlDType::Q4_1,
            GgmlDType::Q5_0,
            GgmlDType::Q5_1,
            GgmlDType::Q8_0,
            GgmlDType::Q8_1,
            GgmlDType::Q2K,
            GgmlDType::Q6K,
        ] {
            let mut blocks = dtype.cpu_zeros(values.len());
            blocks.from_float(&values);
            let candle_core::CpuStorage::F32(wanted) = blocks.dequantize(values.len()).unwrap()
            else {
                panic!("candle widens to f32");
            };
            // SAFETY: the blocks are alive and so long.
            let bytes = unsafe {
                std::slice::from_raw_parts(blocks.as_ptr(), blocks.storage_size_in_bytes())
            };
            let mut got = vec![f32::NAN; values.len()];
            widen(dtype, bytes, &mut got);
            assert_eq!(got, wanted, "{dtype:?}");
            // The bits that differ from zero show that every part of the blocks was read.
            assert!(wanted.iter().filter(|value| **value != 0.0).count() > 1500, "{dtype:?}");
        }
    }
}
