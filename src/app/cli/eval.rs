//! `tiller eval`: the figures that the models' READMEs record, printed anew.

use anyhow::Result;
use clap::Subcommand;

use super::output::put_line;
use crate::eval;

/// What can be measured.
#[derive(Debug, Subcommand)]
pub enum EvalVerb {
    /// Measure the starter models: perplexity against a trigram model, well-formed answers, samples.
    Starter(eval::StarterArgs),
}

/// Measures one of them.
pub fn run(verb: &EvalVerb) -> Result<()> {
    match verb {
        EvalVerb::Starter(args) => {
            let mut failed = None;
            eval::starter(args, |line| failed = put_line(line).err().or(failed.take()))?;
            failed.map_or(Ok(()), Err)
        }
    }
}
