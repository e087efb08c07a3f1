//! Training on candle: a small language model from scratch, and alignment vectors from preferences,
//! with fused operations of our own.

pub mod base;
pub mod lines;
pub mod network;
pub mod ops;
pub mod preference;
pub mod reward;
pub mod saved;
pub mod text;
pub mod value;

pub use crate::platform::random;
