//! Root-mean-square norm and layer norm, in f32.

use anyhow::Result;
use candle_core::{D, Device, Tensor};

use super::host;
use super::lanes::{for_this_processor, multiply_add, sum_of};
use super::spec::{NormKind, NormSpec};
use crate::model::linear::{Adjusted, Strengths};

/// One norm with its weights; Gemma's `1 + w` is added up at load.
#[derive(Debug, Clone)]
pub(super) struct Norm {
    spec: NormSpec,
    weight: Vec<f32>,
    /// Only a layer norm has one.
    bias: Option<Vec<f32>>,
    /// The weight before a 1 was added, where one was.
    stored: Option<Vec<f32>>,
    /// What attached vectors make of weight and bias.
    adjusted_weight: Option<Adjusted>,
    adjusted_bias: Option<Adjusted>,
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
        let mut stored = None;
        if spec.kind == NormKind::RootMeanSquarePlusOne {
            stored = Some(weight.clone());
            weight.iter_mut().for_each(|value| *value += 1.0);
        }
        let weight_tensor = Tensor::new(weight.as_slice(), device)?;
        let bias_tensor =
            bias.as_ref().map(|bias| Tensor::new(bias.as_slice(), device)).transpose()?;
        let (adjusted_weight, adjusted_bias) = (None, None);
        Ok(Self {
            spec,
            weight,
            bias,
            stored,
            adjusted_weight,
            adjusted_bias,
            weight_tensor,
            bias_tensor,
        })
    }

    /// Takes what vectors add to weight and bias, each as long as those, in place of what was.
    pub(super) fn attach(&mut self, weight: Vec<(usize, Vec<f32>)>, bias: Vec<(usize, Vec<f32>)>) {
        let offset = if self.stored.is_some() { 1.0 } else { 0.0 };
        let base = self.stored.as_ref().unwrap_or(&self.weight);
        self.adjusted_weight =
            (!weight.is_empty()).then(|| Adjusted::new(base.clone(), offset, weight));
        self.adjusted_bias = match &self.bias {
            Some(base) if !bias.is_empty() => Some(Adjusted::new(base.clone(), 0.0, bias)),
            _ => None,
        };
    }

    /// Takes up strengths of the attached vectors; `None` is the base alone.
    pub(super) fn set_strengths(&mut self, strengths: Option<Strengths<'_>>) {
        for adjusted in [&mut self.adjusted_weight, &mut self.adjusted_bias].into_iter().flatten() {
            adjusted.set(strengths);
        }
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
                self.row_in_place(row, out);
            });
        })?;
        host::tensor(out, x.shape().clone())
    }

    /// Normalises values of one row of the pass where they stand.
    pub(super) fn row_in_place(&self, row: usize, values: &mut [f32]) {
        let weight = self.adjusted_weight.as_ref().and_then(|adjusted| adjusted.of(row));
        let bias = self.adjusted_bias.as_ref().and_then(|adjusted| adjusted.of(row));
        let (weight, bias) = (weight.unwrap_or(&self.weight), bias.or(self.bias.as_deref()));
        normalise(self.spec, weight, bias, values);
    }

    /// The same through candle operations, on any device; the first dimension counts rows.
    pub(super) fn forward_plain(&self, x: &Tensor) -> Result<Tensor> {
        let x = match self.spec.kind {
            NormKind::Layer => x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?,
            _ => x.clone(),
        };
        let variance = x.sqr()?.mean_keepdim(D::Minus1)?;
        let scale = (variance + f64::from(self.spec.epsilon))?.sqrt()?;
        let weight = in_play(self.adjusted_weight.as_ref(), &x)?;
        let x = x.broadcast_div(&scale)?;
        let x = x.broadcast_mul(weight.as_ref().unwrap_or(&self.weight_tensor))?;
        let bias = in_play(self.adjusted_bias.as_ref(), &x)?;
        Ok(match bias.as_ref().or(self.bias_tensor.as_ref()) {
            Some(bias) => x.broadcast_add(bias)?,
            None => x,
        })
    }
}

/// What strengths made of a tensor, shaped to meet the rows of `x`; `None` while not in play.
fn in_play(adjusted: Option<&Adjusted>, x: &Tensor) -> Result<Option<Tensor>> {
    let Some((values, sets)) = adjusted.map(Adjusted::all).filter(|(_, sets)| *sets > 0) else {
        return Ok(None);
    };
    let mut shape = vec![1; x.rank()];
    shape[0] = sets;
    shape[x.rank() - 1] = values.len() / sets;
    Ok(Some(Tensor::from_slice(values, shape, x.device())?))
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
