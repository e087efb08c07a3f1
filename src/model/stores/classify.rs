//! Is this folder or file a model Tiller might open? A quick look at names, sizes and the config;
//! whether it can really be loaded is found out when it is.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::Value;

/// Larger configs and indexes are no such thing.
const LARGEST_JSON: u64 = 64 << 20;

/// The bytes of weights in a Hugging Face folder, or why it is passed over.
pub fn folder(path: &Path) -> Result<u64, String> {
    let config = json(&path.join("config.json"))?;
    if path.join("adapter_config.json").exists() {
        return Err("an adapter, not a whole model".to_owned());
    }
    let index = path.join("model.safetensors.index.json");
    let single = path.join("model.safetensors");
    let bytes = if index.exists() {
        let index = json(&index)?;
        let map = index["weight_map"].as_object().ok_or("its index has no weight_map")?;
        let shards: std::collections::BTreeSet<&str> =
            map.values().filter_map(Value::as_str).collect();
        let mut bytes = 0;
        for shard in shards {
            let file = path.join(shard);
            bytes += size(&file)
                .ok_or_else(|| format!("{shard} is missing: the download is incomplete"))?;
        }
        bytes
    } else if let Some(bytes) = size(&single) {
        bytes
    } else {
        return Err(without_weights(path));
    };
    crate::model::decoder::DecoderSpec::from_config(&config)
        .map_err(|error| format!("{error:#}"))?;
    if !has_tokenizer(path) {
        return Err("it has no tokenizer.json".to_owned());
    }
    Ok(bytes)
}

fn has_tokenizer(path: &Path) -> bool {
    path.join("tokenizer.json").exists()
}

fn without_weights(path: &Path) -> String {
    let names: Vec<String> = std::fs::read_dir(path)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    if names.iter().any(|name| name.ends_with(".bin") || name.ends_with(".pth")) {
        "its weights are a PyTorch pickle, which can run any program when it is opened".to_owned()
    } else {
        "it has no weights: the download is incomplete, or was never meant to have them".to_owned()
    }
}

/// The bytes of a GGUF model given its (first) file, or why it is passed over.
pub fn gguf(path: &Path) -> Result<u64, String> {
    let mut magic = [0; 4];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    read.map_err(|error| format!("cannot be read: {error}"))?;
    if &magic != b"GGUF" {
        return Err("not a GGUF file, whatever its name says".to_owned());
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let Some(split) = Split::of(&name) else { return Ok(size(path).unwrap_or(0)) };
    let mut bytes = 0;
    for part in 1..=split.count {
        let file = path.with_file_name(split.name_of(part));
        bytes += size(&file).ok_or_else(|| format!("{} is missing", split.name_of(part)))?;
    }
    Ok(bytes)
}

/// A file of several that make one model: `NAME-00001-of-00003.gguf`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    stem: String,
    pub part: usize,
    pub count: usize,
}

impl Split {
    /// Reads a file's name; `None` when it is no part of a split.
    pub fn of(name: &str) -> Option<Self> {
        let stem = name.strip_suffix(".gguf")?;
        let (rest, count) = stem.rsplit_once("-of-")?;
        let (stem, part) = rest.rsplit_once('-')?;
        let digits = |text: &str| text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(part) || !digits(count) {
            return None;
        }
        let (part, count) = (part.parse().ok()?, count.parse().ok()?);
        Some(Self { stem: stem.to_owned(), part, count })
    }

    /// The name the parts share.
    pub fn stem(&self) -> &str {
        &self.stem
    }

    fn name_of(&self, part: usize) -> String {
        format!("{}-{part:05}-of-{:05}.gguf", self.stem, self.count)
    }
}

/// A small JSON file, or why it cannot be read.
pub fn json(path: &Path) -> Result<Value, String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match size(path) {
        None => return Err(format!("{name} is missing")),
        Some(bytes) if bytes > LARGEST_JSON => return Err(format!("{name} is absurdly large")),
        Some(_) => {}
    }
    let bytes = std::fs::read(path).map_err(|error| format!("{name} cannot be read: {error}"))?;
    serde_json::from_slice(&bytes).map_err(|error| format!("{name} is not valid JSON: {error}"))
}

/// A file's size; links are followed, and one that leads nowhere is no file.
pub fn size(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|facts| facts.len())
}
