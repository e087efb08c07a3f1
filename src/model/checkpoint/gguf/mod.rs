//! Opens a GGUF model: metadata as a Hugging Face config, tensors under Hugging Face names.

mod config;
mod cursor;
mod header;
mod metadata;
mod names;
mod parts;
mod rope;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;

pub use header::MAGIC;
pub use metadata::Metadata;

use super::tensors::{Change, StoredTensor};
use super::{Checkpoint, Format, Source, end_of_text, generation, template_text::TemplateText};
use crate::platform::Problem;
use header::TensorEntry;

/// The architectures Tiller can run, by the names GGUF files use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// Also Mistral, which is written as Llama.
    Llama,
    Qwen2,
    Qwen3,
    Phi3,
    Gemma2,
    Gemma3,
    Gpt2,
}

impl Architecture {
    const ALL: [Self; 7] =
        [Self::Llama, Self::Qwen2, Self::Qwen3, Self::Phi3, Self::Gemma2, Self::Gemma3, Self::Gpt2];

    /// The value of `general.architecture`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::Phi3 => "phi3",
            Self::Gemma2 => "gemma2",
            Self::Gemma3 => "gemma3",
            Self::Gpt2 => "gpt2",
        }
    }

    fn read(metadata: &Metadata) -> Result<Self> {
        let known = || Self::ALL.map(Self::name).join(", ");
        let name = metadata.text("general.architecture").unwrap_or("");
        Self::ALL.into_iter().find(|one| one.name() == name).ok_or_else(|| {
            let said: String = name.chars().take(60).collect();
            let what =
                format!("`general.architecture`: the model family `{said}` is not supported");
            Problem::new(what)
                .at(&metadata.file.path)
                .hint(format!("known families: {}", known()))
                .into()
        })
    }
}

/// Opens the file, and the other parts where it is one of several.
pub fn open(path: &Path) -> Result<Checkpoint> {
    let mut parts = parts::open(path)?;
    let first = parts.remove(0);
    let version = first.header.version;
    let metadata = Metadata { values: first.header.metadata, file: first.file.clone() };
    let architecture = Architecture::read(&metadata)?;
    let rest: Vec<_> = parts;
    let in_parts: Vec<(usize, &TensorEntry)> = first
        .header
        .tensors
        .iter()
        .map(|tensor| (0, tensor))
        .chain(rest.iter().enumerate().flat_map(|(index, part)| {
            part.header.tensors.iter().map(move |tensor| (index + 1, tensor))
        }))
        .collect();
    let all: Vec<&TensorEntry> = in_parts.iter().map(|(_, tensor)| *tensor).collect();
    let config =
        config::translate(&config::Facts { metadata: &metadata, architecture, tensors: &all })?;
    let heads = |key: &str| config[key].as_u64().and_then(|heads| usize::try_from(heads).ok());
    let mut tensors = BTreeMap::new();
    for (part, entry) in in_parts {
        let Some(name) = names::hugging_face_name(architecture, &entry.name) else { continue };
        let change = change_of(architecture, &name, &heads);
        check_change(&metadata, entry, change)?;
        let tensor = StoredTensor {
            shape: entry.shape.clone(),
            dtype: entry.dtype,
            input_first: false,
            byte_length: entry.byte_length,
            part,
            offset: entry.offset,
            change,
        };
        if tensors.insert(name, tensor).is_some() {
            let what = format!("tensor `{}` is in more than one part", entry.name);
            return Err(Problem::new(what).at(path).into());
        }
    }
    let template = template(&metadata);
    let end_of_text_ids = ends(&metadata, template.as_ref());
    let number = |key: &str| {
        let own = match key {
            "temperature" => "temp",
            "repetition_penalty" => "penalty_repeat",
            same => same,
        };
        metadata.number(&format!("general.sampling.{own}"))
    };
    Ok(Checkpoint {
        path: first.file.path.clone(),
        name: name(&metadata, &first.file.path),
        format: Format::Gguf { version },
        context_length: super::config::context_length(&config),
        config,
        tensors,
        generation: generation::from_lookup(number),
        end_of_text_ids,
        unreadable: BTreeMap::new(),
        parts: std::iter::once(first.file).chain(rest.into_iter().map(|part| part.file)).collect(),
        source: Source::Gguf(metadata),
        template,
    })
}

