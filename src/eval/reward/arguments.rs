//! What `eval reward` is told.

use std::path::PathBuf;

/// Measure a reward adapter against a reward model of its own: pair accuracy, decoding by either,
/// other initialisations and insertions, space and time. Rows are printed as they come; with
/// `--learn` a run that was stopped goes on where it was.
#[derive(Debug, Clone, clap::Args)]
pub struct RewardArgs {
    /// The base model.
    #[arg(long, value_name = "PATH", default_value = "models/starter")]
    pub base: PathBuf,
    /// The adapter.
    #[arg(long, value_name = "FILE", default_value = "models/starter/rewards/manners.safetensors")]
    pub adapter: PathBuf,
    /// The reward model of its own, trained on the same pairs; with --learn it is trained first
    /// where none is given.
    #[arg(long, value_name = "DIR")]
    pub separate: Option<PathBuf>,
    /// Other adapters of the same base that are there already, for the table of initialisations and
    /// insertions.
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub others: Vec<PathBuf>,
    #[command(flatten)]
    pub learning: LearningArgs,
    /// Preference pairs that nothing was trained on.
    #[arg(long, required_unless_present = "cost_only", num_args = 1.., value_name = "FILE")]
    pub pairs: Vec<PathBuf>,
    /// The same where the worse answer is the better one with a fault in its language: does the
    /// reward fall where a text breaks?
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub broken: Vec<PathBuf>,
    /// Most pairs of either kind to compare; all when left out.
    #[arg(long, value_name = "PAIRS")]
    pub most: Option<usize>,
    /// Held-out prompts to answer.
    #[arg(long, default_value_t = 60)]
    pub prompts: usize,
    /// Longest answer.
    #[arg(long, default_value_t = 80)]
    pub tokens: usize,
    /// Candidates of each step.
    #[arg(long, default_value_t = 10)]
    pub candidates: usize,
    /// Strengths to decode at, in deviations of the reward over the candidates of a step.
    #[arg(long, num_args = 1.., default_values_t = [1.0, 2.0])]
    pub strengths: Vec<f64>,
    /// Also measure space and time at the shape of a real model with random weights in this folder,
    /// which is filled (with 2 GB for Qwen2.5-0.5B) and emptied again.
    #[arg(long, value_name = "DIR")]
    pub realistic: Option<PathBuf>,
    /// Which shape that is.
    #[arg(long, value_enum, default_value_t)]
    pub shape: Measured,
    /// Measure nothing but space and time at that shape; of the base only the tokenizer is taken.
    #[arg(long, requires = "realistic")]
    pub cost_only: bool,
    /// Everything random follows from it.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// What is trained for the table.
#[derive(Debug, Clone, clap::Args)]
pub struct LearningArgs {
    /// Train what the table needs into this folder, and keep its figures there.
    #[arg(long, value_name = "DIR", requires = "training")]
    pub learn: Option<PathBuf>,
    /// The pairs to train on.
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub training: Vec<PathBuf>,
    /// Steps of every other initialisation and insertion; 0 trains none of them.
    #[arg(long, default_value_t = 80)]
    pub steps: usize,
    /// Steps of the reward model of its own; as many pairs as the adapter has seen when left out.
    #[arg(long, value_name = "STEPS")]
    pub separate_steps: Option<usize>,
    /// Pairs in a step.
    #[arg(long, default_value_t = 32)]
    pub batch: usize,
    /// Aligned positions on the way at which pairs are compared as well.
    #[arg(long, default_value_t = 4)]
    pub prefixes: usize,
    /// Learning rate of the inserted streams, and of every weight of the model of its own.
    #[arg(long, num_args = 2, default_values_t = [1e-3, 1e-4], value_names = ["STREAM", "MODEL"])]
    pub learning_rates: Vec<f64>,
    /// Also train streams of a sixteenth and a quarter of the width, and one that begins at zeros.
    #[arg(long)]
    pub more_ablations: bool,
    /// Parts of a batch computed side by side, one thread each.
    #[arg(long, default_value_t = 1)]
    pub workers: usize,
}

/// A shape that space and time are measured at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Measured {
    /// Qwen2.5-0.5B: hidden size 896, 24 layers, 151936 tokens.
    #[default]
    #[value(name = "qwen2.5-0.5b")]
    Qwen,
    /// Hidden size 64, 2 layers, 4096 tokens, to see the measurement itself run.
    Tiny,
}
