//! The same vectors on other weights: the merged checkpoint at strength 1, and a further
//! fine-tuned stage of the base.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::arguments::VectorsArgs;
use super::bench::{Bench, DOMAINS, LENGTH, alone};
use crate::eval::levels::{self, Rates};
use crate::eval::load::{load, open_all};
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

/// Per domain, the rates on the stage at strengths 0 and 1 of its own vector.
///
/// # Errors
/// When the stage cannot be loaded or a vector does not fit it.
pub fn transfer(bench: &Bench, args: &VectorsArgs, stage: &Path) -> Result<[[Rates; 2]; 3]> {
    let files: Vec<PathBuf> =
        DOMAINS.iter().map(|domain| args.vectors.join(format!("{domain}.safetensors"))).collect();
    let mut model = load(stage)?;
    model.runner.attach(&open_all(&files, stage, true)?)?;
    let mut all = [[Rates::default(); 2]; 3];
    for (domain, rates) in all.iter_mut().enumerate() {
        for (strength, rates) in [0.0, 1.0].into_iter().zip(rates) {
            model.runner.set_strengths(&alone(domain, strength).map(|s| s as f32))?;
            let scores = levels::scores(model.runner.as_mut(), &bench.questions[domain])?;
            *rates = Rates::of(&scores, LENGTH);
        }
    }
    Ok(all)
}
