//! `eval guidance`: the methods of the switchboard against each other on held-out prompts (the
//! order of IVG, arXiv 2409.17819; spec section 9), judged by what neither guide nor scorer was
//! fitted to.

mod arguments;
mod bench;
mod crew;
mod interval;
mod judge;
mod kept;
mod lexicon;
mod report;
mod run;
mod system;
mod task;

pub use arguments::GuidanceArgs;
pub use run::run;
