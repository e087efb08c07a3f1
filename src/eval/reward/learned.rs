//! What the table needs trained: the reward model of its own on the adapter's pairs, and streams of
//! other initialisations and insertions, beside one base that each text is run through once.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::arguments::RewardArgs;
use super::kept::Kept;
use super::report;
use crate::learn::reward as learn;
use crate::learn::reward::Told;
use crate::learn::reward::arguments::{Begin, Begins, Place, Schedule, StreamArgs};
use crate::learn::reward::base::Base;
use crate::model::reward::{Facts, Initialisation, file};

/// How a trained stream does on what was held out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trained {
    pub facts: Facts,
    pub numbers: usize,
    /// Share of the pairs in order at the last token and on the way, and the mean loss.
    pub right: f64,
    pub on_the_way: f64,
    pub loss: f64,
    pub steps: u64,
    pub seconds: f64,
}

/// Where the reward model of its own is, trained first where it is not there.
///
/// # Errors
/// As for [`learn::run`].
pub fn separate(
    args: &RewardArgs,
    folder: &Path,
    cancelled: &impl Fn() -> bool,
    tell: &mut impl FnMut(&str),
) -> Result<PathBuf> {
    let out = folder.join("separate");
    if out.join("config.json").exists() {
        return Ok(out);
    }
    let learning = &args.learning;
    let seen = file::read_facts(&args.adapter)?.training.map(|training| training.examples);
    let most = match learning.separate_steps {
        Some(steps) => steps * learning.batch,
        None => seen.unwrap_or_default().max(1) as usize,
    };
    let mut run = lessons(args, out.clone(), most);
    run.separate = true;
    run.schedule.learning_rate = learning.learning_rates[1];
    let batch = learning.batch;
    tell(&format!(
        "training a reward model of its own on {most} pairs, {} steps of {batch}",
        most.div_ceil(batch)
    ));
    learn::run(&run, cancelled, |told| on_the_way(&told, tell))?;
    Ok(out)
}

/// Trains every stream of the table that has no figures yet, and tells each row.
///
/// # Errors
/// As for [`learn::beside`].
pub fn ablations(
    args: &RewardArgs,
    folder: &Path,
    kept: &mut Kept,
    cancelled: &impl Fn() -> bool,
    tell: &mut impl FnMut(&str),
) -> Result<Vec<Trained>> {
    let learning = &args.learning;
    let most = learning.steps * learning.batch;
    let all = streams(learning.more_ablations);
    let others: Vec<StreamArgs> = all.iter().map(|(_, stream)| stream.clone()).collect();
    let mut base: Option<Base> = None;
    let mut rows = Vec::with_capacity(all.len());
    for (name, stream) in all {
        let out = folder.join(format!("{name}-{}.safetensors", learning.steps));
        let mut run = lessons(args, out, most);
        run.stream = stream;
        run.cache = Some(folder.to_owned());
        let key = format!("stream {name} {}", said(args)?);
        let row = kept.or_measure(&key, || {
            let base = match &mut base {
                Some(base) => base,
                none => none.insert(Base::open(&run, &others, cancelled, &mut |line: &str| {
                    tell(&format!("  {line}"));
                })?),
            };
            let outcome = learn::beside(&run, base, cancelled, &mut |told: Told<'_>| {
                if let Told::Line(line) = told {
                    tell(&format!("  {line}"));
                }
            })?;
            let adapter = file::read(&run.out)?;
            Ok(Trained {
                numbers: adapter.tensors.values().map(|tensor| tensor.values.len()).sum(),
                facts: Facts { training: None, ..adapter.facts },
                right: outcome.after.accuracy().unwrap_or_default(),
                on_the_way: outcome.after.prefix_accuracy().unwrap_or_default(),
                loss: outcome.after.loss(),
                steps: outcome.steps,
                seconds: outcome.seconds,
            })
        })?;
        tell(&report::trained_line(&row, learning.batch));
        rows.push(row);
    }
    Ok(rows)
}

