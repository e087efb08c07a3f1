//! `tiller store info`: what a store was made with, what was measured on it, its files.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::build::row;
use crate::app::cli::output::put_line;
use crate::platform::{Problem, figures};
use crate::steer::datastore::{Datastore, Manifest, Quantiles};
use crate::ui::words::{bytes, count};

#[derive(Debug, Args)]
pub struct InfoArgs {
    /// The store's folder.
    store: PathBuf,
    /// All of it as one JSON object.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &InfoArgs) -> Result<()> {
    let manifest = Manifest::read(&args.store)?.ok_or_else(|| {
        let problem = Problem::new("there is no datastore in this folder").at(&args.store);
        problem.hint("build one with tiller store build")
    })?;
    if args.json {
        return put_line(&serde_json::to_string(&manifest)?);
    }
    let facts = &manifest.facts;
    let keys = 2 * (manifest.entries() * facts.hidden_size) as u64;
    let mut lines = vec![
        ("Name", manifest.name.clone()),
        ("Model", format!("{} ({})", facts.model_name, facts.model_fingerprint)),
        ("Template", facts.template_fingerprint.clone()),
        ("Weights", facts.weights.clone()),
        (
            "Entries",
            format!("{} of {} numbers", count(manifest.entries() as u64), facts.hidden_size),
        ),
        ("Keys", bytes(keys)),
    ];
    if let Some(calibration) = &manifest.calibration {
        let quantiles = |q: &Quantiles| q.0.map(|value| format!("{value:.1}")).join(" ");
        lines.push(("Temperature", figures::short(calibration.temperature)));
        lines.push(("Distances within", quantiles(&calibration.near)));
        lines.push(("Distances from elsewhere", quantiles(&calibration.far)));
    }
    match (&manifest.chosen, &manifest.by_itself) {
        (Some(chosen), _) => lines.push(("Asked with", chosen.line())),
        (None, Some(found)) => {
            lines.push(("Asked with", format!("{} (made of its own text)", found.line())));
        }
        (None, None) => {}
    }
    let widest = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in lines.into_iter().filter(|(_, value)| !value.is_empty()) {
        put_line(&format!("{name:widest$}  {value}"))?;
    }
    put_line("")?;
    for source in &manifest.sources {
        put_line(&row(source))?;
    }
    if manifest.entries() > 0 {
        for problem in Datastore::open(&args.store)?.lost {
            put_line(&format!("lost     {problem}"))?;
        }
    }
    Ok(())
}
