//! Token (or position) embeddings: rows of a weight, widened as they are looked up.

use anyhow::Result;
use candle_core::Tensor;

use super::{Linear, Weight};

/// A table of rows. A tied head is a [`Linear`] on the same storage.
#[derive(Debug, Clone)]
pub struct Embedding {
    weight: Weight,
}

impl Embedding {
    /// Takes a table `[rows, columns]`.
    pub fn new(weight: Weight) -> Self {
        Self { weight }
    }

    /// The table.
    pub fn weight(&self) -> &Weight {
        &self.weight
    }

    /// `[ids, columns]` in f32. Errors on an id outside the table.
    pub fn lookup(&self, ids: &[u32]) -> Result<Tensor> {
        self.weight.lookup(ids)
    }

    /// The head of a model that ties it to its embedding: the same storage, no bias.
    pub fn tied_head(&self) -> Linear {
        Linear::new(self.weight.clone())
    }
}
