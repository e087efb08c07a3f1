//! An alignment vector in memory: what to add to a base model's parameters, per unit of strength.
//!
//! θ(λ) = θ_base + Σ_d λ_d · AV_d (arXiv 2410.19206). Parts are kept by the name
//! the parameter has in a Hugging Face checkpoint, in that checkpoint's orientation.

mod about;
pub mod algebra;
pub mod bake;
pub mod extract;
mod facts;
pub mod file;
mod fingerprint;
mod fit;
mod import;
pub mod merge;
mod open;
mod peft;
pub(super) mod values;
mod work;

use std::collections::BTreeMap;

use anyhow::{Result, bail, ensure};

pub use about::{About, about};
pub use facts::{Calibration, Facts, Kind, SweepPoint};
pub use fingerprint::fingerprint;
pub use import::import;
pub use open::{is_vector, open, open_for, open_with_facts};
pub use peft::{holds_adapter, is_of_adapter};
pub use work::Work;

use crate::model::checkpoint::element_count;

/// What is added to one parameter at strength 1.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// `scale · up · down`: a matrix of two thin factors, always `[outputs, inputs]`, also where
    /// the checkpoint stores the weight `[inputs, outputs]` (GPT-2).
    LowRank {
        /// `[rank, inputs]`, row-major ("A").
        down: Vec<f32>,
        /// `[outputs, rank]`, row-major ("B").
        up: Vec<f32>,
        rank: usize,
        inputs: usize,
        outputs: usize,
        /// `alpha / rank` of a LoRA adapter (`alpha / √rank` with rslora), 1 for our own.
        scale: f32,
    },
    /// Every value, row-major, in the checkpoint's orientation.
    Full { shape: Vec<usize>, values: Vec<f32> },
    /// The whole parameter as training left it (PEFT's `modules_to_save` and biases): what is added
    /// is this minus the base's. [`Vector::fit`] turns it into `Full`; nothing that was fitted to
    /// a base holds one.
    Replacement { shape: Vec<usize>, values: Vec<f32> },
}

impl Part {
    /// The shape of the parameter it belongs to.
    pub fn shape(&self) -> Vec<usize> {
        match self {
            Self::LowRank { outputs, inputs, .. } => vec![*outputs, *inputs],
            Self::Full { shape, .. } | Self::Replacement { shape, .. } => shape.clone(),
        }
    }

    /// # Errors
    /// When sizes do not go together, or a value is not finite; `name` is in the message.
    pub fn check(&self, name: &str) -> Result<()> {
        let finite = |values: &[f32]| values.iter().all(|value| value.is_finite());
        match self {
            Self::LowRank { down, up, rank, inputs, outputs, scale } => {
                ensure!(
                    !down.is_empty()
                        && !up.is_empty()
                        && Some(down.len()) == rank.checked_mul(*inputs)
                        && Some(up.len()) == rank.checked_mul(*outputs),
                    "`{name}`: factors of {} and {} values are no rank {rank} of [{outputs}, {inputs}]",
                    up.len(),
                    down.len()
                );
                ensure!(
                    finite(down) && finite(up) && scale.is_finite(),
                    "`{name}` holds a value that is not finite"
                );
            }
            Self::Full { shape, values } | Self::Replacement { shape, values } => {
                ensure!(
                    Some(values.len()) == element_count(shape),
                    "`{name}`: {} values for the shape {shape:?}",
                    values.len()
                );
                ensure!(finite(values), "`{name}` holds a value that is not finite");
            }
        }
        Ok(())
    }

    /// Every value of it at strength 1, row-major, summed in f32 over the rank in order.
    ///
    /// # Errors
    /// For a `Replacement`, which says nothing without its base.
    pub fn dense(&self) -> Result<Vec<f32>> {
        Ok(match self {
            Self::Full { values, .. } => values.clone(),
            Self::Replacement { .. } => bail!("a saved parameter was not compared with its base"),
            Self::LowRank { down, up, rank, inputs, outputs, scale } => {
                let mut dense = vec![0.0; outputs * inputs];
                for (row, factors) in dense.chunks_exact_mut(*inputs).zip(up.chunks_exact(*rank)) {
                    for (factor, along) in factors.iter().zip(down.chunks_exact(*inputs)) {
                        row.iter_mut().zip(along).for_each(|(y, a)| *y += factor * a);
                    }
                    row.iter_mut().for_each(|y| *y *= scale);
                }
                dense
            }
        })
    }

    /// Number of values kept.
    pub fn value_count(&self) -> usize {
        match self {
            Self::LowRank { down, up, .. } => down.len() + up.len(),
            Self::Full { values, .. } | Self::Replacement { values, .. } => values.len(),
        }
    }
}

/// An alignment vector: parts by parameter name, such as
/// `model.layers.0.self_attn.q_proj.weight` or `model.norm.weight`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Vector {
    /// What the person calls it.
    pub name: String,
    /// The fingerprint of the base model it was made with; `None` where the file does not say (a
    /// PEFT folder): shapes decide then.
    pub base_fingerprint: Option<String>,
    /// What that base model is called, for messages; empty where the file does not say.
    pub base_name: String,
    pub parts: BTreeMap<String, Part>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_multiply_to_what_they_stand_for() {
        let part = Part::LowRank {
            down: vec![1.0, 2.0, 0.0, 1.0, 0.0, 3.0],
            up: vec![1.0, 0.0, 2.0, 1.0],
            rank: 2,
            inputs: 3,
            outputs: 2,
            scale: 0.5,
        };
        part.check("w").unwrap();
        assert_eq!(part.dense().unwrap(), [0.5, 1.0, 0.0, 1.5, 2.0, 1.5]);
        let Part::LowRank { down, .. } = &part else { unreachable!() };
        assert_eq!(down.len(), 6);
    }

    #[test]
    fn what_is_not_finite_or_does_not_fit_is_refused_by_name() {
        let bad = Part::Full { shape: vec![2], values: vec![1.0, f32::NAN] };
        assert!(bad.check("model.norm.weight").unwrap_err().to_string().contains("model.norm"));
        let short = Part::Full { shape: vec![3], values: vec![1.0] };
        assert!(short.check("x").is_err());
    }
}
