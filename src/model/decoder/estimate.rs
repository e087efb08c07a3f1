//! What a decoder will take in memory, told from headers before anything of it is loaded.

use anyhow::Result;

use super::load;
use super::names::{Names, Wanted};
use super::spec::DecoderSpec;
use crate::model::checkpoint::Checkpoint;
use crate::model::weights::{Matrix, WeightForm};

/// Bytes a decoder takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryEstimate {
    /// Weights in their form in memory.
    pub weight_bytes: u64,
    /// Keys and values of one row at the chosen length.
    pub cache_bytes: u64,
}

impl MemoryEstimate {
    /// Both together.
    pub fn total_bytes(self) -> u64 {
        self.weight_bytes.saturating_add(self.cache_bytes)
    }
}

impl DecoderSpec {
    /// The matrices that activations are multiplied with, for `weights::choose`.
    ///
    /// Errors as `Decoder::load` does on a checkpoint this spec does not describe.
    pub fn matrices(&self, checkpoint: &Checkpoint) -> Result<Vec<Matrix>> {
        let names = load::names(checkpoint, self);
        load::check(checkpoint, self, &names)?;
        let mut matrices = Vec::new();
        names.visit(self, |wanted| {
            if wanted.shape.len() == 2 && !self.is_only_looked_up(&names, &wanted.name) {
                matrices.push(matrix(checkpoint, &wanted)?);
            }
            Ok(())
        })?;
        Ok(matrices)
    }

    /// Weights in `form` and the cache at `cache_length` positions, `on_cpu` or elsewhere.
    pub fn memory_estimate(
        &self,
        checkpoint: &Checkpoint,
        form: WeightForm,
        cache_length: usize,
        on_cpu: bool,
    ) -> Result<MemoryEstimate> {
        let names = load::names(checkpoint, self);
        load::check(checkpoint, self, &names)?;
        let mut weight_bytes = 0u64;
        names.visit(self, |wanted| {
            let bytes = if wanted.shape.len() != 2 {
                4 * wanted.shape.iter().product::<usize>() as u64
            } else if self.is_only_looked_up(&names, &wanted.name) {
                checkpoint.tensor(&wanted.name)?.byte_length as u64
            } else {
                matrix(checkpoint, &wanted)?.bytes(form, on_cpu)
            };
            weight_bytes = weight_bytes.saturating_add(bytes);
            Ok(())
        })?;
        Ok(MemoryEstimate { weight_bytes, cache_bytes: self.cache_bytes(cache_length) })
    }

    /// Bytes of keys and values of one row, f32, in all layers.
    pub fn cache_bytes(&self, positions: usize) -> u64 {
        [2, 4, self.layers.len(), self.key_width(), positions]
            .into_iter()
            .fold(1u64, |product, factor| product.saturating_mul(factor as u64))
    }

    /// Tables whose rows are looked up stay as stored, whatever form the matrices take.
    fn is_only_looked_up(&self, names: &Names, name: &str) -> bool {
        name == names.positions || (name == names.embedding && !self.tied_head)
    }
}

fn matrix(checkpoint: &Checkpoint, wanted: &Wanted) -> Result<Matrix> {
    let stored = checkpoint.tensor(&wanted.name)?.dtype;
    Ok(Matrix { stored, rows: wanted.shape[0], columns: wanted.shape[1] })
}
