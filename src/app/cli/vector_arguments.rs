//! `--vector PATH[:STRENGTH]`, for every verb that passes tokens through a model.

use std::path::PathBuf;

use anyhow::{Result, anyhow};
use clap::Args;

use super::Usage;
use crate::steer::{Plan, VectorSetting};

#[derive(Debug, Clone, Args)]
pub struct VectorArgs {
    /// Add an alignment vector (a file, or a PEFT folder) at a strength; 1 unless given. Repeatable.
    #[arg(long = "vector", value_name = "PATH[:STRENGTH]", allow_hyphen_values = true)]
    vectors: Vec<String>,
    /// Take vectors that were made with another base model, as long as their shapes fit.
    #[arg(long)]
    any_base: bool,
}

impl VectorArgs {
    /// The vectors asked for, after those of a plan.
    pub fn add_to(&self, plan: &mut Plan) -> Result<()> {
        plan.vectors.extend(self.vectors.iter().map(|given| {
            let (path, strength) = parted(given, 1.0);
            VectorSetting { path, strength, any_base: self.any_base }
        }));
        plan.check_strengths().map_err(|problem| anyhow!(Usage(problem.to_string())))
    }
}

/// Only a number after the last colon is a strength: a path may hold colons, and a drive has one.
pub fn parted(given: &str, otherwise: f32) -> (PathBuf, f32) {
    let split = given.rsplit_once(':').and_then(|(path, strength)| {
        let number: f32 = strength.parse().ok()?;
        // `C:1` is a file on a drive rather than a drive at strength 1.
        let is_drive = path.len() == 1 && path.starts_with(|c: char| c.is_ascii_alphabetic());
        (!path.is_empty() && !is_drive).then(|| (path.into(), number))
    });
    split.unwrap_or_else(|| (given.into(), otherwise))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_number_at_the_end_is_a_strength() {
        for (given, path, strength) in [
            ("medical.safetensors", "medical.safetensors", 1.0),
            ("medical.safetensors:0.5", "medical.safetensors", 0.5),
            ("folder:-1.25", "folder", -1.25),
            (r"C:\vectors\legal", r"C:\vectors\legal", 1.0),
            (r"C:\vectors\legal:2", r"C:\vectors\legal", 2.0),
            ("C:1", "C:1", 1.0),
            ("a:b", "a:b", 1.0),
            ("a:b:0", "a:b", 0.0),
            ("odd:", "odd:", 1.0),
            (":3", ":3", 1.0),
        ] {
            assert_eq!(parted(given, 1.0), (PathBuf::from(path), strength), "{given}");
        }
    }

    #[test]
    fn a_strength_out_of_range_is_a_wrong_command_line() {
        for given in ["calm:5", "calm:nan", "calm:-inf"] {
            let args = VectorArgs { vectors: vec![given.into()], any_base: false };
            let error = args.add_to(&mut Plan::default()).unwrap_err();
            assert!(error.is::<Usage>(), "{given}");
            assert!(error.to_string().contains("strength"), "{error}");
        }
    }
}
