//! Checkpoints, configs, tokenizer, chat template, decoder, linear layers, KV cache, devices.

pub mod beside;
pub mod chat_template;
pub mod checkpoint;
pub mod decoder;
pub mod device;
pub mod facts;
pub mod judged;
pub mod kind;
pub mod language;
pub mod linear;
pub mod load;
pub mod loaded;
pub mod reward;
pub mod runner;
pub mod scorer;
pub mod stores;
pub mod tokenizer;
#[doc(hidden)]
pub mod toy;
pub mod value;
pub mod vector;
pub mod weights;

pub use facts::{
    FoundModel, GenerationDefaults, GuideFiles, LoadOptions, ModelFacts, RewardMemory, SkippedModel,
};
pub use kind::FileKind;
pub use language::{Language, Template, TextStream, Vocabulary};
pub use loaded::{DoesNotFit, Loader, Model, Progress, ScorerFile};
pub use runner::{Runner, StepOutput, Wanted};
