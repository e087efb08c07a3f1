//! One stored tensor: its shape, its type, where its bytes lie, and what must be undone on reading.

use std::borrow::Cow;

use anyhow::{Result, bail};

use crate::model::weights::StoredType;

/// Bytes of a tensor of this shape; `None` when that overflows or a row is no whole number of
/// blocks.
pub fn byte_length(dtype: StoredType, shape: &[usize]) -> Option<usize> {
    let elements = element_count(shape)?;
    let row = shape.last().copied().unwrap_or(1);
    if !row.is_multiple_of(dtype.block_elements()) {
        return None;
    }
    (elements / dtype.block_elements()).checked_mul(dtype.block_bytes())
}

/// The product of the dimensions, 1 for a scalar; `None` on overflow.
pub fn element_count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |product, dimension| product.checked_mul(*dimension))
}

/// What the file's writer did to a tensor that Hugging Face's form does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing.
    None,
    /// GGUF Llama: within each of `heads` heads the rows of the two rotary halves alternate.
    InterleavedRows { heads: usize },
    /// GGUF Gemma: norm weights carry the 1 that Hugging Face adds at run time.
    PlusOne,
}

/// A tensor of a checkpoint, under its Hugging Face name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTensor {
    /// Dimensions in Hugging Face order: `[out, in]` for a weight, unless `input_first`.
    pub shape: Vec<usize>,
    /// The number format in the file.
    pub dtype: StoredType,
    /// A weight stored `[in, out]`: GPT-2's safetensors. GGUF stores the same weight `[out, in]`,
    /// so look here and not at the family.
    pub input_first: bool,
    /// Bytes it takes in the file.
    pub byte_length: usize,
    pub(super) part: usize,
    pub(super) offset: usize,
    pub(super) change: Change,
}

impl StoredTensor {
    /// Number of elements.
    pub fn element_count(&self) -> usize {
        // The headers were checked: the product did not overflow there.
        self.shape.iter().product()
    }
}

/// Undoes what the file's writer did; borrowed when there is nothing to undo.
pub(super) fn undo<'a>(tensor: &StoredTensor, raw: &'a [u8]) -> Result<Cow<'a, [u8]>> {
    match tensor.change {
        Change::None => Ok(Cow::Borrowed(raw)),
        Change::InterleavedRows { heads } => {
            deinterleave_rows(&tensor.shape, heads, raw).map(Cow::Owned)
        }
        Change::PlusOne => minus_one(tensor.dtype, raw).map(Cow::Owned),
    }
}

/// Row `2 i + h` of each head in the file is row `h * half + i` of Hugging Face's weight.
fn deinterleave_rows(shape: &[usize], heads: usize, raw: &[u8]) -> Result<Vec<u8>> {
    let rows = shape.first().copied().unwrap_or(0);
    if heads == 0 || rows == 0 || !rows.is_multiple_of(2 * heads) {
        bail!("{rows} rows cannot be shared evenly by {heads} heads of two halves");
    }
    let row_bytes = raw.len() / rows;
    let head_rows = rows / heads;
    let half = head_rows / 2;
    let mut out = Vec::with_capacity(raw.len());
    for head in 0..heads {
        for part in 0..2 {
            for index in 0..half {
                let from = (head * head_rows + 2 * index + part) * row_bytes;
                out.extend_from_slice(&raw[from..from + row_bytes]);
            }
        }
    }
    Ok(out)
}

fn minus_one(dtype: StoredType, raw: &[u8]) -> Result<Vec<u8>> {
    match dtype {
        StoredType::F32 => Ok(raw
            .as_chunks::<4>()
            .0
            .iter()
            .flat_map(|bytes| (f32::from_le_bytes(*bytes) - 1.0).to_le_bytes())
            .collect()),
        StoredType::F16 => Ok(raw
            .as_chunks::<2>()
            .0
            .iter()
            .flat_map(|bytes| {
                half::f16::from_f32(half::f16::from_le_bytes(*bytes).to_f32() - 1.0).to_le_bytes()
            })
            .collect()),
        StoredType::BF16 => Ok(raw
            .as_chunks::<2>()
            .0
            .iter()
            .flat_map(|bytes| {
                half::bf16::from_f32(half::bf16::from_le_bytes(*bytes).to_f32() - 1.0).to_le_bytes()
            })
            .collect()),
        StoredType::Quantized(_) => bail!("a norm weight is quantised, which no writer does"),
    }
}

#[cfg(test)]
mod tests {
    use candle_core::quantized::GgmlDType;

    use super::*;

    #[test]
    fn sizes_are_overflow_safe_and_need_whole_blocks() {
        let q8_0 = StoredType::Quantized(GgmlDType::Q8_0);
        assert_eq!(byte_length(StoredType::F16, &[3, 5]), Some(30));
        assert_eq!(byte_length(StoredType::F32, &[]), Some(4));
        assert_eq!(byte_length(q8_0, &[2, 64]), Some(2 * 2 * 34));
        assert_eq!(byte_length(q8_0, &[2, 48]), None);
        assert_eq!(byte_length(StoredType::F32, &[usize::MAX, 2]), None);
    }

    #[test]
    fn rows_come_back_in_halves() {
        // Two heads of four rows, one byte each, as the GGUF writer interleaves them.
        let written = [0, 2, 1, 3, 10, 12, 11, 13];
        let rows = deinterleave_rows(&[8, 1], 2, &written).unwrap();
        assert_eq!(rows, [0, 1, 2, 3, 10, 11, 12, 13]);
        assert!(deinterleave_rows(&[6, 1], 2, &written[..6]).is_err());
    }
}
