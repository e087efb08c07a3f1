//! `eval vectors`: what three domain vectors do to one base, in the tables of the alignment-vector
//! paper (arXiv 2410.19206), and which of the acceptance bars hold.

pub mod arguments;
pub mod bars;
mod bench;
mod combinations;
mod cost;
mod report;
mod run;
pub mod search;
mod stage;
mod surrogate;
mod transfer;

pub use arguments::{Table, VectorsArgs};
pub use run::run;
