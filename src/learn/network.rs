//! The network that is trained: a Llama with tied embeddings, its parameters as candle variables.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use candle_core::{Device, Tensor, Var};
use serde::{Deserialize, Serialize};

use super::ops::{self, AttentionShape};
use super::random;

/// The sizes of the network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkShape {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub layers: usize,
    pub heads: usize,
    pub key_heads: usize,
    pub intermediate_size: usize,
    /// Most positions the finished model is said to take.
    pub context_length: usize,
    pub rope_theta: f32,
    pub norm_epsilon: f32,
}

impl NetworkShape {
    /// Columns of a head.
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.heads
    }

    /// # Errors
    /// When the sizes do not go together; the message names the field.
    pub fn check(&self) -> Result<()> {
        for (name, value) in [
            ("vocabulary", self.vocab_size),
            ("hidden", self.hidden_size),
            ("layers", self.layers),
            ("heads", self.heads),
            ("key heads", self.key_heads),
            ("ffn", self.intermediate_size),
            ("context", self.context_length),
        ] {
            ensure!(value > 0, "{name} must not be 0");
        }
        ensure!(
            self.hidden_size.is_multiple_of(2 * self.heads),
            "hidden ({}) must be a multiple of twice the heads ({})",
            self.hidden_size,
            self.heads
        );
        ensure!(
            self.heads.is_multiple_of(self.key_heads),
            "heads ({}) must be a multiple of the key heads ({})",
            self.heads,
            self.key_heads
        );
        Ok(())
    }

    /// Name and shape of every parameter, in a fixed order. Queries, keys and values are one
    /// matrix, as are gate and up: fewer and larger products.
    pub fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        let (hidden, dim) = (self.hidden_size, self.head_dim());
        let mut all = vec![("embedding".to_owned(), vec![self.vocab_size, hidden])];
        for layer in 0..self.layers {
            let joint = (self.heads + 2 * self.key_heads) * dim;
            for (name, shape) in [
                ("attention_norm", vec![hidden]),
                ("joint", vec![joint, hidden]),
                ("attention_out", vec![hidden, self.heads * dim]),
                ("mlp_norm", vec![hidden]),
                ("gate_up", vec![2 * self.intermediate_size, hidden]),
                ("down", vec![hidden, self.intermediate_size]),
            ] {
                all.push((format!("{layer}.{name}"), shape));
            }
        }
        all.push(("final_norm".to_owned(), vec![hidden]));
        all
    }

    /// How many numbers that is.
    pub fn parameter_count(&self) -> usize {
        self.parameters().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
    }
}

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
        Ok(Self { shape, device: device.clone(), operations: Operations::Fused, parameters })
    }

    /// Every parameter, in the fixed order of its shape.
    pub fn parameters(&self) -> Vec<(String, &Var)> {
        let names = self.shape.parameters().into_iter().map(|(name, _)| name);
        names.filter_map(|name| self.parameters.get(&name).map(|var| (name, var))).collect()
    }

    fn parameter(&self, name: &str) -> Result<&Tensor> {
        let var = self.parameters.get(name).with_context(|| format!("no parameter {name}"))?;
        Ok(var.as_tensor())
    }

    /// Final-norm hidden states [size·sequence, hidden].
    pub fn hidden(&self, batch: &Batch) -> Result<Tensor> {
        let shape = &self.shape;
        let fused = self.operations == Operations::Fused;
        let linear = if fused { ops::linear } else { ops::plain::linear };
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
            starts: batch.starts.clone(),
        };
        let ids = Tensor::from_slice(&batch.ids, batch.ids.len(), &self.device)?;
        let mut x = self.parameter("embedding")?.index_select(&ids, 0)?;
        for layer in 0..shape.layers {
            let weight = |name: &str| self.parameter(&format!("{layer}.{name}"));
            let h = rms_norm(&x, weight("attention_norm")?, shape.norm_epsilon)?;
            let joint = linear(&h, weight("joint")?)?;
            let mixed = attention(&joint, &geometry)?;
            x = (x + linear(&mixed, weight("attention_out")?)?)?;
            let h = rms_norm(&x, weight("mlp_norm")?, shape.norm_epsilon)?;
            let gated = swiglu(&linear(&h, weight("gate_up")?)?)?;
            x = (x + linear(&gated, weight("down")?)?)?;
        }
        Ok(rms_norm(&x, self.parameter("final_norm")?, shape.norm_epsilon)?)
    }

    /// Mean cross-entropy over the batch's targets, in nats: a scalar to call `backward` on.
    pub fn loss(&self, batch: &Batch) -> Result<Tensor> {
        let head = match self.operations {
            Operations::Fused => ops::head_cross_entropy,
            Operations::Plain => ops::plain::head_cross_entropy,
        };
        Ok(head(&self.hidden(batch)?, self.parameter("embedding")?, &batch.targets)?)
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
        };
        let hidden = self.hidden(&batch)?.detach();
        let logits = hidden.matmul(&self.parameter("embedding")?.detach().t()?)?;
        Ok(logits.flatten_all()?.to_vec1()?)
    }
}
