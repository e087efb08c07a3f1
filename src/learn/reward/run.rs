//! `learn reward`: data in, a stream trained beside its base, the adapter's file out.

use std::sync::Arc;

use anyhow::{Context, Result};

use super::arguments::RewardArgs;
use super::stream::Stream;
use super::texts::{Lesson, Lessons};
use super::told::Told;
use super::trainer::{self, Outcome};
use super::{deviation, own, separate};
use crate::learn::base::optimizer::Trained;
use crate::model::checkpoint::Checkpoint;
use crate::model::decoder::DecoderSpec;
use crate::model::reward::{Initialisation, Start, Training, file};
use crate::model::{LoadOptions, ModelFacts, load};
use crate::platform::{Cancelled, Problem};

/// Most tokens of prompt and answer when nothing is said and the model would take more.
const MOST_TOKENS: usize = 1024;

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
        let (checkpoint, context) = open(args)?;
        return separate::run(args, checkpoint, context, &cancelled, &mut tell);
    }
    let seed = args.schedule.seed;
    let Prepared { stream, lessons, model } =
        prepare(args, &cancelled, &mut |line| tell(Told::Line(line)))?;
    if let Some(folder) = &args.cache {
        let bytes = stream.records.keep_in(folder)?;
        let said = format!("the base's activations are kept, {:.1} GB in all", bytes as f64 / 1e9);
        tell(Told::Line(&said));
    }
    let facts = &stream.inserted.facts;
    let trained = format!("{} {:?}", serde_json::to_string(facts)?, stream.inserted.heads);
    let recipe = trainer::recipe(args, &model.fingerprint, &lessons, trained);
    let go_on = || if cancelled() { Err(Cancelled.into()) } else { Ok(()) };
    let mut heard = |told: Told<'_>| {
        if let Some(error) = stream.given_up.lock().take() {
            tell(Told::Line(&format!("{error:#}; training goes on without")));
        }
        tell(told);
    };
    let precision = args.stream.precision(&model.held_as);
    let rounded = |stream: &Stream| stream.round(precision);
    let outcome = trainer::train(args, &stream, &lessons, recipe, rounded, &cancelled, &mut heard)?;
    if let Some(scale) = lessons.scale {
        stream.rescale(scale)?;
    }
    heard(Told::Line("measuring the spread of rewards over candidates"));
    let measured = if lessons.held_out.is_empty() { &lessons.training } else { &lessons.held_out };
    let unit = deviation::measure(&stream, &lessons.texts, measured, seed, go_on)?;
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

/// What a stream is trained with.
pub(super) struct Prepared {
    pub stream: Stream,
    pub lessons: Lessons,
    pub model: ModelFacts,
}

fn open(args: &RewardArgs) -> Result<(Checkpoint, usize)> {
    let checkpoint = Checkpoint::open(&args.base)?;
    let own = DecoderSpec::from_config(&checkpoint.config)?.context_length;
    Ok((checkpoint, args.context.unwrap_or(MOST_TOKENS).min(own)))
}

/// Loads the base, reads the lessons and begins the stream.
pub(super) fn prepare(
    args: &RewardArgs,
    cancelled: &impl Fn() -> bool,
    tell: &mut impl FnMut(&str),
) -> Result<Prepared> {
    let (checkpoint, context) = open(args)?;
    let options = LoadOptions {
        device: args.device.clone(),
        weights: args.weights.clone(),
        context_length: Some(context + 1),
    };
    let outlook = load::outlook(&checkpoint)?;
    let (mut decoder, model, language) =
        load::decoder(&checkpoint, outlook, &options, &mut |_, _| !cancelled())?;
    if let Some(wanted) = args.rounded_to.as_ref().filter(|wanted| **wanted != model.rounded_to) {
        let said = |form: &str| match form {
            "" => "as its file has it".to_owned(),
            form => format!("rounded to {form}"),
        };
        let (is, wanted) = (said(&model.rounded_to), said(wanted));
        let what = format!("the model would be trained with {is} and is to run {wanted}");
        let hint = "free some memory, or load the model with other weights";
        return Err(Problem::new(what).at(&args.base).hint(hint).into());
    }
    let mut lessons = Lessons::read(args.files(), &language, context, tell)?;
    if let Some(most) = args.most {
        lessons.keep(most, args.schedule.seed);
    }
    if args.stream.drafts > 0 {
        let go_on = || if cancelled() { Err(Cancelled.into()) } else { Ok(()) };
        own::answer(&mut decoder, &language, &mut lessons, context, go_on, tell)?;
    }
    let device = decoder.device();
    let texts = Arc::new(lessons.texts.clone());
    let seed = args.schedule.seed;
    let stream = Stream::begin(&args.stream, seed, decoder, &checkpoint, &model, texts, &device)?;
    Ok(Prepared { stream, lessons, model })
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
