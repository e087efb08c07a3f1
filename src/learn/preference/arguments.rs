//! What `learn vector` is told.

use std::path::PathBuf;

use anyhow::{Result, bail};

use super::objective::Objective;
use crate::learn::base::export::Precision;
use crate::model::vector::file;
use crate::platform::Problem;

/// Learn an alignment vector from preference pairs.
#[derive(Debug, Clone, clap::Args)]
pub struct VectorArgs {
    /// The base model, a Hugging Face folder; it is also the reference.
    #[arg(long, value_name = "DIR")]
    pub base: PathBuf,
    /// Preference pairs: `.jsonl` with {"prompt", "chosen", "rejected"} lines.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub pairs: Vec<PathBuf>,
    /// Pairs that are never trained on; without it every twentieth is held out.
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub held_out: Vec<PathBuf>,
    /// More pairs, which hold at another strength of the vector than 1: a strength and a file, as
    /// often as you like. So a vector learns what its slider does on the way.
    #[arg(long, num_args = 2, value_names = ["STRENGTH", "FILE"], conflicts_with = "full", allow_hyphen_values = true)]
    pub at: Vec<String>,
    /// Pairs on other matters, whose answers should stay as likely as they are: less leaks there.
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub keep: Vec<PathBuf>,
    /// How many of those are drawn, as a share of all the others.
    #[arg(long, default_value_t = 0.5)]
    pub keep_share: f64,
    /// Train on this many pairs, drawn from all, where there are more.
    #[arg(long, value_name = "PAIRS")]
    pub most: Option<usize>,
    /// The vector file to write.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// What the person will call it; the file's name when left out.
    #[arg(long)]
    pub name: Option<String>,
    /// What it is about, such as `medical`.
    #[arg(long)]
    pub domain: Option<String>,
    /// The loss.
    #[arg(long, value_enum, default_value_t)]
    pub objective: Objective,
    /// How strongly the reference holds: the b of both losses.
    #[arg(long, default_value_t = 0.1)]
    pub b: f64,
    /// Weight of the chosen answer's mean negative log-likelihood beside the preference (Pang et
    /// al. 2024, eq. 2): a preference alone may make both answers less likely, and a third rise.
    /// Where the likelihood is all there is, 0 counts as 1.
    #[arg(long, default_value_t = 0.0)]
    pub nll_weight: f64,
    /// Train all weights rather than thin factors; the vector holds full differences.
    #[arg(long)]
    pub full: bool,
    /// Rank of the factors.
    #[arg(long, default_value_t = 16, conflicts_with = "full")]
    pub rank: usize,
    /// Factor on the factors' product, over the rank; the rank when left out.
    #[arg(long, conflicts_with = "full")]
    pub alpha: Option<f32>,
    /// Learning rate at its peak; 5e-5 for factors and 5e-6 for all weights when left out.
    #[arg(long)]
    pub learning_rate: Option<f64>,
    /// Passes over the pairs.
    #[arg(long, default_value_t = 1)]
    pub epochs: u64,
    /// Pairs in a step.
    #[arg(long, default_value_t = 32)]
    pub batch: usize,
    /// Most tokens of prompt and answer together; the model's context, at most 2048, when left out.
    #[arg(long, value_name = "TOKENS")]
    pub context: Option<usize>,
    /// Everything random follows from it.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Take up the run that was left beside the file to write.
    #[arg(long)]
    pub resume: bool,
    /// Parts of a batch computed side by side, one thread each.
    #[arg(long, default_value_t = 1)]
    pub workers: usize,
    /// Seconds between two saves.
    #[arg(long, default_value_t = 60)]
    pub save_every: u64,
    /// Held-out pairs looked at during training.
    #[arg(long, default_value_t = 200)]
    pub checked: usize,
    /// `cpu`, `cuda` or `cuda:1`.
    #[arg(long, default_value = "cpu")]
    pub device: String,
    /// How the numbers are written.
    #[arg(long, value_enum, default_value_t = Precision::F32)]
    pub precision: Precision,
}

impl VectorArgs {
    /// The defaults with what has none.
    pub fn new(base: PathBuf, pairs: Vec<PathBuf>, out: PathBuf) -> Self {
        Self {
            base,
            pairs,
            held_out: Vec::new(),
            at: Vec::new(),
            keep: Vec::new(),
            keep_share: 0.5,
            most: None,
            out,
            name: None,
            domain: None,
            objective: Objective::default(),
            b: 0.1,
            nll_weight: 0.0,
            full: false,
            rank: 16,
            alpha: None,
            learning_rate: None,
            epochs: 1,
            batch: 32,
            context: None,
            seed: 1,
            resume: false,
            workers: 1,
            save_every: 60,
            checked: 200,
            device: "cpu".to_owned(),
            precision: Precision::F32,
        }
    }

    /// The factor on the thin factors' product, times the rank.
    pub fn alpha(&self) -> f32 {
        self.alpha.unwrap_or(self.rank as f32)
    }

    pub fn learning_rate(&self) -> f64 {
        self.learning_rate.unwrap_or(if self.full { 5e-6 } else { 5e-5 })
    }

    /// Strengths other than 1, and the files of pairs that hold there.
    ///
    /// # Errors
    /// When a strength is no number from -4 to 4.
    pub fn at(&self) -> Result<Vec<(f32, PathBuf)>> {
        let read = |two: &[String]| {
            let strength = two[0].parse::<f32>().ok().filter(|s| s.abs() <= 4.0);
            let Some(strength) = strength else {
                bail!(
                    Problem::new(format!("`{}` is no strength from -4 to 4", two[0]))
                        .hint("--at takes a strength and a file")
                );
            };
            Ok((strength, PathBuf::from(&two[1])))
        };
        self.at.chunks_exact(2).map(read).collect()
    }

    /// What the likelihood of chosen answers weighs.
    pub fn likelihood_weight(&self) -> f64 {
        let alone = self.objective == Objective::Likelihood && self.nll_weight == 0.0;
        if alone { 1.0 } else { self.nll_weight }
    }

    /// The vector's name.
    pub fn name(&self) -> String {
        let stem = || self.out.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        self.name.clone().unwrap_or_else(stem)
    }

    /// # Errors
    /// When the numbers cannot be trained with.
    pub fn check(&self) -> Result<()> {
        let positive = |value: f64| value > 0.0 && value.is_finite();
        for (name, fine) in [
            ("--b must be more than 0", positive(self.b)),
            ("--nll-weight must be 0 or more", {
                self.nll_weight >= 0.0 && self.nll_weight.is_finite()
            }),
            ("--rank must be at least 1", self.rank > 0),
            ("--alpha must be a number other than 0", {
                self.alpha().is_finite() && self.alpha() != 0.0
            }),
            ("--epochs must be at least 1", self.epochs > 0),
            ("--batch must be at least 1", self.batch > 0),
            ("--keep-share lies between 0 and 10", (0.0..=10.0).contains(&self.keep_share)),
            ("--context must be at least 8", self.context.is_none_or(|context| context >= 8)),
            ("the learning rate lies between 0 and 1", {
                positive(self.learning_rate()) && self.learning_rate() < 1.0
            }),
        ] {
            if !fine {
                bail!(Problem::new(name));
            }
        }
        if self.out.file_name().is_none() || self.out.is_dir() {
            bail!(Problem::new("--out must name a file").at(&self.out));
        }
        Ok(())
    }
}

impl From<Precision> for file::Precision {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::F16 => Self::F16,
            Precision::F32 => Self::F32,
        }
    }
}
