//! Making vectors and reward adapters beside everything else: out of two models, of a LoRA adapter, or
//! learnt from lessons; and models with vectors merged into them. A thread of its own for each, one at a time.

mod rewards;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::Event;
use super::shared::Teller;
use super::worker::panic_message;
pub use crate::learn::preference::Objective;
use crate::learn::preference::{self, VectorArgs};
use crate::model::FileKind;
use crate::model::checkpoint::Checkpoint;
use crate::model::vector::extract::{ExtractOptions, RankChoice, extract, write};
use crate::model::vector::file::{self, Precision};
use crate::model::vector::import;
use crate::model::vector::merge::{Share, merge};
use crate::platform::{Cancelled, Problem};
use crate::steer::VectorSetting;
pub use rewards::{Check, Lessons};

/// Between two reports of progress.
const REPORT_EVERY: Duration = Duration::from_millis(100);
/// Without a wish of the person's: the share of each difference that its factors keep, and the
/// ranks it takes (our choice: section 8.3 of the method).
const RANKS: RankChoice = RankChoice::Energy { share: 0.99, least: 4, most: 128 };

/// How far it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progress {
    /// For the person.
    pub words: String,
    /// From 0 to 1, where it is known.
    pub share: Option<f32>,
    /// How it does on what was held out, when that was just looked at.
    pub check: Option<Check>,
}

/// A vector or a reward adapter to make.
#[derive(Debug, Clone, PartialEq)]
pub struct Making {
    /// What the person calls it.
    pub name: String,
    /// Of a vector, such as `medical`; empty for none.
    pub domain: String,
    /// The model it is a difference to, or runs beside.
    pub base: PathBuf,
    pub from: MadeFrom,
    /// The file to write; one that is there already is never written over.
    pub out: PathBuf,
}

/// What it is made from.
#[derive(Debug, Clone, PartialEq)]
pub enum MadeFrom {
    /// The base after alignment; every value of the difference, or factors.
    Aligned { model: PathBuf, every_value: bool },
    /// A PEFT LoRA folder.
    Adapter(PathBuf),
    /// Preference pairs, as `.jsonl`. A run that was cut short is taken up again.
    Preferences { pairs: PathBuf, objective: Objective, rank: usize, epochs: u64, device: String },
    /// A reward adapter, from pairs or ratings; likewise.
    Lessons(Lessons),
    /// The base with vectors in its weights at these strengths: a model of its own, as a folder.
    Vectors(Vec<VectorSetting>),
}

impl Making {
    /// What comes of it.
    pub fn makes(&self) -> FileKind {
        match self.from {
            MadeFrom::Lessons(_) => FileKind::Reward,
            MadeFrom::Vectors(_) => FileKind::Model,
            _ => FileKind::Vector,
        }
    }
}

/// Makes one and tells how that goes; ends soon after `goes_on` says no. `over` is called when the
/// next one may be made, before whoever waits is told.
pub fn run(making: &Making, teller: &Teller, goes_on: &dyn Fn() -> bool, over: impl FnOnce()) {
    contained(teller, over, || {
        make(making, teller, goes_on)?;
        Ok(Event::Made { path: making.out.clone(), kind: making.makes() })
    });
}

/// Measures how long learning one would take, in the same way.
pub fn estimate(making: &Making, teller: &Teller, goes_on: &dyn Fn() -> bool, over: impl FnOnce()) {
    contained(teller, over, || match &making.from {
        MadeFrom::Lessons(lessons) => rewards::estimate(making, lessons, goes_on),
        _ => Err(Problem::new("only learning rewards is measured beforehand").into()),
    });
}

fn contained(teller: &Teller, over: impl FnOnce(), work: impl FnOnce() -> Result<Event>) {
    let done = catch_unwind(AssertUnwindSafe(work));
    over();
    teller.tell(match done {
        Ok(Ok(event)) => event,
        Ok(Err(error)) => Event::MakingFailed {
            cancelled: error.is::<Cancelled>(),
            message: format!("{error:#}"),
        },
        Err(panic) => Event::MakingFailed {
            cancelled: false,
            message: format!("it broke off: {}", panic_message(&*panic)),
        },
    });
}

