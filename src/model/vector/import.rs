//! A PEFT LoRA folder as one file of ours, with what a folder does not say.

use std::path::Path;

use anyhow::Result;

use super::{Facts, Vector, open_for, open_with_facts};
use crate::model::checkpoint::Checkpoint;

/// Reads an adapter to be written as a vector's file. With a base its names and shapes are checked,
/// and the vector names that base from then on.
///
/// # Errors
/// When the adapter is none, or does not fit; the message names the file and the key.
pub fn import(
    adapter: &Path,
    base: Option<&Checkpoint>,
    name: String,
    domain: String,
) -> Result<(Vector, Facts)> {
    let (mut vector, mut facts) = open_with_facts(adapter)?;
    if let Some(base) = base {
        vector = open_for(adapter, base, false)?;
        vector.base_fingerprint = Some(base.fingerprint());
        vector.base_name.clone_from(&base.name);
    }
    vector.name = name;
    facts.domain = domain;
    facts.created = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    Ok((vector, facts))
}
