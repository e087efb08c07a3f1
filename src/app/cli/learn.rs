//! `tiller learn`: training in the terminal, with a progress line; Ctrl-C saves and stops.

use std::io::{IsTerminal, Write};

use anyhow::Result;
use clap::Subcommand;

use super::output::put_line;
use crate::learn::{base, preference, reward, text, value};
use crate::model::load::Checkpoints;
use crate::model::{LoadOptions, Loader};
use crate::platform::{Cancelled, interrupt};

/// What can be learnt.
#[derive(Debug, Subcommand)]
pub enum LearnVerb {
    /// Train a small language model from scratch and write it as a Hugging Face folder.
    Base(Box<base::BaseArgs>),
    /// Learn an alignment vector from preference pairs.
    Vector(Box<preference::VectorArgs>),
    /// Learn to tell good answers from bad ones: a reward adapter, or a reward model of its own.
    Reward(Box<reward::RewardArgs>),
    /// Learn the head of a prefix scorer from texts with final rewards.
    Value(Box<value::ValueArgs>),
    /// Write conversations to train on, out of a folder of topics.
    Text(text::TextArgs),
}

/// Runs one of them; a run that Ctrl-C ended was saved and is no failure.
pub fn run(verb: LearnVerb) -> Result<()> {
    let outcome = match verb {
        LearnVerb::Base(args) => {
            interrupt::watch();
            base::run(&args, interrupt::pressed, progress_lines()).map(|_| ())
        }
        LearnVerb::Vector(args) => {
            interrupt::watch();
            preference::run(&args, interrupt::pressed, progress_lines()).map(|_| ())
        }
        LearnVerb::Reward(args) => {
            interrupt::watch();
            learn_reward(&args)
        }
        LearnVerb::Value(args) => {
            interrupt::watch();
            args.check()?;
            let goes_on = &mut |_, _| !interrupt::pressed();
            Checkpoints.load(&args.trunk, &LoadOptions::default(), goes_on).and_then(|model| {
                value::run(&args, model, interrupt::pressed, progress_lines()).map(|_| ())
            })
        }
        LearnVerb::Text(args) => text::run(&args, |line| eprintln!("{line}")),
    };
    match outcome {
        Err(error) if error.is::<Cancelled>() => Ok(()),
        outcome => outcome,
    }
}

fn learn_reward(args: &reward::RewardArgs) -> Result<()> {
    if args.estimate {
        return put_line(&reward::estimate(args, interrupt::pressed)?.phrase());
    }
    let mut lines = progress_lines();
    reward::run(args, interrupt::pressed, |told| lines(&told.to_string())).map(|_| ())
}

/// Progress lines replace each other on a terminal; elsewhere one in thirty is kept.
fn progress_lines() -> impl FnMut(&str) {
    let terminal = std::io::stderr().is_terminal();
    let mut open = false;
    let mut seen = 0_u32;
    move |line: &str| {
        let mut out = std::io::stderr().lock();
        let step = ["step ", "reference "].iter().any(|word| line.starts_with(word));
        if step && !terminal {
            seen += 1;
            if seen % 30 == 1 {
                writeln!(out, "{line}").ok();
            }
        } else if step {
            write!(out, "\r\x1b[2K{line}").ok();
            out.flush().ok();
            open = true;
        } else {
            let end = if std::mem::take(&mut open) { "\n" } else { "" };
            writeln!(out, "{end}{line}").ok();
        }
    }
}
