//! The sizes of the network, and the list of its parameters that follows from them.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use crate::learn::ops::Rotary;

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
    /// Columns of a head where they are not the hidden size shared out.
    #[serde(default)]
    pub head_size: Option<usize>,
    /// The head has weights of its own beside the embedding.
    #[serde(default)]
    pub own_head: bool,
    /// Other rotary frequencies than those of `rope_theta`.
    #[serde(default)]
    pub rotary: Option<Rotary>,
}

impl NetworkShape {
    /// Columns of a head.
    pub fn head_dim(&self) -> usize {
        self.head_size.unwrap_or(self.hidden_size / self.heads)
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
        let shared_out = self.hidden_size.is_multiple_of(2 * self.heads);
        ensure!(
            self.head_size.map_or(shared_out, |size| size > 0 && size.is_multiple_of(2)),
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
        if self.own_head {
            all.push(("head".to_owned(), vec![self.vocab_size, hidden]));
        }
        all
    }

    /// How many numbers that is.
    pub fn parameter_count(&self) -> usize {
        self.parameters().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
    }
}
