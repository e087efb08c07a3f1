//! Datastores: final hidden states of a person's texts as keys, the token that came next as value,
//! searched at every token (reference trustable decoding, arXiv 2409.20181, sections 2 and 3).
//!
//! A store is a folder: `store.json` (what it was made with, calibration, the list of sources with
//! their state) and one safetensors file per source under `sources/`, so that adding, changing or
//! removing a file touches that file alone and a kill leaves every finished one.

pub mod approximate;
mod around;
pub mod build;
pub mod calibration;
pub mod choosing;
pub mod distance;
pub mod distribution;
mod facts;
mod manifest;
mod open;
mod probes;
pub mod resident;
pub mod search;
mod segment;
#[cfg(test)]
mod tests;

pub use around::{Around, around};
pub use calibration::{Calibration, Chosen, Quantiles};
pub use distribution::Reference;
pub use facts::StoreFacts;
pub use manifest::{Manifest, Source, SourceState};
pub use open::{Datastore, Passage};
pub use search::Neighbour;
