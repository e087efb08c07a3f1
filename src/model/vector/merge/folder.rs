//! What lies around the weights: where a merged model goes, and the files it takes over.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::model::checkpoint::read_json;
use crate::model::vector::fit::HEAD;
use crate::platform::{Problem, atomic};

/// An empty folder beside `out`, which must not exist and not lie within the base.
pub fn fresh_folder(base: &Path, out: &Path) -> Result<PathBuf> {
    if out.symlink_metadata().is_ok() {
        let problem = Problem::new("there is something already, and merging replaces nothing");
        return Err(problem.at(out).hint("name a folder that is not there yet").into());
    }
    let absolute = std::path::absolute(out)?;
    let name = absolute.file_name().context("the merged model needs a folder's name")?;
    let parent = absolute.parent().context("the merged model needs a folder to lie in")?;
    std::fs::create_dir_all(parent)
        .with_context(|| Problem::new("the folder cannot be made").at(parent))?;
    if parent.canonicalize()?.starts_with(base.canonicalize()?) {
        let problem = Problem::new("a merged model is never written into its base's folder");
        return Err(problem.at(out).hint("name a folder elsewhere").into());
    }
    let fresh = parent.join(format!(".{}.{}.new", name.to_string_lossy(), std::process::id()));
    std::fs::create_dir(&fresh)
        .with_context(|| Problem::new("the folder cannot be made").at(&fresh))?;
    Ok(fresh)
}

/// Copies every plain file that holds no weights: config, tokenizer, template, index, licence.
pub fn copy_others(from: &Path, to: &Path, weights: &[&Path], untied: bool) -> Result<()> {
    let unreadable = || Problem::new("the base's folder cannot be read").at(from);
    for entry in std::fs::read_dir(from).with_context(unreadable)? {
        let path = entry.with_context(unreadable)?.path();
        let name = path.file_name().unwrap_or_default();
        let other_weights = ["bin", "pt", "pth", "gguf", "safetensors", "onnx", "msgpack", "h5"];
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        if !path.is_file()
            || weights.contains(&path.as_path())
            || other_weights.contains(&&*extension)
        {
            continue;
        }
        if untied && name == "config.json" {
            let mut config: Value = read_json(&path)?.context("config.json went away")?;
            config["tie_word_embeddings"] = json!(false);
            let text = serde_json::to_string_pretty(&config)? + "\n";
            atomic::write(&to.join(name), text.as_bytes())?;
            continue;
        }
        std::fs::copy(&path, to.join(name))
            .with_context(|| Problem::new("the file cannot be copied").at(&path))?;
    }
    Ok(())
}

/// The index of the shards learns of the head that was untied.
pub fn name_head_in_index(folder: &Path, shard: &str) -> Result<()> {
    let path = folder.join("model.safetensors.index.json");
    let mut index: Value = read_json(&path)?.context("the shards' index went away")?;
    index["weight_map"][HEAD] = json!(shard);
    atomic::write(&path, (serde_json::to_string_pretty(&index)? + "\n").as_bytes())?;
    Ok(())
}
