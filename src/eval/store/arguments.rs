//! What `eval store` is told.

use std::path::PathBuf;

/// Measure datastores: exact answers, text they say nothing about, multiple choice.
#[derive(Debug, Clone, clap::Args)]
pub struct StoreArgs {
    /// The model's folder.
    #[arg(long, value_name = "DIR", default_value = "models/starter")]
    pub model: PathBuf,
    /// The folder with the documents and the questions that were held out.
    #[arg(long, value_name = "DIR", default_value = "models/starter/documents")]
    pub documents: PathBuf,
    /// The documents a store is built of.
    #[arg(long, value_delimiter = ',', default_values = [
        "ferry-timetable.csv", "ferry-notes.pdf", "ferry-answers.jsonl", "house-manual.docx",
        "house-answers.jsonl", "country-rules.html", "country-answers.jsonl",
    ])]
    pub files: Vec<String>,
    /// The folder with the starter's topics, for text the store says nothing about.
    #[arg(long, value_name = "DIR", default_value = "models/starter/source")]
    pub source: PathBuf,
    /// Build the stores here and leave them; without it they are gone afterwards.
    #[arg(long, value_name = "DIR")]
    pub work: Option<PathBuf>,
    /// The store's share; without it, as with the next two, what is found on `validation.jsonl`
    /// among the documents.
    #[arg(long)]
    pub lambda: Option<f32>,
    /// Neighbours asked for.
    #[arg(long)]
    pub neighbours: Option<usize>,
    /// Of the softmax.
    #[arg(long)]
    pub temperature: Option<f32>,
    /// Slices searched each by itself.
    #[arg(long, default_value_t = 1)]
    pub heads: usize,
    /// Print every question with its replies.
    #[arg(long)]
    pub verbose: bool,
}