fn make(making: &Making, teller: &Teller, goes_on: &dyn Fn() -> bool) -> Result<()> {
    let Making { name, domain, base, from, out } = making;
    if out.exists() {
        let problem = Problem::new("a file of this name is there already").at(out);
        return Err(problem.hint("choose another name").into());
    }
    if let Some(folder) = out.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| Problem::new("the folder cannot be made").at(folder))?;
    }
    let tell = |words: String| {
        teller.tell(Event::MakingProgress(Progress { words, ..Progress::default() }));
    };
    match from {
        MadeFrom::Aligned { model, every_value } => {
            let options = ExtractOptions {
                rank: (!every_value).then_some(RANKS),
                name: name.clone(),
                domain: domain.clone(),
            };
            let (base, aligned) = (Checkpoint::open(base)?, Checkpoint::open(model)?);
            let mut watch = watch("Comparing the models", tell, goes_on);
            let (vector, facts, _) = extract(&base, &aligned, &options, &mut watch)?;
            write(out, &vector, &facts, Precision::F32, (&base, &aligned))
        }
        MadeFrom::Adapter(adapter) => {
            tell("Reading the adapter".to_owned());
            let base = Checkpoint::open(base)?;
            let (vector, facts) = import(adapter, Some(&base), name.clone(), domain.clone())?;
            file::write(out, &vector, &facts, Precision::F32)
        }
        MadeFrom::Preferences { pairs, objective, rank, epochs, device } => {
            let args = VectorArgs {
                name: Some(name.clone()),
                domain: (!domain.is_empty()).then(|| domain.clone()),
                objective: *objective,
                rank: *rank,
                epochs: *epochs,
                device: device.clone(),
                resume: true,
                ..VectorArgs::new(base.clone(), vec![pairs.clone()], out.clone())
            };
            learn(&args, tell, goes_on)
        }
        MadeFrom::Lessons(lessons) => rewards::learn(making, lessons, teller, goes_on),
        MadeFrom::Vectors(vectors) => {
            let base = Checkpoint::open(base)?;
            let shares = vectors
                .iter()
                .map(|vector| Share::open(&vector.path, vector.strength, &base, vector.any_base))
                .collect::<Result<Vec<_>>>()?;
            let mut watch = watch("Writing the model", tell, goes_on);
            merge(&base, &shares, out, &mut watch).map(|_| ())
        }
    }
}

fn learn(args: &VectorArgs, tell: impl Fn(String), goes_on: &dyn Fn() -> bool) -> Result<()> {
    let mut told: Option<Instant> = None;
    let line = |line: &str| {
        if told.is_none_or(|at| at.elapsed() >= REPORT_EVERY) {
            told = Some(Instant::now());
            tell(line.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    };
    preference::run(args, || !goes_on(), line).map(|_| ())
}

/// Tells the share that is done and about how long the rest takes.
fn watch<'a>(
    what: &'static str,
    tell: impl Fn(String) + 'a,
    goes_on: &'a dyn Fn() -> bool,
) -> impl FnMut(u64, u64) -> bool + 'a {
    let begun = Instant::now();
    let mut told: Option<Instant> = None;
    move |done, total| {
        if total > 0 && told.is_none_or(|at| at.elapsed() >= REPORT_EVERY) {
            told = Some(Instant::now());
            let share = done as f64 / total as f64;
            let left = match share > 0.0 {
                true => {
                    let seconds = begun.elapsed().as_secs_f64() * (1.0 / share - 1.0);
                    format!(", about {} left", crate::learn::base::progress::duration(seconds))
                }
                false => String::new(),
            };
            tell(format!("{what}, {:.0} %{left}", 100.0 * share));
        }
        goes_on()
    }
}

/// The file of what is called so in a folder: nothing in a name leads out of it.
pub fn file_for(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{}.safetensors", stem_of(name)))
}

/// The folder of a model that is called so; likewise.
pub fn folder_for(folder: &Path, name: &str) -> PathBuf {
    folder.join(stem_of(name))
}

fn stem_of(name: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_' | ' ') { c } else { '-' };
    let stem: String = name.trim().chars().take(60).map(plain).collect();
    stem.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let folder = Path::new("/data/vectors");
        for (name, file) in [
            ("Medical, calm", "Medical- calm.safetensors"),
            ("../../etc/passwd", "------etc-passwd.safetensors"),
            (" 医 ", "医.safetensors"),
        ] {
            assert_eq!(file_for(folder, name), folder.join(file));
            let stem = file.trim_end_matches(".safetensors");
            assert_eq!(folder_for(folder, name), folder.join(stem));
        }
    }
}
