//! The measurements in their order, and the verdict on each bar.

use anyhow::Result;

use super::arguments::{Table, VectorsArgs};
use super::bars::Bar;
use super::bench::{Bench, DOMAINS, LENGTH, alone};
use super::{combinations, cost, report, stage, transfer};
use crate::eval::calibrate::strengths;
use crate::eval::levels::{self, Rates};
use crate::eval::spearman;
use crate::learn::text::Level;

/// Measures and tells line by line.
///
/// # Errors
/// When a model, a vector or the source cannot be read, or a pass fails.
pub fn run(args: &VectorsArgs, mut tell: impl FnMut(&str)) -> Result<()> {
    let mut bench = Bench::open(args)?;
    let count = |set: &[Vec<_>; 3]| set.iter().map(Vec::len).sum::<usize>();
    tell(&format!(
        "{} held-out questions for the tables, {} for the search, {} on unseen topics; {} everyday \
         exchanges",
        count(&bench.questions),
        count(&bench.searched),
        count(&bench.unseen),
        bench.neutral.len()
    ));
    let mut bars = Vec::new();
    if args.wants(Table::Rates) {
        rates_by_strength(&mut bench, &mut bars, &mut tell)?;
    }
    if args.wants(Table::Merged) {
        merged(&mut bench, args, &mut bars, &mut tell)?;
    }
    if args.wants(Table::Leaks) {
        leaks(&mut bench, &mut tell)?;
    }
    if args.wants(Table::Unseen) {
        unseen(&mut bench, &mut tell)?;
    }
    if args.wants(Table::Search) {
        combinations::table(&mut bench, args, &mut bars, &mut tell)?;
    }
    if args.wants(Table::Cost) {
        cost::table(&mut bench, args, &mut tell)?;
    }
    match &args.stage {
        _ if !args.wants(Table::Stage) => {}
        Some(folder) => transfer::table(&bench, args, folder, &mut bars, &mut tell)?,
        None => tell("transfer: not measured; name a further fine-tuned stage with --stage"),
    }
    tell("bars");
    bars.iter().for_each(|bar| tell(&bar.line()));
    Ok(())
}

/// Rates per level by strength per domain, and the bars that follow from them.
fn rates_by_strength(
    bench: &mut Bench,
    bars: &mut Vec<Bar>,
    tell: &mut impl FnMut(&str),
) -> Result<()> {
    tell(&report::rates_head());
    let (mut monotone, mut avoiding, mut neutral) = (Vec::new(), Vec::new(), Vec::new());
    for domain in 0..3 {
        let (mut at, mut expert, mut perplexities) = (Vec::new(), Vec::new(), Vec::new());
        let (mut base_avoidance, mut most_avoidance) = (0.0, 0.0_f64);
        let mut grid = strengths(1.5, 0.25);
        // Finer where the bar is.
        grid.extend([0.1, 0.4, 0.6, 0.9]);
        grid.sort_by(f64::total_cmp);
        for strength in grid {
            bench.set(alone(domain, strength))?;
            let scores = bench.scores(domain)?;
            let perplexity = bench.neutral_perplexity()?;
            tell(&report::rates_line(domain, strength, &scores, perplexity));
            let rates = Rates::of(&scores, LENGTH);
            if strength == 0.0 {
                base_avoidance = rates.get(Level::Avoidance);
            }
            if strength < 0.0 {
                most_avoidance = most_avoidance.max(rates.get(Level::Avoidance));
            }
            if (0.0..=1.0).contains(&strength) {
                at.push(strength);
                expert.push(rates.get(Level::Expert));
                perplexities.push(perplexity);
            }
        }
        monotone.push(spearman::correlation(&at, &expert));
        avoiding.push((base_avoidance, most_avoidance));
        let base = perplexities.first().copied().unwrap_or(f64::NAN);
        neutral.push(perplexities.iter().map(|p| p / base).fold(0.0, f64::max));
    }
    let figures = |values: &[f64]| -> String {
        let each = DOMAINS.iter().zip(values).map(|(domain, value)| format!("{domain} {value:.3}"));
        each.collect::<Vec<_>>().join(", ")
    };
    bars.push(Bar::new(
        "expert answers rise with strength on [0, 1], Spearman at least 0.9",
        figures(&monotone),
        monotone.iter().all(|value| *value >= 0.9),
    ));
    let avoidance = |(base, most): &(f64, f64)| {
        format!("{} to{}", report::percent(*base).trim(), report::percent(*most))
    };
    bars.push(Bar::new(
        "a negative strength raises avoidance above the base",
        avoiding.iter().map(avoidance).collect::<Vec<_>>().join(", "),
        avoiding.iter().all(|(base, most)| most > base),
    ));
    bars.push(Bar::new(
        "neutral perplexity stays within 10 % of the base on [0, 1], largest ratio",
        figures(&neutral),
        neutral.iter().all(|ratio| *ratio <= 1.1),
    ));
    Ok(())
}

