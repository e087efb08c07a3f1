//! Ollama's store: `manifests/<registry>/<namespace>/<model>/<tag>`, each a JSON list of layers;
//! the model layer names a blob, which is a plain GGUF file without an extension.

use std::path::{Path, PathBuf};

use super::walk::sorted_entries;
use super::{Findings, classify};

const STORE: &str = "Ollama";
const MODEL_LAYER: &str = "application/vnd.ollama.image.model";
/// Registry, namespace, model, tag.
const LEVELS: usize = 4;

/// Finds the models of a store.
pub fn scan(store: &Path, findings: &mut Findings) {
    let manifests = store.join("manifests");
    let mut paths = vec![manifests.clone()];
    for _ in 0..LEVELS {
        paths = paths.iter().flat_map(|path| sorted_entries(path)).collect();
    }
    for path in paths.into_iter().filter(|path| path.is_file()) {
        match blob(store, &path) {
            Ok((blob, bytes)) => findings.find(&blob, name(&manifests, &path), STORE, bytes),
            Err(reason) => findings.skip(&path, reason),
        }
    }
}

/// `llama3:latest`, or `person/model:tag` outside the library.
fn name(manifests: &Path, manifest: &Path) -> String {
    let below = manifest.strip_prefix(manifests).unwrap_or(manifest);
    let parts: Vec<String> = below.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    match parts.as_slice() {
        [_, namespace, model, tag] if namespace == "library" => format!("{model}:{tag}"),
        [_, namespace, model, tag] => format!("{namespace}/{model}:{tag}"),
        _ => below.display().to_string(),
    }
}

/// The model's blob with its bytes, or why there is none.
fn blob(store: &Path, manifest: &Path) -> Result<(PathBuf, u64), String> {
    let manifest = classify::json(manifest)?;
    let layers = manifest["layers"].as_array().ok_or("its manifest lists no layers")?;
    let layer = layers
        .iter()
        .find(|layer| layer["mediaType"] == MODEL_LAYER)
        .ok_or("its manifest names no model: an adapter, or kept elsewhere")?;
    let digest = layer["digest"].as_str().unwrap_or_default();
    let hex = digest.strip_prefix("sha256:").unwrap_or_default();
    if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(format!("its manifest names a strange blob, `{digest}`"));
    }
    let path = store.join("blobs").join(format!("sha256-{hex}"));
    if classify::size(&path).is_none() {
        return Err("its weights are missing: the download is incomplete".to_owned());
    }
    let bytes = classify::gguf(&path)?;
    Ok((path, bytes))
}
