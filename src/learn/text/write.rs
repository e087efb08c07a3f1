//! `learn text`: the composed conversations as files that `learn base` reads.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;

use super::{Composer, Level, Part, Source, pairs, rewards};
use crate::platform::Problem;

/// Write conversations to train on, out of a folder of topics.
#[derive(Debug, Clone, clap::Args)]
pub struct TextArgs {
    /// The folder with the topics, as TOML files.
    #[arg(long, value_name = "DIR", default_value = "models/starter/source")]
    pub source: PathBuf,
    /// The folder to write `training.jsonl`, `held-out.jsonl`, `preferences/` and `rewards/` into.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Conversations to train on.
    #[arg(long, default_value_t = 12_000)]
    pub conversations: usize,
    /// Conversations of held-out phrasings.
    #[arg(long, default_value_t = 300)]
    pub held_out: usize,
    /// Everything random follows from it.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Writes both files.
///
/// # Errors
/// When the source is not in order or the folder cannot be written.
pub fn run(args: &TextArgs, mut tell: impl FnMut(&str)) -> Result<()> {
    let source = Source::read(&args.source)?;
    std::fs::create_dir_all(&args.out)
        .with_context(|| Problem::new("cannot make this folder").at(&args.out))?;
    for (name, part, count) in [
        ("training.jsonl", Part::Training, args.conversations),
        ("held-out.jsonl", Part::HeldOut, args.held_out),
    ] {
        let path = args.out.join(name);
        let mut composer = Composer::new(&source, part, args.seed);
        let bytes = write(&path, &mut composer, count)
            .with_context(|| Problem::new("cannot write").at(&path))?;
        tell(&format!("{}: {count} conversations, {bytes} bytes", path.display()));
    }
    preferences(&source, args, &mut tell)?;
    rewarded(&source, args, tell)
}

/// Preference pairs of every kind, to train on and held out.
fn preferences(source: &Source, args: &TextArgs, tell: &mut impl FnMut(&str)) -> Result<()> {
    let folder = args.out.join("preferences");
    std::fs::create_dir_all(&folder)
        .with_context(|| Problem::new("cannot make this folder").at(&folder))?;
    for (suffix, part) in [("", Part::Training), ("-held-out", Part::HeldOut)] {
        let manners = pairs::manners(source, part);
        // Half as many, so that of both together a third are about the language.
        let faults = pairs::broken(source, part, manners.len() / 2, args.seed);
        let mut kinds = vec![
            ("manners".to_owned(), manners),
            ("broken".to_owned(), faults),
            ("sentiment".to_owned(), pairs::sentiment(source, part)),
        ];
        for domain in &source.domains {
            let levels = pairs::levels(source, &domain.name, part, args.seed);
            kinds.push((domain.name.clone(), levels));
            // For strengths on the way, where these are to be said; a guide learns the expert's alone.
            for level in Level::ALL {
                let some = pairs::level(source, &domain.name, part, level, args.seed);
                kinds.push((format!("{}-{}", domain.name, level.name()), some));
            }
        }
        for (name, pairs) in kinds {
            let path = folder.join(format!("{name}{suffix}.jsonl"));
            let lines: Result<Vec<String>, _> = pairs.iter().map(serde_json::to_string).collect();
            std::fs::write(&path, lines?.join("\n") + "\n")
                .with_context(|| Problem::new("cannot write").at(&path))?;
            tell(&format!("{}: {} pairs", path.display(), pairs.len()));
        }
    }
    Ok(())
}

/// Texts with final rewards, to train on and held out.
fn rewarded(source: &Source, args: &TextArgs, mut tell: impl FnMut(&str)) -> Result<()> {
    let folder = args.out.join("rewards");
    std::fs::create_dir_all(&folder)
        .with_context(|| Problem::new("cannot make this folder").at(&folder))?;
    for (suffix, part) in [("", Part::Training), ("-held-out", Part::HeldOut)] {
        for (name, texts) in [
            ("sentiment", rewards::sentiment(source, part)),
            ("expertise", rewards::expertise(source, part, args.seed)),
        ] {
            let path = folder.join(format!("{name}{suffix}.jsonl"));
            let lines: Result<Vec<String>, _> = texts.iter().map(serde_json::to_string).collect();
            std::fs::write(&path, lines?.join("\n") + "\n")
                .with_context(|| Problem::new("cannot write").at(&path))?;
            tell(&format!("{}: {} texts", path.display(), texts.len()));
        }
    }
    Ok(())
}

fn write(path: &Path, composer: &mut Composer<'_>, count: usize) -> std::io::Result<u64> {
    let mut out = BufWriter::new(File::create(path)?);
    for _ in 0..count {
        writeln!(out, "{}", json!({ "messages": composer.conversation() }))?;
    }
    out.into_inner()?.metadata().map(|m| m.len())
}
