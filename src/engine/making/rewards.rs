//! Learning a reward adapter from the window: how long it would take, and the run itself.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;

use super::{Making, Progress, REPORT_EVERY};
use crate::engine::Event;
use crate::engine::shared::Teller;
use crate::learn::base::progress::duration;
use crate::learn::reward::arguments::Schedule;
use crate::learn::reward::{self, RewardArgs, Standing, Told};

/// Unfinished answers are compared at this many positions.
const PREFIXES: usize = 4;
/// Checks without anything better before an early stop.
const PATIENCE: u64 = 4;
/// Pairs or ratings in a step: people have hundreds of them rather than a hundred thousand, and then
/// more and smaller steps learn more.
const BATCH: usize = 16;
/// Steps of that size take a larger rate than the method's suggestion for 64.
const LEARNING_RATE: f64 = 5e-4;

/// What rewards are learnt from.
#[derive(Debug, Clone, PartialEq)]
pub struct Lessons {
    /// `.jsonl` of pairs, or of ratings.
    pub data: PathBuf,
    pub rated: bool,
    /// Also compare pairs on the way, and answers with themselves with a fault in their language: so
    /// that unfinished answers are judged, too, and decoding by it does not break the language.
    pub unfinished: bool,
    /// Stop when it gets no better, and keep the best.
    pub stops_early: bool,
    /// Passes over the data.
    pub epochs: u64,
    /// How the model in memory was loaded: an adapter belongs to it in this form.
    pub device: String,
    pub weights: String,
    pub rounded_to: String,
}

/// How far it got on what was held out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Check {
    pub steps: u64,
    /// Pairs in the right order, or of ratings the spread that is explained; 1 is all.
    pub right: f64,
}

fn arguments(making: &Making, lessons: &Lessons) -> RewardArgs {
    let mut args = RewardArgs::new(making.base.clone(), Vec::new(), making.out.clone());
    let data = vec![lessons.data.clone()];
    if lessons.rated {
        args.ratings = data;
    } else {
        args.pairs = data;
    }
    args.faults = lessons.unfinished && !lessons.rated;
    args.name = Some(making.name.clone());
    args.schedule = Schedule {
        prefixes: if lessons.unfinished && !lessons.rated { PREFIXES } else { 0 },
        patience: if lessons.stops_early { PATIENCE } else { 0 },
        epochs: lessons.epochs,
        batch: BATCH,
        learning_rate: LEARNING_RATE,
        ..Schedule::default()
    };
    args.resume = true;
    args.device.clone_from(&lessons.device);
    args.weights = match lessons.rounded_to.as_str() {
        "" => lessons.weights.clone(),
        form => form.to_owned(),
    };
    args.rounded_to = Some(lessons.rounded_to.clone());
    args
}

pub fn estimate(making: &Making, lessons: &Lessons, goes_on: &dyn Fn() -> bool) -> Result<Event> {
    let found = reward::estimate(&arguments(making, lessons), || !goes_on())?;
    Ok(Event::MakingEstimated { words: found.phrase() })
}

pub fn learn(
    making: &Making,
    lessons: &Lessons,
    teller: &Teller,
    goes_on: &dyn Fn() -> bool,
) -> Result<()> {
    let mut told: Option<Instant> = None;
    let line = |said: Told<'_>| {
        let progress = progress(said);
        if progress.check.is_some() || told.is_none_or(|at| at.elapsed() >= REPORT_EVERY) {
            told = Some(Instant::now());
            teller.tell(Event::MakingProgress(progress));
        }
    };
    teller.tell(Event::MakingProgress(progress(Told::Line("Loading the model"))));
    reward::run(&arguments(making, lessons), || !goes_on(), line).map(|_| ())
}

fn progress(said: Told<'_>) -> Progress {
    match said {
        Told::Line(line) => Progress { words: capital(line), ..Progress::default() },
        Told::Step { steps, of, standing, seconds_left } => Progress {
            words: format!(
                "Step {steps} of {of}, loss {:.3}, about {} left",
                standing.loss(),
                duration(seconds_left)
            ),
            share: Some(steps as f32 / of.max(1) as f32),
            check: None,
        },
        Told::Check { steps, standing } => Progress {
            words: capital(&said.to_string()),
            share: None,
            check: right(&standing).map(|right| Check { steps, right }),
        },
    }
}

fn right(standing: &Standing) -> Option<f64> {
    standing.accuracy().or_else(|| standing.explained())
}

fn capital(line: &str) -> String {
    let mut letters = line.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_has_its_share_and_a_check_its_accuracy() {
        let mut standing = Standing::default();
        standing.add_pair(&[1.0], 0.5);
        standing.add_pair(&[-1.0], 1.5);
        let step = progress(Told::Step { steps: 5, of: 20, standing, seconds_left: 90.0 });
        assert_eq!(step.words, "Step 5 of 20, loss 1.000, about 90 s left");
        assert_eq!((step.share, step.check), (Some(0.25), None));
        let check = progress(Told::Check { steps: 8, standing });
        assert_eq!(check.check, Some(Check { steps: 8, right: 0.5 }));
        assert!(check.words.starts_with("After step 8: loss 1.0000, 50.0 % in order"));
    }
}
