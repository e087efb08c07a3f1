//! The state of an unfinished run beside the file it will write: what is trained, its moments, the
//! reference's log-probabilities and the position, replaced in one step.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::objective::Objective;
use crate::learn::base::optimizer::AdamW;
use crate::learn::network::Network;
use crate::learn::saved::{self, Saved};
use crate::platform::Problem;

/// What must be the same when a run is taken up again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    pub base_fingerprint: String,
    /// Of every encoded pair, those held out included.
    pub pairs_fingerprint: String,
    pub objective: Objective,
    pub b: f64,
    #[serde(default)]
    pub nll_weight: f64,
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
    let mut tensors = saved::with_moments("trained", network.trained(), optimizer)?;
    tensors.push((REFERENCE.to_owned(), vec![reference.len()], reference.to_vec()));
    saved::write(path, KEY, position, &tensors)
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
        ("the weight of likelihood", was.nll_weight == is.nll_weight),
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
    let position: Position = saved::position(file, KEY)?;
    same_run(&position.recipe, recipe)?;
    let saved = Saved::read(file)?;
    for (name, var) in network.trained() {
        let values = saved.exactly("trained", &name, var.elem_count())?;
        var.set(&Tensor::from_vec(values, var.shape(), var.device())?)?;
    }
    let optimizer = AdamW::with(network, position.steps, |name, count| {
        Ok((saved.exactly("first", name, count)?, saved.exactly("second", name, count)?))
    })?;
    Ok(State { position, optimizer, reference: saved.floats(REFERENCE)? })
}
