//! The plan: everything the person can dial for a reply.

pub mod datastore;
pub mod guidance;
pub mod levels;
pub mod mixture;
pub mod plan;
pub mod reward;
pub mod stores;
pub mod vectors;

pub use guidance::{GuidancePlan, GuidePair, ScorerChoice, SearchPlan};
pub use mixture::MixtureSetting;
pub use plan::{Plan, Sampling};
pub use reward::RewardSetting;
pub use stores::{FIRST_LAMBDA, StoreSetting};
pub use vectors::{KvPolicy, VectorSetting};
