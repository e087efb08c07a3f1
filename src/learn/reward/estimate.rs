//! How long a run would take, measured on its own data, model and device before it is begun.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::arguments::RewardArgs;
use super::base::Base;
use super::learner::{Learner, MOST_POSITIONS};
use super::texts::Lesson;
use super::{deviation, trainer};
use crate::learn::base::gradients::Workers;
use crate::learn::base::optimizer::AdamW;
use crate::learn::base::progress::duration;
use crate::learn::random::Draws;
use crate::platform::Cancelled;

/// Parts measured at most and, once this long was measured, at least two.
const PARTS: usize = 6;
const LONG_ENOUGH: Duration = Duration::from_secs(5);

/// How long a run would take.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// From loading the base to the adapter's file.
    pub seconds: f64,
    /// Without an early stop.
    pub steps: u64,
    /// To train on, and held out.
    pub lessons: usize,
    pub held_out: usize,
    /// Lessons that were trained on to know it, and how long that took.
    pub measured: (usize, f64),
    /// Where.
    pub device: String,
}

impl Estimate {
    /// For a person.
    pub fn phrase(&self) -> String {
        let (tried, seconds) = self.measured;
        format!(
            "about {} for {} steps over {} lessons with {} held out, on {}: {tried} lessons took {}",
            duration(self.seconds),
            self.steps,
            self.lessons,
            self.held_out,
            self.device,
            match seconds {
                ..10.0 => format!("{seconds:.1} s"),
                _ => duration(seconds),
            }
        )
    }
}

/// Loads the base, trains on a few parts of the first batches, and writes nothing.
///
/// # Errors
/// [`Cancelled`], or whatever the run itself would be refused for.
pub fn estimate(args: &RewardArgs, cancelled: impl Fn() -> bool) -> Result<Estimate> {
    args.check()?;
    let begun = Instant::now();
    let nothing_kept = RewardArgs { cache: None, ..args.clone() };
    let base = Base::open(&nothing_kept, &[], &cancelled, &mut |_| {})?;
    let stream = base.stream(&args.stream, args.schedule.seed)?;
    let Base { lessons, model, .. } = base;
    let loading = begun.elapsed().as_secs_f64();
    let schedule = &args.schedule;
    let workers = Workers::new(args.workers)?;
    let learner = Learner { schedule, lessons: &lessons, model: &stream, workers: &workers };
    let positions = |some: &[Lesson]| -> f64 {
        let of = |lesson: &Lesson| -> usize {
            lesson.texts().iter().map(|text| lessons.texts[*text].ids.len()).sum()
        };
        some.iter().map(of).sum::<usize>() as f64
    };
    let go_on = || if cancelled() { Err(Cancelled.into()) } else { Ok(()) };

    let mut order = lessons.training.clone();
    Draws::new(schedule.seed, 0x7472_6965_6400).shuffle(&mut order);
    let (mut parts, mut rest) = (Vec::new(), order.as_slice());
    let (mut tried, mut optimizing) = (0, 0.0);
    let mut optimizer = AdamW::fresh(&stream)?;
    let begun = Instant::now();
    // What a batch is computed in is what is measured.
    while parts.len() < PARTS && !rest.is_empty() {
        if parts.len() >= 2 && begun.elapsed() >= LONG_ENOUGH {
            break;
        }
        go_on()?;
        let fits = |count: &usize| positions(&rest[..*count]) <= MOST_POSITIONS as f64;
        let count = (1..=rest.len().min(schedule.batch)).take_while(fits).last().unwrap_or(1);
        let (some, behind) = rest.split_at(count);
        rest = behind;
        let started = Instant::now();
        let (_, grads) = learner.compute(some, schedule.prefixes, true)?;
        parts.push((positions(some), started.elapsed().as_secs_f64()));
        let started = Instant::now();
        optimizer.step(&stream, &grads, &learner.step_size(0, learner.steps()))?;
        optimizing = started.elapsed().as_secs_f64();
        tried += count;
    }
    let measured = (tried, begun.elapsed().as_secs_f64());
    // The first one also warms caches and devices.
    let warm = if parts.len() > 1 { &parts[1..] } else { &parts[..] };
    let per_position = rate(warm);
    let looked_at = if lessons.held_out.is_empty() { &lessons.training } else { &lessons.held_out };
    let some = &looked_at[..looked_at.len().min(16)];
    let started = Instant::now();
    learner.standing(some, go_on)?;
    let looking = rate(&[(positions(some), started.elapsed().as_secs_f64())]);

    let held_out = positions(&lessons.held_out);
    let checked = args.checked.min(lessons.held_out.len()) as f64;
    let checked = held_out * checked / (lessons.held_out.len() as f64).max(1.0);
    let checks = (learner.steps() / trainer::check_every(&learner)) as f64;
    let longest = positions(looked_at) / looked_at.len() as f64;
    let unit = deviation::PASSES as f64 * longest;
    let trained = schedule.epochs as f64 * positions(&lessons.training);
    let seconds = loading
        + trained * per_position
        + learner.steps() as f64 * optimizing
        + ((1.0 + checks) * checked + held_out + unit) * looking;
    let (steps, device) = (learner.steps(), model.device);
    let (lessons, held_out) = (lessons.training.len(), lessons.held_out.len());
    Ok(Estimate { seconds, steps, lessons, held_out, measured, device })
}

/// Seconds per position over some parts.
fn rate(parts: &[(f64, f64)]) -> f64 {
    let seconds: f64 = parts.iter().map(|(_, seconds)| seconds).sum();
    let positions: f64 = parts.iter().map(|(positions, _)| positions).sum();
    seconds / positions.max(1.0)
}
