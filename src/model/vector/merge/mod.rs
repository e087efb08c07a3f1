//! Vectors made part of the weights: a new Hugging Face folder at chosen strengths.
//!
//! Every tensor is the pristine base's plus Σ strength · difference, summed in f64 in the order of
//! the vectors and rounded once to the base's own type; tensors no vector touches are copied byte
//! for byte.

mod folder;
mod shard;

use std::path::Path;

use anyhow::{Context, Result};

use self::folder::{copy_others, fresh_folder, name_head_in_index};
use self::shard::Shard;
use super::Vector;
use super::file::WideDeltas;
use super::fit::HEAD;
use super::open::{of_file, open};
use crate::model::checkpoint::{Checkpoint, Format};
use crate::platform::Problem;

/// Called before each tensor with the bytes done and in all; false ends the merge.
pub type Watch<'a> = &'a mut dyn FnMut(u64, u64) -> bool;

/// A vector, matched to the base, at its strength.
pub struct Share {
    strength: f32,
    vector: Vector,
    wide: Option<WideDeltas>,
}

impl Share {
    /// Opens a vector for merging into this base.
    ///
    /// # Errors
    /// As [`super::open_for`]; also for a strength that is not finite.
    pub fn open(path: &Path, strength: f32, base: &Checkpoint, any_base: bool) -> Result<Self> {
        if !strength.is_finite() {
            let what = format!("the strength {strength} is no number to merge at");
            return Err(Problem::new(what).at(path).into());
        }
        let vector = open(path)?;
        if !any_base {
            vector.check_base(base).map_err(|error| of_file(error, path))?;
        }
        let vector = vector.matched(base).map_err(|error| of_file(error, path))?;
        let wide = if path.is_file() { Some(WideDeltas::open(path)?) } else { None };
        Ok(Self { strength, vector, wide })
    }

    /// For a vector that is in memory.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn of(vector: Vector, strength: f32, base: &Checkpoint) -> Result<Self> {
        Ok(Self { strength, vector: vector.matched(base)?, wide: None })
    }
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MergeReport {
    pub changed: usize,
    pub copied: usize,
}

/// Writes the merged checkpoint into `out`, a folder that is not there yet. It appears whole or not
/// at all.
///
/// # Errors
/// When the base is no Hugging Face folder, `out` is there already or lies within the base, a
/// sum leaves the range of the base's type, or `watch` (bytes done, bytes in all) said stop.
pub fn merge(
    base: &Checkpoint,
    shares: &[Share],
    out: &Path,
    watch: Watch<'_>,
) -> Result<MergeReport> {
    if base.format != Format::HuggingFace {
        let hint = "give the original Hugging Face folder";
        let what = "a GGUF file cannot be merged into: its weights are not what was trained";
        return Err(Problem::new(what).at(&base.path).hint(hint).into());
    }
    let fresh = fresh_folder(&base.path, out)?;
    let merged = write_all(base, shares, &fresh, watch).and_then(|report| {
        std::fs::rename(&fresh, out)
            .with_context(|| Problem::new("the folder cannot be put in place").at(out))?;
        Ok(report)
    });
    if merged.is_err() {
        std::fs::remove_dir_all(&fresh).ok();
    }
    merged
}

fn write_all(
    base: &Checkpoint,
    shares: &[Share],
    folder: &Path,
    watch: Watch<'_>,
) -> Result<MergeReport> {
    let absent = |name: &&String| !base.tensors.contains_key(*name) && **name != HEAD;
    if let Some(name) = shares.iter().flat_map(|share| share.vector.parts.keys()).find(absent) {
        let what =
            format!("`{name}` has no place in this model's checkpoint, so it cannot be merged");
        let hint = "apply the vector while the model runs instead";
        return Err(Problem::new(what).at(&base.path).hint(hint).into());
    }
    let head_apart = |share: &Share| share.strength != 0.0 && share.vector.parts.contains_key(HEAD);
    let untied = !base.tensors.contains_key(HEAD) && shares.iter().any(head_apart);
    let weights: Vec<&Path> = base.weight_files().collect();
    copy_others(&base.path, folder, &weights, untied)?;
    let mut report = MergeReport::default();
    let mut done = 0;
    for (index, path) in weights.iter().enumerate() {
        let name = path.file_name().context("a weight file without a name")?;
        let with_head = untied && index + 1 == weights.len();
        let shard = Shard { base, shares, path, with_head };
        shard.write(&folder.join(name), &mut done, watch, &mut report)?;
    }
    if untied && weights.len() > 1 {
        let shard = weights[weights.len() - 1].file_name().unwrap_or_default().to_string_lossy();
        name_head_in_index(folder, &shard)?;
    }
    Ok(report)
}
