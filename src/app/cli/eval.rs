//! `tiller eval`: the figures that the models' READMEs record, printed anew.

use anyhow::Result;
use clap::Subcommand;

use super::output::put_line;
use crate::eval;
use crate::platform::{Cancelled, interrupt};

/// What can be measured.
#[derive(Debug, Subcommand)]
pub enum EvalVerb {
    /// Measure the starter models: perplexity against a trigram model, well-formed answers, samples.
    Starter(eval::StarterArgs),
    /// Measure three domain vectors on their base: rates per level, leaks, combinations, costs.
    Vectors(eval::VectorsArgs),
    /// Measure a reward adapter against a reward model of its own: pairs, replies, space and time.
    Reward(Box<eval::RewardArgs>),
    /// Measure datastores: exact answers, text they say nothing about, multiple choice.
    Store(eval::StoreArgs),
    /// Measure guidance: the methods of the switchboard on held-out prompts, by a judge of its own.
    Guidance(Box<eval::GuidanceArgs>),
}

/// Measures one of them.
pub fn run(verb: &EvalVerb) -> Result<()> {
    let mut failed = None;
    let tell = |line: &str| failed = put_line(line).err().or(failed.take());
    match verb {
        EvalVerb::Starter(args) => eval::starter(args, tell)?,
        EvalVerb::Vectors(args) => eval::vectors(args, tell)?,
        EvalVerb::Reward(args) => {
            interrupt::watch();
            match eval::reward(args, interrupt::pressed, tell) {
                Err(error) if error.is::<Cancelled>() => {
                    put_line("stopped; the same command goes on where it was kept with --learn")?;
                }
                outcome => outcome?,
            }
        }
        EvalVerb::Store(args) => eval::store(args, tell)?,
        EvalVerb::Guidance(args) => eval::guidance(args, tell)?,
    }
    failed.map_or(Ok(()), Err)
}
