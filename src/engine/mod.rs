//! The worker thread that owns the model: requests in, events out. Nothing of the window is known here or below.

mod aside;
mod building;
mod clock;
pub mod event;
mod guided;
pub mod guides;
pub mod handle;
mod job;
pub mod judging;
pub mod making;
mod mixing;
pub mod pair;
pub mod prompt;
mod reply;
pub mod request;
pub mod reward;
mod shared;
pub mod stores;
pub mod vectors;
mod worker;

pub use event::{Event, Outcome, Recipe, ReplyTimings, SearchTree, StopReason};
pub use guides::RecipeGuide;
pub use handle::{Engine, EngineHandle};
pub use pair::{AlignedFacts, RecipeAligned};
pub use request::{Opening, Prompt, ReplyRequest, Request, Turn};
pub use reward::RecipeReward;
pub use stores::RecipeStore;
pub use vectors::{RecipeVector, VectorFacts};
