//! Measurements of the models that ship: what their READMEs say is what these print.

pub mod arguments;
pub mod perplexity;
pub mod replies;
pub mod report;
pub mod starter;
pub mod trigram;
pub mod wellformed;

pub use arguments::StarterArgs;
pub use starter::run as starter;
