//! The run itself: texts in, hidden states once, the exact fit, how it does on texts held out.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::arguments::ValueArgs;
use super::lessons::{self, Lesson};
use super::ridge::Ridge;
use crate::model::value::{HeadFacts, Pooling, ValueHead, write};
use crate::model::{Language, Model, Runner, Wanted};
use crate::platform::{Cancelled, Problem};
use crate::session::Role;

/// Positions fed in one pass.
const CHUNK: usize = 128;

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    pub texts: usize,
    pub prefixes: usize,
    pub held_out: usize,
    /// On the texts held out: mean squared error at every prefix, and that of always saying the
    /// mean reward of the training texts.
    pub error: f64,
    pub error_of_mean: f64,
    /// Of pairs of held-out texts with different rewards, the share whose whole texts the values
    /// order right.
    pub order: f64,
}

/// One text as the trunk sees it: a state after every token of the response.
struct Seen {
    states: Vec<f32>,
    reward: f32,
}

/// Learns as the arguments say and writes the head's file.
///
/// # Errors
/// [`Cancelled`], or a [`Problem`] for anything a person can mend.
pub fn run(
    args: &ValueArgs,
    model: Model,
    cancelled: impl Fn() -> bool,
    mut tell: impl FnMut(&str),
) -> Result<Outcome> {
    args.check()?;
    // Found out now rather than after the work.
    if let Some(folder) = args.out.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)
            .with_context(|| Problem::new("this folder cannot be made").at(folder))?;
    }
    let mut read = Vec::new();
    for path in &args.texts {
        read.extend(lessons::read(path)?);
    }
    let mut held_out = Vec::new();
    for path in &args.held_out {
        held_out.extend(lessons::read(path)?);
    }
    let mut training = spread(read, args.most);
    if args.held_out.is_empty() {
        let (kept, apart): (Vec<_>, Vec<_>) =
            training.into_iter().enumerate().partition(|(at, _)| at % 10 != 9);
        training = kept.into_iter().map(|(_, lesson)| lesson).collect();
        held_out = apart.into_iter().map(|(_, lesson)| lesson).collect();
    }
    let Model { facts, mut runner, language } = model;
    let (head, outcome) =
        train(args, runner.as_mut(), &language, &training, &held_out, cancelled, &mut tell)?;
    let made = HeadFacts {
        trunk_name: facts.name.clone(),
        trunk_fingerprint: facts.fingerprint.clone(),
        trunk_path: trunk_path(&args.trunk, &args.out),
        how_made: format!(
            "ridge regression ({:e}) on the {:?} of the final hidden states at {} prefixes of {} texts, {:?} \
             weights; on {} texts held out: mean squared error {:.4} ({:.4} for the mean reward), \
             {:.1} % of pairs in order",
            args.ridge,
            args.pooling,
            outcome.prefixes,
            outcome.texts,
            args.weighting,
            outcome.held_out,
            outcome.error,
            outcome.error_of_mean,
            100.0 * outcome.order
        )
        .to_lowercase(),
        created: jiff::Timestamp::now().to_string(),
    };
    write(&args.out, &head, &made)?;
    tell(&format!("written: {}", made.how_made));
    Ok(outcome)
}

/// At most so many, evenly over all of them.
pub(super) fn spread(lessons: Vec<Lesson>, most: Option<usize>) -> Vec<Lesson> {
    let (all, most) = (lessons.len(), most.unwrap_or(usize::MAX));
    if all <= most {
        return lessons;
    }
    // One is taken wherever the count that is due rises.
    let due = |at: usize| at * most / all;
    lessons
        .into_iter()
        .enumerate()
        .filter(|(at, _)| due(at + 1) > due(*at))
        .map(|(_, l)| l)
        .collect()
}

/// How a head's file names its trunk: from the file's own folder where the two lie together, so
/// that they may be moved together, else by its whole path.
pub(super) fn trunk_path(trunk: &Path, out: &Path) -> PathBuf {
    let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let (trunk, out) = (whole(trunk), whole(out));
    let beside = out.parent().and_then(Path::parent);
    match beside.and_then(|beside| trunk.strip_prefix(beside).ok()) {
        Some(rest) => Path::new("..").join(rest),
        None => trunk,
    }
}

