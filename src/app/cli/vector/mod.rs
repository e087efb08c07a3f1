//! `tiller vector`: making, measuring, reading and merging alignment vectors in the terminal.

mod bake;
mod combine;
mod extract;
mod import;
mod info;
mod merge;
mod progress;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};

use super::output::put_line;
use crate::eval;
use crate::learn::base::export::Precision;

/// What can be done with vectors.
#[derive(Debug, Subcommand)]
pub enum VectorVerb {
    /// Make a vector out of two checkpoints: aligned weights minus base weights.
    Extract(extract::ExtractArgs),
    /// Make a vector's file out of a PEFT LoRA folder.
    Import(import::ImportArgs),
    /// Say what a vector is: its facts, and rank and norm of every part.
    Info(info::InfoArgs),
    /// Write a new model with vectors merged into its weights.
    Merge(merge::MergeArgs),
    /// Measure what a vector does at every strength, and store it in its file.
    Calibrate(eval::CalibrateArgs),
    /// Take out of a vector what it has in common with another one.
    Orthogonalise(combine::OrthogonaliseArgs),
    /// Split vectors into the component they share and what each has beyond it.
    Share(combine::ShareArgs),
    /// Put vectors into one: the largest values, signs elected, those that agree averaged (TIES).
    Ties(bake::TiesArgs),
    /// Drop values of a vector at random and scale the rest up (DARE).
    Dare(bake::DareArgs),
}

/// Runs one of them. Files appear whole or not at all, also after Ctrl-C.
pub fn run(verb: &VectorVerb) -> Result<()> {
    match verb {
        VectorVerb::Calibrate(args) => calibrate(args),
        VectorVerb::Extract(args) => extract::run(args),
        VectorVerb::Import(args) => import::run(args),
        VectorVerb::Info(args) => info::run(args),
        VectorVerb::Merge(args) => merge::run(args),
        VectorVerb::Orthogonalise(args) => combine::orthogonalise(args),
        VectorVerb::Share(args) => combine::share(args),
        VectorVerb::Ties(args) => bake::ties(args),
        VectorVerb::Dare(args) => bake::dare(args),
    }
}

fn calibrate(args: &eval::CalibrateArgs) -> Result<()> {
    let mut failed = None;
    eval::calibrate(args, |line| failed = put_line(line).err().or(failed.take()))?;
    failed.map_or(Ok(()), Err)
}

/// Where a vector is written, and how.
#[derive(Debug, Clone, Args)]
struct OutArgs {
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// What the vector is called; without it the file's name.
    #[arg(long)]
    name: Option<String>,
    /// The domain it turns: medical, legal, …
    #[arg(long, default_value = "")]
    domain: String,
    /// The type of its numbers; a difference kept whole in f32 is exact.
    #[arg(long, value_enum, default_value_t = Precision::F32)]
    precision: Precision,
}

impl OutArgs {
    fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| {
            self.out.file_stem().unwrap_or_default().to_string_lossy().into_owned()
        })
    }
}
