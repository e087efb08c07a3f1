//! Checkpoints, configs, tokenizer, chat template, decoder, linear layers, KV cache, devices.

pub mod device;
pub mod facts;
pub mod linear;
pub mod runner;
pub mod weights;

pub use facts::{FoundModel, GenerationDefaults, LoadOptions, ModelFacts, SkippedModel};
pub use runner::{Runner, StepOutput, Wanted};
