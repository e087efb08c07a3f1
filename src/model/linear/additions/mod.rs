//! What vectors add to one product: stacked factors with one gain vector, full matrices, biases.
//!
//! `y = W x + b(λ) + B_cat (g ⊙ (A_cat x)) + Σ λ_d Δ_d x` (Alignment Vectors, arXiv 2410.19206;
//! spec section 10). The weight is never written: a change of strengths writes the gains, and
//! with every strength at 0 nothing here is called.

mod device;
#[cfg(test)]
mod tests;
mod thin;

use std::ops::Range;
use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use candle_core::{CpuStorage, InplaceOp1, Layout, Tensor};

use super::adjusted::Adjusted;
use super::kernel::Product;
use super::strengths::{Strengths, set_of};
use super::weight::with_slice;
use crate::model::vector::{Part, Vector};
use device::OnDevice;
use thin::Thin;

/// One part of one vector, placed: which outputs of the layer it is for.
#[derive(Debug, Clone)]
pub struct Addition {
    /// Its vector's place among those attached.
    pub vector: usize,
    /// Outputs of the layer, which may hold several parameters one below the other.
    pub outputs: Range<usize>,
    pub delta: Delta,
}

/// Where the numbers of an addition are.
#[derive(Debug, Clone)]
pub enum Delta {
    /// A part of a vector as it is: factors, a full matrix `[outputs, inputs]`, or a bias.
    Part { of: Arc<Vector>, name: String },
    /// A full matrix that had to be turned to `[outputs, inputs]`.
    Turned(Arc<Vec<f32>>),
}

/// Two thin factors: `scale · up · down`.
#[derive(Clone, Copy)]
struct Factors<'a> {
    down: &'a [f32],
    up: &'a [f32],
    rank: usize,
    scale: f32,
}

impl Delta {
    fn part(&self) -> Option<&Part> {
        match self {
            Self::Part { of, name } => of.parts.get(name),
            Self::Turned(_) => None,
        }
    }

    fn factors(&self) -> Option<Factors<'_>> {
        match self.part() {
            Some(Part::LowRank { down, up, rank, scale, .. }) => {
                Some(Factors { down, up, rank: *rank, scale: *scale })
            }
            _ => None,
        }
    }

    /// A full matrix, or a bias.
    fn values(&self) -> Option<&[f32]> {
        match (self, self.part()) {
            (Self::Turned(values), _) => Some(values),
            (_, Some(Part::Full { values, .. })) => Some(values),
            _ => None,
        }
    }
}

/// Everything the attached vectors add to one layer, and the strengths it is added at.
#[derive(Debug, Clone)]
pub struct Additions {
    inputs: usize,
    outputs: usize,
    thin: Option<Thin>,
    full: Vec<Addition>,
    bias: Option<Adjusted>,
    /// The same for other devices than the CPU.
    on_device: Option<OnDevice>,
    /// `[sets, vectors]` of the full matrices, and how many sets; 0 while nothing is in play.
    full_strengths: Vec<f32>,
    vectors: usize,
    sets: usize,
}

/// The layer that additions are made for.
#[derive(Clone, Copy)]
pub struct Layer<'a> {
    pub inputs: usize,
    pub outputs: usize,
    /// `[outputs]` in f32, on the weight's device.
    pub bias: Option<&'a Tensor>,
    /// The base is held in f32, so that factors must not be rounded either.
    pub is_wide: bool,
    pub device: &'a candle_core::Device,
}

impl Additions {
    /// Packs additions of `vectors` vectors, all at strength 0.
    ///
    /// # Errors
    /// When a part's sizes are not those of the outputs it is for.
    pub fn new(layer: Layer<'_>, vectors: usize, parts: Vec<Addition>) -> Result<Self> {
        let (inputs, outputs) = (layer.inputs, layer.outputs);
        let (mut thin, mut full, mut biases) = (Vec::new(), Vec::new(), Vec::new());
        for part in parts {
            let rows = part.outputs.len();
            ensure!(part.outputs.end <= outputs && part.vector < vectors, "no such outputs");
            if let Some(Factors { down, up, rank, scale }) = part.delta.factors() {
                ensure!(
                    down.len() == rank * inputs && up.len() == rows * rank && scale.is_finite(),
                    "factors of {} and {} values for [{rows}, {inputs}]",
                    up.len(),
                    down.len()
                );
                thin.push(part);
            } else if let Some(values) = part.delta.values() {
                if values.len() == rows {
                    biases.push(part);
                } else {
                    ensure!(values.len() == rows * inputs, "{} values", values.len());
                    full.push(part);
                }
            } else {
                bail!("the part holds neither factors nor values");
            }
        }
        let bias = match biases.is_empty() {
            true => None,
            false => Some(adjusted_bias(layer, &biases)?),
        };
        let on_cpu = layer.device.is_cpu();
        let on_device = match on_cpu {
            true => None,
            false => Some(OnDevice::new(layer, &thin, &full)?),
        };
        let thin = match on_cpu && !thin.is_empty() {
            true => Some(Thin::pack(inputs, &thin, layer.is_wide)),
            false => None,
        };
        ensure!(thin.as_ref().is_none_or(Thin::is_finite), "the factors' values are too large");
        let full = if on_cpu { full } else { Vec::new() };
        let full_strengths = Vec::new();
        Ok(Self { inputs, outputs, thin, full, bias, on_device, full_strengths, vectors, sets: 0 })
    }

