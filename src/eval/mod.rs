//! Measurements of the models that ship: what their READMEs say is what these print.

pub mod arguments;
pub mod calibrate;
pub mod guidance;
pub mod levels;
pub mod load;
pub mod neutral;
pub mod perplexity;
pub mod replies;
pub mod report;
pub mod reward;
pub mod spearman;
pub mod starter;
pub mod store;
pub mod trigram;
pub mod vectors;
pub mod wellformed;

pub use arguments::StarterArgs;
pub use calibrate::{CalibrateArgs, run as calibrate};
pub use guidance::{GuidanceArgs, run as guidance};
pub use reward::{RewardArgs, run as reward};
pub use starter::run as starter;
pub use store::{StoreArgs, run as store};
pub use vectors::{VectorsArgs, run as vectors};
