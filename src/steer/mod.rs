//! The plan: everything the person can dial for a reply.

pub mod plan;
pub mod vectors;

pub use plan::{Plan, Sampling};
pub use vectors::{KvPolicy, VectorSetting};
