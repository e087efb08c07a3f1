//! What `eval guidance` is told.

use std::path::PathBuf;

use anyhow::Result;

use super::system::System;
use super::task::TaskName;
use crate::platform::Problem;

/// Measure guidance: the methods of the switchboard on held-out prompts, by a judge that neither
/// guide nor scorer was fitted to.
#[derive(Debug, Clone, clap::Args)]
pub struct GuidanceArgs {
    /// What replies are steered towards.
    #[arg(long, value_enum, default_value_t)]
    pub task: TaskName,
    /// The base model.
    #[arg(long, value_name = "PATH", default_value = "models/starter")]
    pub base: PathBuf,
    /// The untuned guide.
    #[arg(long, value_name = "PATH", default_value = "models/starter/guide")]
    pub guide: PathBuf,
    /// The vector that tunes it; without it `vectors/TASK.safetensors` in the guide's folder.
    #[arg(long, value_name = "FILE")]
    pub vector: Option<PathBuf>,
    /// What ranks: a prefix scorer, a reward adapter of the base, or a reward model; without it
    /// `scorers/TASK.safetensors` in the base's folder.
    #[arg(long, value_name = "PATH")]
    pub scorer: Option<PathBuf>,
    /// The folder with the topics, as TOML files.
    #[arg(long, value_name = "DIR", default_value = "models/starter/source")]
    pub source: PathBuf,
    /// Held-out prompts to answer.
    #[arg(long, default_value_t = 200)]
    pub prompts: usize,
    /// Replies of each system to each prompt, each under a seed of its own.
    #[arg(long, default_value_t = 3)]
    pub seeds: u64,
    /// The systems, in this order; all when left out.
    #[arg(long, value_enum, num_args = 1.., value_name = "SYSTEM")]
    pub systems: Vec<System>,
    /// Strength of the pair where it acts on tokens.
    #[arg(long, default_value_t = 1.0)]
    pub beta: f32,
    /// W: candidates kept.
    #[arg(long, default_value_t = 4)]
    pub beam_width: usize,
    /// K: continuations of each.
    #[arg(long, default_value_t = 4)]
    pub successors: usize,
    /// L: tokens between two rankings.
    #[arg(long, default_value_t = 5)]
    pub chunk_length: usize,
    /// Give a finished text one place among the candidates rather than K.
    #[arg(long)]
    pub skip_finished: bool,
    /// Candidates of each step of ARGS.
    #[arg(long, default_value_t = 10)]
    pub args_candidates: usize,
    /// Weight of a reward in ARGS.
    #[arg(long, default_value_t = 1.5)]
    pub args_weight: f32,
    /// Begin every reply with so many words of an answer to its topic, of either kind: a reply that
    /// has begun badly shows what guides add to a search. 0 begins with nothing.
    #[arg(long, value_name = "WORDS", default_value_t = 0)]
    pub opening: usize,
    /// Longest reply.
    #[arg(long, default_value_t = 64)]
    pub tokens: usize,
    /// Softness of the draw; top-k and top-p are off.
    #[arg(long, default_value_t = 0.7)]
    pub temperature: f32,
    /// Keep every reply in this file as it is made, as JSON lines, and take up what it holds.
    #[arg(long, value_name = "FILE")]
    pub replies: Option<PathBuf>,
    /// Replies made at once, each by models of its own. With one thread each
    /// (`RAYON_NUM_THREADS=1`) this is the fastest for small models; seconds are then those of a
    /// computer that has other things to do.
    #[arg(long, default_value_t = 1)]
    pub workers: usize,
    /// Print the replies to this many prompts.
    #[arg(long, default_value_t = 0)]
    pub samples: usize,
    /// Everything random follows from it.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

impl GuidanceArgs {
    /// The vector that tunes the guide.
    pub fn vector(&self) -> PathBuf {
        let beside = || self.guide.join("vectors").join(self.task.file());
        self.vector.clone().unwrap_or_else(beside)
    }

    /// The prefix scorer.
    pub fn scorer(&self) -> PathBuf {
        let beside = || self.base.join("scorers").join(self.task.file());
        self.scorer.clone().unwrap_or_else(beside)
    }

    /// The seeds of a prompt's replies.
    pub fn seeds(&self) -> std::ops::Range<u64> {
        self.seed..self.seed + self.seeds
    }

    /// The systems to measure.
    pub fn systems(&self) -> Vec<System> {
        if self.systems.is_empty() { System::ALL.to_vec() } else { self.systems.clone() }
    }

    /// # Errors
    /// When a number measures nothing.
    pub fn check(&self) -> Result<()> {
        for (name, number) in [
            ("--prompts", self.prompts as u64),
            ("--seeds", self.seeds),
            ("--workers", self.workers as u64),
        ] {
            if number == 0 {
                return Err(Problem::new(format!("{name} is 0")).hint("give at least 1").into());
            }
        }
        Ok(())
    }
}
