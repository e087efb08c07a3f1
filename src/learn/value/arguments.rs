//! What `learn value` is told.

use std::path::PathBuf;

use anyhow::Result;

use crate::model::value::Pooling;
use crate::platform::Problem;

/// Learn the head of a prefix scorer from texts with final rewards.
#[derive(Debug, Clone, clap::Args)]
pub struct ValueArgs {
    /// The trunk: any model Tiller can load. It is not changed.
    #[arg(long, value_name = "PATH")]
    pub trunk: PathBuf,
    /// Rewarded texts: `.jsonl` with {"prompt", "response", "reward"} lines; "finished": false for
    /// one that was cut off.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub texts: Vec<PathBuf>,
    /// Texts that are never trained on; without it every tenth is held out.
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub held_out: Vec<PathBuf>,
    /// Train on this many texts, taken evenly from all, where there are more.
    #[arg(long, value_name = "TEXTS")]
    pub most: Option<usize>,
    /// The head's file to write.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// How much the prefixes of a text count.
    #[arg(long, value_enum, default_value_t)]
    pub weighting: Weighting,
    /// What of the trunk's states the head reads.
    #[arg(long, value_enum, default_value_t = Pooling::Mean)]
    pub pooling: Pooling,
    /// How strongly weights are held near nought, as a share of the states' mean square.
    #[arg(long, default_value_t = 1e-3)]
    pub ridge: f64,
    /// Prompts go in as they are, without the trunk's chat template.
    #[arg(long)]
    pub raw: bool,
    /// Most tokens of a prompt with its response; longer ones are cut.
    #[arg(long, default_value_t = 1024)]
    pub most_tokens: usize,
}

/// How much each prefix of a text counts in the loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Weighting {
    /// Every prefix alike (CD-FUDGE).
    #[default]
    Flat,
    /// In proportion to its length, the same sum for every text (RAD).
    Late,
}

impl Weighting {
    /// The weight of prefix `at` (from 1) of `count`.
    pub fn of(self, at: usize, count: usize) -> f64 {
        let (at, count) = (at as f64, count as f64);
        match self {
            Self::Flat => 1.0,
            Self::Late => 2.0 * at / (count * (count + 1.0)),
        }
    }
}

impl ValueArgs {
    /// # Errors
    /// When a number means nothing.
    pub fn check(&self) -> Result<()> {
        let wrong = |what: String, hint: &str| Err(Problem::new(what).hint(hint).into());
        if !(self.ridge.is_finite() && self.ridge > 0.0) {
            return wrong(format!("--ridge is {}", self.ridge), "give a number above 0");
        }
        if self.most_tokens < 2 {
            return wrong(format!("--most-tokens is {}", self.most_tokens), "give at least 2");
        }
        Ok(())
    }
}