    /// Takes up strengths; `None` puts nothing in play. On a CPU nothing is allocated unless there
    /// are more rows than ever before.
    pub fn set(&mut self, strengths: Option<Strengths<'_>>) -> Result<()> {
        self.sets = strengths.map_or(0, |strengths| strengths.sets());
        if let Some(thin) = &mut self.thin {
            thin.set(strengths);
        }
        if let Some(bias) = &mut self.bias {
            bias.set(strengths);
        }
        if let Some(on_device) = &mut self.on_device {
            on_device.set(strengths)?;
        }
        self.full_strengths.clear();
        if let (Some(strengths), false) = (strengths, self.full.is_empty()) {
            for set in 0..strengths.sets() {
                self.full_strengths
                    .extend((0..self.vectors).map(|vector| strengths.of(set, vector)));
            }
        }
        Ok(())
    }

    /// True when anything is added to the product or its bias.
    pub fn in_play(&self) -> bool {
        self.sets > 0
    }

    /// True when the layer's own bias is replaced for now.
    pub fn replaces_bias(&self) -> bool {
        self.bias.as_ref().is_some_and(|bias| bias.of(0).is_some())
    }

    /// Adds everything in play to `y`, `[.., outputs]`, the product of `x`, `[.., inputs]`, with
    /// the base; the layer's own bias is in `y` unless it is replaced.
    pub fn apply(&self, x: &Tensor, y: Tensor) -> Result<Tensor> {
        let rows = x.elem_count() / self.inputs.max(1);
        ensure!(
            self.sets == 1 || self.sets == rows,
            "strengths for {} rows and a pass over {rows}",
            self.sets
        );
        if let Some(on_device) = &self.on_device {
            return on_device.apply(x, &y, self.bias.as_ref());
        }
        let x = x.contiguous()?;
        y.inplace_op1(&Adding { to: self, x: &x })?;
        Ok(y)
    }

    fn add(&self, x: &[f32], y: &mut [f32]) {
        let rows = x.len() / self.inputs.max(1);
        if let Some(bias) = &self.bias {
            for (row, y) in y.chunks_exact_mut(self.outputs).enumerate() {
                if let Some(bias) = bias.of(row) {
                    y.iter_mut().zip(bias).for_each(|(y, bias)| *y += bias);
                }
            }
        }
        if let Some(thin) = &self.thin {
            thin.add(x, rows, y, self.outputs);
        }
        for part in &self.full {
            self.add_full(part, x, rows, y);
        }
    }

    fn add_full(&self, part: &Addition, x: &[f32], rows: usize, y: &mut [f32]) {
        let strength =
            |row| self.full_strengths[set_of(self.sets, row) * self.vectors + part.vector];
        let Some(w) = part.delta.values() else { return };
        if (0..rows).all(|row| strength(row) == 0.0) {
            return;
        }
        let (m, n, k) = (rows, part.outputs.len(), self.inputs);
        let mut product = vec![0f32; m * n];
        Product { x, w, bias: None, m, n, k }.run(&mut product);
        for (row, product) in product.chunks_exact(n.max(1)).enumerate() {
            let strength = strength(row);
            let y = &mut y[row * self.outputs..][part.outputs.clone()];
            y.iter_mut().zip(product).for_each(|(y, more)| *y += strength * more);
        }
    }
}

/// The layer's bias (or zeros) with what vectors add to it, each for its outputs.
fn adjusted_bias(layer: Layer<'_>, parts: &[Addition]) -> Result<Adjusted> {
    let base = match layer.bias {
        Some(bias) => bias.to_vec1()?,
        None => vec![0.0; layer.outputs],
    };
    let mut deltas: Vec<(usize, Vec<f32>)> = Vec::new();
    for part in parts {
        let index = match deltas.iter().position(|(vector, _)| *vector == part.vector) {
            Some(index) => index,
            None => {
                deltas.push((part.vector, vec![0.0; layer.outputs]));
                deltas.len() - 1
            }
        };
        let values = part.delta.values().unwrap_or_default();
        deltas[index].1[part.outputs.clone()].copy_from_slice(values);
    }
    Ok(Adjusted::new(base, 0.0, deltas))
}

/// Adds in place, so that no second copy of the outputs is made.
struct Adding<'a> {
    to: &'a Additions,
    x: &'a Tensor,
}

impl InplaceOp1 for Adding<'_> {
    fn name(&self) -> &'static str {
        "additions"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let CpuStorage::F32(y) = storage else { candle_core::bail!("outputs are f32") };
        let Some((from, to)) = layout.contiguous_offsets() else {
            candle_core::bail!("outputs are contiguous")
        };
        with_slice(self.x, |x: &[f32]| self.to.add(x, &mut y[from..to]))
            .map_err(candle_core::Error::wrap)
    }
}
