//! `learn vector`: an alignment vector out of preference pairs, by DPO or IPO against the same
//! base (the reference), with thin factors or all weights.

pub mod arguments;
pub mod base_model;
pub mod batch;
pub mod data;
pub mod encoding;
mod export;
pub mod learner;
pub mod objective;
pub mod pairs;
pub mod reference;
pub mod state;
pub mod trainer;

pub use arguments::VectorArgs;
pub use base_model::BaseModel;
pub use learner::Standing;
pub use objective::Objective;
pub use trainer::{Outcome, run};

#[cfg(test)]
mod tests;
