//! What `eval vectors` is told.

use std::path::PathBuf;

/// Measure three domain vectors on their base: rates per level, leaks, combinations, costs.
#[derive(Debug, Clone, clap::Args)]
pub struct VectorsArgs {
    /// The base model's folder.
    #[arg(long, value_name = "DIR", default_value = "models/starter")]
    pub base: PathBuf,
    /// The folder with `medical.safetensors`, `legal.safetensors` and `financial.safetensors`.
    #[arg(long, value_name = "DIR", default_value = "models/starter/vectors")]
    pub vectors: PathBuf,
    /// The folder with the topics, as TOML files.
    #[arg(long, value_name = "DIR", default_value = "models/starter/source")]
    pub source: PathBuf,
    /// A further fine-tuned stage of the base, to transfer the vectors to.
    #[arg(long, value_name = "DIR")]
    pub stage: Option<PathBuf>,
    /// Held-out questions of each domain for the tables.
    #[arg(long, default_value_t = 100)]
    pub questions: usize,
    /// Other held-out questions of each domain for the search of combinations.
    #[arg(long, default_value_t = 48)]
    pub searched: usize,
    /// Everyday exchanges for the neutral perplexity.
    #[arg(long, default_value_t = 60)]
    pub neutral: usize,
    /// Replies timed each way for the cost against prompting.
    #[arg(long, default_value_t = 6)]
    pub replies: usize,
    /// Most measurements of a search for one combination.
    #[arg(long, default_value_t = 40)]
    pub budget: usize,
    /// Leave out the search for combinations.
    #[arg(long)]
    pub no_search: bool,
    /// Everything random follows from it.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}
