//! `learn reward`: what an answer is worth, out of preference pairs or ratings, by a narrow stream
//! inserted beside a frozen base (Otter, arXiv 2408.10764), or by a model of its own.

pub mod arguments;
pub mod base;
mod cache;
mod deviation;
pub mod estimate;
pub mod exchange;
mod faults;
pub mod inserted;
pub mod learner;
pub mod objective;
mod own;
pub mod records;
mod run;
pub mod separate;
pub mod signals;
pub mod standing;
pub mod state;
pub mod stream;
pub mod texts;
pub mod told;
pub mod trainer;

pub use arguments::RewardArgs;
pub use estimate::{Estimate, estimate};
pub use run::{beside, run};
pub use standing::Standing;
pub use told::Told;
pub use trainer::Outcome;

#[cfg(test)]
mod tests;
