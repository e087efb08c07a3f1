//! Tiller: steer a local language model while it speaks.
//!
//! One package, one library, one binary. The rooms below only look down: a room may use the rooms
//! listed under it, never one above it (ARCHITECTURE.md has the map and the invariants).

pub mod app;
pub mod ui;

pub mod engine;

pub mod eval;

pub mod decode;
pub mod steer;

pub mod learn;
pub mod model;

pub mod documents;
pub mod session;

pub mod platform;
