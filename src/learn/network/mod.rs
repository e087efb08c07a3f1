//! The network that is trained: a Llama, its parameters as candle variables; all of them are
//! trained, or thin factors beside frozen ones.

mod adapters;
pub mod names;
mod shape;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use candle_core::{Device, Tensor, Var};

use super::ops::{self, Answers, AttentionShape};
use super::random;

pub use adapters::{Adapters, Factors};
pub use shape::NetworkShape;

/// A batch of packed sequences.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Sequences.
    pub size: usize,
    /// Positions of each.
    pub sequence: usize,
    /// Input ids, `size·sequence`.
    pub ids: Vec<u32>,
    /// What follows each, or [`ops::IGNORED`].
    pub targets: Arc<Vec<u32>>,
    /// Where each position's document begins in its sequence.
    pub starts: Arc<Vec<u32>>,
    /// How much of the trained factors is added at each position; all of it when left out. Without
    /// factors it means nothing.
    pub strengths: Option<Arc<Vec<f32>>>,
}

/// Which operations the forward pass is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operations {
    /// Fused on the CPU, candle's own elsewhere.
    Fused,
    /// Candle's own everywhere.
    Plain,
}

/// The network with its parameters.
pub struct Network {
    pub shape: NetworkShape,
    pub device: Device,
    pub operations: Operations,
    parameters: BTreeMap<String, Var>,
    /// Where there are any, they are trained and the parameters are not.
    adapters: Option<Adapters>,
}

impl Network {
    /// A fresh network: normal weights of deviation 0.02 (smaller where a block adds to the
    /// residual stream), gains of one.
    pub fn fresh(shape: NetworkShape, seed: u64, device: &Device) -> Result<Self> {
        shape.check()?;
        let residual = 0.02 / (2.0 * shape.layers as f32).sqrt();
        Self::with(shape, device, |index, name, count| {
            let deviation = match name.rsplit('.').next() {
                Some("attention_out" | "down") => residual,
                _ => 0.02,
            };
            let value = |i: u64| deviation * random::normal(seed, 1 + index, i);
            Ok(match name.ends_with("norm") {
                true => vec![1.0; count],
                false => (0..count as u64).map(value).collect(),
            })
        })
    }

    /// A network whose parameters a function gives, by index in the list, name and length.
    pub fn with(
        shape: NetworkShape,
        device: &Device,
        mut values: impl FnMut(u64, &str, usize) -> Result<Vec<f32>>,
    ) -> Result<Self> {
        shape.check()?;
        let mut parameters = BTreeMap::new();
        for (index, (name, dims)) in shape.parameters().into_iter().enumerate() {
            let count = dims.iter().product();
            let tensor = Tensor::from_vec(values(index as u64, &name, count)?, dims, device)?;
            parameters.insert(name, Var::from_tensor(&tensor)?);
        }
        Ok(Self {
            shape,
            device: device.clone(),
            operations: Operations::Fused,
            parameters,
            adapters: None,
        })
    }

    /// Every parameter, in the fixed order of its shape.
    pub fn parameters(&self) -> Vec<(String, &Var)> {
        let names = self.shape.parameters().into_iter().map(|(name, _)| name);
        names.filter_map(|name| self.parameters.get(&name).map(|var| (name, var))).collect()
    }

    /// Freezes every parameter and trains these factors beside them.
    pub fn adapt(&mut self, adapters: Adapters) {
        self.adapters = Some(adapters);
    }

    /// The factors that are trained, where there are any.
    pub fn adapters(&self) -> Option<&Adapters> {
        self.adapters.as_ref()
    }

    /// What is trained, by name, in a fixed order: every parameter, or the factors alone.
    pub fn trained(&self) -> Vec<(String, &Var)> {
        match &self.adapters {
            Some(adapters) => adapters.variables(),
            None => self.parameters(),
        }
    }

    fn parameter(&self, name: &str) -> Result<Tensor> {
        let var = self.parameters.get(name).with_context(|| format!("no parameter {name}"))?;
        Ok(match self.adapters {
            Some(_) => var.as_detached_tensor(),
            None => var.as_tensor().clone(),
        })
    }

    /// The matrix of the output head: its own, or the embedding.
    fn head(&self) -> Result<Tensor> {
        self.parameter(if self.shape.own_head { "head" } else { "embedding" })
    }

