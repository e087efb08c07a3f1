//! What an adapter's file says besides its numbers: which model it belongs to, how it is built and
//! how it was made.

use serde::{Deserialize, Serialize};

use super::{Heads, Insertion, Sizes, Start};

/// The JSON in an adapter's metadata.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Facts {
    /// What the person calls it.
    pub name: String,
    pub base: Base,
    pub sizes: Sizes,
    #[serde(default)]
    pub insertion: Insertion,
    #[serde(default)]
    pub start: Start,
    #[serde(default)]
    pub initialisation: Initialisation,
    /// The unit of strength; `None` when it was not measured, and then the adapter shows rewards
    /// and decodes by none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deviation: Option<Deviation>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<Training>,
    /// One line for a person.
    #[serde(default)]
    pub how_made: String,
    /// RFC 3339, UTC.
    #[serde(default)]
    pub created: String,
}

/// An adapter as far as its file's header tells, without its numbers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct About {
    pub facts: Facts,
    /// The signal heads that its tensors make up.
    pub heads: Heads,
    /// Of its numbers, as stored and held.
    pub bytes: u64,
}

/// The model an adapter belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Base {
    /// `ModelFacts::fingerprint`: config, tokenizer and weights as stored.
    pub fingerprint: String,
    /// `ModelFacts::name`, for messages.
    pub name: String,
    /// `ModelFacts::stored_as`, for messages: `f16`, `q4_k, q6_k`.
    #[serde(default)]
    pub stored_as: String,
    /// `ModelFacts::rounded_to`: empty when memory held exactly the numbers of the file, else the
    /// form they were rounded to (`q8_0`).
    #[serde(default)]
    pub rounded_to: String,
    /// `ModelFacts::template_fingerprint`; empty without a chat template.
    #[serde(default)]
    pub template_fingerprint: String,
}

/// How the weights began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Initialisation {
    /// Copies of the base's own first rows and columns (spec section 6).
    #[default]
    Mirror,
    /// Normal, standard deviation 0.02, norms at 1.
    Random,
    /// All inserted matrices zero.
    Zero,
}

/// The spread of rewards over the candidates of one step: what strength 1 is worth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Deviation {
    /// Root of the mean, over prefixes, of the variance of the candidates' rewards; above zero.
    pub value: f32,
    /// Candidates per prefix.
    pub candidates: usize,
    /// Held-out prefixes measured.
    pub prefixes: usize,
}

/// What training did. Whatever is not known is left at its default.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Training {
    /// `pairwise`, `pairwise on prefixes`, `ratings`, …
    pub objective: String,
    /// Pairs (or rated texts) it learned from and was checked on.
    pub examples: u64,
    pub held_out: u64,
    /// SHA-256 over the data, in hexadecimal digits.
    pub data: String,
    pub steps: u64,
    pub epochs: f64,
    pub learning_rate: f64,
    pub seed: u64,
    /// Share of held-out pairs that it puts in the right order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pair_accuracy: Option<f64>,
    /// Share of the drafts of held-out text that were right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drafts_right: Option<f64>,
    pub seconds: f64,
}
