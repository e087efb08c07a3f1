//! What `learn base` is told.

use std::path::PathBuf;

use anyhow::{Result, bail};
use candle_core::Device;

use super::export::Precision;
use super::schedule::Length;
use crate::learn::network::NetworkShape;
use crate::platform::Problem;

/// Train a small language model from scratch and write it as a Hugging Face folder.
#[derive(Debug, Clone, clap::Args)]
pub struct BaseArgs {
    /// Training text: `.txt`, or `.jsonl` with {"messages": [{"role", "content"}]} or {"text"} lines.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub text: Vec<PathBuf>,
    /// Text the model never trains on, for the perplexity at the end; without it every fiftieth
    /// document is held out.
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub held_out: Vec<PathBuf>,
    /// The folder to write.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Width of the hidden state.
    #[arg(long, default_value_t = 192)]
    pub hidden: usize,
    #[arg(long, default_value_t = 4)]
    pub layers: usize,
    /// Attention heads.
    #[arg(long, default_value_t = 6)]
    pub heads: usize,
    /// Key and value heads; as many as heads when left out.
    #[arg(long)]
    pub key_heads: Option<usize>,
    /// Width of the feed-forward layers.
    #[arg(long, default_value_t = 512)]
    pub ffn: usize,
    /// Tokens in the vocabulary.
    #[arg(long, default_value_t = 4096)]
    pub vocab: usize,
    /// Take the tokenizer of this model folder instead of training one: a sibling model.
    #[arg(long, value_name = "DIR", conflicts_with = "vocab")]
    pub tokenizer: Option<PathBuf>,
    /// Positions the finished model takes.
    #[arg(long, default_value_t = 512)]
    pub context: usize,
    /// Steps to train.
    #[arg(long, conflicts_with = "minutes")]
    pub steps: Option<u64>,
    /// Minutes to train, instead of steps.
    #[arg(long)]
    pub minutes: Option<f64>,
    /// Sequences in a step.
    #[arg(long, default_value_t = 8)]
    pub batch: usize,
    /// Tokens in a sequence.
    #[arg(long, default_value_t = 256)]
    pub sequence: usize,
    /// Learning rate at its peak.
    #[arg(long, default_value_t = 2e-3)]
    pub learning_rate: f64,
    /// Share of the conversations of which the user's turns are learnt, too; of the others only
    /// what the assistant says.
    #[arg(long, default_value_t = 1.0)]
    pub prompt_share: f64,
    /// Everything random follows from it.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Take up the run this folder holds, where it was left.
    #[arg(long)]
    pub resume: bool,
    /// Parts of a batch computed side by side, one thread each; with 1, all threads work on the
    /// whole batch together. Better than 1 on a busy computer.
    #[arg(long, default_value_t = 1)]
    pub workers: usize,
    /// Seconds between two saves.
    #[arg(long, default_value_t = 60)]
    pub save_every: u64,
    /// `cpu`, `cuda` or `cuda:1`.
    #[arg(long, default_value = "cpu")]
    pub device: String,
    /// How the weights are written at the end.
    #[arg(long, value_enum, default_value_t)]
    pub precision: Precision,
}

impl BaseArgs {
    /// The defaults with the one thing that has none.
    pub fn new(text: Vec<PathBuf>, out: PathBuf) -> Self {
        Self {
            text,
            held_out: Vec::new(),
            out,
            hidden: 192,
            layers: 4,
            heads: 6,
            key_heads: None,
            ffn: 512,
            vocab: 4096,
            tokenizer: None,
            context: 512,
            steps: None,
            minutes: None,
            batch: 8,
            sequence: 256,
            learning_rate: 2e-3,
            prompt_share: 1.0,
            seed: 1,
            resume: false,
            workers: 1,
            save_every: 60,
            device: "cpu".to_owned(),
            precision: Precision::F16,
        }
    }

    /// The network's sizes, with the vocabulary the tokenizer really has.
    pub fn shape(&self, vocab_size: usize) -> NetworkShape {
        NetworkShape {
            vocab_size,
            hidden_size: self.hidden,
            layers: self.layers,
            heads: self.heads,
            key_heads: self.key_heads.unwrap_or(self.heads),
            intermediate_size: self.ffn,
            context_length: self.context,
            rope_theta: 10_000.0,
            norm_epsilon: 1e-5,
            head_size: None,
            own_head: false,
            rotary: None,
        }
    }

    /// How long to train: 2,000 steps when nothing is said.
    pub fn length(&self) -> Length {
        match (self.steps, self.minutes) {
            (Some(steps), _) => Length::Steps(steps),
            (None, Some(minutes)) => Length::Minutes(minutes),
            (None, None) => Length::Steps(2000),
        }
    }

    /// # Errors
    /// When the numbers cannot be trained with.
    pub fn check(&self) -> Result<()> {
        if self.heads == 0 || self.key_heads == Some(0) {
            bail!(Problem::new("a model needs at least one head"));
        }
        if self.batch == 0 || self.sequence < 2 || self.sequence > self.context {
            bail!(
                Problem::new(format!(
                    "batch {} and sequence {} do not go with a context of {}",
                    self.batch, self.sequence, self.context
                ))
                .hint("take at least one sequence, of 2 tokens up to the context")
            );
        }
        if !(self.learning_rate > 0.0 && self.learning_rate < 1.0) {
            bail!(Problem::new("the learning rate lies between 0 and 1"));
        }
        if !(0.0..=1.0).contains(&self.prompt_share) {
            bail!(Problem::new("the share of prompts lies between 0 and 1"));
        }
        // The vocabulary is known later; any number above 0 serves for the other checks.
        self.shape(self.vocab.max(1)).check()
    }

    /// # Errors
    /// When this build or computer has no such device.
    pub fn device(&self) -> Result<Device> {
        super::device(&self.device)
    }
}
