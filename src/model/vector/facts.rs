//! What a vector's file says besides its numbers: how it was made and what calibration measured.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// How the numbers came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Aligned weights minus base weights, every value.
    #[default]
    Full,
    /// The same, as truncated factors.
    LowRank,
    /// An adapter that was trained as factors.
    Lora,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "full",
            Self::LowRank => "low-rank",
            Self::Lora => "lora",
        })
    }
}

/// The facts of a vector that are not in [`super::Vector`] itself. Ranks and shapes are not among
/// them: the tensors' own shapes say them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    pub kind: Kind,
    /// `medical`, `legal`, …; empty when it has none.
    pub domain: String,
    /// SHA-256 of the chat template it was trained with; empty when unknown.
    pub template_hash: String,
    /// One line for a person.
    pub how_made: String,
    /// RFC 3339, UTC.
    pub created: String,
    /// Seconds that training took; `None` where nothing was trained here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub training_seconds: Option<f64>,
    /// Per parameter, the share of ‖Δ‖²_F that its factors keep.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub kept_energy: BTreeMap<String, f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
}

/// What a sweep over strengths found on held-out questions (arXiv 2410.19206, section on
/// preference knobs; our own definitions of the rates).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Calibration {
    /// Ascending by strength.
    pub sweep: Vec<SweepPoint>,
    /// Per level, the strength at which it is likeliest.
    pub level_centres: BTreeMap<String, f64>,
    /// Lowest and highest strength whose neutral perplexity stays within 10 % of the base's.
    pub safe_range: Option<[f64; 2]>,
    /// Per other domain, how its rate of expert answers changes from strength 0 to 1.
    pub leak: BTreeMap<String, f64>,
}

/// What was measured at one strength.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SweepPoint {
    pub strength: f64,
    /// Per level, the share of questions at which its answer is the likeliest; they sum to 1.
    pub rates: BTreeMap<String, f64>,
    /// The same by the likelihood per token, which favours long answers.
    pub rates_per_token: BTreeMap<String, f64>,
    pub neutral_perplexity: f64,
    /// Mean length of generated answers.
    pub answer_tokens: f64,
}
