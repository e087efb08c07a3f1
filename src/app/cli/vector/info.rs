//! `tiller vector info`: a vector's facts, and rank and norm of every part.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::app::cli::output::put_line;
use crate::model::vector::algebra::norm;
use crate::model::vector::{Calibration, Part, Work, open_with_facts};
use crate::ui::words::{bytes, count};

#[derive(Debug, Args)]
pub struct InfoArgs {
    /// A vector's file or a PEFT folder.
    path: PathBuf,
}

pub fn run(args: &InfoArgs) -> Result<()> {
    let (vector, facts) = open_with_facts(&args.path)?;
    let values = vector.parts.values().map(|part| part.value_count() as u64).sum();
    let mut lines = vec![
        ("Name", vector.name.clone()),
        ("Domain", facts.domain.clone()),
        ("Kind", facts.kind.to_string()),
        ("Base", vector.base_name.clone()),
        ("Base fingerprint", vector.base_fingerprint.clone().unwrap_or_default()),
        ("Template", facts.template_hash.clone()),
        ("Made", facts.how_made.clone()),
        ("Created", facts.created.clone()),
        ("Parameters", count(vector.parts.len() as u64)),
        ("Values", count(values)),
        ("Beside the base", beside(&Work::of(&vector))),
    ];
    lines.retain(|(_, value)| !value.is_empty());
    if let Some(calibration) = &facts.calibration {
        lines.extend(calibration_lines(calibration));
    }
    let widest = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, value) in lines {
        put_line(&format!("{name:widest$}  {value}"))?;
    }
    put_line("")?;
    let widest = vector.parts.keys().map(String::len).max().unwrap_or(0);
    for (name, part) in &vector.parts {
        let shape = format!("{:?}", part.shape());
        let (form, size) = match part {
            Part::LowRank { rank, .. } => (format!("rank {rank}"), norm(name, part)?),
            Part::Full { .. } => ("full".to_owned(), norm(name, part)?),
            Part::Replacement { .. } => ("saved whole".to_owned(), f64::NAN),
        };
        let size =
            if size.is_nan() { "norm unknown".to_owned() } else { format!("norm {size:.4}") };
        let kept = facts.kept_energy.get(name);
        let kept = kept.map_or(String::new(), |kept| format!("  keeps {:.2} %", 100.0 * kept));
        put_line(&format!("{name:widest$}  {shape:14}  {form:11}  {size}{kept}"))?;
    }
    Ok(())
}

/// What it costs while the model speaks.
fn beside(work: &Work) -> String {
    if work.values == 0 {
        return String::new();
    }
    let share = 100.0 * work.share();
    format!(
        "{} in 16 bits, {share:.2} % more multiplications in the layers",
        bytes(work.half_bytes())
    )
}

fn calibration_lines(calibration: &Calibration) -> Vec<(&'static str, String)> {
    let pairs = |map: &std::collections::BTreeMap<String, f64>| {
        map.iter().map(|(name, value)| format!("{name} {value:.2}")).collect::<Vec<_>>().join(", ")
    };
    let mut lines = Vec::new();
    if let Some([least, most]) = calibration.safe_range {
        lines.push(("Safe range", format!("{least:.2} to {most:.2}")));
    }
    lines.push(("Level centres", pairs(&calibration.level_centres)));
    lines.push(("Leak", pairs(&calibration.leak)));
    for point in &calibration.sweep {
        let rates = pairs(&point.rates);
        let perplexity = point.neutral_perplexity;
        let text = format!("at {:+.2}: {rates}, perplexity {perplexity:.2}", point.strength);
        lines.push(("Rates", text));
    }
    lines.retain(|(_, value)| !value.is_empty());
    lines
}