    /// One linear layer, with its factors where it has some.
    fn linear(&self, x: &Tensor, name: &str, batch: &Batch) -> Result<Tensor> {
        let weight = self.parameter(name)?;
        let fused = self.operations == Operations::Fused;
        let factors = self.adapters.as_ref().and_then(|adapters| adapters.of(name));
        Ok(match factors {
            Some(Factors { down, up, adapter }) => {
                let adapted = if fused { ops::adapted_linear } else { ops::plain::adapted_linear };
                let (down, up) = (down.as_tensor(), up.as_tensor());
                adapted(x, &weight, down, up, adapter, batch.strengths.as_ref())?
            }
            None if fused => ops::linear(x, &weight)?,
            None => ops::plain::linear(x, &weight)?,
        })
    }

    /// Final-norm hidden states [size·sequence, hidden].
    pub fn hidden(&self, batch: &Batch) -> Result<Tensor> {
        let shape = &self.shape;
        let fused = self.operations == Operations::Fused;
        let rms_norm = if fused { ops::rms_norm } else { ops::plain::rms_norm };
        let swiglu = if fused { ops::swiglu } else { ops::plain::swiglu };
        let attention = if fused { ops::causal_attention } else { ops::plain::causal_attention };
        let geometry = AttentionShape {
            batch: batch.size,
            sequence: batch.sequence,
            heads: shape.heads,
            key_heads: shape.key_heads,
            head_dim: shape.head_dim(),
            rope_theta: shape.rope_theta,
            rotary: shape.rotary.clone().map(Arc::new),
            starts: batch.starts.clone(),
        };
        let ids = Tensor::from_slice(&batch.ids, batch.ids.len(), &self.device)?;
        let mut x = self.parameter("embedding")?.index_select(&ids, 0)?;
        for layer in 0..shape.layers {
            let gain = |name: &str| self.parameter(&format!("{layer}.{name}"));
            let linear = |x: &Tensor, name: &str| self.linear(x, &format!("{layer}.{name}"), batch);
            let h = rms_norm(&x, &gain("attention_norm")?, shape.norm_epsilon)?;
            let mixed = attention(&linear(&h, "joint")?, &geometry)?;
            x = (x + linear(&mixed, "attention_out")?)?;
            let h = rms_norm(&x, &gain("mlp_norm")?, shape.norm_epsilon)?;
            let gated = swiglu(&linear(&h, "gate_up")?)?;
            x = (x + linear(&gated, "down")?)?;
        }
        Ok(rms_norm(&x, &self.parameter("final_norm")?, shape.norm_epsilon)?)
    }

    /// Mean cross-entropy over the batch's targets, in nats: a scalar to call `backward` on.
    pub fn loss(&self, batch: &Batch) -> Result<Tensor> {
        let head = match self.operations {
            Operations::Fused => ops::head_cross_entropy,
            Operations::Plain => ops::plain::head_cross_entropy,
        };
        Ok(head(&self.hidden(batch)?, &self.head()?, &batch.targets)?)
    }

    /// The log-probability of each answer in a batch, [answers], in nats; `owners` says for each
    /// position which answer its target belongs to.
    pub fn answer_log_probabilities(
        &self,
        batch: &Batch,
        owners: &Arc<Vec<u32>>,
        count: usize,
    ) -> Result<Tensor> {
        let answers = Answers { targets: batch.targets.clone(), owners: owners.clone(), count };
        let head = match self.operations {
            Operations::Fused => ops::head_log_probabilities,
            Operations::Plain => ops::plain::head_log_probabilities,
        };
        Ok(head(&self.hidden(batch)?, &self.head()?, &answers)?)
    }

    /// Logits of one sequence of ids, [ids, vocabulary] row-major.
    pub fn logits(&self, ids: &[u32]) -> Result<Vec<f32>> {
        let count = ids.len();
        let batch = Batch {
            size: 1,
            sequence: count,
            ids: ids.to_vec(),
            targets: Arc::new(vec![ops::IGNORED; count]),
            starts: Arc::new(vec![0; count]),
            strengths: None,
        };
        let hidden = self.hidden(&batch)?.detach();
        let logits = hidden.matmul(&self.head()?.detach().t()?)?;
        Ok(logits.flatten_all()?.to_vec1()?)
    }
}
