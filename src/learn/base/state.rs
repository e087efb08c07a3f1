//! The state of a run on disk: weights, moments and position in one safetensors file, replaced in
//! one step, so that a kill at any moment leaves a whole one.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use candle_core::Device;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use super::optimizer::AdamW;
use super::schedule::Length;
use crate::learn::network::{Network, NetworkShape};
use crate::platform::{Problem, atomic};

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
    /// Steps taken.
    pub steps: u64,
    /// The pass over the text, from 0, and the next batch in it.
    pub epoch: u64,
    pub next_batch: usize,
    /// Seconds of training so far.
    pub seconds: f64,
    pub tokens: u64,
}

const KEY: &str = "tiller_training";

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Writes the state.
///
/// # Errors
/// When the file cannot be written.
pub fn save(path: &Path, network: &Network, optimizer: &AdamW, position: &Position) -> Result<()> {
    let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    for ((name, var), (first, second)) in network.parameters().into_iter().zip(optimizer.values()?)
    {
        let dims = var.dims().to_vec();
        let weights = var.flatten_all()?.to_vec1::<f32>()?;
        tensors.push((format!("weights.{name}"), dims.clone(), bytes(&weights)));
        tensors.push((format!("first.{name}"), dims.clone(), bytes(&first)));
        tensors.push((format!("second.{name}"), dims, bytes(&second)));
    }
    let views = tensors
        .iter()
        .map(|(name, dims, data)| Ok((name, TensorView::new(Dtype::F32, dims.clone(), data)?)))
        .collect::<Result<Vec<_>>>()?;
    let facts = HashMap::from([(KEY.to_owned(), serde_json::to_string(position)?)]);
    let file = safetensors::serialize(views, Some(facts))?;
    atomic::write(path, &file)?;
    Ok(())
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
    let (_, header) = SafeTensors::read_metadata(file)?;
    let facts = header.metadata().as_ref().and_then(|m| m.get(KEY));
    let position: Position = serde_json::from_str(facts.context("it has no position")?)?;
    let tensors = SafeTensors::deserialize(file)?;
    let read = |kind: &str, name: &str, count: usize| -> Result<Vec<f32>> {
        let view = tensors.tensor(&format!("{kind}.{name}"))?;
        ensure!(view.dtype() == Dtype::F32 && view.data().len() == 4 * count, "{kind}.{name}");
        let words = view.data().chunks_exact(4);
        Ok(words.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
    };
    let network = Network::with(position.shape.clone(), device, |_, name, count| {
        read("weights", name, count)
    })?;
    let optimizer = AdamW::with(&network, position.steps, |name, count| {
        Ok((read("first", name, count)?, read("second", name, count)?))
    })?;
    Ok((network, optimizer, position))
}
