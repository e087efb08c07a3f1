//! Norms of the inserted stream: its own weights, and the statistics of the original stream alone.
//! Statistics that saw the inserted features would change the original (spec section 3.1).

use anyhow::Result;
use candle_core::{D, Device, Tensor};

use crate::model::decoder::host;
use crate::model::decoder::lanes::{for_this_processor, multiply_add, sum_of};
use crate::model::decoder::spec::{NormKind, NormSpec};

/// One inserted norm.
pub(super) struct InsertedNorm {
    spec: NormSpec,
    /// Factors as they are, Gemma's 1 already in them: `[width]`.
    weight: Vec<f32>,
    bias: Option<Vec<f32>>,
    weight_tensor: Tensor,
    bias_tensor: Option<Tensor>,
}

impl InsertedNorm {
    pub(super) fn new(
        spec: NormSpec,
        weight: Vec<f32>,
        bias: Option<Vec<f32>>,
        device: &Device,
    ) -> Result<Self> {
        let weight_tensor = Tensor::new(weight.as_slice(), device)?;
        let bias_tensor =
            bias.as_ref().map(|bias| Tensor::new(bias.as_slice(), device)).transpose()?;
        Ok(Self { spec, weight, bias, weight_tensor, bias_tensor })
    }

    /// Normalises `inserted`, `[rows, width]`, by the statistics of `original`, `[rows, d]`.
    pub(super) fn forward(
        &self,
        original: &Tensor,
        inserted: &Tensor,
        plain: bool,
    ) -> Result<Tensor> {
        if plain || !host::is_here(inserted) {
            return self.forward_plain(original, inserted);
        }
        let (rows, width) = inserted.dims2()?;
        let size = original.dim(1)?;
        let mut out = vec![0.0; rows * width];
        let work = rows * size;
        host::read(original, |original| {
            host::read(inserted, |inserted| {
                host::for_each_row(&mut out, width, work, |row, out| {
                    out.copy_from_slice(&inserted[row * width..(row + 1) * width]);
                    let original = &original[row * size..(row + 1) * size];
                    normalise(self.spec, original, &self.weight, self.bias.as_deref(), out);
                });
            })
        })??;
        host::tensor(out, (rows, width))
    }

    fn forward_plain(&self, original: &Tensor, inserted: &Tensor) -> Result<Tensor> {
        let (original, inserted) = match self.spec.kind {
            NormKind::Layer => {
                let mean = original.mean_keepdim(D::Minus1)?;
                (original.broadcast_sub(&mean)?, inserted.broadcast_sub(&mean)?)
            }
            _ => (original.clone(), inserted.clone()),
        };
        let variance = original.sqr()?.mean_keepdim(D::Minus1)?;
        let scale = (variance + f64::from(self.spec.epsilon))?.sqrt()?;
        let x = inserted.broadcast_div(&scale)?.broadcast_mul(&self.weight_tensor)?;
        Ok(match &self.bias_tensor {
            Some(bias) => x.broadcast_add(bias)?,
            None => x,
        })
    }
}

for_this_processor! {
    normalise(
        spec: NormSpec, original: &[f32], weight: &[f32], bias: Option<&[f32]>, row: &mut [f32],
    ) = normalise_body
}

#[inline(always)]
fn normalise_body<const FUSED: bool>(
    spec: NormSpec,
    original: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    row: &mut [f32],
) {
    // The same sums in the same order as the original norm's, so that copies stay copies.
    let size = original.len() as f32;
    let mean = match spec.kind {
        NormKind::Layer => sum_of(original, |x| x) / size,
        _ => 0.0,
    };
    let square = sum_of(original, |x| (x - mean) * (x - mean));
    let scale = 1.0 / (square / size + spec.epsilon).sqrt();
    match bias {
        None => {
            for (x, w) in row.iter_mut().zip(weight) {
                *x = (*x - mean) * scale * w;
            }
        }
        Some(bias) => {
            for ((x, w), b) in row.iter_mut().zip(weight).zip(bias) {
                *x = multiply_add::<FUSED>((*x - mean) * scale, *w, *b);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spec section 11.9: scaling the stream scales what is normed, whatever the original is.
    #[test]
    fn only_the_original_decides_the_scale() {
        let original: Vec<f32> = (0..40).map(|at| (at as f32 * 0.7).sin() * 3.0).collect();
        let inserted: Vec<f32> = (0..10).map(|at| (at as f32 * 1.3).cos()).collect();
        let rows = |values: &[f32], width: usize| {
            Tensor::from_slice(values, (2, width), &Device::Cpu).unwrap()
        };
        for kind in [NormKind::RootMeanSquare, NormKind::RootMeanSquarePlusOne, NormKind::Layer] {
            let spec = NormSpec { kind, epsilon: 1e-6 };
            let bias = (kind == NormKind::Layer).then(|| vec![0.0; 5]);
            let weight = vec![1.0, 2.0, 0.5, -1.0, 4.0];
            let norm = InsertedNorm::new(spec, weight, bias, &Device::Cpu).unwrap();
            let shift = if kind == NormKind::Layer {
                // A layer norm's mean comes off first: scale what is left.
                let mean = |row: usize| original[row * 20..][..20].iter().sum::<f32>() / 20.0;
                [mean(0), mean(1)]
            } else {
                [0.0; 2]
            };
            let scaled: Vec<f32> = inserted
                .iter()
                .enumerate()
                .map(|(at, x)| (x - shift[at / 5]) * 8.0 + shift[at / 5])
                .collect();
            let original = rows(&original, 20);
            for plain in [false, true] {
                let of = |x: &[f32]| -> Vec<f32> {
                    let out = norm.forward(&original, &rows(x, 5), plain).unwrap();
                    out.flatten_all().unwrap().to_vec1().unwrap()
                };
                for (a, b) in of(&inserted).iter().zip(of(&scaled)) {
                    assert!((8.0 * a - b).abs() < 1e-4 * (1.0 + b.abs()), "{kind:?}: {a} {b}");
                }
            }
        }
    }
}