/// Strength 1 beside the merged checkpoint.
fn merged(
    bench: &mut Bench,
    args: &VectorsArgs,
    bars: &mut Vec<Bar>,
    tell: &mut impl FnMut(&str),
) -> Result<()> {
    let mut most = 0.0_f64;
    for (domain, name) in DOMAINS.iter().enumerate() {
        bench.set(alone(domain, 1.0))?;
        let live = Rates::of(&bench.scores(domain)?, LENGTH);
        let vector = args.vectors.join(format!("{name}.safetensors"));
        let merged = stage::Merged::new(&args.base, &vector)?;
        let aligned = stage::plain_rates(bench, &merged.folder, domain)?;
        for level in Level::ALL {
            most = most.max((live.get(level) - aligned.get(level)).abs());
        }
        tell(&format!(
            "strength 1 and the merged checkpoint, {name}: expert{} and{}",
            report::percent(live.get(Level::Expert)),
            report::percent(aligned.get(Level::Expert))
        ));
    }
    bars.push(Bar::new(
        "strength 1 is within 2 points of the aligned checkpoint",
        format!("largest difference {:.1} points", 100.0 * most),
        most <= 0.02,
    ));
    Ok(())
}

/// The 3×3 matrix of expert rates with one vector at 1, and the base's rates beside it.
fn leaks(bench: &mut Bench, tell: &mut impl FnMut(&str)) -> Result<()> {
    let mut expert = |strengths| -> Result<[f64; 3]> {
        Ok(bench.rates(strengths)?.map(|rates| rates.get(Level::Expert)))
    };
    let base = expert([0.0; 3])?;
    for (title, strength) in [("expert, vector at 1", 1.0), ("expert, vector at -1", -1.0)] {
        let mut columns = [[0.0; 3]; 3];
        for (vector, column) in columns.iter_mut().enumerate() {
            *column = expert(alone(vector, strength))?;
        }
        let matrix = [0, 1, 2].map(|asked| columns.map(|column| column[asked]));
        report::leak_lines(title, &matrix).iter().for_each(|line| tell(line));
    }
    tell(&format!("  base{}", base.map(report::percent).concat()));
    Ok(())
}

/// Topics of which nothing was trained on.
fn unseen(bench: &mut Bench, tell: &mut impl FnMut(&str)) -> Result<()> {
    for (domain, name) in DOMAINS.iter().enumerate() {
        let mut cells = String::new();
        for strength in [-1.0, 0.0, 1.0] {
            bench.set(alone(domain, strength))?;
            let scores = levels::scores(bench.model.runner.as_mut(), &bench.unseen[domain])?;
            let rates = Rates::of(&scores, LENGTH);
            let shares = Level::ALL.map(|level| report::percent(rates.get(level))).concat();
            cells += &format!("  at {strength:>4.1}:{shares}");
        }
        tell(&format!("unseen topics, {name}: avoidance, generic, expert{cells}"));
    }
    Ok(())
}
