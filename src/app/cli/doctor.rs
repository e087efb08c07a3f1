//! `tiller doctor`: what this computer offers and what Tiller found on it.

use anyhow::Result;

use super::output::put_line;
use crate::model::load::Checkpoints;
use crate::model::stores::{self, Environment};
use crate::model::{Loader, beside, device};
use crate::platform::Folders;
use crate::ui::words::{bytes, count};

pub fn run() -> Result<()> {
    put_line(&format!("Tiller {}", env!("CARGO_PKG_VERSION")))?;
    put_line(&format!("System  {} {}", std::env::consts::OS, std::env::consts::ARCH))?;

    put_line("\nDevices")?;
    let chosen = device::choose("auto")?;
    put_line(&format!("  in use  {}", chosen.label))?;
    if !chosen.note.is_empty() {
        put_line(&format!("  why     {}", chosen.note))?;
    }
    for name in ["cuda", "metal"] {
        let state = match device::choose(name) {
            Ok(choice) => choice.label,
            Err(error) => format!("{error:#}"),
        };
        put_line(&format!("  {name:6}  {state}"))?;
    }
    if let Some(free) = device::free_memory(&chosen.device) {
        put_line(&format!("  free    {}", bytes(free)))?;
    }

    put_line("\nFolders")?;
    match Folders::find(None) {
        Ok(folders) => {
            put_line(&format!("  conversations  {}", folders.database().display()))?;
            put_line(&format!("  settings       {}", folders.settings_file().display()))?;
            put_line(&format!("  models made    {}", folders.models().display()))?;
            put_line(&format!("  logs           {}", folders.logs.display()))?;
        }
        Err(problem) => put_line(&format!("  none: {problem}"))?,
    }

    let (found, skipped) = stores::scan(&Environment::of_process(), &[]);
    put_line("\nModels found")?;
    if found.is_empty() {
        put_line("  none: give one with --model, or put one into a folder Tiller looks in")?;
    }
    for model in found {
        let size = bytes(model.bytes);
        put_line(&format!("  {}  {size}  {}  {}", model.name, model.store, model.path.display()))?;
        if beside::rewards(&model.path).is_empty() {
            continue;
        }
        // As it would be loaded by itself: what an adapter takes goes by the context, too.
        if let Ok(facts) = Checkpoints.inspect(&model.path) {
            for adapter in &facts.reward_memory {
                put_line(&format!(
                    "    rewards of {}  {} more beside it, with {} tokens of context",
                    adapter.name,
                    bytes(adapter.bytes(facts.cache_length)),
                    count(facts.cache_length as u64)
                ))?;
            }
        }
    }
    if !skipped.is_empty() {
        put_line("\nPassed over")?;
        for skip in skipped {
            put_line(&format!("  {}: {}", skip.path.display(), skip.reason))?;
        }
    }
    Ok(())
}
