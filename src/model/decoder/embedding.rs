//! Rows of the embedding matrix, scaled where a family scales them.

use anyhow::Result;
use candle_core::Tensor;
use half::{bf16, f16};

use crate::model::linear::Embedding;
use crate::model::weights::StoredType;

/// An embedding and the factor on its rows.
pub(super) struct Lookup {
    embedding: Embedding,
    scale: Option<f64>,
}

impl Lookup {
    /// `scale` is rounded to the type the file stores, as the reference does when it runs in that
    /// type: Gemma's √hidden is 55.5 rather than 55.4256 in a bf16 checkpoint of width 3072.
    pub(super) fn new(embedding: Embedding, scale: Option<f32>, stored: StoredType) -> Self {
        let scale = scale.map(|scale| match stored {
            StoredType::BF16 => bf16::from_f32(scale).to_f64(),
            StoredType::F16 => f16::from_f32(scale).to_f64(),
            StoredType::F32 | StoredType::Quantized(_) => f64::from(scale),
        });
        Self { embedding, scale }
    }

    /// The rows `ids`: `[ids, columns]` in f32.
    pub(super) fn rows(&self, ids: &[u32]) -> Result<Tensor> {
        let rows = self.embedding.lookup(ids)?;
        match self.scale {
            None => Ok(rows),
            Some(scale) => Ok((rows * scale)?),
        }
    }
}
