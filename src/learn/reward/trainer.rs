//! One run over any model whose rewards can be trained: checks, saves, early stop, cancelling and
//! taking up again.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::arguments::RewardArgs;
use super::learner::{Learner, Rewarder};
use super::standing::Standing;
use super::state::{self, Position, Recipe};
use super::texts::{Lesson, Lessons};
use super::told::Told;
use crate::learn::base::gradients::Workers;
use crate::learn::base::optimizer::AdamW;
use crate::learn::base::progress::duration;
use crate::platform::{Cancelled, Problem, atomic};

/// Checks in an epoch.
const CHECKS: u64 = 10;

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    pub steps: u64,
    pub seconds: f64,
    /// On what was held out, before and after.
    pub before: Standing,
    pub after: Standing,
    /// Stopped before its end because it got no better.
    pub stopped_early: bool,
}

/// Refuses to begin anew where an unfinished run lies, and removes what kills left of saves.
///
/// # Errors
/// When there is one and nothing was said of resuming.
pub fn clear(args: &RewardArgs) -> Result<()> {
    let path = state::path_of(&args.out);
    if path.exists() && !args.resume {
        bail!(
            Problem::new("an unfinished run lies beside what is to be written")
                .at(&path)
                .hint("add --resume to go on with it, or delete it")
        );
    }
    Ok(atomic::remove_half_written(&path)?)
}

/// What must be the same when the run is taken up again.
pub fn recipe(args: &RewardArgs, base: &str, lessons: &Lessons, trained: String) -> Recipe {
    let schedule = &args.schedule;
    Recipe {
        base_fingerprint: base.to_owned(),
        data_fingerprint: lessons.fingerprint(),
        trained,
        prefixes: schedule.prefixes,
        learning_rate: schedule.learning_rate,
        weight_decay: schedule.weight_decay,
        epochs: schedule.epochs,
        batch: schedule.batch,
        patience: schedule.patience,
        seed: schedule.seed,
    }
}

/// Steps from one look at what was held out to the next.
pub fn check_every<M: Rewarder>(learner: &Learner<'_, M>) -> u64 {
    (learner.steps() / learner.schedule.epochs / CHECKS).max(1)
}

/// Trains to the end, leaving the model as it is to be written; `rounded` makes it so before it is
/// measured. The state stays beside it until [`finish`].
///
/// # Errors
/// [`Cancelled`] after the state was saved; a [`Problem`] for anything a person can mend.
pub fn train<M: Rewarder>(
    args: &RewardArgs,
    model: &M,
    lessons: &Lessons,
    recipe: Recipe,
    rounded: impl FnOnce(&M) -> Result<()>,
    cancelled: &impl Fn() -> bool,
    tell: &mut impl FnMut(Told<'_>),
) -> Result<Outcome> {
    let path = state::path_of(&args.out);
    let workers = Workers::new(args.workers)?;
    let learner = Learner { schedule: &args.schedule, lessons, model, workers: &workers };
    let numbers: usize = model.trained().iter().map(|(_, var)| var.elem_count()).sum();
    tell(Told::Line(&format!(
        "{numbers} numbers to train, {} lessons over {} texts, {} held out",
        lessons.training.len(),
        lessons.texts.len(),
        lessons.held_out.len()
    )));
    let go_on = || if cancelled() { Err(Cancelled.into()) } else { Ok(()) };
    // Evenly spread: neighbours in a file are often answers to the same prompt.
    let all = lessons.held_out.len();
    let count = args.checked.min(all);
    let checked: Vec<Lesson> = (0..count).map(|at| lessons.held_out[at * all / count]).collect();
    let resumed = path.exists();
    let (mut position, mut optimizer, mut best) = if resumed {
        let state = state::load(&path, model, &recipe)?;
        tell(Told::Line(&format!("taken up at step {}", state.0.steps)));
        state
    } else {
        let position = Position { recipe, steps: 0, seconds: 0.0, best: None, worse: 0 };
        (position, AdamW::fresh(model)?, None)
    };
    let before = match position.steps {
        0 => learner.standing(&checked, go_on)?,
        // What it was before is of no use to a run taken up.
        _ => Standing::default(),
    };
    if !resumed {
        tell(Told::Check { steps: 0, standing: before });
        state::save(&path, model, &optimizer, None, &position)?;
    }
    let every = check_every(&learner);
    let patience = args.schedule.patience;
    let mut last_save = Instant::now();
    let mut stopped_early = patience > 0 && position.worse >= patience;
    let mut finished = stopped_early;
    if !stopped_early {
        let (mut record, mut worse) = (position.best, position.worse);
        finished = learner.train(&mut optimizer, &mut position, |learner, step| {
            tell(step.told());
            let mut stop = cancelled();
            let mut standing = step.position.clone();
            if standing.steps.is_multiple_of(every) && !checked.is_empty() && !stop {
                let now = learner.standing(&checked, || Ok(()))?;
                tell(Told::Check { steps: standing.steps, standing: now });
                if record.is_none_or(|(best, _)| now.loss() < best.loss()) {
                    (record, worse) = (Some((now, standing.steps)), 0);
                    best = if patience > 0 { Some(state::values(learner.model)?) } else { None };
                } else {
                    worse += 1;
                }
                stopped_early = patience > 0 && worse >= patience;
                stop |= stopped_early;
            }
            let kept = if patience > 0 { record } else { None };
            (standing.best, standing.worse) = (kept, worse);
            if stop || last_save.elapsed().as_secs() >= args.save_every {
                let saved =
                    state::save(&path, learner.model, step.optimizer, best.as_ref(), &standing);
                match saved {
                    Ok(()) => {}
                    // The last good state is still there, and room may be made for the next.
                    Err(error) if !stop => tell(Told::Line(&format!(
                        "the state was not saved, training goes on from the last one: {error:#}"
                    ))),
                    Err(error) => return Err(error),
                }
                last_save = Instant::now();
            }
            Ok(!stop)
        })?;
        (position.best, position.worse) = (if patience > 0 { record } else { None }, worse);
    }
    if !finished && !stopped_early {
        tell(Told::Line(&format!("saved at step {}; go on with --resume", position.steps)));
        return Err(Cancelled.into());
    }
    state::save(&path, model, &optimizer, best.as_ref(), &position)?;
    if let (Some(best), Some((_, steps))) = (&best, position.best) {
        state::set(model, best)?;
        if steps < position.steps {
            tell(Told::Line(&format!(
                "the best check was after step {steps}: that is what is kept"
            )));
        }
    }
    rounded(model)?;
    let after = learner.standing(&lessons.held_out, go_on)?;
    tell(Told::Line(&format!(
        "{} steps, {}; {} held out: {}",
        position.steps,
        duration(position.seconds),
        lessons.held_out.len(),
        after.phrase()
    )));
    let (steps, seconds) = (position.steps, position.seconds);
    Ok(Outcome { steps, seconds, before, after, stopped_early })
}

/// Removes the state of a run whose result is written.
///
/// # Errors
/// When it cannot be removed.
pub fn finish(out: &Path) -> Result<()> {
    let path = state::path_of(out);
    std::fs::remove_file(&path)
        .with_context(|| Problem::new("cannot remove the finished run's state").at(&path))
}
