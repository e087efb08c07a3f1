//! The state of an unfinished run beside the file it will write: what is trained, its moments, the
//! reference's log-probabilities and the position, replaced in one step.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use candle_core::Tensor;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use super::objective::Objective;
use crate::learn::base::optimizer::AdamW;
use crate::learn::network::Network;
use crate::platform::{Problem, atomic};

/// What must be the same when a run is taken up again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    pub base_fingerprint: String,
    /// Of every encoded pair, those held out included.
    pub pairs_fingerprint: String,
    pub objective: Objective,
    pub b: f64,
    pub full: bool,
    pub rank: usize,
    pub alpha: f32,
    pub learning_rate: f64,
    pub epochs: u64,
    pub batch: usize,
    pub seed: u64,
}

/// Where a run stands. Together with the seed it says which draws come next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Position {
    pub recipe: Recipe,
    /// Steps taken.
    pub steps: u64,
    /// Seconds of training so far.
    pub seconds: f64,
}

/// A state read back.
pub struct State {
    pub position: Position,
    pub optimizer: AdamW,
    /// Of the pairs to train on and then of those held out, chosen before rejected.
    pub reference: Vec<f32>,
}

const KEY: &str = "tiller_preference_training";
const REFERENCE: &str = "reference";

/// Where the state of the run that will write `out` is kept.
pub fn path_of(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_os_string();
    name.push(".training");
    out.with_file_name(name)
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Writes the state.
///
/// # Errors
/// When the file cannot be written.
pub fn save(
    path: &Path,
    network: &Network,
    optimizer: &AdamW,
    reference: &[f32],
    position: &Position,
) -> Result<()> {
    let mut tensors = vec![(REFERENCE.to_owned(), vec![reference.len()], bytes(reference))];
    for ((name, var), (first, second)) in network.trained().into_iter().zip(optimizer.values()?) {
        let dims = var.dims().to_vec();
        let values = var.flatten_all()?.to_vec1::<f32>()?;
        tensors.push((format!("trained.{name}"), dims.clone(), bytes(&values)));
        tensors.push((format!("first.{name}"), dims.clone(), bytes(&first)));
        tensors.push((format!("second.{name}"), dims, bytes(&second)));
    }
    let views = tensors
        .iter()
        .map(|(name, dims, data)| Ok((name, TensorView::new(Dtype::F32, dims.clone(), data)?)))
        .collect::<Result<Vec<_>>>()?;
    let facts = HashMap::from([(KEY.to_owned(), serde_json::to_string(position)?)]);
    atomic::write(path, &safetensors::serialize(views, Some(facts))?)?;
    Ok(())
}

/// Reads the state into a network that was made ready as at the run's beginning.
///
/// # Errors
/// When the file cannot be read, is not such a state, or belongs to another run.
pub fn load(path: &Path, network: &Network, recipe: &Recipe) -> Result<State> {
    let file =
        std::fs::read(path).with_context(|| Problem::new("cannot read the state").at(path))?;
    let state = parse(&file, network, recipe);
    match state {
        Err(error) if error.is::<Differs>() => bail!(
            Problem::new(format!("{error} differs from what this run began with"))
                .at(path)
                .hint("give the same arguments, or delete it and learn anew")
        ),
        state => state.with_context(|| {
            Problem::new("this is not the state of a run that learns a vector")
                .at(path)
                .hint("delete it and learn anew")
        }),
    }
}

/// What is not as it was when the run began.
#[derive(Debug)]
struct Differs(&'static str);

impl std::fmt::Display for Differs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Differs {}

fn same_run(was: &Recipe, is: &Recipe) -> Result<(), Differs> {
    let factors = |r: &Recipe| (r.full, r.rank, r.alpha);
    for (what, same) in [
        ("the base model", was.base_fingerprint == is.base_fingerprint),
        ("the set of pairs", was.pairs_fingerprint == is.pairs_fingerprint),
        ("the objective or its b", (was.objective, was.b) == (is.objective, is.b)),
        ("what is trained", factors(was) == factors(is)),
        ("the learning rate", was.learning_rate == is.learning_rate),
        ("the length", (was.epochs, was.batch) == (is.epochs, is.batch)),
        ("the seed", was.seed == is.seed),
    ] {
        if !same {
            return Err(Differs(what));
        }
    }
    Ok(())
}

fn parse(file: &[u8], network: &Network, recipe: &Recipe) -> Result<State> {
    let (_, header) = SafeTensors::read_metadata(file)?;
    let facts = header.metadata().as_ref().and_then(|m| m.get(KEY));
    let position: Position = serde_json::from_str(facts.context("it has no position")?)?;
    same_run(&position.recipe, recipe)?;
    let tensors = SafeTensors::deserialize(file)?;
    let floats = |name: &str| -> Result<Vec<f32>> {
        let view = tensors.tensor(name)?;
        ensure!(view.dtype() == Dtype::F32, "{name}");
        let words = view.data().chunks_exact(4);
        Ok(words.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
    };
    let read = |kind: &str, name: &str, count: usize| -> Result<Vec<f32>> {
        let values = floats(&format!("{kind}.{name}"))?;
        ensure!(values.len() == count, "{kind}.{name}");
        Ok(values)
    };
    for (name, var) in network.trained() {
        let values = read("trained", &name, var.elem_count())?;
        var.set(&Tensor::from_vec(values, var.shape(), var.device())?)?;
    }
    let optimizer = AdamW::with(network, position.steps, |name, count| {
        Ok((read("first", name, count)?, read("second", name, count)?))
    })?;
    Ok(State { position, optimizer, reference: floats(REFERENCE)? })
}
