//! The decoder: one forward pass for every family, described by data.
//!
//! `spec` says what a model is made of, `names` which tensors that asks for, `load` brings them
//! into memory, `block` is one layer, `cache` holds keys and values, and `run` is the `Runner`
//! everything above speaks to.

mod activation;
mod attention;
mod block;
mod cache;
mod embedding;
mod estimate;
mod families;
mod fields;
mod heads;
mod host;
mod inserted;
mod kernel;
mod lanes;
mod limits;
mod load;
mod names;
mod norm;
mod observe;
mod rope;
mod rows;
mod run;
mod spec;
#[cfg(test)]
mod tests;
mod vectors;

pub use block::Seen;
pub use estimate::MemoryEstimate;
pub use inserted::initialise;
pub(crate) use names::is_known_surplus;
pub use observe::Observed;
pub use rope::{RopeScaling, RopeSpec};
pub use run::Decoder;
pub use spec::{
    Activation, DecoderSpec, Family, LayerSpec, MlpSpec, Naming, NormKind, NormSpec, Positions,
};
