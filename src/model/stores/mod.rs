//! Where models lie on this computer: the starter that ships with Tiller, the stores of other
//! programs, and the person's own folders. Read-only, and nothing big is read.

mod classify;
mod hugging_face;
mod ollama;
mod places;
mod walk;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub use places::{Environment, starter};

use super::{FoundModel, SkippedModel};

/// What a scan has found so far.
#[derive(Debug, Default)]
struct Findings {
    found: Vec<FoundModel>,
    skipped: Vec<SkippedModel>,
    seen: BTreeSet<PathBuf>,
}

impl Findings {
    fn find(&mut self, path: &Path, name: String, store: &str, bytes: u64) {
        let resolved = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        if self.seen.insert(resolved) {
            let (path, store) = (path.to_path_buf(), store.to_owned());
            self.found.push(FoundModel { path, name, store, bytes });
        }
    }

    fn skip(&mut self, path: &Path, reason: impl Into<String>) {
        let resolved = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        if self.seen.insert(resolved) {
            self.skipped.push(SkippedModel { path: path.to_path_buf(), reason: reason.into() });
        }
    }
}

/// Models in the known stores and these folders, in the order a person would look for them, and
/// what was passed over with the reason.
pub fn scan(
    environment: &Environment,
    folders: &[PathBuf],
) -> (Vec<FoundModel>, Vec<SkippedModel>) {
    let mut findings = Findings::default();
    if let Some(path) = starter(environment) {
        let name = "Tiller starter".to_owned();
        match classify::folder(&path) {
            Ok(bytes) => findings.find(&path, name, "bundled", bytes),
            Err(reason) => findings.skip(&path, reason),
        }
    }
    if let Some(own) = &environment.own_models {
        walk::models_below(own, "folder", &mut findings);
    }
    for folder in folders {
        if folder.is_dir() {
            walk::models_below(folder, "folder", &mut findings);
        } else {
            findings.skip(folder, "there is no such folder");
        }
    }
    if let Some(cache) = environment.hugging_face_cache() {
        hugging_face::scan(&cache, &mut findings);
    }
    for folder in environment.lm_studio_folders() {
        walk::models_below(&folder, "LM Studio", &mut findings);
    }
    for folder in environment.ollama_folders() {
        ollama::scan(&folder, &mut findings);
    }
    for folder in environment.llama_cpp_caches() {
        walk::models_below(&folder, "llama.cpp cache", &mut findings);
    }
    (findings.found, findings.skipped)
}

#[cfg(test)]
mod tests;
