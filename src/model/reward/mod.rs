//! A reward adapter: the weights of a narrow inserted stream that rides beside a frozen decoder and
//! predicts a reward in the pass that makes the token (Otter, arXiv 2408.10764).
//!
//! # The forward pass
//!
//! Every step is f32; matrices are `[outputs, inputs]`; `[u; v]` stands side by side. Symbols: `d`
//! hidden size, `n` query heads, `s` head size, `F` MLP inner size, `V` vocabulary; inserted: `x`
//! width, `nq` query heads, `nk` key heads (`nk` divides `nq`), `m` inner size; `L` layers, of which
//! `first_layer..L` carry an insertion. `h` is the original stream, `g` the inserted one. The
//! original is computed by the plain decoder and is only read here.
//!
//! ```text
//! start      g = h[0..x] where layer `first_layer` begins (`hidden`: the embedding, scaled and with
//!                its positions, when that is layer 0), or zeros
//! every norm a  = the decoder's own norm of h
//!            a' = g · scale(h) · w'                       root mean square; w' is the factor itself,
//!                                                         Gemma's 1 is already in it
//!            a' = (g - mean(h)) · scale(h) · w' + b'      layer norm
//!            where scale(h) = 1 / √(mean(h²) + ε), or of h - mean(h): over the d originals alone
//!
//! attention  q' = query · [a; a'] + b    nq heads of size s      (biases where the base has them)
//!            k' = key   · [a; a'] + b    nk heads; v' = value · [a; a'] + b
//!            with a query/key norm in the base: each inserted head is normalised by its own root
//!            mean square and query_norm, key_norm (factors, as above)
//!            rotary positions, scale, window, soft cap and causal mask as in the base's layer;
//!            query head j reads key head ⌊j · nk / nq⌋
//!            o' = softmax attention of q' over k', v' of this and all earlier positions
//!            y' = output · [o; o'] + b   o: the n original heads' outputs, heads in order
//!            with post norms in the base: y' = y' · scale(y) · attention_post_norm, y = Wo·o + b
//!            g  = g + y'
//! mlp        b' as a', with h and g behind the attention
//!            i' = act(gate · [b; b'] + b) · (up · [b; b'] + b), or act(up · [b; b'] + b) if not gated
//!            y' = down · [i; i'] + b     i: the F original inner activations
//!            with post norms in the base: y' = y' · scale(y) · mlp_post_norm, y = the base's down(i)
//!            g  = g + y'
//! end        c  = final norm of g by the statistics of h, as every norm (final_norm)
//!            reward     = head.reward.weight · c + head.reward.bias
//!                         (+ head.reward.original · base's normed h, where that tensor is there)
//!            expert     = head.expert.weight · c, antiexpert likewise: logits over the vocabulary
//!            draft j    = head.draft.j.weight · c: logits of the token at t + 1 + j, j = 1, 2, …
//! ```
//!
//! With an insertion in the attention alone, the mlp step leaves `g` as it is, and the other way
//! round. Read and write rules, the reasons and the choices that are ours: the method's spec,
//! sections 3 to 6.
//!
//! # The file
//!
//! One safetensors file, `format` = `tiller reward 1` and `facts` = the JSON of [`Facts`] in its
//! metadata. Every tensor is F32, F16 or BF16 and all matrices are one type, the one they are held
//! in while they run: write BF16 for a base held in 16 bits or in blocks, F32 otherwise. Names and
//! shapes, for `l` in `first_layer..L`; [`Shape::tensors`] lists them:
//!
//! ```text
//! layers.l.attention_norm.weight       [x]            .bias [x] with a layer norm
//! layers.l.query.weight                [nq·s, d + x]  .bias where the base's query has one
//! layers.l.key.weight, value.weight    [nk·s, d + x]  .bias likewise
//! layers.l.query_norm.weight, key_norm.weight  [s]    where the base has them
//! layers.l.output.weight               [x, (n + nq)·s]  .bias [x] where the base's has one
//! layers.l.attention_post_norm.weight  [x]            with post norms
//! layers.l.mlp_norm.weight             [x]            .bias with a layer norm
//! layers.l.gate.weight, up.weight      [m, d + x]     .bias [m] where the base's MLP has them;
//!                                                     no gate where the base has none
//! layers.l.down.weight                 [x, F + m]     .bias [x] likewise
//! layers.l.mlp_post_norm.weight        [x]            with post norms
//! final_norm.weight                    [x]            .bias with a layer norm
//! head.reward.weight [x], head.reward.bias [1], head.reward.original [d] (optional)
//! head.expert.weight, head.antiexpert.weight   [V, x] (optional, together)
//! head.draft.1.weight, head.draft.2.weight, …  [V, x] (optional)
//! ```
//!
//! The reward head is always there; one that was not trained is zero.

mod check;
mod facts;
pub mod file;
mod shape;
mod sizes;

use std::collections::BTreeMap;

pub use check::{memory, open_for};
pub use facts::{About, Base, Deviation, Facts, Initialisation, Training};
pub use shape::{Shape, TensorShape};
pub use sizes::{Heads, Insertion, Sizes, Start};

/// A tensor's values, row-major, widened to f32.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Values {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// An adapter in memory: facts and tensors by the names above.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Adapter {
    pub facts: Facts,
    pub tensors: BTreeMap<String, Values>,
    /// The type the matrices are written in and held in while they run.
    pub precision: Precision,
}

/// The type of an adapter's matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    #[default]
    F32,
    F16,
    BF16,
}

impl Precision {
    /// The same as a stored type.
    pub fn stored(self) -> super::weights::StoredType {
        use super::weights::StoredType;
        match self {
            Self::F32 => StoredType::F32,
            Self::F16 => StoredType::F16,
            Self::BF16 => StoredType::BF16,
        }
    }
}

impl Adapter {
    /// Names the adapter: a hash over its facts and a fixed sample of every tensor. 32 hexadecimal
    /// digits.
    pub fn fingerprint(&self) -> String {
        use sha2::{Digest, Sha256};
        const SAMPLE: usize = 64;
        let mut hash = Sha256::new();
        hash.update(serde_json::to_string(&self.facts).unwrap_or_default());
        for (name, tensor) in &self.tensors {
            hash.update(format!("{name} {:?}", tensor.shape));
            let values = &tensor.values;
            let middle = values.len() / 2;
            let parts = [
                0..SAMPLE,
                middle..middle + SAMPLE,
                values.len().saturating_sub(SAMPLE)..values.len(),
            ];
            for part in parts {
                let part = part.start..part.end.min(values.len());
                values[part].iter().for_each(|value| hash.update(value.to_le_bytes()));
            }
        }
        hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The signal heads its tensors make up.
    pub fn heads(&self) -> Heads {
        Heads::among(|name| self.tensors.contains_key(name))
    }
}

impl Heads {
    /// The heads that tensors make up, told by their names.
    pub fn among(holds: impl Fn(&str) -> bool) -> Self {
        Heads {
            reads_original: holds("head.reward.original"),
            experts: holds("head.expert.weight"),
            drafts: (1..).take_while(|j| holds(&format!("head.draft.{j}.weight"))).count(),
        }
    }
}
