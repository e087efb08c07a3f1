//! The measurement itself, line by line, and the bars.

use anyhow::Result;

use super::arguments::RewardArgs;
use super::bench::{Bench, System};
use super::cost::{self, Cost};
use super::decoding::Settings;
use super::{realistic, report};
use crate::eval::vectors::bars::Bar;
use crate::model::reward::{Adapter, Initialisation};

/// Measures and tells line by line; the bars come last.
///
/// # Errors
/// When something cannot be read or does not go together.
pub fn run(args: &RewardArgs, mut tell: impl FnMut(&str)) -> Result<()> {
    let mut bench = Bench::open(args, &mut tell)?;
    let adapter = bench.adapter(&args.adapter)?;
    let mut bars = Vec::new();
    tell(&format!(
        "{} pairs and {} prompts, none of them trained on",
        bench.pairs.len(),
        bench.prompts.len()
    ));
    accuracies(&mut bench, args, &adapter, &mut bars, &mut tell)?;
    systems(&mut bench, args, &adapter, &mut bars, &mut tell)?;
    let prompts: Vec<Vec<u32>> = bench.prompts.iter().take(6).cloned().collect();
    let settings = Settings { candidates: args.candidates, tokens: args.tokens, ends: &[] };
    let runner = bench.model.runner.as_mut();
    let known = (&bench.model.facts, &bench.spec);
    let cost = cost::measure(runner, known, &mut bench.scorer, &adapter, &prompts, settings)?;
    costs("on this base", &cost, &mut bars, &mut tell);
    if let Some(folder) = &args.realistic {
        drop(bench);
        let config = realistic::qwen();
        let cost =
            realistic::measure(folder, &args.base, &config, args.candidates, args.tokens.min(24))?;
        costs("at the shape of Qwen2.5-0.5B", &cost, &mut bars, &mut tell);
    }
    bars.iter().for_each(|bar| tell(&bar.line()));
    Ok(())
}

fn numbers(adapter: &Adapter) -> usize {
    adapter.tensors.values().map(|tensor| tensor.values.len()).sum()
}

/// Pair accuracies: the separate model, the adapter, and the ablations.
fn accuracies(
    bench: &mut Bench,
    args: &RewardArgs,
    adapter: &Adapter,
    bars: &mut Vec<Bar>,
    tell: &mut impl FnMut(&str),
) -> Result<()> {
    let separate = bench.separate_accuracy()?;
    let name = format!("a model of its own, {} parameters", bench.scorer.facts.parameters);
    tell(&format!("pair accuracy: {name:<51}{:>9.1} %", 100.0 * separate));
    let stream = bench.stream_accuracy(adapter)?;
    tell(&report::adapter_line(&adapter.facts, numbers(adapter), stream));
    bars.push(Bar::new(
        "pair accuracy within 2 points of the separate model",
        format!("{:.1} % against {:.1} %", 100.0 * stream, 100.0 * separate),
        stream >= separate - 0.02,
    ));
    let mut random = None;
    for path in &args.others {
        let other = bench.adapter(path)?;
        let accuracy = bench.stream_accuracy(&other)?;
        tell(&report::adapter_line(&other.facts, numbers(&other), accuracy));
        let (a, b) = (&adapter.facts, &other.facts);
        let same = (a.sizes, a.insertion) == (b.sizes, b.insertion);
        if same && b.initialisation == Initialisation::Random {
            random = Some(accuracy);
        }
    }
    if let (Some(random), Initialisation::Mirror) = (random, adapter.facts.initialisation) {
        bars.push(Bar::new(
            "mirror initialisation at least as good as random",
            format!("{:.1} % against {:.1} %", 100.0 * stream, 100.0 * random),
            stream >= random,
        ));
    }
    Ok(())
}

/// The table of systems.
fn systems(
    bench: &mut Bench,
    args: &RewardArgs,
    adapter: &Adapter,
    bars: &mut Vec<Bar>,
    tell: &mut impl FnMut(&str),
) -> Result<()> {
    let separate_unit = bench.separate_unit(args)?;
    let stream_unit = adapter.facts.deviation.map_or(0.0, |unit| f64::from(unit.value));
    tell(&format!(
        "strength 1 is one deviation over {} candidates: {separate_unit:.4} of the separate model, \
         {stream_unit:.4} of the adapter",
        args.candidates
    ));
    let weight = |strength: f64, unit: f64| if unit > 0.0 { strength / unit } else { 0.0 };
    tell(&report::systems_head());
    // Without the adapter first: what the plain model says by itself.
    bench.model.runner.insert(None)?;
    let mut measured = vec![
        ("greedy".to_owned(), bench.replies(System::Plain, args)?),
        ("greedy over candidate rows".to_owned(), bench.replies(System::Rows, args)?),
    ];
    for strength in &args.strengths {
        let name = format!("separate model, strength {strength}");
        let system = System::Separate(weight(*strength, separate_unit));
        measured.push((name, bench.replies(system, args)?));
    }
    bench.model.runner.insert(Some(adapter))?;
    let off = bench.replies(System::Stream(0.0), args)?;
    let same = off.ids.iter().zip(&measured[1].1.ids).filter(|(a, b)| a == b).count();
    measured.push(("adapter, strength 0".to_owned(), off));
    for strength in &args.strengths {
        let name = format!("adapter, strength {strength}");
        let system = System::Stream(weight(*strength, stream_unit));
        measured.push((name, bench.replies(system, args)?));
    }
    for (name, replies) in &mut measured {
        bench.judge(replies)?;
        tell(&report::system_line(name, replies));
    }
    let all = bench.prompts.len();
    bars.push(Bar::new(
        "at strength 0 the replies are the plain ones of equal width",
        format!("{same} of {all}"),
        same == all,
    ));
    Ok(())
}

/// Space and time, and their bars.
fn costs(place: &str, cost: &Cost, bars: &mut Vec<Bar>, tell: &mut impl FnMut(&str)) {
    tell(place);
    cost.lines().iter().for_each(|line| tell(line));
    bars.push(Bar::new(
        &format!("at least 86.5 % of the extra space saved {place}"),
        format!("{:.1} %", 100.0 * cost.space_saved()),
        cost.space_saved() >= 0.865,
    ));
    bars.push(Bar::new(
        &format!("at least 98.5 % of the extra time saved {place}"),
        format!(
            "{:.1} %; {:.1} % where the candidate rows are counted to the base, which a processor \
             bound by arithmetic pays for and an accelerator hardly does",
            100.0 * cost.time_saved(),
            100.0 * cost.time_saved_at_equal_width()
        ),
        cost.time_saved() >= 0.985,
    ));
}
