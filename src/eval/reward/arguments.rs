//! What `eval reward` is told.

use std::path::PathBuf;

/// Measure a reward adapter against a reward model of its own: pair accuracy, decoding by either,
/// space and time.
#[derive(Debug, Clone, clap::Args)]
pub struct RewardArgs {
    /// The base model.
    #[arg(long, value_name = "PATH", default_value = "models/starter")]
    pub base: PathBuf,
    /// The adapter.
    #[arg(long, value_name = "FILE", default_value = "models/starter/rewards/manners.safetensors")]
    pub adapter: PathBuf,
    /// The reward model of its own, trained on the same pairs.
    #[arg(long, value_name = "DIR")]
    pub separate: PathBuf,
    /// Other adapters of the same base, for the table of initialisations and insertions.
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub others: Vec<PathBuf>,
    /// Preference pairs that nothing was trained on.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub pairs: Vec<PathBuf>,
    /// Most pairs to compare; all when left out.
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
    /// Also measure space and time at the shape of Qwen2.5-0.5B with random weights in this folder,
    /// which is filled with 1 GB and emptied again.
    #[arg(long, value_name = "DIR")]
    pub realistic: Option<PathBuf>,
    /// Everything random follows from it.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}
