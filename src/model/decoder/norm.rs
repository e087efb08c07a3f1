//! Root-mean-square norm and layer norm, in f32.

use anyhow::Result;
use candle_core::{D, Device, Tensor};
use rayon::prelude::*;

use super::host;
use super::spec::{NormKind, NormSpec};

/// One norm with its weights; Gemma's `1 + w` is added up at load.
#[derive(Debug, Clone)]
pub(super) struct Norm {
    spec: NormSpec,
    weight: Vec<f32>,
    /// Only a layer norm has one.
    bias: Option<Vec<f32>>,
    /// The same two for devices other than the CPU.
    weight_tensor: Tensor,
    bias_tensor: Option<Tensor>,
}

impl Norm {
    /// `weight` and `bias` as stored in the checkpoint, one value per column.
    pub(super) fn new(
        spec: NormSpec,
        mut weight: Vec<f32>,
        bias: Option<Vec<f32>>,
        device: &Device,
    ) -> Result<Self> {
        if spec.kind == NormKind::RootMeanSquarePlusOne {
            weight.iter_mut().for_each(|value| *value += 1.0);
        }
        let weight_tensor = Tensor::new(weight.as_slice(), device)?;
        let bias_tensor =
            bias.as_ref().map(|bias| Tensor::new(bias.as_slice(), device)).transpose()?;
        Ok(Self { spec, weight, bias, weight_tensor, bias_tensor })
    }

    /// Normalises every row of `[rows, width]`.
    pub(super) fn forward(&self, x: &Tensor, plain: bool) -> Result<Tensor> {
        if plain || !host::is_here(x) {
            return self.forward_plain(x);
        }
        let width = self.weight.len();
        let out = host::read(x, |x| {
            let mut out = vec![0.0; x.len()];
            if x.len() < host::PARALLEL_FROM {
                for (from, to) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
                    self.row(from, to);
                }
            } else {
                out.par_chunks_mut(width)
                    .zip(x.par_chunks(width))
                    .for_each(|(to, from)| self.row(from, to));
            }
            out
        })?;
        host::tensor(out, x.shape().clone())
    }

    /// Normalises one row into another.
    pub(super) fn row(&self, from: &[f32], to: &mut [f32]) {
        to.copy_from_slice(from);
        self.row_in_place(to);
    }

    /// Normalises one row where it stands.
    pub(super) fn row_in_place(&self, row: &mut [f32]) {
        let width = row.len() as f32;
        if self.spec.kind == NormKind::Layer {
            let mean = sum(row, |x| x) / width;
            row.iter_mut().for_each(|x| *x -= mean);
        }
        let scale = 1.0 / (sum(row, |x| x * x) / width + self.spec.epsilon).sqrt();
        match &self.bias {
            None => row.iter_mut().zip(&self.weight).for_each(|(x, w)| *x = *x * scale * w),
            Some(bias) => {
                for ((x, w), b) in row.iter_mut().zip(&self.weight).zip(bias) {
                    *x = *x * scale * w + b;
                }
            }
        }
    }

    /// The same through candle operations, on any device and for any leading dimensions.
    pub(super) fn forward_plain(&self, x: &Tensor) -> Result<Tensor> {
        let x = match self.spec.kind {
            NormKind::Layer => x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?,
            _ => x.clone(),
        };
        let variance = x.sqr()?.mean_keepdim(D::Minus1)?;
        let scale = (variance + f64::from(self.spec.epsilon))?.sqrt()?;
        let x = x.broadcast_div(&scale)?.broadcast_mul(&self.weight_tensor)?;
        Ok(match &self.bias_tensor {
            Some(bias) => x.broadcast_add(bias)?,
            None => x,
        })
    }
}

/// Adds up in eight lanes: a fixed order, and one the compiler can keep in a register.
fn sum(row: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; 8];
    let chunks = row.chunks_exact(8);
    let rest: f32 = chunks.remainder().iter().map(|x| of(*x)).sum();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane += of(*x);
        }
    }
    lanes.iter().sum::<f32>() + rest
}
