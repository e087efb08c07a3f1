//! Opens a Hugging Face folder: config, safetensors (one file or shards), and what stands beside.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use serde::Deserialize;
use serde_json::Value;

use super::mapping::MappedFile;
use super::safetensors_header::read_header;
use super::tensors::{Change, StoredTensor};
use super::{
    Checkpoint, Format, Source, config, end_of_text, generation, json_file, pickle_refused,
    template_text,
};
use crate::platform::Problem;

/// The index of a sharded checkpoint: which file holds which tensor.
#[derive(Deserialize)]
struct ShardIndex {
    weight_map: BTreeMap<String, String>,
}

/// Opens the folder.
pub fn open(folder: &Path) -> Result<Checkpoint> {
    let config_path = folder.join("config.json");
    let Some(config) = json_file::read_json::<Value>(&config_path)? else {
        return Err(no_config(folder));
    };
    if !config.is_object() {
        return Err(Problem::new("the config is not a JSON object").at(&config_path).into());
    }
    config::refuse_foreign_quantization(&config, &config_path)?;
    let weight_files = find_weight_files(folder)?;
    let mut parts = Vec::new();
    let mut tensors = BTreeMap::new();
    let mut unreadable = BTreeMap::new();
    let gpt2 = config["model_type"] == "gpt2";
    for path in &weight_files.files {
        let file = MappedFile::open(path)?;
        let header = read_header(file.bytes(), path)?;
        for (name, entry) in header {
            let Some(dtype) = entry.stored else {
                unreadable.insert(name, entry.dtype);
                continue;
            };
            let input_first = gpt2 && is_input_first(&name);
            let tensor = StoredTensor {
                shape: entry.shape,
                dtype,
                input_first,
                byte_length: entry.byte_length,
                part: parts.len(),
                offset: entry.offset,
                change: Change::None,
            };
            if tensors.insert(name.clone(), tensor).is_some() {
                let what = format!("tensor `{name}` is in more than one shard");
                return Err(Problem::new(what).at(path).into());
            }
        }
        parts.push(Arc::new(file));
    }
    for (name, file) in &weight_files.expected {
        if !tensors.contains_key(name) && !unreadable.contains_key(name) {
            let what = format!("tensor `{name}` is not in the shard the index names");
            return Err(Problem::new(what).at(folder.join(file)).hint("download it again").into());
        }
    }
    let template = template_text::from_folder(folder)?;
    let generation_config =
        json_file::read_json::<Value>(&folder.join("generation_config.json"))?.unwrap_or_default();
    let end_of_text_ids =
        end_of_text::from_folder(folder, &config, &generation_config, template.as_ref())?;
    Ok(Checkpoint {
        path: folder.to_path_buf(),
        name: folder_name(folder),
        format: Format::HuggingFace,
        context_length: config::context_length(&config),
        generation: generation::from_json(&generation_config),
        config,
        tensors,
        end_of_text_ids,
        unreadable,
        parts,
        source: Source::Folder(folder.to_path_buf()),
        template,
    })
}

/// GPT-2's products are stored `[in, out]`.
pub(crate) fn is_input_first(name: &str) -> bool {
    ["attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight"]
        .iter()
        .any(|end| name.ends_with(end))
}

fn no_config(folder: &Path) -> anyhow::Error {
    let mut names = names_in(folder);
    if names.iter().any(|name| name == "adapter_config.json") {
        return Problem::new("this folder is an adapter, not a whole model")
            .at(folder)
            .hint("open the model it was made for")
            .into();
    }
    names.retain(|name| name.ends_with(".gguf"));
    match names.first() {
        Some(name) => Problem::new("config.json is missing, but the folder holds GGUF files")
            .at(folder)
            .hint(format!("open {name} itself"))
            .into(),
        None => Problem::new("config.json is missing")
            .at(folder)
            .hint("open a folder with config.json, tokenizer.json and .safetensors files")
            .into(),
    }
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// The safetensors files of a folder, and which tensors its index promises in them.
struct WeightFiles {
    files: Vec<PathBuf>,
    expected: BTreeMap<String, String>,
}

fn find_weight_files(folder: &Path) -> Result<WeightFiles> {
    let single = folder.join("model.safetensors");
    if single.is_file() {
        return Ok(WeightFiles { files: vec![single], expected: BTreeMap::new() });
    }
    let index_path = folder.join("model.safetensors.index.json");
    if let Some(index) = json_file::read_json::<ShardIndex>(&index_path)? {
        return shards(folder, &index_path, index);
    }
    let names = names_in(folder);
    let shard =
        names.iter().find(|name| name.starts_with("model-") && name.ends_with(".safetensors"));
    if let Some(shard) = shard {
        return Err(Problem::new("the shards' index model.safetensors.index.json is missing")
            .at(folder.join(shard))
            .hint("download the whole folder")
            .into());
    }
    if names.iter().any(|name| name.starts_with("consolidated") && name.ends_with(".safetensors")) {
        return Err(Problem::new(
            "only consolidated.safetensors is here, whose tensors have Mistral's own names",
        )
        .at(folder)
        .hint("download the model-*.safetensors files too")
        .into());
    }
    let pickle = names.iter().find(|name| {
        name.ends_with(".bin") && name.contains("model")
            || name.ends_with(".pt")
            || name.ends_with(".pth")
    });
    if let Some(pickle) = pickle {
        return Err(pickle_refused(&folder.join(pickle)));
    }
    // Some folders give their one file another name.
    let mut others = names.iter().filter(|name| name.ends_with(".safetensors"));
    match (others.next(), others.next()) {
        (Some(only), None) if !only.starts_with("adapter") => {
            Ok(WeightFiles { files: vec![folder.join(only)], expected: BTreeMap::new() })
        }
        _ => Err(Problem::new("model.safetensors is missing")
            .at(folder)
            .hint("download the whole folder")
            .into()),
    }
}

fn shards(folder: &Path, index_path: &Path, index: ShardIndex) -> Result<WeightFiles> {
    let names: BTreeSet<&String> = index.weight_map.values().collect();
    if names.is_empty() {
        return Err(Problem::new("`weight_map` is empty").at(index_path).into());
    }
    let mut files = Vec::new();
    for name in names {
        // A shard lies in the folder itself: an index must not reach anywhere else.
        let plain = Path::new(name).components().collect::<Vec<_>>();
        if !matches!(plain.as_slice(), [Component::Normal(_)]) {
            let what = format!("`weight_map` names `{name}`, which is no file of this folder");
            return Err(Problem::new(what).at(index_path).into());
        }
        let path = folder.join(name);
        if !path.is_file() {
            return Err(Problem::new("a shard the index names is missing")
                .at(&path)
                .hint("download it into the folder")
                .into());
        }
        files.push(path);
    }
    Ok(WeightFiles { files, expected: index.weight_map })
}

/// The folder's own name; in the Hugging Face cache the repository's, not the revision's.
fn folder_name(folder: &Path) -> String {
    let full = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
    let repository = full
        .components()
        .filter_map(|component| component.as_os_str().to_str())
        .rev()
        .find_map(|name| name.strip_prefix("models--"))
        .map(|name| name.replace("--", "/"));
    repository.unwrap_or_else(|| {
        full.file_name()
            .map_or_else(|| "model".to_string(), |name| name.to_string_lossy().into_owned())
    })
}
