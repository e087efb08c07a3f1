//! `vector calibrate`: a sweep over strengths on held-out questions, put among the vector's facts.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, ensure};

use super::levels::{self, Length, LevelQuestion, Rates};
use super::load::{load, open_all};
use super::{neutral, replies};
use crate::learn::text::{Level, Source};
use crate::model::Model;
use crate::model::vector::{Calibration, SweepPoint, file};
use crate::platform::Problem;
use crate::steer::Plan;

/// Neutral perplexity may grow by this factor within the safe range.
pub const SAFE_GROWTH: f64 = 1.1;
/// Longest reply that is waited for.
const MOST_TOKENS: usize = 200;

/// Measure what a vector does at every strength, and store it in its file.
#[derive(Debug, Clone, clap::Args)]
pub struct CalibrateArgs {
    /// The vector's file.
    #[arg(value_name = "FILE")]
    pub vector: PathBuf,
    /// The model it was made with.
    #[arg(long, value_name = "DIR", default_value = "models/starter")]
    pub base: PathBuf,
    /// The folder with the topics, as TOML files.
    #[arg(long, value_name = "DIR", default_value = "models/starter/source")]
    pub source: PathBuf,
    /// The domain it is about; the one its file names when left out.
    #[arg(long)]
    pub domain: Option<String>,
    /// Strengths from minus this to this.
    #[arg(long, default_value_t = 1.5)]
    pub most: f64,
    /// From one strength to the next.
    #[arg(long, default_value_t = 0.25)]
    pub step: f64,
    /// Held-out questions of each domain.
    #[arg(long, default_value_t = 100)]
    pub questions: usize,
    /// Everyday exchanges for the neutral perplexity.
    #[arg(long, default_value_t = 60)]
    pub neutral: usize,
    /// Replies written at each strength for their length.
    #[arg(long, default_value_t = 8)]
    pub replies: usize,
    /// Everything random follows from it.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Strengths from minus `most` to `most` in steps, 0 and both ends among them.
pub fn strengths(most: f64, step: f64) -> Vec<f64> {
    let count = (most / step).round().max(1.0) as i64;
    (-count..=count).map(|i| i as f64 * step).collect()
}

/// Measures, tells line by line, and stores.
///
/// # Errors
/// When something cannot be read, measured or written.
pub fn run(args: &CalibrateArgs, mut tell: impl FnMut(&str)) -> Result<()> {
    let positive = args.step > 0.0 && args.most >= args.step && args.most <= 4.0;
    ensure!(positive, Problem::new("strengths go from a step above 0 up to at most 4"));
    let mut facts = file::read_facts(&args.vector)?;
    let domain = args.domain.clone().unwrap_or_else(|| facts.domain.clone());
    let source = Source::read(&args.source)?;
    let Some(own) = source.domains.iter().position(|d| d.name == domain) else {
        let names: Vec<&str> = source.domains.iter().map(|d| d.name.as_str()).collect();
        let what = format!("the source has no domain `{domain}`");
        let hint = format!("name one with --domain: {}", names.join(", "));
        return Err(Problem::new(what).at(&args.vector).hint(hint).into());
    };
    let vectors = open_all(std::slice::from_ref(&args.vector), &args.base, false)?;
    let mut model = load(&args.base)?;
    model.runner.attach(&vectors)?;
    let mut questions = Vec::new();
    for domain in &source.domains {
        let language = &model.language;
        let some =
            levels::questions(&source, language, &domain.name, false, args.questions, args.seed)?;
        questions.push(some);
    }
    let exchanges = neutral::exchanges(&source, &model.language, args.neutral)?;
    tell(&format!(
        "{domain}: {} questions, {} everyday exchanges; rates by whole answers, then per token",
        questions[own].len(),
        exchanges.len()
    ));
    tell(
        "strength  avoidance  generic   expert   avoidance  generic   expert   perplexity  tokens",
    );
    let mut sweep = Vec::new();
    for strength in strengths(args.most, args.step) {
        model.runner.set_strengths(&[strength as f32])?;
        let point = point(args, &mut model, strength, &questions[own], &exchanges)?;
        tell(&line(&point));
        sweep.push(point);
    }
    let mut leak = BTreeMap::new();
    for (other, questions) in
        source.domains.iter().zip(&questions).filter(|(d, _)| d.name != domain)
    {
        let mut expert = |strength: f32| -> Result<f64> {
            model.runner.set_strengths(&[strength])?;
            let scores = levels::scores(model.runner.as_mut(), questions)?;
            Ok(Rates::of(&scores, Length::Whole).get(Level::Expert))
        };
        leak.insert(other.name.clone(), expert(1.0)? - expert(0.0)?);
    }
    let calibration =
        Calibration { level_centres: centres(&sweep), safe_range: safe_range(&sweep), sweep, leak };
    if let Some([low, high]) = calibration.safe_range {
        tell(&format!("safe from {low:.2} to {high:.2}"));
    }
    for (level, at) in &calibration.level_centres {
        tell(&format!("{level} is likeliest at {at:.2}"));
    }
    for (other, change) in &calibration.leak {
        tell(&format!("leak: {:+.1} points of expert answers in {other} at 1", 100.0 * change));
    }
    facts.calibration = Some(calibration);
    file::replace_facts(&args.vector, facts)
}

fn by_name(rates: &Rates) -> BTreeMap<String, f64> {
    Level::ALL.iter().map(|level| (level.name().to_owned(), rates.get(*level))).collect()
}

/// Everything that is measured at the strength the runner now has.
fn point(
    args: &CalibrateArgs,
    model: &mut Model,
    strength: f64,
    questions: &[LevelQuestion],
    exchanges: &[crate::learn::preference::encoding::Encoded],
) -> Result<SweepPoint> {
    let scores = levels::scores(model.runner.as_mut(), questions)?;
    let mut plan = Plan { seed: args.seed, max_tokens: Some(MOST_TOKENS), ..Plan::default() };
    plan.sampling.temperature = 0.7;
    let (mut tokens, mut count) = (0, 0);
    for (number, question) in questions.iter().take(args.replies).enumerate() {
        let answer = replies::ask(model, &question.question.text, number as u64, &plan)?;
        tokens += model.language.vocabulary.encode(&answer.text, false)?.len();
        count += 1;
    }
    Ok(SweepPoint {
        strength,
        rates: by_name(&Rates::of(&scores, Length::Whole)),
        rates_per_token: by_name(&Rates::of(&scores, Length::PerToken)),
        neutral_perplexity: neutral::perplexity(model.runner.as_mut(), exchanges)?,
        answer_tokens: tokens as f64 / f64::from(count.max(1)),
    })
}

fn line(point: &SweepPoint) -> String {
    let shares = |rates: &BTreeMap<String, f64>| -> String {
        let share = |level: &Level| 100.0 * rates.get(level.name()).copied().unwrap_or_default();
        Level::ALL.iter().map(|level| format!("{:>8.1} %", share(level))).collect()
    };
    format!(
        "{:>8.2} {} {} {:>11.3} {:>7.1}",
        point.strength,
        shares(&point.rates),
        shares(&point.rates_per_token),
        point.neutral_perplexity,
        point.answer_tokens
    )
}

/// Per level the strength at which its rate is highest; of equal ones the one nearest to 0.
pub fn centres(sweep: &[SweepPoint]) -> BTreeMap<String, f64> {
    let mut centres = BTreeMap::new();
    for level in Level::ALL {
        let rate = |point: &SweepPoint| point.rates.get(level.name()).copied().unwrap_or_default();
        let best = sweep.iter().max_by(|a, b| {
            let nearer = b.strength.abs().total_cmp(&a.strength.abs());
            rate(a).total_cmp(&rate(b)).then(nearer)
        });
        if let Some(best) = best.filter(|best| rate(best) > 0.0) {
            centres.insert(level.name().to_owned(), best.strength);
        }
    }
    centres
}

/// The strengths around 0 up to which neutral perplexity stays within a tenth of the base's.
pub fn safe_range(sweep: &[SweepPoint]) -> Option<[f64; 2]> {
    let base = sweep.iter().position(|point| point.strength == 0.0)?;
    let most = SAFE_GROWTH * sweep[base].neutral_perplexity;
    let safe = |point: &&SweepPoint| point.neutral_perplexity <= most;
    let high = sweep[base..].iter().take_while(safe).last()?;
    let low = sweep[..=base].iter().rev().take_while(safe).last()?;
    Some([low.strength, high.strength])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sweep() -> Vec<SweepPoint> {
        let values = [
            (-1.0, [0.9, 0.1, 0.0], 2.3),
            (-0.5, [0.9, 0.05, 0.05], 2.1),
            (0.0, [0.4, 0.4, 0.2], 2.0),
            (0.5, [0.1, 0.5, 0.4], 2.2),
            (1.0, [0.0, 0.1, 0.9], 2.21),
            (1.5, [0.0, 0.2, 0.8], 2.0),
        ];
        let point = |(strength, rates, neutral_perplexity)| SweepPoint {
            strength,
            rates: by_name(&Rates(rates)),
            neutral_perplexity,
            ..SweepPoint::default()
        };
        values.map(point).to_vec()
    }

    #[test]
    fn centres_are_where_a_level_is_likeliest_and_nearest_to_nought() {
        let centres = centres(&sweep());
        let of = |level: Level| centres[level.name()];
        assert_eq!(Level::ALL.map(of), [-0.5, 0.5, 1.0]);
    }

    #[test]
    fn the_safe_range_ends_where_perplexity_first_grows() {
        assert_eq!(safe_range(&sweep()), Some([-0.5, 0.5]), "what lies behind is not reached");
        assert_eq!(safe_range(&[]), None);
    }

    #[test]
    fn strengths_hold_nought_and_both_ends() {
        let all = strengths(1.5, 0.25);
        assert_eq!((all.len(), all[0], all[6], all[12]), (13, -1.5, 0.0, 1.5));
    }
}