/// Fits a head to lessons over a trunk; the held-out ones are only measured on.
///
/// # Errors
/// When there is too little to learn from, or a pass fails.
pub fn train(
    args: &ValueArgs,
    runner: &mut dyn Runner,
    language: &Language,
    training: &[Lesson],
    held_out: &[Lesson],
    cancelled: impl Fn() -> bool,
    tell: &mut impl FnMut(&str),
) -> Result<(ValueHead, Outcome)> {
    if training.len() < 2 {
        let what = format!("{} texts are too few to learn from", training.len());
        return Err(Problem::new(what).hint("give at least two").into());
    }
    let width = runner.hidden_size();
    let mut ridge = Ridge::new(width);
    let (mut prefixes, mut rewards) = (0, 0.0);
    for (done, lesson) in training.iter().enumerate() {
        if cancelled() {
            return Err(Cancelled.into());
        }
        let seen = see(args, runner, language, lesson)
            .with_context(|| format!("the text number {}", done + 1))?;
        let count = seen.states.len() / width;
        for (at, state) in seen.states.chunks_exact(width).enumerate() {
            ridge.add(state, seen.reward, args.weighting.of(at + 1, count));
        }
        prefixes += count;
        rewards += f64::from(lesson.reward);
        if (done + 1) % 20 == 0 {
            tell(&format!("step {} of {} texts", done + 1, training.len()));
        }
    }
    let (weights, bias) = ridge.solve(args.ridge)?;
    let head = ValueHead::scalar_with_bias(weights, bias).with_pooling(args.pooling);
    let mean = (rewards / training.len() as f64) as f32;
    let (mut error, mut error_of_mean, mut measured) = (0.0, 0.0, 0);
    let mut finals = Vec::new();
    for lesson in held_out {
        if cancelled() {
            return Err(Cancelled.into());
        }
        let seen = see(args, runner, language, lesson)?;
        let mut last = 0.0;
        for state in seen.states.chunks_exact(width) {
            last = head.output(state, 0);
            error += f64::from(last - seen.reward).powi(2);
            error_of_mean += f64::from(mean - seen.reward).powi(2);
            measured += 1;
        }
        finals.push((last, seen.reward));
    }
    let measured = f64::from(measured.max(1));
    let outcome = Outcome {
        texts: training.len(),
        prefixes,
        held_out: held_out.len(),
        error: error / measured,
        error_of_mean: error_of_mean / measured,
        order: order(&finals),
    };
    Ok((head, outcome))
}

/// Runs a text through the trunk.
fn see(
    args: &ValueArgs,
    runner: &mut dyn Runner,
    language: &Language,
    lesson: &Lesson,
) -> Result<Seen> {
    let prompt = match (&language.template, args.raw) {
        (Some(template), false) => {
            template.render(&[(Role::User, lesson.prompt.as_str())], true)?
        }
        _ => lesson.prompt.clone(),
    };
    let is_rendered = language.template.is_some() && !args.raw;
    let encode = |text: &str| match is_rendered {
        true => language.vocabulary.encode(text, true),
        false => language.encode_plain(text),
    };
    let prompt_ids = encode(&prompt)?;
    let mut ids = encode(&format!("{prompt}{}", lesson.response))?;
    let start = prompt_ids.iter().zip(&ids).take_while(|(a, b)| a == b).count();
    // The end of a finished text is a prefix, too: a search asks for its value.
    ids.extend(language.end_of_text_ids.first().filter(|_| lesson.finished));
    ids.truncate(args.most_tokens.min(runner.context_length()));
    let width = runner.hidden_size();
    let mut states = Vec::new();
    runner.truncate(0)?;
    for (chunk, from) in ids.chunks(CHUNK).zip((0..).step_by(CHUNK)) {
        let output = runner.prefill(chunk, Wanted::Hidden)?;
        let skip = start.saturating_sub(from).min(chunk.len());
        states.extend_from_slice(&output.hidden[skip * width..]);
    }
    if args.pooling == Pooling::Mean {
        pool(&mut states, width);
    }
    Ok(Seen { states, reward: lesson.reward })
}

/// Puts in place of every state the mean of it and all before it.
pub(super) fn pool(states: &mut [f32], width: usize) {
    let mut sums = vec![0.0; width];
    for (at, state) in states.chunks_exact_mut(width).enumerate() {
        for (sum, value) in sums.iter_mut().zip(state) {
            *sum += f64::from(*value);
            *value = (*sum / (at + 1) as f64) as f32;
        }
    }
}

/// The share of pairs with different rewards whose values are in the same order; ties count half.
fn order(finals: &[(f32, f32)]) -> f64 {
    let (mut right, mut all) = (0.0, 0.0);
    for (at, a) in finals.iter().enumerate() {
        for b in finals[at + 1..].iter().filter(|b| b.1 != a.1) {
            all += 1.0;
            let (value, reward) = (a.0 - b.0, a.1 - b.1);
            right += match value * reward {
                product if product > 0.0 => 1.0,
                0.0 => 0.5,
                _ => 0.0,
            };
        }
    }
    if all > 0.0 { right / all } else { f64::NAN }
}
