//! `tiller vector import`: a PEFT LoRA folder as one file, with what a folder does not say.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::OutArgs;
use crate::app::cli::output::put_line;
use crate::model::checkpoint::Checkpoint;
use crate::model::vector::{file, import};
use crate::ui::words::{bytes, count};

#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The adapter's folder: adapter_config.json and adapter_model.safetensors.
    adapter: PathBuf,
    /// The model it was trained on: names and shapes are checked and its fingerprint is written
    /// down, so that the vector is refused on any other.
    #[arg(long, value_name = "PATH")]
    base: Option<PathBuf>,
    #[command(flatten)]
    out: OutArgs,
}

pub fn run(args: &ImportArgs) -> Result<()> {
    let base = args.base.as_deref().map(Checkpoint::open).transpose()?;
    let (name, domain) = (args.out.name(), args.out.domain.clone());
    let (vector, facts) = import(&args.adapter, base.as_ref(), name, domain)?;
    file::write(&args.out.out, &vector, &facts, args.out.precision.into())?;
    let size = std::fs::metadata(&args.out.out).map_or(0, |facts| facts.len());
    let parts = count(vector.parts.len() as u64);
    put_line(&format!("{parts} parameters: wrote {}, {}", args.out.out.display(), bytes(size)))?;
    if args.base.is_none() {
        put_line("the file does not say for which model; --base checks that and writes it down")?;
    }
    Ok(())
}
