//! The measurement itself, row by row, and the bars.

use std::collections::HashSet;
use std::time::Instant;

use anyhow::Result;

use super::arguments::GuidanceArgs;
use super::bench::Bench;
use super::crew::{self, Wanted};
use super::interval::Interval;
use super::judge::Judge;
use super::kept::{Kept, Said};
use super::report::{self, Measured};
use super::system::System;
use super::task::{Prompt, Task};
use crate::eval::vectors::bars::Bar;
use crate::learn::base::progress::duration;
use crate::learn::text::Source;

/// Seconds between two lines on how far a row is.
const TELL_EVERY: f64 = 60.0;

/// Measures and tells row by row; the bars come last.
///
/// # Errors
/// When something cannot be read or written, or a pass fails.
pub fn run(args: &GuidanceArgs, mut tell: impl FnMut(&str)) -> Result<()> {
    args.check()?;
    let source = Source::read(&args.source)?;
    let task = args.task.open(&source, args.prompts, args.opening, args.seed)?;
    let judge = Judge::fit(&task.labelled);
    let mut benches: Vec<Bench> =
        (0..args.workers).map(|_| Bench::open(args)).collect::<Result<_>>()?;
    let mut kept = Kept::open(args.replies.as_deref(), &made_with(args, &benches[0])?)?;
    let (second, _) = args.task.second();
    tell(&format!(
        "{} prompts that nothing was trained on, {} seeds; temperature {}, top-k and top-p off; \
         W, K, L = {}, {}, {}; beta {}; {} words given; {} at once",
        task.prompts.len(),
        args.seeds,
        args.temperature,
        args.beam_width,
        args.successors,
        args.chunk_length,
        args.beta,
        args.opening,
        args.workers
    ));
    tell(&format!(
        "gold: log-odds of a naive Bayes classifier over words, fitted to {} texts ({}); a reply is \
         judged by what other topics say, and so it puts {:.1} % of pairs of those texts in order. Second \
         opinion: {second}. Neither guide nor scorer was fitted to either. Intervals of 95 %, by prompt",
        task.labelled.len(),
        args.task.judged_by(),
        100.0 * judge.order(&task.labelled)
    ));
    tell(&format!("scorer: {}", benches[0].scorer_made()));
    if kept.len() > 0 {
        tell(&format!("{} replies taken up", kept.len()));
    }
    tell(&report::head(second));
    let mut measured = Vec::new();
    for system in args.systems() {
        speak(&mut benches, system, &task.prompts, args, &mut kept, &mut tell)?;
        let one = measure(&kept, system, &task, &judge, args, &mut tell);
        tell(&report::line(&one));
        measured.push((system, one));
    }
    bars(&measured).iter().for_each(|bar| tell(&bar.line()));
    Ok(())
}

/// Everything that a reply depends on but its prompt, its system and its seed.
fn made_with(args: &GuidanceArgs, bench: &Bench) -> Result<String> {
    Ok(format!(
        "{:?}; {}; {} words given; at most {} tokens at temperature {}; W, K, L {} {} {}{}; beta {}; \
         ARGS {} at {}",
        args.task,
        bench.fingerprints(args)?,
        args.opening,
        args.tokens,
        args.temperature,
        args.beam_width,
        args.successors,
        args.chunk_length,
        if args.skip_finished { ", finished texts skipped" } else { "" },
        args.beta,
        args.args_candidates,
        args.args_weight
    ))
}

/// Has a system say what it has not said yet.
fn speak(
    benches: &mut [Bench],
    system: System,
    prompts: &[Prompt],
    args: &GuidanceArgs,
    kept: &mut Kept,
    tell: &mut impl FnMut(&str),
) -> Result<()> {
    let name = system.name(args);
    let all =
        (0..prompts.len()).flat_map(|number| args.seeds().map(move |seed| Wanted { number, seed }));
    let is_new = |one: &Wanted| {
        kept.get(&name, one.number, &prompts[one.number].whole(), one.seed).is_none()
    };
    let wanted: Vec<Wanted> = all.filter(is_new).collect();
    let (begun, mut told, mut made) = (Instant::now(), 0.0, 0_usize);
    crew::replies(benches, system, &wanted, prompts, args, |said| {
        kept.add(said)?;
        made += 1;
        let seconds = begun.elapsed().as_secs_f64();
        if seconds - told >= TELL_EVERY {
            told = seconds;
            let left = seconds * (wanted.len() as f64 / made as f64 - 1.0);
            let (of, left) = (wanted.len(), duration(left));
            tell(&format!("  {name}: {made} of {of} replies, about {left} left"));
        }
        Ok(())
    })
}

