//! The state of a run on disk: weights, moments and position in one safetensors file, replaced in
//! one step, so that a kill at any moment leaves a whole one.

use std::path::Path;

use anyhow::{Context, Result};
use candle_core::Device;
use serde::{Deserialize, Serialize};

use super::optimizer::AdamW;
use super::schedule::Length;
use crate::learn::network::{Network, NetworkShape};
use crate::learn::saved::{self, Saved};
use crate::platform::Problem;

/// Where a run stands, and what must be the same when it is taken up again. Together with the
/// seed the position says which draws come next: they are counter-based.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Position {
    pub shape: NetworkShape,
    /// Of the text and the tokenizer.
    pub data_fingerprint: String,
    pub seed: u64,
    pub batch: usize,
    pub sequence: usize,
    pub length: Length,
    pub learning_rate: f64,
    #[serde(default = "all")]
    pub prompt_share: f64,
    /// Steps taken.
    pub steps: u64,
    /// The pass over the text, from 0, and the next batch in it.
    pub epoch: u64,
    pub next_batch: usize,
    /// Seconds of training so far.
    pub seconds: f64,
    pub tokens: u64,
}

/// The share of prompts learnt by runs begun before there was a choice.
fn all() -> f64 {
    1.0
}

const KEY: &str = "tiller_training";

/// Writes the state.
///
/// # Errors
/// When the file cannot be written.
pub fn save(path: &Path, network: &Network, optimizer: &AdamW, position: &Position) -> Result<()> {
    let tensors = saved::with_moments("weights", network.parameters(), optimizer)?;
    saved::write(path, KEY, position, &tensors)
}

/// Reads the state back.
///
/// # Errors
/// When the file cannot be read, is not such a state, or holds wrong shapes.
pub fn load(path: &Path, device: &Device) -> Result<(Network, AdamW, Position)> {
    let file =
        std::fs::read(path).with_context(|| Problem::new("cannot read the state").at(path))?;
    parse(&file, device).with_context(|| {
        Problem::new("this is not the state of a training run")
            .at(path)
            .hint("delete it and train anew")
    })
}

fn parse(file: &[u8], device: &Device) -> Result<(Network, AdamW, Position)> {
    let position: Position = saved::position(file, KEY)?;
    let saved = Saved::read(file)?;
    let network = Network::with(position.shape.clone(), device, |_, name, count| {
        saved.exactly("weights", name, count)
    })?;
    let optimizer = AdamW::with(&network, position.steps, |name, count| {
        Ok((saved.exactly("first", name, count)?, saved.exactly("second", name, count)?))
    })?;
    Ok((network, optimizer, position))
}
