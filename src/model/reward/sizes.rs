//! How wide the inserted stream is, where it is inserted, how it starts and what it ends in.

use serde::{Deserialize, Serialize};

use crate::model::decoder::DecoderSpec;

/// The widths of an inserted stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sizes {
    /// `x`, the inserted residual stream.
    pub width: usize,
    /// `nq`, a multiple of `key_heads`; every head is as large as the base's.
    pub query_heads: usize,
    /// `nk`, heads of keys and of values.
    pub key_heads: usize,
    /// `m`, the inserted MLP inner size.
    pub inner: usize,
}

impl Sizes {
    /// Every width of the base divided by `divisor` (8 is the default, spec section 7), rounded so
    /// that products stay fast: widths to 16, inner sizes to 8, at least one head.
    pub fn one_in(divisor: usize, spec: &DecoderSpec) -> Self {
        let divisor = divisor.max(1);
        let key_heads = rounded(spec.kv_head_count, divisor, 1);
        let query_heads = rounded(spec.head_count, divisor, 1).next_multiple_of(key_heads);
        Self {
            width: rounded(spec.hidden_size, divisor, 16).min(spec.hidden_size),
            query_heads: query_heads.min(spec.head_count / key_heads * key_heads),
            key_heads,
            inner: rounded(spec.mlp.intermediate_size, divisor, 8).min(spec.mlp.intermediate_size),
        }
    }
}

/// `size / divisor` to the nearest multiple, the even one of two as near; at least one multiple.
fn rounded(size: usize, divisor: usize, multiple: usize) -> usize {
    let exact = size as f64 / (divisor * multiple) as f64;
    (exact.round_ties_even() as usize).max(1) * multiple
}

/// Which parts of which layers carry an insertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Insertion {
    pub attention: bool,
    pub mlp: bool,
    /// The first layer with an insertion; all layers behind it have one, too.
    pub first_layer: usize,
}

impl Default for Insertion {
    fn default() -> Self {
        Self { attention: true, mlp: true, first_layer: 0 }
    }
}

impl Insertion {
    /// The last half of a base's layers; of three, the last two.
    pub fn last_half(spec: &DecoderSpec) -> Self {
        Self { first_layer: spec.layers.len() / 2, ..Self::default() }
    }
}

/// What the inserted stream is where it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// The first features of the original stream.
    #[default]
    Hidden,
    Zeros,
}

/// The signal heads beside the reward's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Heads {
    /// The reward also reads the original final state.
    pub reads_original: bool,
    /// Expert and anti-expert logits over the vocabulary.
    pub experts: bool,
    /// How many tokens beyond the next are drafted.
    pub drafts: usize,
}
