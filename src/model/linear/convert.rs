//! Bytes of a checkpoint into the form weights are held in, a few rows at a time on all threads.

use anyhow::{Result, ensure};
use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{CpuStorage, DType, Device, Tensor};
use half::{bf16, f16};
use rayon::prelude::*;

use crate::model::weights::StoredType;

/// Elements converted at a time by one thread.
const PIECE: usize = 256 * 1024;

/// A matrix as it lies in a file: row-major `[rows, columns]`.
#[derive(Debug, Clone, Copy)]
pub struct StoredMatrix<'a> {
    pub stored: StoredType,
    pub rows: usize,
    pub columns: usize,
    pub bytes: &'a [u8],
}

impl StoredMatrix<'_> {
    /// Errors unless there are exactly as many bytes as type and shape say.
    pub fn check(&self) -> Result<()> {
        let wanted = self.row_bytes().and_then(|row| row.checked_mul(self.rows));
        ensure!(
            wanted == Some(self.bytes.len()),
            "a [{}, {}] matrix of {} cannot lie in {} bytes",
            self.rows,
            self.columns,
            self.stored,
            self.bytes.len()
        );
        Ok(())
    }

    fn row_bytes(&self) -> Option<usize> {
        self.stored.bytes_of(self.columns)
    }

    /// The same rows as a candle tensor of the stored float type.
    pub fn dense(&self, dtype: DType, device: &Device) -> Result<Tensor> {
        Ok(Tensor::from_raw_buffer(self.bytes, dtype, &[self.rows, self.columns], device)?)
    }

    /// The same blocks as a candle quantized tensor.
    pub fn blocks(&self, dtype: GgmlDType, device: &Device) -> Result<QTensor> {
        blocks(self.bytes, dtype, self.rows, self.columns, device)
    }

    /// Widens whole rows to f32; `out` is `[count, columns]`.
    pub fn widen_rows(&self, first: usize, out: &mut [f32]) -> Result<()> {
        if out.is_empty() {
            return Ok(());
        }
        let row_bytes = self.row_bytes().unwrap_or_default();
        let count = out.len() / self.columns;
        let bytes = &self.bytes[first * row_bytes..(first + count) * row_bytes];
        match self.stored {
            StoredType::F32 => {
                for (out, value) in out.iter_mut().zip(bytes.as_chunks().0) {
                    *out = f32::from_le_bytes(*value);
                }
            }
            StoredType::F16 => {
                for (out, value) in out.iter_mut().zip(bytes.as_chunks().0) {
                    *out = f16::from_le_bytes(*value).to_f32();
                }
            }
            StoredType::BF16 => {
                for (out, value) in out.iter_mut().zip(bytes.as_chunks().0) {
                    *out = bf16::from_le_bytes(*value).to_f32();
                }
            }
            StoredType::Quantized(dtype) => {
                let blocks = aligned(bytes, |bytes| dtype.from_data(bytes.into()));
                let CpuStorage::F32(values) = blocks.dequantize(out.len())? else {
                    anyhow::bail!("candle widened {dtype:?} to something other than f32");
                };
                out.copy_from_slice(&values);
            }
        }
        Ok(())
    }

    /// The matrix in another float type.
    pub fn to_dense(&self, dtype: DType, device: &Device) -> Result<Tensor> {
        let shape = (self.rows, self.columns);
        let tensor = match dtype {
            DType::F32 => {
                let values = self.converted(0f32, |wide, out| {
                    out.copy_from_slice(wide);
                })?;
                Tensor::from_vec(values, shape, &Device::Cpu)?
            }
            DType::F16 => {
                let values = self.converted(f16::ZERO, |wide, out| {
                    half::slice::HalfFloatSliceExt::convert_from_f32_slice(out, wide);
                })?;
                Tensor::from_vec(values, shape, &Device::Cpu)?
            }
            DType::BF16 => {
                let values = self.converted(bf16::ZERO, |wide, out| {
                    half::slice::HalfFloatSliceExt::convert_from_f32_slice(out, wide);
                })?;
                Tensor::from_vec(values, shape, &Device::Cpu)?
            }
            other => anyhow::bail!("weights are not held in {other:?}"),
        };
        Ok(tensor.to_device(device)?)
    }

    /// The matrix in blocks made here; the columns must be whole blocks.
    pub fn to_blocks(&self, dtype: GgmlDType, device: &Device) -> Result<QTensor> {
        let held = StoredType::Quantized(dtype);
        let row_bytes = held.bytes_of(self.columns);
        let row_bytes = row_bytes.ok_or_else(|| {
            anyhow::anyhow!("rows of {} are not whole blocks of {held}", self.columns)
        })?;
        let rows = self.rows_at_a_time();
        let mut bytes = vec![0u8; row_bytes * self.rows];
        bytes.par_chunks_mut((rows * row_bytes).max(1)).enumerate().try_for_each(
            |(piece, out)| -> Result<()> {
                let mut wide = vec![0f32; out.len() / row_bytes * self.columns];
                self.widen_rows(piece * rows, &mut wide)?;
                let mut made = dtype.cpu_zeros(wide.len());
                made.from_float(&wide);
                let made = QTensor::new(QStorage::Cpu(made), wide.len())?;
                out.copy_from_slice(&made.data()?);
                Ok(())
            },
        )?;
        blocks(&bytes, dtype, self.rows, self.columns, device)
    }

    fn rows_at_a_time(&self) -> usize {
        (PIECE / self.columns.max(1)).max(1)
    }

    fn converted<T: Copy + Send>(
        &self,
        zero: T,
        narrow: impl Fn(&[f32], &mut [T]) + Sync,
    ) -> Result<Vec<T>> {
        let rows = self.rows_at_a_time();
        let mut values = vec![zero; self.rows * self.columns];
        values.par_chunks_mut((rows * self.columns).max(1)).enumerate().try_for_each(
            |(piece, out)| -> Result<()> {
                let mut wide = vec![0f32; out.len()];
                self.widen_rows(piece * rows, &mut wide)?;
                narrow(&wide, out);
                Ok(())
            },
        )?;
        Ok(values)
    }
}

