//! The Hugging Face cache: `models--ORG--NAME/{refs,snapshots,blobs}`, where a ref names a
//! snapshot and a snapshot's files are links into the blobs (or copies, on Windows).

use std::collections::BTreeMap;
use std::path::Path;

use super::walk::{is_model_folder, report_gguf, sorted_entries};
use super::{Findings, classify};

const STORE: &str = "Hugging Face cache";

/// Finds the models of a cache; an incomplete snapshot is passed over with the reason.
pub fn scan(cache: &Path, findings: &mut Findings) {
    for folder in sorted_entries(cache) {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(name) = name.strip_prefix("models--") else { continue };
        let name = name.replace("--", "/");
        let refs = refs(&folder.join("refs"));
        let snapshots = sorted_entries(&folder.join("snapshots"));
        if snapshots.is_empty() {
            findings.skip(&folder, "nothing of it was downloaded");
        }
        // The one `main` names comes first and bears the plain name.
        let is_main = |path: &Path| revision(path, &refs).is_none();
        let (main, others): (Vec<_>, Vec<_>) =
            snapshots.iter().partition(|path| is_main(path) || snapshots.len() == 1);
        for snapshot in main.into_iter().chain(others) {
            let name = match revision(snapshot, &refs) {
                Some(revision) if snapshots.len() > 1 => format!("{name} ({revision})"),
                _ => name.clone(),
            };
            report(snapshot, &name, &folder, findings);
        }
    }
}

fn report(snapshot: &Path, name: &str, folder: &Path, findings: &mut Findings) {
    let ggufs: Vec<_> = sorted_entries(snapshot)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "gguf"))
        .collect();
    for path in &ggufs {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        report_gguf(path, &file, STORE, findings);
    }
    if is_model_folder(snapshot) || ggufs.is_empty() {
        match classify::folder(snapshot) {
            Ok(bytes) => findings.find(snapshot, name.to_owned(), STORE, bytes),
            Err(_) if is_downloading(folder) => {
                findings.skip(snapshot, "its download is under way or broke off");
            }
            Err(reason) => findings.skip(snapshot, reason),
        }
    }
}

/// The name of a snapshot that is not the one `main` points to: its ref, else its short hash.
fn revision(snapshot: &Path, refs: &BTreeMap<String, String>) -> Option<String> {
    let hash = snapshot.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match refs.get(&hash).map(String::as_str) {
        Some("main") => None,
        Some(name) => Some(name.to_owned()),
        None => Some(hash.chars().take(8).collect()),
    }
}

/// Commit hash to ref name; `main` wins over others of the same commit.
fn refs(folder: &Path) -> BTreeMap<String, String> {
    let mut refs = BTreeMap::new();
    for path in sorted_entries(folder) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if classify::size(&path).is_some_and(|bytes| bytes <= 1024)
            && let Ok(hash) = std::fs::read_to_string(&path)
        {
            let known = refs.entry(hash.trim().to_owned()).or_insert_with(|| name.clone());
            if name == "main" {
                *known = name;
            }
        }
    }
    refs
}

fn is_downloading(folder: &Path) -> bool {
    sorted_entries(&folder.join("blobs"))
        .iter()
        .any(|path| path.extension().is_some_and(|extension| extension == "incomplete"))
}
