//! Chunk-level beam search (IVG, arXiv 2409.17819; spec section 5): W beginnings of a reply are
//! kept, each is continued K times, and every L tokens a scorer ranks them all.
//!
//! One switchboard (spec section 6): one row is plain sampling, L = 0 is best of N, guides without
//! a scorer are emulated fine-tuning, a scorer without guides is chunk-level beam search, and both
//! together are IVG.

mod boundary;
pub mod cost;
mod draw;
mod machine;
mod places;
mod recompute;
mod scorer;
mod slot;

#[cfg(test)]
pub(crate) mod tests;

pub use boundary::{Boundary, Branch};
pub use cost::Cost;
pub use machine::{Search, SearchProgress};
pub use places::{best, places};
pub use scorer::{ChunkScorer, Constant, Explicit, LogRatio};
