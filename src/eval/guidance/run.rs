//! The measurement itself, line by line, and the bars.

use std::collections::HashSet;

use anyhow::Result;

use super::arguments::GuidanceArgs;
use super::bench::Bench;
use super::interval::Interval;
use super::judge::Judge;
use super::report::{self, Measured};
use super::system::System;
use super::task::Task;
use crate::eval::reward::decoding::diversity;
use crate::eval::vectors::bars::Bar;
use crate::learn::text::Source;

/// Measures and tells line by line; the bars come last.
///
/// # Errors
/// When something cannot be read or a pass fails.
pub fn run(args: &GuidanceArgs, mut tell: impl FnMut(&str)) -> Result<()> {
    args.check()?;
    let source = Source::read(&args.source)?;
    let task = args.task.open(&source, args.prompts, args.opening, args.seed)?;
    let judge = Judge::fit(&task.labelled);
    let mut bench = Bench::open(args)?;
    let (second, _) = args.task.second();
    tell(&format!(
        "{} prompts that nothing was trained on, {} seeds; temperature {}, top-k and top-p off; \
         W, K, L = {}, {}, {}; beta {}; {} words given",
        task.prompts.len(),
        args.seeds,
        args.temperature,
        args.beam_width,
        args.successors,
        args.chunk_length,
        args.beta,
        args.opening
    ));
    tell(&format!(
        "gold: log-odds of a naive Bayes classifier over words, fitted to {} texts ({}); a reply is \
         judged by what other topics say, and so it puts {:.1} % of pairs of those texts in order. Second \
         opinion: {second}. Neither guide nor scorer was fitted to either. Intervals of 95 %, by prompt",
        task.labelled.len(),
        args.task.judged_by(),
        100.0 * judge.order(&task.labelled)
    ));
    tell(&format!("scorer: {}", bench.scorer_made()));
    tell(&report::head(second));
    let mut measured = Vec::new();
    for system in args.systems() {
        let one = measure(&mut bench, system, &task, &judge, args, &mut tell)?;
        tell(&report::line(&one));
        measured.push((system, one));
    }
    bars(&measured).iter().for_each(|bar| tell(&bar.line()));
    Ok(())
}

/// All replies of one system.
fn measure(
    bench: &mut Bench,
    system: System,
    task: &Task,
    judge: &Judge,
    args: &GuidanceArgs,
    tell: &mut impl FnMut(&str),
) -> Result<Measured> {
    let mut measured = Measured { name: system.name(args), ..Measured::default() };
    let (_, second) = args.task.second();
    let mut texts = HashSet::new();
    for (number, prompt) in task.prompts.iter().enumerate() {
        let mut sums = [0.0; 7];
        for seed in 0..args.seeds {
            let spoken = bench.reply(system, prompt, number as u64, args.seed + seed, args)?;
            let values = [
                judge.log_odds(&spoken.text, &prompt.topic),
                second(&spoken.text),
                diversity(&spoken.ids),
                spoken.ids.len() as f64,
                spoken.seconds,
                spoken.base_rows as f64,
                spoken.other_rows as f64,
            ];
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
            if number < args.samples {
                let (name, gold) = (&measured.name, values[0]);
                tell(&format!("  {name} | {} | {gold:.2} | {}", prompt.text, spoken.text));
            }
            texts.insert(spoken.text);
        }
        let lists = [
            &mut measured.gold,
            &mut measured.second,
            &mut measured.diversity,
            &mut measured.tokens,
            &mut measured.seconds,
            &mut measured.base_rows,
            &mut measured.other_rows,
        ];
        for (list, sum) in lists.into_iter().zip(sums) {
            list.push(sum / args.seeds as f64);
        }
    }
    let replies = task.prompts.len() as f64 * args.seeds as f64;
    measured.different = texts.len() as f64 / replies;
    Ok(measured)
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