/// What a system's replies came to.
fn measure(
    kept: &Kept,
    system: System,
    task: &Task,
    judge: &Judge,
    args: &GuidanceArgs,
    tell: &mut impl FnMut(&str),
) -> Measured {
    let mut measured = Measured { name: system.name(args), ..Measured::default() };
    let (_, second) = args.task.second();
    let (mut texts, mut replies) = (HashSet::new(), 0_usize);
    for (number, prompt) in task.prompts.iter().enumerate() {
        let said: Vec<&Said> = args
            .seeds()
            .filter_map(|seed| kept.get(&measured.name, number, &prompt.whole(), seed))
            .collect();
        let mean = |of: &dyn Fn(&Said) -> f64| {
            said.iter().map(|one| of(one)).sum::<f64>() / said.len() as f64
        };
        let gold = |one: &Said| judge.log_odds(&one.text, &prompt.topic);
        for one in said.iter().filter(|_| number < args.samples) {
            tell(&format!(
                "  {} | {} | {:.2} | {}",
                measured.name,
                prompt.text,
                gold(one),
                one.text
            ));
        }
        measured.gold.push(mean(&gold));
        measured.second.push(mean(&|one| second(&one.text)));
        measured.diversity.push(mean(&|one| one.diversity));
        measured.tokens.push(mean(&|one| one.tokens as f64));
        measured.seconds.push(mean(&|one| one.seconds));
        measured.base_rows.push(mean(&|one| one.base_rows as f64));
        measured.other_rows.push(mean(&|one| one.other_rows as f64));
        replies += said.len();
        texts.extend(said.iter().map(|one| one.text.clone()));
    }
    measured.different = texts.len() as f64 / replies.max(1) as f64;
    measured
}

/// The order the paper found (spec section 9), each beyond the interval of the difference by prompt.
fn bars(measured: &[(System, Measured)]) -> Vec<Bar> {
    let of = |wanted: System| measured.iter().find(|(system, _)| *system == wanted);
    let wanted = [
        (System::Eft, System::Base, true),
        (System::BestOfN, System::Base, true),
        (System::CbsExplicit, System::BestOfN, false),
        (System::Ivg, System::CbsExplicit, true),
    ];
    let mut bars = Vec::new();
    for (better, worse, strictly) in wanted {
        let (Some((_, a)), Some((_, b))) = (of(better), of(worse)) else { continue };
        let gold = Interval::of_difference(&a.gold, &b.gold);
        let second = Interval::of_difference(&a.second, &b.second);
        let word = if strictly { "above" } else { "not below" };
        bars.push(Bar::new(
            &format!("{} {word} {}", a.name, b.name),
            format!("by {} (second opinion: by {})", gold.shown(), second.shown()),
            if strictly { gold.is_above() } else { gold.is_not_below() },
        ));
    }
    bars
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_needs_a_difference_beyond_its_interval() {
        let one = |name: &str, gold: &[f64]| Measured {
            name: name.to_owned(),
            gold: gold.to_vec(),
            second: vec![0.0; gold.len()],
            ..Measured::default()
        };
        let measured = [
            (System::Base, one("base", &[0.0, 1.0, 2.0])),
            (System::Eft, one("EFT", &[1.0, 2.1, 2.9])),
            (System::CbsExplicit, one("CBS", &[3.0, 9.0, 5.0])),
            (System::Ivg, one("IVG", &[9.0, 3.0, 5.5])),
        ];
        let bars = bars(&measured);
        let said: Vec<(&str, bool)> =
            bars.iter().map(|bar| (bar.what.as_str(), bar.holds)).collect();
        assert_eq!(said, [("EFT above base", true), ("IVG above CBS", false)]);
    }
}
