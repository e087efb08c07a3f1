//! `tiller vector`: making, measuring and using alignment vectors in the terminal.

use anyhow::Result;
use clap::Subcommand;

use super::output::put_line;
use crate::eval;

/// What can be done with vectors.
#[derive(Debug, Subcommand)]
pub enum VectorVerb {
    /// Measure what a vector does at every strength, and store it in its file.
    Calibrate(eval::CalibrateArgs),
}

/// Does one of them.
pub fn run(verb: &VectorVerb) -> Result<()> {
    let mut failed = None;
    let tell = |line: &str| failed = put_line(line).err().or(failed.take());
    match verb {
        VectorVerb::Calibrate(args) => eval::calibrate(args, tell)?,
    }
    failed.map_or(Ok(()), Err)
}
