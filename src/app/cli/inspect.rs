//! `tiller inspect`: what a model file or folder is, without loading it.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::output::put_line;
use crate::model::checkpoint::Checkpoint;
use crate::model::{load, reward};
use crate::ui::words::{bytes, count};

#[derive(Debug, Args)]
pub struct InspectArgs {
    /// A Hugging Face folder or a GGUF file.
    path: PathBuf,
    /// List every tensor with its type and shape.
    #[arg(long)]
    tensors: bool,
}

pub fn run(args: &InspectArgs) -> Result<()> {
    let checkpoint = Checkpoint::open(&args.path)?;
    let outlook = load::outlook(&checkpoint)?;
    let facts = &outlook.facts;
    let mut lines = vec![
        ("Name".to_owned(), facts.name.clone()),
        ("Path".to_owned(), facts.path.display().to_string()),
        ("Family".to_owned(), facts.family.clone()),
        ("Parameters".to_owned(), count(facts.parameters)),
        ("Layers".to_owned(), count(facts.layer_count as u64)),
        ("Hidden size".to_owned(), count(facts.hidden_size as u64)),
        ("Vocabulary".to_owned(), count(facts.vocab_size as u64)),
        ("Context".to_owned(), format!("{} tokens", count(facts.context_length as u64))),
        ("Stored as".to_owned(), format!("{}, {}", facts.stored_as, bytes(facts.weight_bytes))),
        ("Chat template".to_owned(), facts.template_source.clone()),
        ("Fingerprint".to_owned(), facts.fingerprint.clone()),
    ];
    lines.extend(facts.details.iter().cloned());
    for (form, weight_bytes) in &outlook.forms {
        lines.push((format!("Memory, weights {form}"), bytes(*weight_bytes)));
    }
    let cache = format!("{} per 1,024 tokens", bytes(1024 * outlook.cache_bytes_per_token));
    lines.push(("Memory, context".to_owned(), cache));
    for path in &facts.rewards {
        let about = reward::file::read_about(path)?;
        let [none, _] = reward::memory(&about, 0, &outlook.spec)?;
        let [some, _] = reward::memory(&about, 1024, &outlook.spec)?;
        let name = format!("Memory, rewards of {}", about.facts.name);
        let context = bytes(some - none);
        lines.push((name, format!("{}, {context} per 1,024 tokens", bytes(about.bytes))));
    }
    for guide in &facts.guides {
        lines.push(("Guide beside it".to_owned(), guide.vector.display().to_string()));
    }
    for path in &facts.scorers {
        lines.push(("Scorer beside it".to_owned(), path.display().to_string()));
    }
    let widest = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, value) in lines {
        put_line(&format!("{name:widest$}  {value}"))?;
    }
    if args.tensors {
        put_line("")?;
        for (name, tensor) in &checkpoint.tensors {
            put_line(&format!("{name}  {}  {:?}", tensor.dtype, tensor.shape))?;
        }
    }
    Ok(())
}