/// Of rows of equal insertion and sizes, those of the two initialisations.
pub fn mirror_and_random(rows: &[Trained]) -> Option<[&Trained; 2]> {
    let of = |how: Initialisation| {
        rows.iter().find(|row| {
            let whole = row.facts.insertion.attention && row.facts.insertion.mlp;
            whole && row.facts.insertion.first_layer == 0 && row.facts.initialisation == how
        })
    };
    Some([of(Initialisation::Mirror)?, of(Initialisation::Random)?])
}

/// Every initialisation with every insertion; with `more` also other widths and another start.
fn streams(more: bool) -> Vec<(String, StreamArgs)> {
    let mut all = Vec::new();
    for (begin, initialisation) in
        [("mirror", Begin::Mirror), ("random", Begin::Random), ("zero", Begin::Zero)]
    {
        for (place, insertion, last_half) in [
            ("both", Place::Both, false),
            ("attention", Place::Attention, false),
            ("mlp", Place::Mlp, false),
            ("last-half", Place::Both, true),
        ] {
            let stream =
                StreamArgs { initialisation, insertion, last_half, ..StreamArgs::default() };
            all.push((format!("{begin}-{place}"), stream));
        }
    }
    if more {
        let plain = StreamArgs::default;
        all.push(("mirror-sixteenth".into(), StreamArgs { one_in: 16, ..plain() }));
        all.push(("mirror-quarter".into(), StreamArgs { one_in: 4, ..plain() }));
        let start = Some(Begins::Zeros);
        all.push(("mirror-from-zeros".into(), StreamArgs { start, ..plain() }));
    }
    all
}

/// A run on the table's pairs.
fn lessons(args: &RewardArgs, out: PathBuf, most: usize) -> learn::RewardArgs {
    let learning = &args.learning;
    let held_out = args.pairs.clone();
    let schedule = Schedule {
        prefixes: learning.prefixes,
        learning_rate: learning.learning_rates[0],
        batch: learning.batch,
        seed: 5,
        ..Schedule::default()
    };
    learn::RewardArgs {
        held_out,
        most: Some(most),
        most_held_out: args.most.or(Some(MOST_HELD_OUT)),
        schedule,
        workers: learning.workers,
        // Looking takes its time, and how it goes on is not part of the table.
        checked: 20,
        without_unit: true,
        resume: true,
        ..learn::RewardArgs::new(args.base.clone(), learning.training.clone(), out)
    }
}

/// Held-out pairs that streams of the table are measured on when nothing is said.
const MOST_HELD_OUT: usize = 400;

/// What the figures of a stream depend on beside its name.
fn said(args: &RewardArgs) -> Result<String> {
    let learning = &args.learning;
    let base = crate::model::checkpoint::Checkpoint::open(&args.base)?.fingerprint();
    Ok(format!(
        "beside {base}: {} steps of {}, {} prefixes, learning rate {:e}, held out {:?} of {:?}, \
         trained on {:?}",
        learning.steps,
        learning.batch,
        learning.prefixes,
        learning.learning_rates[0],
        args.most,
        names(&args.pairs),
        names(&learning.training)
    ))
}

/// Files by name and length: what is written anew is another file.
pub fn names(files: &[PathBuf]) -> Vec<String> {
    let one = |path: &PathBuf| {
        let bytes = std::fs::metadata(path).map_or(0, |facts| facts.len());
        format!("{} {bytes}", path.file_name().unwrap_or_default().display())
    };
    files.iter().map(one).collect()
}

/// Of a run only how it does on what was held out.
fn on_the_way(told: &Told<'_>, tell: &mut impl FnMut(&str)) {
    if let Told::Check { .. } = told {
        tell(&format!("  {told}"));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_initialisation_meets_every_insertion_under_a_name_of_its_own() {
        assert_eq!((streams(false).len(), streams(true).len()), (12, 15));
        let names: HashSet<String> = streams(true).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), 15);
        assert!(streams(true).iter().all(|(_, stream)| !stream.experts && stream.drafts == 0));
    }
}
