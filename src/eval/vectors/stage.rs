//! Other weights than the base's: the checkpoint that base and vector make at strength 1, and a
//! further fine-tuned stage of the base, made here where there is none.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::bench::{Bench, LENGTH};
use crate::eval::levels::{self, Rates};
use crate::eval::load::load;
use crate::learn::preference;
use crate::model::checkpoint::Checkpoint;
use crate::model::vector::merge::{Share, merge};
use crate::platform::Problem;

/// The checkpoint that base and vector make at strength 1, in a folder of its own that goes with
/// the value.
pub struct Merged {
    outer: PathBuf,
    /// The Hugging Face folder.
    pub folder: PathBuf,
}

impl Merged {
    /// Merges.
    ///
    /// # Errors
    /// When something cannot be read or written.
    pub fn new(base: &Path, vector: &Path) -> Result<Self> {
        let name = vector.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let outer =
            std::env::temp_dir().join(format!("tiller-merged-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&outer)
            .with_context(|| Problem::new("cannot make this folder").at(&outer))?;
        let merged = Self { folder: outer.join("model"), outer };
        let checkpoint = Checkpoint::open(base)?;
        let share = Share::open(vector, 1.0, &checkpoint, false)?;
        merge(&checkpoint, &[share], &merged.folder, &mut |_, _| true)?;
        Ok(merged)
    }
}

impl Drop for Merged {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.outer).ok();
    }
}

/// Rates of a domain's questions under the weights of a folder.
///
/// # Errors
/// When the folder cannot be loaded or a pass fails.
pub fn plain_rates(bench: &Bench, folder: &Path, domain: usize) -> Result<Rates> {
    let mut model = load(folder)?;
    let scores = levels::scores(model.runner.as_mut(), &bench.questions[domain])?;
    Ok(Rates::of(&scores, LENGTH))
}

/// Trains all of the base's weights on pairs and writes what comes of it as a folder of its own: a
/// further fine-tuned stage, made as people make one.
///
/// # Errors
/// When the pairs cannot be trained on, or the folder cannot be written.
pub fn make(base: &Path, pairs: &Path, most: usize, folder: &Path) -> Result<()> {
    let mut name = folder.file_name().unwrap_or_default().to_os_string();
    name.push("-difference.safetensors");
    let difference = folder.with_file_name(name);
    let args = preference::VectorArgs {
        full: true,
        most: Some(most),
        // Far enough from the base to be another model, and the language held up meanwhile.
        learning_rate: Some(2e-4),
        nll_weight: 1.0,
        batch: 16,
        checked: 40,
        ..preference::VectorArgs::new(base.into(), vec![pairs.into()], difference.clone())
    };
    preference::run(&args, || false, |_| {})?;
    let checkpoint = Checkpoint::open(base)?;
    let share = Share::open(&difference, 1.0, &checkpoint, false)?;
    merge(&checkpoint, &[share], folder, &mut |_, _| true)?;
    std::fs::remove_file(&difference)
        .with_context(|| Problem::new("cannot be removed").at(&difference))
}
