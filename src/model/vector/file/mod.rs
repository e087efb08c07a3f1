//! A vector's file: one safetensors file with the facts in its metadata.
//!
//! Tensors are `<parameter>.down` and `.up` (factors), `.delta` (every value) or `.replacement`
//! (the parameter as training left it), in f32, f16 or bf16; a `.delta` also in f64, where f32
//! would not give back the aligned model's value. The metadata holds `format` (`tiller vector 1`)
//! and `facts`, a JSON object.

mod read;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Facts;
use crate::model::weights::StoredType;

pub use read::{WideDeltas, read, read_about, read_facts};
pub use write::{replace_facts, write, write_wide};

const FORMAT: &str = "tiller vector 1";

/// The type the numbers are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    #[default]
    F32,
    F16,
}

impl Precision {
    fn stored(self) -> StoredType {
        match self {
            Self::F32 => StoredType::F32,
            Self::F16 => StoredType::F16,
        }
    }
}

/// The metadata's JSON: the facts, and what [`Vector`] holds besides its numbers.
#[derive(Serialize, Deserialize)]
struct Record {
    name: String,
    #[serde(default)]
    base_fingerprint: Option<String>,
    #[serde(default)]
    base_name: String,
    /// Scales of factors where they are not 1.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    scales: BTreeMap<String, f32>,
    #[serde(flatten)]
    facts: Facts,
}
