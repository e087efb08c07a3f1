//! `tiller vector merge`: a new model with vectors merged into its weights.

use std::path::PathBuf;

use anyhow::{Result, anyhow};
use clap::Args;

use super::progress;
use crate::app::cli::Usage;
use crate::app::cli::output::put_line;
use crate::app::cli::vector_arguments::VectorArgs;
use crate::model::checkpoint::Checkpoint;
use crate::model::vector::merge::{Share, merge};
use crate::platform::interrupt;
use crate::steer::Plan;
use crate::ui::words::count;

#[derive(Debug, Args)]
pub struct MergeArgs {
    /// The model to start from: a Hugging Face folder. It is only read.
    #[arg(long, value_name = "FOLDER")]
    base: PathBuf,
    #[command(flatten)]
    vectors: VectorArgs,
    /// The folder to write; there must be nothing there yet.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

pub fn run(args: &MergeArgs) -> Result<()> {
    interrupt::watch();
    let mut plan = Plan::default();
    args.vectors.add_to(&mut plan)?;
    if plan.vectors.is_empty() {
        let what = "there is nothing to merge; give a vector with --vector PATH[:STRENGTH]";
        return Err(anyhow!(Usage(what.into())));
    }
    let base = Checkpoint::open(&args.base)?;
    let shares = plan
        .vectors
        .iter()
        .map(|vector| Share::open(&vector.path, vector.strength, &base, vector.any_base))
        .collect::<Result<Vec<_>>>()?;
    let merged = merge(&base, &shares, &args.out, &mut progress::line("merging"));
    progress::end();
    let report = merged?;
    let (changed, copied) = (count(report.changed as u64), count(report.copied as u64));
    put_line(&format!("{changed} tensors changed, {copied} copied: {}", args.out.display()))
}
