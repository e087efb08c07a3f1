//! The base's vectors on a further fine-tuned stage of it: levels by strength there, and how far
//! apart stage and vector are.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::arguments::VectorsArgs;
use super::bars::Bar;
use super::bench::{Bench, DOMAINS, LENGTH, alone};
use super::{report, stage};
use crate::eval::levels::{self, Rates};
use crate::eval::load::{load, open_all};
use crate::eval::{neutral, spearman};
use crate::learn::text::Level;
use crate::model::checkpoint::Checkpoint;
use crate::model::vector::algebra::{inner_product, norm};
use crate::model::vector::extract::{ExtractOptions, extract};
use crate::model::vector::{Vector, open_for};

/// Below 0 to see avoidance rise, and as fine as the bar is on [0, 1].
const STRENGTHS: [f64; 12] = [-1.5, -1.0, -0.5, 0.0, 0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9, 1.0];

/// Measures every vector on the stage, which is made first where it is asked for and not there.
///
/// # Errors
/// When the stage cannot be made or loaded, a vector does not fit it, or a pass fails.
pub fn table(
    bench: &Bench,
    args: &VectorsArgs,
    folder: &Path,
    bars: &mut Vec<Bar>,
    tell: &mut impl FnMut(&str),
) -> Result<()> {
    if let (Some(pairs), false) = (&args.stage_pairs, folder.exists()) {
        let begun = std::time::Instant::now();
        stage::make(&args.base, pairs, args.stage_most, folder)?;
        tell(&format!(
            "stage: all weights of {} trained on {} pairs of {} in {:.0} s, written to {}",
            args.base.display(),
            args.stage_most,
            pairs.display(),
            begun.elapsed().as_secs_f64(),
            folder.display()
        ));
    }
    let files: Vec<PathBuf> =
        DOMAINS.iter().map(|domain| args.vectors.join(format!("{domain}.safetensors"))).collect();
    distances(args, folder, &files, tell)?;
    let mut model = load(folder)?;
    model.runner.attach(&open_all(&files, folder, true)?)?;
    tell("on the stage   strength   whole: avoid  generic   expert   perplexity");
    let mut works = Vec::new();
    for (domain, name) in DOMAINS.iter().enumerate() {
        let (mut at, mut expert, mut avoidance) = (Vec::new(), Vec::new(), Vec::new());
        for strength in STRENGTHS {
            model.runner.set_strengths(&alone(domain, strength).map(|s| s as f32))?;
            let scores = levels::scores(model.runner.as_mut(), &bench.questions[domain])?;
            let rates = Rates::of(&scores, LENGTH);
            let perplexity = neutral::perplexity(model.runner.as_mut(), &bench.neutral)?;
            let shares = Level::ALL.map(|level| report::percent(rates.get(level))).concat();
            tell(&format!("{name:<14}{strength:>9.2}    {shares} {perplexity:>12.3}"));
            if strength >= 0.0 {
                at.push(strength);
                expert.push(rates.get(Level::Expert));
            }
            avoidance.push(rates.get(Level::Avoidance));
        }
        let nought = STRENGTHS.iter().position(|strength| *strength == 0.0).unwrap_or_default();
        let rises = avoidance[0] > avoidance[nought];
        works.push((spearman::correlation(&at, &expert), rises));
    }
    let figures: Vec<String> = DOMAINS
        .iter()
        .zip(&works)
        .map(|(name, (correlation, rises))| {
            let avoidance = if *rises { "rises" } else { "does not rise" };
            format!("{name} {correlation:.3}, avoidance {avoidance} at -1.5")
        })
        .collect();
    bars.push(Bar::new(
        "on a further fine-tuned stage the vectors still work: Spearman at least 0.9 on [0, 1], and \
         a negative strength raises avoidance",
        figures.join("; "),
        works.iter().all(|(correlation, rises)| *correlation >= 0.9 && *rises),
    ));
    Ok(())
}

/// How far the stage is from the base in units of each vector, and the cosine between the two:
/// near 0 is good, and beyond three lengths a weaker effect is to be expected (method, section 7).
fn distances(
    args: &VectorsArgs,
    folder: &Path,
    files: &[PathBuf],
    tell: &mut impl FnMut(&str),
) -> Result<()> {
    let (base, stage) = (Checkpoint::open(&args.base)?, Checkpoint::open(folder)?);
    let options = ExtractOptions { rank: None, name: "stage".into(), domain: String::new() };
    let (difference, ..) = extract(&base, &stage, &options, &mut |_, _| true)?;
    let length = length_of(&difference)?;
    for (name, file) in DOMAINS.iter().zip(files) {
        let vector = open_for(file, &base, false)?;
        let mut product = 0.0;
        for (tensor, part) in &vector.parts {
            if let Some(other) = difference.parts.get(tensor) {
                product += inner_product(tensor, part, other)?;
            }
        }
        let own = length_of(&vector)?;
        tell(&format!(
            "stage: {:.2} lengths of the {name} vector from the base, cosine {:.3} with it",
            length / own,
            product / (own * length)
        ));
    }
    Ok(())
}

fn length_of(vector: &Vector) -> Result<f64> {
    let mut square = 0.0;
    for (name, part) in &vector.parts {
        square += norm(name, part)?.powi(2);
    }
    Ok(square.sqrt())
}
