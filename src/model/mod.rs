//! Checkpoints, configs, tokenizer, chat template, decoder, linear layers, KV cache, devices.

pub mod runner;

pub use runner::{Runner, StepOutput};
