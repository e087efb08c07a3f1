//! The plan: everything the person can dial for a reply.

pub mod plan;

pub use plan::{Plan, Sampling};
