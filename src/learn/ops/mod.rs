//! Fused operations with their own backward pass, for training on the CPU.
//!
//! Each is a candle custom operation over contiguous f32 tensors; on another device the same
//! function falls back to a composition of candle's own operations. The tests check every backward
//! against finite differences and against that composition.

pub mod adapted;
pub mod attention;
pub mod cross_entropy;
pub mod gate;
pub mod joined;
pub mod linear;
pub mod log_probability;
pub mod norm;
pub mod plain;
mod product;
mod slices;
mod vector;

#[cfg(test)]
pub(crate) mod check;

pub use adapted::{Adapter, adapted_linear};
pub use attention::{AttentionShape, Rotary, causal_attention};
pub use cross_entropy::head_cross_entropy;
pub use gate::swiglu;
pub use joined::joined_linear;
pub use linear::linear;
pub use log_probability::{Answers, head_log_probabilities};
pub use norm::rms_norm;

/// A target that takes no part in the loss.
pub const IGNORED: u32 = u32::MAX;

pub(crate) use slices::with as with_slice;
pub(crate) use vector::{sum_of_squares as squares, wide};
