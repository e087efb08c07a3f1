//! Training on candle: a small language model from scratch, with fused operations of our own.

pub mod base;
pub mod network;
pub mod ops;
pub mod random;
pub mod text;
