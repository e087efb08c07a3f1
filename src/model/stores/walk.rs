//! Folders without a layout of their own: every model a few levels down. LM Studio's publisher and
//! model levels, its flat files, llama.cpp's cache and a person's own folder are all found so.

use std::path::Path;

use super::Findings;
use super::classify::{self, Split};

const DEEPEST: usize = 4;
/// Entries looked at below one folder: a home folder given by mistake must not take for ever.
const MOST_ENTRIES: usize = 20_000;

/// Finds the models in a folder and below.
pub fn models_below(root: &Path, store: &str, findings: &mut Findings) {
    let mut entries_left = MOST_ENTRIES;
    visit(root, root, DEEPEST, store, findings, &mut entries_left);
    if entries_left == 0 {
        findings.skip(root, format!("only its first {MOST_ENTRIES} entries were looked at"));
    }
}

fn visit(
    root: &Path,
    folder: &Path,
    levels: usize,
    store: &str,
    findings: &mut Findings,
    entries_left: &mut usize,
) {
    if is_model_folder(folder) {
        report_folder(root, folder, store, findings);
    }
    for path in sorted_entries(folder) {
        if *entries_left == 0 {
            return;
        }
        *entries_left -= 1;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            // Blobs and hidden folders hold no model under a name of its own.
            if levels > 0 && !name.starts_with('.') && name != "blobs" {
                visit(root, &path, levels - 1, store, findings, entries_left);
            }
        } else if name.to_ascii_lowercase().ends_with(".gguf") {
            report_gguf(&path, &name, store, findings);
        }
    }
}

/// True for a folder that looks like a Hugging Face checkpoint, whole or not.
pub fn is_model_folder(folder: &Path) -> bool {
    folder.join("config.json").is_file()
        && sorted_entries(folder).iter().any(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            [".safetensors", ".safetensors.index.json", ".bin", ".pth"]
                .iter()
                .any(|end| name.ends_with(end))
        })
}

fn report_folder(root: &Path, folder: &Path, store: &str, findings: &mut Findings) {
    let name = match folder.strip_prefix(root) {
        Ok(below) if below.components().next().is_some() => below.to_string_lossy().into_owned(),
        _ => folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
    };
    match classify::folder(folder) {
        Ok(bytes) => findings.find(folder, name, store, bytes),
        Err(reason) => findings.skip(folder, reason),
    }
}

/// One GGUF file, unless it is a later part of a split or an image projector.
pub fn report_gguf(path: &Path, name: &str, store: &str, findings: &mut Findings) {
    if name.to_ascii_lowercase().contains("mmproj") {
        return findings.skip(path, "an image projector, not a language model");
    }
    let split = Split::of(name);
    if split.as_ref().is_some_and(|split| split.part > 1) {
        return;
    }
    let stem = name.get(..name.len() - ".gguf".len()).unwrap_or(name);
    let shown = split.as_ref().map_or(stem, Split::stem);
    match classify::gguf(path) {
        Ok(bytes) => findings.find(path, shown.to_owned(), store, bytes),
        Err(reason) => findings.skip(path, reason),
    }
}

/// What a folder holds, by name; nothing when it cannot be read.
pub fn sorted_entries(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths
}
