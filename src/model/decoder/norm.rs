//! Root-mean-square norm and layer norm, in f32.

use anyhow::Result;
use candle_core::{D, Device, Tensor};

use super::host;
use super::lanes::{for_this_processor, multiply_add, sum_of};
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
        let mut out = vec![0.0; x.elem_count()];
        let work = 2 * out.len();
        host::read(x, |x| {
            host::for_each_row(&mut out, width, work, |row, out| {
                out.copy_from_slice(&x[row * width..(row + 1) * width]);
                self.row_in_place(out);
            });
        })?;
        host::tensor(out, x.shape().clone())
    }

    /// Normalises one row where it stands.
    pub(super) fn row_in_place(&self, row: &mut [f32]) {
        normalise(self.spec, &self.weight, self.bias.as_deref(), row);
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

for_this_processor! {
    normalise(
        spec: NormSpec, weight: &[f32], bias: Option<&[f32]>, row: &mut [f32],
    ) = normalise_body
}

#[inline(always)]
fn normalise_body<const FUSED: bool>(
    spec: NormSpec,
    weight: &[f32],
    bias: Option<&[f32]>,
    row: &mut [f32],
) {
    let width = row.len() as f32;
    if spec.kind == NormKind::Layer {
        let mean = sum_of(row, |x| x) / width;
        for x in row.iter_mut() {
            *x -= mean;
        }
    }
    let scale = 1.0 / (sum_of(row, |x| x * x) / width + spec.epsilon).sqrt();
    match bias {
        None => {
            for (x, w) in row.iter_mut().zip(weight) {
                *x = *x * scale * w;
            }
        }
        Some(bias) => {
            for ((x, w), b) in row.iter_mut().zip(weight).zip(bias) {
                *x = multiply_add::<FUSED>(*x * scale, *w, *b);
            }
        }
    }
}