/// Makes a quantized tensor of blocks that were counted already.
pub fn blocks(
    bytes: &[u8],
    dtype: GgmlDType,
    rows: usize,
    columns: usize,
    device: &Device,
) -> Result<QTensor> {
    let storage = aligned(bytes, |bytes| QStorage::from_data(bytes.into(), device, dtype))?;
    Ok(QTensor::new(storage, (rows, columns))?)
}

/// Gives the bytes where candle may read them as blocks: it panics on an address that is not
/// aligned, and a file may put a tensor anywhere.
fn aligned<T>(bytes: &[u8], read: impl FnOnce(&[u8]) -> T) -> T {
    const ALIGNMENT: usize = 4;
    if (bytes.as_ptr() as usize).is_multiple_of(ALIGNMENT) {
        return read(bytes);
    }
    let mut room = vec![0u8; bytes.len() + ALIGNMENT];
    let start = room.as_ptr().align_offset(ALIGNMENT);
    let copy = &mut room[start..start + bytes.len()];
    copy.copy_from_slice(bytes);
    read(copy)
}

/// Turns a dense `[columns, rows]` matrix, as GPT-2's Conv1D stores it, into `[rows, columns]`.
pub fn transposed(stored: &StoredMatrix<'_>) -> Result<Vec<u8>> {
    stored.check()?;
    ensure!(stored.stored.dense().is_some(), "a matrix of {} cannot be turned", stored.stored);
    let size = stored.stored.block_bytes();
    let mut turned = vec![0u8; stored.bytes.len()];
    let width = stored.rows;
    for (from, element) in stored.bytes.chunks_exact(size).enumerate() {
        let (row, column) = (from / stored.columns, from % stored.columns);
        let to = (column * width + row) * size;
        turned[to..to + size].copy_from_slice(element);
    }
    Ok(turned)
}
