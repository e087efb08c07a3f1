//! Where weights meet activations: dense or quantized matrices, their products, and embeddings.
//!
//! [`Linear`] is the one door. A dense weight on the CPU meets f32 activations in our own
//! [`kernel`], which widens in registers and sums in f32; blocks go through candle's kernels, which
//! round activations to eight bits first; other devices use candle's matrix product in the weight's
//! own type.

mod additions;
mod adjusted;
pub mod convert;
mod embedding;
pub mod kernel;
mod strengths;
#[cfg(test)]
mod tests;
mod weight;

use std::ops::Range;

use anyhow::{Result, ensure};
use candle_core::{DType, Device, Tensor};

pub use additions::{Addition, Additions, Delta};
pub use adjusted::Adjusted;
pub use convert::StoredMatrix;
pub use embedding::Embedding;
pub use strengths::{Strengths, set_of};
pub use weight::Weight;

use crate::model::weights::StoredType;

/// `y = x · wᵀ + b`, `w` of shape `[out, in]`.
///
/// What changes a model while it speaks belongs here, beside the base: the base is never written.
#[derive(Debug, Clone)]
pub struct Linear {
    base: Weight,
    /// `[out]`, f32, on the weight's device.
    bias: Option<Tensor>,
    /// What attached vectors add.
    additions: Option<Additions>,
}

impl Linear {
    /// A weight without a bias.
    pub fn new(base: Weight) -> Self {
        Self { base, bias: None, additions: None }
    }

    /// Adds a bias of one value per output.
    pub fn with_bias(mut self, bias: Vec<f32>) -> Result<Self> {
        ensure!(
            bias.len() == self.base.rows(),
            "a bias of {} for {} outputs",
            bias.len(),
            self.base.rows()
        );
        let outputs = bias.len();
        self.bias = Some(Tensor::from_vec(bias, outputs, &self.base.device())?);
        Ok(self)
    }

    /// Columns of the input.
    pub fn in_features(&self) -> usize {
        self.base.columns()
    }

    /// Columns of the output.
    pub fn out_features(&self) -> usize {
        self.base.rows()
    }

    /// The weight itself.
    pub fn weight(&self) -> &Weight {
        &self.base
    }

    /// The bias, `[out]` in f32.
    pub fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }

    /// `x` is `[rows, in]` or `[batch, time, in]`; returns the same with `out` columns, in f32.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let Some(additions) = self.additions.as_ref().filter(|additions| additions.in_play())
        else {
            return self.base.multiply(x, self.bias.as_ref());
        };
        let bias = self.bias.as_ref().filter(|_| !additions.replaces_bias());
        additions.apply(x, self.base.multiply(x, bias)?)
    }

    /// Packs parts of `vectors` vectors for this layer, all at strength 0; `None` for no parts.
    ///
    /// # Errors
    /// When a part's sizes are not those of the outputs it is for.
    pub fn prepare_additions(
        &self,
        vectors: usize,
        parts: Vec<Addition>,
    ) -> Result<Option<Additions>> {
        if parts.is_empty() {
            return Ok(None);
        }
        let layer = additions::Layer {
            inputs: self.in_features(),
            outputs: self.out_features(),
            bias: self.bias.as_ref(),
            is_wide: self.base.held() == StoredType::F32,
            device: &self.base.device(),
        };
        Additions::new(layer, vectors, parts).map(Some)
    }

    /// Puts additions beside the weight, in place of those that were.
    pub fn attach(&mut self, additions: Option<Additions>) {
        self.additions = additions;
    }

    /// Takes up strengths of the attached vectors; `None` is the base alone.
    pub fn set_strengths(&mut self, strengths: Option<Strengths<'_>>) -> Result<()> {
        self.additions.as_mut().map_or(Ok(()), |additions| additions.set(strengths))
    }

    /// Some of the outputs, as where one tensor holds queries, keys and values.
    pub fn slice_outputs(&self, outputs: Range<usize>) -> Result<Self> {
        let bias = match &self.bias {
            Some(bias) => Some(bias.narrow(0, outputs.start, outputs.len())?),
            None => None,
        };
        Ok(Self { base: self.base.slice_rows(outputs)?, bias, additions: None })
    }

    /// Several layers that read the same input as one product; their outputs stand side by side.
    ///
    /// `None` when their weights differ in type or width, so that the caller keeps them apart.
    pub fn stack(parts: &[&Self]) -> Result<Option<Self>> {
        let weights: Vec<&Weight> = parts.iter().map(|part| &part.base).collect();
        let Some(base) = Weight::stack(&weights)? else { return Ok(None) };
        if parts.iter().all(|part| part.bias.is_none()) {
            return Ok(Some(Self::new(base)));
        }
        let mut biases = Vec::with_capacity(parts.len());
        for part in parts {
            biases.push(match &part.bias {
                Some(bias) => bias.clone(),
                None => Tensor::zeros(part.out_features(), DType::F32, &part.base.device())?,
            });
        }
        Ok(Some(Self { base, bias: Some(Tensor::cat(&biases, 0)?), additions: None }))
    }

    /// Makes now the copy in tiles that candle would make at the first product, so that loading
    /// pays for it and not the first token.
    pub fn prepare(&self) -> Result<()> {
        if self.base.device().is_cpu() && self.base.held().dense().is_none() {
            let nothing = Tensor::zeros((1, self.in_features()), DType::F32, &Device::Cpu)?;
            self.forward(&nothing)?;
        }
        Ok(())
    }
}
