//! What `eval starter` is told.

use std::path::PathBuf;

/// Measure the starter models: perplexity against a trigram model, well-formed answers, samples.
#[derive(Debug, Clone, clap::Args)]
pub struct StarterArgs {
    /// The base model's folder.
    #[arg(long, value_name = "DIR", default_value = "models/starter")]
    pub base: PathBuf,
    /// The guide model's folder.
    #[arg(long, value_name = "DIR", default_value = "models/starter/guide")]
    pub guide: PathBuf,
    /// The folder with the topics, as TOML files.
    #[arg(long, value_name = "DIR", default_value = "models/starter/source")]
    pub source: PathBuf,
    /// Conversations the trigram model learns from: as many as the models were trained on.
    #[arg(long, default_value_t = 12_000)]
    pub conversations: usize,
    /// Conversations of held-out phrasings for the perplexities.
    #[arg(long, default_value_t = 300)]
    pub held_out: usize,
    /// Held-out questions to answer.
    #[arg(long, default_value_t = 200)]
    pub questions: usize,
    /// Softness of the draw.
    #[arg(long, default_value_t = 0.7)]
    pub temperature: f32,
    /// Everything random follows from it.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}
