//! Guides: models beside the base that reshape every next-token distribution, and that rank
//! candidates (IVG, arXiv 2409.17819; spec sections 3 and 4).
//!
//! Every guide has its own prompt and its own cache, and follows whatever rows it is shown; nobody
//! has to tell it when rows were copied, cut back or dropped.

pub mod agreement;
pub mod candidate;
pub mod follower;
pub mod implicit;
pub mod pair;
pub mod plausibility;
pub mod rule;
pub mod side;
pub mod value;

#[cfg(test)]
pub(crate) mod tests;

pub use agreement::{Parting, shared_vocabulary};
pub use candidate::Candidate;
pub use follower::{Follower, RowForwards};
pub use implicit::{Guides, PairHandle, ValueHandle};
pub use pair::Pair;
pub use rule::GuideRule;
pub use side::{Reading, Side};
pub use value::{Judgement, PrefixScorer};