/// What the writer of this architecture's files did to a tensor.
fn change_of(
    architecture: Architecture,
    name: &str,
    heads: &impl Fn(&str) -> Option<usize>,
) -> Change {
    let projection = |kind: &str| name.contains(&format!("self_attn.{kind}_proj."));
    match architecture {
        Architecture::Llama if projection("q") => {
            Change::InterleavedRows { heads: heads("num_attention_heads").unwrap_or(0) }
        }
        Architecture::Llama if projection("k") => {
            Change::InterleavedRows { heads: heads("num_key_value_heads").unwrap_or(0) }
        }
        Architecture::Gemma2 | Architecture::Gemma3 if name.ends_with("norm.weight") => {
            Change::PlusOne
        }
        _ => Change::None,
    }
}

/// A change that cannot be undone is refused now, not in the middle of loading.
fn check_change(metadata: &Metadata, entry: &TensorEntry, change: Change) -> Result<()> {
    let rows = entry.shape.first().copied().unwrap_or(0);
    match change {
        Change::InterleavedRows { heads }
            if heads == 0 || rows == 0 || !rows.is_multiple_of(heads.saturating_mul(2)) =>
        {
            let what = format!("tensor `{}`: {rows} rows do not suit {heads} heads", entry.name);
            Err(Problem::new(what).at(&metadata.file.path).into())
        }
        _ => Ok(()),
    }
}

fn name(metadata: &Metadata, path: &Path) -> String {
    if let Some(name) = metadata.text("general.name").filter(|name| !name.trim().is_empty()) {
        return name.trim().to_string();
    }
    match parts::split_name(path) {
        Some((name, _, _)) => name,
        None => path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
    }
}

fn template(metadata: &Metadata) -> Option<TemplateText> {
    let text = metadata.text("tokenizer.chat_template")?;
    let wanted = |kind: &str| metadata.id(&format!("tokenizer.ggml.{kind}_token_id"));
    let ids = [
        ("bos", wanted("bos")),
        ("eos", wanted("eos")),
        ("pad", wanted("padding")),
        ("unk", wanted("unknown")),
    ];
    let mut found = BTreeMap::new();
    if let Some(tokens) = metadata.texts("tokenizer.ggml.tokens") {
        for (index, token) in tokens.enumerate() {
            for (kind, _) in ids.iter().filter(|(_, id)| *id == Some(index as u32)) {
                found.insert(*kind, token.to_string());
            }
        }
    }
    let others = ["pad", "unk"].into_iter();
    Some(TemplateText {
        text: text.to_string(),
        source: "the GGUF file".to_string(),
        other_tokens: others
            .filter_map(|kind| Some((format!("{kind}_token"), found.get(kind)?.clone())))
            .collect(),
        bos_token: found.remove("bos"),
        eos_token: found.remove("eos"),
    })
}

fn ends(metadata: &Metadata, template: Option<&TemplateText>) -> Vec<u32> {
    let mut ends: BTreeSet<u32> = ["eos", "eot", "eom"]
        .iter()
        .filter_map(|kind| metadata.id(&format!("tokenizer.ggml.{kind}_token_id")))
        .collect();
    let mut known = BTreeMap::new();
    if template.is_some()
        && let Some(tokens) = metadata.texts("tokenizer.ggml.tokens")
    {
        for (index, token) in tokens.enumerate() {
            if end_of_text::TURN_ENDS.contains(&token.as_ref()) {
                known.insert(token.to_string(), index as u32);
            }
        }
    }
    ends.extend(end_of_text::template_ends(template, |token| known.get(token).copied()));
    ends.into_iter().collect()
}
