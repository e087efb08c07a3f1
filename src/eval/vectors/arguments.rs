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
    /// Make that stage where its folder is not there yet: all weights trained on these preference
    /// pairs, `.jsonl` as for `learn vector`, for a minute or two.
    #[arg(long, value_name = "FILE", requires = "stage")]
    pub stage_pairs: Option<PathBuf>,
    /// Pairs the stage is trained on.
    #[arg(long, default_value_t = 800)]
    pub stage_most: usize,
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
    /// Most measurements of the search for one combination alone.
    #[arg(long, default_value_t = 8)]
    pub budget: usize,
    /// Most measurements of the whole search.
    #[arg(long, default_value_t = 160)]
    pub measurements: usize,
    /// Most seconds of the whole search; what was found by then is printed.
    #[arg(long, default_value_t = 900.0)]
    pub search_seconds: f64,
    /// Leave out the search for combinations.
    #[arg(long)]
    pub no_search: bool,
    /// Measure only some of `rates`, `merged`, `leaks`, `unseen`, `search`, `cost` and `stage`.
    #[arg(long, value_delimiter = ',', value_enum)]
    pub only: Vec<Table>,
    /// Everything random follows from it.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// The tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Table {
    Rates,
    Merged,
    Leaks,
    Unseen,
    Search,
    Cost,
    Stage,
}

impl VectorsArgs {
    /// Whether a table is asked for.
    pub fn wants(&self, table: Table) -> bool {
        let is_left_out = table == Table::Search && self.no_search;
        !is_left_out && (self.only.is_empty() || self.only.contains(&table))
    }
}
