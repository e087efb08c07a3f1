//! One reply: token rules, sampler, stop rules and the trace of every decision.
//!
//! Pure functions and values over the small traits of `model`; no threads, no files, no clock.

#[cfg(test)]
mod choosing_tests;
pub mod detox;
pub mod divergence;
pub mod draw;
pub mod follower;
pub mod guide;
pub mod mix;
pub mod mixture;
pub mod observe;
pub mod passes;
pub mod penalties;
pub mod ranking;
pub mod references;
pub mod reply;
pub mod rules;
pub mod sampler;
pub mod search;
pub mod stop;

pub use divergence::Meter;
pub use mix::{Knobs, Mix, MixChange};
pub use mixture::Mixture;
pub use passes::Passes;
pub use references::{References, StoreInPlay};
pub use reply::{Drafting, Progress, Reply, ReplyStart};
pub use rules::{Position, TokenRule};
