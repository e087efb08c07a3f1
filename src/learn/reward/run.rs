//! `learn reward`: data in, a stream trained beside its base, the adapter's file out.

use anyhow::{Context, Result};

use super::arguments::RewardArgs;
use super::base::{self, Base};
use super::stream::Stream;
use super::texts::Lesson;
use super::told::Told;
use super::trainer::{self, Outcome};
use super::{deviation, separate};
use crate::learn::base::optimizer::Trained;
use crate::model::reward::{Initialisation, Start, Training, file};
use crate::platform::{Cancelled, Problem};

/// Learns as the arguments say; `cancelled` is asked after every step, `tell` gets lines for the
/// person.
///
/// # Errors
/// [`Cancelled`] after the state was saved; a [`Problem`] for anything a person can mend.
pub fn run(
    args: &RewardArgs,
    cancelled: impl Fn() -> bool,
    mut tell: impl FnMut(Told<'_>),
) -> Result<Outcome> {
    args.check()?;
    trainer::clear(args)?;
    if args.separate {
        let (checkpoint, context) = base::checkpoint(args)?;
        return separate::run(args, checkpoint, context, &cancelled, &mut tell);
    }
    let base = Base::open(args, &[], &cancelled, &mut |line| tell(Told::Line(line)))?;
    beside(args, &base, &cancelled, &mut tell)
}

/// Learns a stream beside a base in memory, on the lessons that were read with it.
///
/// # Errors
/// As for [`run`].
pub fn beside(
    args: &RewardArgs,
    base: &Base,
    cancelled: &impl Fn() -> bool,
    tell: &mut impl FnMut(Told<'_>),
) -> Result<Outcome> {
    args.check()?;
    trainer::clear(args)?;
    let Base { lessons, model, .. } = base;
    let (stream, seed) = (base.stream(&args.stream, args.schedule.seed)?, args.schedule.seed);
    let facts = &stream.inserted.facts;
    let trained = format!("{} {:?}", serde_json::to_string(facts)?, stream.inserted.heads);
    let recipe = trainer::recipe(args, &model.fingerprint, lessons, trained);
    let go_on = || if cancelled() { Err(Cancelled.into()) } else { Ok(()) };
    let mut heard = |told: Told<'_>| {
        if let Some(error) = stream.given_up.lock().take() {
            tell(Told::Line(&format!("{error:#}; training goes on without")));
        }
        tell(told);
    };
    let precision = args.stream.precision(&model.held_as);
    let rounded = |stream: &Stream| stream.round(precision);
    let outcome = trainer::train(args, &stream, lessons, recipe, rounded, cancelled, &mut heard)?;
    if let Some(scale) = lessons.scale {
        stream.rescale(scale)?;
    }
    let unit = if args.without_unit {
        None
    } else {
        heard(Told::Line("measuring the spread of rewards over candidates"));
        let held_out = &lessons.held_out;
        let measured = if held_out.is_empty() { &lessons.training } else { held_out };
        deviation::measure(&stream, &lessons.texts, measured, seed, go_on)?
    };
    let mut adapter = stream.inserted.adapter(precision)?;
    let rated = !args.ratings.is_empty();
    let objective = match (rated, args.schedule.prefixes) {
        (true, _) => "ratings",
        (false, 0) => "pairwise",
        (false, _) => "pairwise on prefixes",
    };
    let objective = match args.stream.experts {
        true => format!("{objective}, experts"),
        false => objective.to_owned(),
    };
    let objective = match args.faults {
        true => format!("{objective}, faults"),
        false => objective,
    };
    let objective = match args.stream.drafts {
        0 => objective,
        count => format!("{objective}, drafts {count} ahead"),
    };
    let judging = |lessons: &[Lesson]| lessons.iter().filter(|lesson| lesson.judges()).count();
    let facts = &mut adapter.facts;
    facts.name = args.name();
    facts.deviation = unit;
    facts.created = jiff::Timestamp::now().to_string();
    facts.training = Some(Training {
        objective: objective.clone(),
        examples: judging(&lessons.training) as u64,
        held_out: judging(&lessons.held_out) as u64,
        data: lessons.digest(),
        steps: outcome.steps,
        epochs: outcome.steps as f64 * args.schedule.batch as f64
            / lessons.training.len().max(1) as f64,
        learning_rate: args.schedule.learning_rate,
        seed,
        pair_accuracy: outcome.after.accuracy(),
        drafts_right: outcome.after.drafts_right(),
        seconds: outcome.seconds,
    });
    facts.how_made = how_made(args, &objective, &outcome, lessons.training.len());
    file::write(&args.out, &adapter)
        .with_context(|| Problem::new("the adapter cannot be written").at(&args.out))?;
    trainer::finish(&args.out)?;
    let numbers: usize = stream.trained().iter().map(|(_, var)| var.elem_count()).sum();
    heard(Told::Line(&format!("done: {} with {numbers} numbers", args.out.display())));
    Ok(outcome)
}

/// One line for a person.
fn how_made(args: &RewardArgs, objective: &str, outcome: &Outcome, lessons: usize) -> String {
    let begin = match args.stream.initialisation() {
        Initialisation::Mirror => "mirrored",
        Initialisation::Random => "random",
        Initialisation::Zero => "zero",
    };
    let start = match args.stream.start() {
        Start::Hidden => "the hidden state",
        Start::Zeros => "zeros",
    };
    format!(
        "{objective}, one in {}, {begin} from {start}, learning rate {:e}, {} steps of {} out of \
         {lessons}, seed {}; held out: {}",
        args.stream.one_in,
        args.schedule.learning_rate,
        outcome.steps,
        args.schedule.batch,
        args.schedule.seed,
        outcome.after.phrase()
    )
}
