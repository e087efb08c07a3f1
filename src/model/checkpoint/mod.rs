//! A model's files, opened but not read: a Hugging Face folder or a GGUF file.
//!
//! Whatever the format, what comes out has Hugging Face's form: the config's field names, the
//! tensors' names, the order of their rows. Headers are checked against the files' own sizes
//! before anything is believed; weights stay where they are until somebody asks for their bytes.

mod config;
mod describe;
mod end_of_text;
mod fingerprint;
mod folder;
mod generation;
pub mod gguf;
mod json_file;
mod mapping;
mod safetensors_header;
mod template_text;
mod tensors;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use serde_json::Value;

pub use describe::describe;
pub use json_file::{parse_json, read_json, read_optional};
pub use template_text::TemplateText;
pub use tensors::{StoredTensor, byte_length, element_count};

use crate::model::facts::GenerationDefaults;
pub use crate::model::weights::StoredType;
use crate::platform::Problem;
pub(crate) use folder::is_input_first;
pub(crate) use mapping::MappedFile;
pub(crate) use safetensors_header::{HeaderEntry, read_header_and_metadata};

/// What kind of files a checkpoint is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A folder with `config.json` and safetensors.
    HuggingFace,
    /// One GGUF file, or its parts.
    Gguf { version: u32 },
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HuggingFace => f.write_str("Hugging Face folder"),
            Self::Gguf { version } => write!(f, "GGUF v{version}"),
        }
    }
}

/// Where the files that are not weights are.
#[derive(Debug)]
pub(crate) enum Source {
    Folder(PathBuf),
    Gguf(gguf::Metadata),
}

/// An opened model: everything known of it without reading its weights.
#[derive(Debug)]
pub struct Checkpoint {
    /// The folder, or the (first) GGUF file.
    pub path: PathBuf,
    /// A name for a person.
    pub name: String,
    pub format: Format,
    /// The config in Hugging Face's form (`model_type`, `hidden_size`, …).
    pub config: Value,
    /// Every tensor Tiller can read, under its Hugging Face name.
    pub tensors: BTreeMap<String, StoredTensor>,
    /// The sampling the files recommend.
    pub generation: GenerationDefaults,
    /// Ids any of the files names as an end of text, ascending.
    pub end_of_text_ids: Vec<u32>,
    /// Positions the model was made for; 0 when the files do not say.
    pub context_length: usize,
    /// Tensors of types Tiller cannot read, with the type's name.
    unreadable: BTreeMap<String, String>,
    parts: Vec<Arc<MappedFile>>,
    source: Source,
    template: Option<TemplateText>,
}

impl Checkpoint {
    /// Opens a Hugging Face folder (given by the folder, its `config.json` or one of its
    /// `.safetensors` files) or a GGUF file. Nothing is read in bulk.
    ///
    /// Errors name the file and the field at fault.
    pub fn open(path: &Path) -> Result<Self> {
        let facts = std::fs::metadata(path)
            .with_context(|| Problem::new("there is nothing to open").at(path))?;
        if facts.is_dir() {
            return folder::open(path);
        }
        let extension =
            path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
        let named = path.file_name().is_some_and(|name| name == "config.json");
        match extension.as_deref() {
            // The magic, not the name: Ollama's blobs have no extension.
            _ if begins_with_magic(path) => gguf::open(path),
            Some("gguf") => gguf::open(path),
            _ if named => folder::open(parent_of(path)),
            Some("safetensors") => folder::open(parent_of(path)),
            Some("bin" | "pt" | "pth" | "ckpt" | "pkl") => Err(pickle_refused(path)),
            _ => Err(Problem::new("this is neither a GGUF file nor a Hugging Face folder")
                .at(path)
                .hint("open a .gguf file or a folder with config.json and .safetensors files")
                .into()),
        }
    }

    /// The facts of one tensor. The error says why it is not there.
    pub fn tensor(&self, name: &str) -> Result<&StoredTensor> {
        self.tensors.get(name).ok_or_else(|| {
            let what = match self.unreadable.get(name) {
                Some(dtype) => {
                    format!("tensor `{name}` is stored as {dtype}, which Tiller cannot read")
                }
                None => format!("tensor `{name}` is missing"),
            };
            Problem::new(what).at(&self.path).into()
        })
    }

    /// A tensor's bytes, little-endian, rows in Hugging Face order; borrowed from the mapped file
    /// unless the file's writer rearranged them.
    pub fn bytes(&self, name: &str) -> Result<Cow<'_, [u8]>> {
        let tensor = self.tensor(name)?;
        tensors::undo(tensor, self.raw_bytes(tensor)).with_context(|| {
            Problem::new(format!("tensor `{name}` cannot be read"))
                .at(&self.parts[tensor.part].path)
        })
    }

    fn raw_bytes(&self, tensor: &StoredTensor) -> &[u8] {
        // In bounds: both headers were checked against the mapped length when they were read.
        &self.parts[tensor.part].bytes()[tensor.offset..tensor.offset + tensor.byte_length]
    }

    /// The files the weights lie in.
    pub(crate) fn weight_files(&self) -> impl Iterator<Item = &Path> {
        self.parts.iter().map(|part| part.path.as_path())
    }

    /// Bytes all readable tensors take in the files.
    pub fn weight_bytes(&self) -> u64 {
        self.tensors.values().map(|tensor| tensor.byte_length as u64).sum()
    }

    /// Number of parameters in all readable tensors.
    pub fn parameter_count(&self) -> u64 {
        self.tensors.values().map(|tensor| tensor.element_count() as u64).sum()
    }

    /// The chat template's text as the files give it, and where it stood.
    pub fn template_text(&self) -> Option<&TemplateText> {
        self.template.as_ref()
    }

    /// Names the model: a hash over config, tokenizer and a fixed sample of the weights, the same
    /// wherever the files lie.
    pub fn fingerprint(&self) -> String {
        fingerprint::fingerprint(self)
    }

    pub(crate) fn source(&self) -> &Source {
        &self.source
    }
}

fn begins_with_magic(path: &Path) -> bool {
    let mut magic = [0; 4];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    read.is_ok() && &magic == gguf::MAGIC
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn pickle_refused(path: &Path) -> anyhow::Error {
    Problem::new("this is a PyTorch pickle, which can run any program when it is opened")
        .at(path)
        .hint("use the model's safetensors or GGUF files, or convert it")
        .into()
}
