//! `learn base`: a small Llama-shaped language model from scratch, out of plain text or
//! conversations, as an ordinary Hugging Face folder.

pub mod arguments;
pub mod corpus;
mod device;
pub mod evaluate;
pub mod export;
pub mod gradients;
pub mod markup;
pub mod optimizer;
pub mod packing;
pub mod progress;
pub mod schedule;
pub mod state;
pub mod trainer;
pub mod vocabulary;

pub use arguments::BaseArgs;
pub use device::device;
pub use trainer::{Outcome, run, train};

#[cfg(test)]
mod tests;
