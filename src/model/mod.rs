//! Checkpoints, configs, tokenizer, chat template, decoder, linear layers, KV cache, devices.

pub mod facts;
pub mod runner;

pub use facts::{FoundModel, GenerationDefaults, LoadOptions, ModelFacts, SkippedModel};
pub use runner::{Runner, StepOutput, Wanted};
