//! `tiller vector extract`: a vector out of two checkpoints of one architecture.

use std::path::PathBuf;

use anyhow::{Result, anyhow};
use clap::Args;

use super::{OutArgs, progress};
use crate::app::cli::Usage;
use crate::app::cli::output::put_line;
use crate::model::checkpoint::Checkpoint;
use crate::model::vector::extract::{ExtractOptions, RankChoice, extract, write};
use crate::platform::interrupt;
use crate::ui::words::{bytes, count};

#[derive(Debug, Args)]
pub struct ExtractArgs {
    /// The model that the other one was made from.
    #[arg(long, value_name = "PATH")]
    base: PathBuf,
    /// The model after alignment.
    #[arg(long, value_name = "PATH")]
    aligned: PathBuf,
    #[command(flatten)]
    out: OutArgs,
    /// Keep every value instead of factors: exact, and as large as the model.
    #[arg(long, conflicts_with_all = ["rank", "energy", "min_rank", "max_rank"])]
    full: bool,
    /// The rank of every matrix's factors.
    #[arg(long, conflicts_with_all = ["energy", "min_rank", "max_rank"])]
    rank: Option<usize>,
    /// Without --rank: the share of each difference's squared norm that its factors keep.
    #[arg(long, default_value_t = 0.99)]
    energy: f64,
    /// Least rank that --energy may choose.
    #[arg(long, default_value_t = 4)]
    min_rank: usize,
    /// Largest rank that --energy may choose.
    #[arg(long, default_value_t = 128)]
    max_rank: usize,
}

impl ExtractArgs {
    fn choice(&self) -> Result<Option<RankChoice>> {
        let wrong = |what: &str| Err(anyhow!(Usage(what.to_owned())));
        if self.full {
            return Ok(None);
        }
        match self.rank {
            Some(0) => wrong("--rank 0 would keep nothing; give at least 1"),
            Some(rank) => Ok(Some(RankChoice::Fixed(rank))),
            None if !(self.energy > 0.0 && self.energy <= 1.0) => {
                wrong("--energy is a share; give one above 0 and up to 1")
            }
            None if self.min_rank == 0 || self.max_rank < self.min_rank => {
                wrong("--min-rank must be at least 1 and at most --max-rank")
            }
            None => Ok(Some(RankChoice::Energy {
                share: self.energy,
                least: self.min_rank,
                most: self.max_rank,
            })),
        }
    }
}

pub fn run(args: &ExtractArgs) -> Result<()> {
    interrupt::watch();
    let options = ExtractOptions {
        rank: args.choice()?,
        name: args.out.name(),
        domain: args.out.domain.clone(),
    };
    let base = Checkpoint::open(&args.base)?;
    let aligned = Checkpoint::open(&args.aligned)?;
    let made = extract(&base, &aligned, &options, &mut progress::line("extracting"));
    progress::end();
    let (vector, facts, report) = made?;
    write(&args.out.out, &vector, &facts, args.out.precision.into(), (&base, &aligned))?;

    for name in &report.unmatched {
        eprintln!("only one of the models has `{name}`; it was left out");
    }
    let unchanged = count(report.unchanged as u64);
    put_line(&format!(
        "{} tensors differ, {unchanged} are the same in both",
        count(report.changed as u64)
    ))?;
    let largest = report.sizes.iter().max_by(|a, b| a.1.1.total_cmp(&b.1.1));
    if let Some((name, (most, relative))) = largest {
        let share = 100.0 * relative;
        put_line(&format!(
            "most changed: {name} by {share:.2} % of its norm, at most {most:.2e} in one value"
        ))?;
    }
    let least = facts.kept_energy.iter().min_by(|a, b| a.1.total_cmp(b.1));
    if let Some((name, kept)) = least {
        put_line(&format!("least kept: {:.2} % of {name}", 100.0 * kept))?;
    }
    let size = std::fs::metadata(&args.out.out).map_or(0, |facts| facts.len());
    put_line(&format!("wrote {}, {}", args.out.out.display(), bytes(size)))
}
