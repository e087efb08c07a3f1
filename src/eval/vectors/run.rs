//! The measurements in their order, and the verdict on each bar.

use std::time::Instant;

use anyhow::Result;

use super::arguments::VectorsArgs;
use super::bars::Bar;
use super::bench::{Bench, DOMAINS, LENGTH, alone};
use super::search::{self, Search};
use super::{cost, report, stage};
use crate::eval::calibrate::strengths;
use crate::eval::levels::{self, Rates};
use crate::eval::spearman;
use crate::learn::text::Level;

/// A found combination counts from here in its worst domain.
const REACHED: f64 = 0.6;
/// The search goes on until here, so that other questions still reach the bar.
const GOAL: f64 = 0.75;

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
    rates_by_strength(&mut bench, &mut bars, &mut tell)?;
    merged(&mut bench, args, &mut bars, &mut tell)?;
    leaks(&mut bench, &mut tell)?;
    unseen(&mut bench, &mut tell)?;
    if !args.no_search {
        combinations(&mut bench, args, &mut bars, &mut tell)?;
    }
    costs(&mut bench, args, &mut tell)?;
    match &args.stage {
        Some(folder) => {
            for (domain, rates) in stage::transfer(&bench, args, folder)?.iter().enumerate() {
                let [before, after] = rates.map(|rates| report::percent(rates.get(Level::Expert)));
                tell(&format!("transfer, {}: expert {before} at 0,{after} at 1", DOMAINS[domain]));
            }
        }
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
        bench.set(strengths)?;
        let mut rates = [0.0; 3];
        for (domain, rate) in rates.iter_mut().enumerate() {
            *rate = Rates::of(&bench.scores(domain)?, LENGTH).get(Level::Expert);
        }
        Ok(rates)
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

/// The search for the 27 combinations, its time against training each.
fn combinations(
    bench: &mut Bench,
    args: &VectorsArgs,
    bars: &mut Vec<Bar>,
    tell: &mut impl FnMut(&str),
) -> Result<()> {
    let begun = Instant::now();
    let mut found = Vec::new();
    let measurements = {
        let mut search =
            Search::begin(|strengths| bench.searched_rates(strengths), &strengths(1.5, 0.25))?;
        for wanted in search::combinations() {
            found.push(search.find(wanted, GOAL, args.budget)?);
        }
        search.measurements()
    };
    let seconds = begun.elapsed().as_secs_f64();
    tell("combination (medical, legal, financial), strengths, worst domain on both sets");
    let mut reached = 0;
    for found in &found {
        bench.set(found.strengths)?;
        let mut rates = [Rates::default(); 3];
        for (domain, rates) in rates.iter_mut().enumerate() {
            *rates = Rates::of(&bench.scores(domain)?, LENGTH);
        }
        let (worst, _) = search::worth(&rates, &found.wanted);
        reached += usize::from(worst >= REACHED);
        tell(&report::combination_line(found, worst));
    }
    let training: Option<f64> = bench.facts.iter().map(|facts| facts.training_seconds).sum();
    let said = match training {
        // Training one combination takes all three domains' pairs, as long as the vectors took.
        Some(training) => format!(
            "; training took {training:.0} s for the three vectors, so 27 combinations would take \
             {:.0} s: {:.1} times as long as vectors and search together",
            27.0 * training,
            27.0 * training / (training + seconds)
        ),
        None => "; the vectors' files do not say how long training took".to_owned(),
    };
    tell(&format!("search: {measurements} measurements in {seconds:.0} s{said}"));
    bars.push(Bar::new(
        "at least 20 of the 27 combinations reach 60 % in their worst domain",
        format!("{reached} of 27, on questions the search did not see"),
        reached >= 20,
    ));
    Ok(())
}

/// The cost of a reply against prompting for the level.
fn costs(bench: &mut Bench, args: &VectorsArgs, tell: &mut impl FnMut(&str)) -> Result<()> {
    for (domain, name) in DOMAINS.iter().enumerate() {
        let [steered, prompted] = cost::measure(bench, domain, args.replies, args.seed)?;
        tell(&format!(
            "cost, {name}: vector {:.0} + {:.0} tokens in {:.2} s, prompting {:.0} + {:.0} tokens in \
             {:.2} s; {:.2} of the positions, {:.2} of the time",
            steered.prompt_tokens,
            steered.reply_tokens,
            steered.seconds,
            prompted.prompt_tokens,
            prompted.reply_tokens,
            prompted.seconds,
            steered.positions() / prompted.positions(),
            steered.seconds / prompted.seconds
        ));
    }
    Ok(())
}
