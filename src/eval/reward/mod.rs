//! `eval reward`: the table of the Otter paper (arXiv 2408.10764) on held-out prompts: pair
//! accuracy against a reward model of its own, decoding by either, and what each costs.

pub mod accuracy;
pub mod arguments;
mod bench;
pub mod cost;
pub mod decoding;
mod kept;
mod learned;
pub mod realistic;
mod report;
mod run;

pub use arguments::RewardArgs;
pub use run::run;
