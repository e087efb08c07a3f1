//! What names a model: a SHA-256 over its config, its tokenizer and a fixed sample of its weights.

use sha2::{Digest, Sha256};

use serde_json::Value;

use super::{Checkpoint, Source, json_file};

/// Config fields that say where or by what a file was written, not what the model is.
const INCIDENTAL: [&str; 4] = ["_name_or_path", "transformers_version", "torch_dtype", "dtype"];
/// Bytes taken from the beginning, the middle and the end of each tensor.
const SAMPLE_BYTES: usize = 64;

/// 32 hexadecimal digits. Another quantisation of the same weights is another model here.
pub fn fingerprint(checkpoint: &Checkpoint) -> String {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        // A length before each part, so that no two models can run together to the same bytes.
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    part(b"tiller model 1");
    part(canonical(&checkpoint.config).as_bytes());
    match checkpoint.source() {
        Source::Folder(folder) => {
            let tokenizer = json_file::read_optional(&folder.join("tokenizer.json"));
            part(&tokenizer.ok().flatten().unwrap_or_default());
        }
        Source::Gguf(metadata) => {
            for name in ["model", "pre"] {
                part(metadata.text(&format!("tokenizer.ggml.{name}")).unwrap_or("").as_bytes());
            }
            for name in ["tokens", "merges", "scores", "token_type"] {
                part(metadata.list_bytes(&format!("tokenizer.ggml.{name}")).unwrap_or(&[]));
            }
        }
    }
    for (name, tensor) in &checkpoint.tensors {
        part(name.as_bytes());
        part(format!("{} {:?}", tensor.dtype, tensor.shape).as_bytes());
        let bytes = checkpoint.raw_bytes(tensor);
        let middle = bytes.len() / 2;
        part(&bytes[..bytes.len().min(SAMPLE_BYTES)]);
        part(&bytes[middle..bytes.len().min(middle + SAMPLE_BYTES)]);
        part(&bytes[bytes.len().saturating_sub(SAMPLE_BYTES)..]);
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// The config with its keys in order and without the incidental ones.
fn canonical(config: &Value) -> String {
    match config {
        Value::Object(fields) => {
            let mut names: Vec<&String> =
                fields.keys().filter(|name| !INCIDENTAL.contains(&name.as_str())).collect();
            names.sort();
            let fields: Vec<String> = names
                .iter()
                .map(|name| format!("{name:?}:{}", canonical(&fields[*name])))
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(canonical).collect();
            format!("[{}]", items.join(","))
        }
        plain => plain.to_string(),
    }
}
