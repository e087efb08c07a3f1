//! Writing conversations to train on: a hand-written source of topics, and the composition that
//! varies it. The same source and seed give the same text, byte for byte.

mod compose;
mod source;
mod sums;
mod write;

pub use compose::{Composer, Part};
pub use source::Source;
pub use write::{TextArgs, run};
