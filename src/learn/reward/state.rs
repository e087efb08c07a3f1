//! The state of an unfinished run beside what it will write: what is trained, its moments, the
//! best so far and the position, replaced in one step.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::standing::Standing;
use crate::learn::base::optimizer::{AdamW, Trained};
use crate::learn::saved::{self, Saved};
use crate::platform::Problem;

/// What must be the same when a run is taken up again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    pub base_fingerprint: String,
    /// Of every text and lesson, those held out included.
    pub data_fingerprint: String,
    /// What is trained, how it began and in which form the base is.
    pub trained: String,
    pub prefixes: usize,
    pub learning_rate: f64,
    pub weight_decay: f64,
    pub epochs: u64,
    pub batch: usize,
    pub patience: u64,
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
    /// The best check so far, and the steps it was taken after.
    pub best: Option<(Standing, u64)>,
    /// Checks since then.
    pub worse: u64,
}

/// What was trained, as it stood at the best check: the values of every variable in order.
pub type Best = Vec<Vec<f32>>;

const KEY: &str = "tiller_reward_training";

/// Where the state of the run that will write `out` is kept.
pub fn path_of(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_os_string();
    name.push(".training");
    out.with_file_name(name)
}

/// The values of every variable in order.
///
/// # Errors
/// When they cannot be read back from their device.
pub fn values(model: &impl Trained) -> Result<Best> {
    let read = |(_, var): (String, &candle_core::Var)| Ok(var.flatten_all()?.to_vec1::<f32>()?);
    model.trained().into_iter().map(read).collect()
}

/// Puts values back into the variables.
///
/// # Errors
/// When they are not as many as before.
pub fn set(model: &impl Trained, values: &Best) -> Result<()> {
    for ((_, var), values) in model.trained().into_iter().zip(values) {
        var.set(&Tensor::from_slice(values, var.shape(), var.device())?)?;
    }
    Ok(())
}

/// Writes the state.
///
/// # Errors
/// When the file cannot be written; the one before it then stays.
pub fn save(
    path: &Path,
    model: &impl Trained,
    optimizer: &AdamW,
    best: Option<&Best>,
    position: &Position,
) -> Result<()> {
    let mut tensors = saved::with_moments("trained", model.trained(), optimizer)?;
    for ((name, var), values) in model.trained().into_iter().zip(best.into_iter().flatten()) {
        tensors.push((format!("best.{name}"), var.dims().to_vec(), values.clone()));
    }
    saved::write(path, KEY, position, &tensors)
}

/// Reads the state into a model that was made ready as at the run's beginning.
///
/// # Errors
/// When the file cannot be read, is not such a state, or belongs to another run.
pub fn load(
    path: &Path,
    model: &impl Trained,
    recipe: &Recipe,
) -> Result<(Position, AdamW, Option<Best>)> {
    let file =
        std::fs::read(path).with_context(|| Problem::new("cannot read the state").at(path))?;
    let hint = "give the same arguments, or delete it and learn anew";
    let refused = || {
        Problem::new("this is not the state of a run that learns rewards")
            .at(path)
            .hint("delete it and learn anew")
    };
    let position: Position = saved::position(&file, KEY).with_context(refused)?;
    if let Some(what) = difference(&position.recipe, recipe) {
        let what = format!("{what} differs from what this run began with");
        bail!(Problem::new(what).at(path).hint(hint));
    }
    let read = || -> Result<(AdamW, Option<Best>)> {
        let saved = Saved::read(&file)?;
        let all = |kind: &str| -> Result<Best> {
            let one = |(name, var): (String, &candle_core::Var)| {
                saved.exactly(kind, &name, var.elem_count())
            };
            model.trained().into_iter().map(one).collect()
        };
        let (trained, best) = (all("trained")?, position.best.map(|_| all("best")).transpose()?);
        let optimizer = AdamW::with(model, position.steps, |name, count| {
            Ok((saved.exactly("first", name, count)?, saved.exactly("second", name, count)?))
        })?;
        set(model, &trained)?;
        Ok((optimizer, best))
    };
    let (optimizer, best) = read().with_context(refused)?;
    Ok((position, optimizer, best))
}

fn difference(was: &Recipe, is: &Recipe) -> Option<&'static str> {
    let steps = |r: &Recipe| (r.learning_rate, r.weight_decay);
    [
        ("the base model", was.base_fingerprint == is.base_fingerprint),
        ("the data", was.data_fingerprint == is.data_fingerprint),
        ("what is trained", was.trained == is.trained),
        ("the number of prefixes", was.prefixes == is.prefixes),
        ("the learning rate or weight decay", steps(was) == steps(is)),
        ("the length", (was.epochs, was.batch) == (is.epochs, is.batch)),
        ("the patience", was.patience == is.patience),
        ("the seed", was.seed == is.seed),
    ]
    .into_iter()
    .find_map(|(what, same)| (!same).then_some(what))
}
