//! Rows of the embedding matrix, scaled where a family scales them.

use std::sync::Arc;

use anyhow::Result;
use candle_core::Tensor;
use half::{bf16, f16};

use crate::model::linear::{Embedding, Strengths, set_of};
use crate::model::vector::{Part, Vector};
use crate::model::weights::StoredType;

/// An embedding and the factor on its rows; a copy shares the embedding.
#[derive(Clone)]
pub(super) struct Lookup {
    embedding: Embedding,
    scale: Option<f64>,
    /// Parts of attached vectors: which vector of those attached, and the part's name in it.
    parts: Vec<(usize, Arc<Vector>, String)>,
    /// The strengths of each part, `[sets, parts]`; empty while every one is 0.
    strengths: Vec<f32>,
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
        Self { embedding, scale, parts: Vec::new(), strengths: Vec::new() }
    }

    /// Rows and columns.
    pub(super) fn shape(&self) -> [usize; 2] {
        [self.embedding.weight().rows(), self.embedding.weight().columns()]
    }

    /// Takes parts of this shape, in place of those that were.
    pub(super) fn attach(&mut self, parts: Vec<(usize, Arc<Vector>, String)>) {
        self.parts = parts;
        self.strengths.clear();
    }

    /// Takes up strengths of the attached vectors; `None` is the base alone.
    pub(super) fn set_strengths(&mut self, strengths: Option<Strengths<'_>>) {
        self.strengths.clear();
        let Some(strengths) = strengths else { return };
        if self.parts.iter().any(|(vector, ..)| strengths.in_play(*vector)) {
            for set in 0..strengths.sets() {
                self.strengths
                    .extend(self.parts.iter().map(|(vector, ..)| strengths.of(set, *vector)));
            }
        }
    }

    /// The rows `ids`: `[ids, columns]` in f32.
    pub(super) fn rows(&self, ids: &[u32]) -> Result<Tensor> {
        let mut rows = self.embedding.lookup(ids)?;
        if !self.strengths.is_empty() {
            let more = Tensor::from_vec(self.added(ids), rows.dims(), rows.device())?;
            rows = (rows + more)?;
        }
        match self.scale {
            None => Ok(rows),
            Some(scale) => Ok((rows * scale)?),
        }
    }

    /// What vectors add to these rows, before they are scaled.
    fn added(&self, ids: &[u32]) -> Vec<f32> {
        let [_, columns] = self.shape();
        let sets = self.strengths.len() / self.parts.len();
        let mut out = vec![0f32; ids.len() * columns];
        for (row, (out, id)) in out.chunks_exact_mut(columns).zip(ids).enumerate() {
            let set = set_of(sets, row);
            let strengths = &self.strengths[set * self.parts.len()..][..self.parts.len()];
            for ((_, vector, name), strength) in self.parts.iter().zip(strengths) {
                if *strength != 0.0 {
                    add_row(&vector.parts[name], *id as usize, *strength, out);
                }
            }
        }
        out
    }
}

/// Adds a strength's worth of one row of a part of shape `[ids, columns]`.
fn add_row(part: &Part, row: usize, strength: f32, out: &mut [f32]) {
    let columns = out.len();
    let mut add = |factor: f32, values: &[f32]| {
        out.iter_mut().zip(values).for_each(|(out, value)| *out += factor * value);
    };
    match part {
        Part::LowRank { down, up, rank, scale, .. } => {
            let up = &up[row * rank..(row + 1) * rank];
            for (up, down) in up.iter().zip(down.chunks_exact(columns)) {
                add(strength * scale * up, down);
            }
        }
        Part::Full { values, .. } => add(strength, &values[row * columns..(row + 1) * columns]),
        // Refused when it was attached.
        Part::Replacement { .. } => {}
    }
}
