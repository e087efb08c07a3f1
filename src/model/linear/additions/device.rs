//! What vectors add to one layer on devices other than the CPU: two matrix products in f32.

use anyhow::Result;
use candle_core::{D, Device, Tensor};

use super::super::adjusted::Adjusted;
use super::super::strengths::Strengths;
use super::{Addition, Factors, Layer};

/// Factors and full matrices as tensors.
#[derive(Debug, Clone)]
pub struct OnDevice {
    device: Device,
    /// `[rank, inputs]` and, with zeros where a part has no outputs, `[outputs, rank]`.
    factors: Option<(Tensor, Tensor)>,
    /// Of each rank, its vector and its gain at strength 1.
    gain: Vec<(usize, f32)>,
    /// `[sets, rank]`.
    gains: Option<Tensor>,
    full: Vec<FullMatrix>,
}

#[derive(Debug, Clone)]
struct FullMatrix {
    vector: usize,
    /// `[outputs of the layer, inputs]`, zeros outside its own outputs.
    matrix: Tensor,
    /// `[sets, 1]`; `None` while not in play.
    strengths: Option<Tensor>,
}

impl OnDevice {
    /// Takes parts whose sizes were checked.
    pub fn new(layer: Layer<'_>, thin: &[Addition], full: &[Addition]) -> Result<Self> {
        let (inputs, outputs, device) = (layer.inputs, layer.outputs, layer.device);
        let parts: Vec<(&Addition, Factors<'_>)> =
            thin.iter().filter_map(|part| Some((part, part.delta.factors()?))).collect();
        let rank: usize = parts.iter().map(|(_, factors)| factors.rank).sum();
        let factors = match rank {
            0 => None,
            _ => {
                let mut down = Vec::with_capacity(rank * inputs);
                let mut up = vec![0f32; outputs * rank];
                let mut first = 0;
                for (part, factors) in &parts {
                    down.extend_from_slice(factors.down);
                    for (row, values) in
                        part.outputs.clone().zip(factors.up.chunks_exact(factors.rank))
                    {
                        up[row * rank + first..][..factors.rank].copy_from_slice(values);
                    }
                    first += factors.rank;
                }
                Some((
                    Tensor::from_vec(down, (rank, inputs), device)?,
                    Tensor::from_vec(up, (outputs, rank), device)?,
                ))
            }
        };
        let gain = parts
            .iter()
            .flat_map(|(part, factors)| vec![(part.vector, factors.scale); factors.rank])
            .collect();
        let full = full
            .iter()
            .map(|part| {
                let mut matrix = vec![0f32; outputs * inputs];
                matrix[part.outputs.start * inputs..part.outputs.end * inputs]
                    .copy_from_slice(part.delta.values().unwrap_or_default());
                let matrix = Tensor::from_vec(matrix, (outputs, inputs), device)?;
                Ok(FullMatrix { vector: part.vector, matrix, strengths: None })
            })
            .collect::<Result<_>>()?;
        Ok(Self { device: device.clone(), factors, gain, gains: None, full })
    }

    /// Takes up strengths.
    pub fn set(&mut self, strengths: Option<Strengths<'_>>) -> Result<()> {
        self.gains = None;
        self.full.iter_mut().for_each(|full| full.strengths = None);
        let Some(strengths) = strengths else { return Ok(()) };
        let sets = strengths.sets();
        if self.gain.iter().any(|(vector, _)| strengths.in_play(*vector)) {
            let gains: Vec<f32> = (0..sets)
                .flat_map(|set| {
                    self.gain.iter().map(move |(vector, gain)| strengths.of(set, *vector) * gain)
                })
                .collect();
            self.gains = Some(Tensor::from_vec(gains, (sets, self.gain.len()), &self.device)?);
        }
        for full in self.full.iter_mut().filter(|full| strengths.in_play(full.vector)) {
            let column: Vec<f32> = (0..sets).map(|set| strengths.of(set, full.vector)).collect();
            full.strengths = Some(Tensor::from_vec(column, (sets, 1), &self.device)?);
        }
        Ok(())
    }

    /// `y` with everything in play added.
    pub fn apply(&self, x: &Tensor, y: &Tensor, bias: Option<&Adjusted>) -> Result<Tensor> {
        let (inputs, outputs) = (x.dim(D::Minus1)?, y.dim(D::Minus1)?);
        let rows = x.elem_count() / inputs.max(1);
        let flat = x.reshape((rows, inputs))?;
        let mut sum = y.reshape((rows, outputs))?;
        if let Some((values, sets)) = bias.map(Adjusted::all).filter(|(_, sets)| *sets > 0) {
            let bias = Tensor::from_slice(values, (sets, outputs), &self.device)?;
            sum = sum.broadcast_add(&bias)?;
        }
        if let (Some((down, up)), Some(gains)) = (&self.factors, &self.gains) {
            let h = flat.matmul(&down.t()?)?.broadcast_mul(gains)?;
            sum = (sum + h.matmul(&up.t()?)?)?;
        }
        for full in &self.full {
            if let Some(strengths) = &full.strengths {
                let product = flat.matmul(&full.matrix.t()?)?.broadcast_mul(strengths)?;
                sum = (sum + product)?;
            }
        }
        Ok(sum.reshape(y.dims())?)
    }
}
