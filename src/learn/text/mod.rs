//! Writing conversations to train on: a hand-written source of topics, and the composition that
//! varies it. The same source and seed give the same text, byte for byte.

mod coined;
mod compose;
mod echo;
mod expert;
pub mod held_out;
pub mod pairs;
pub mod rewards;
mod source;
mod sums;
mod wording;
mod write;

pub use compose::{Composer, Part};
pub use expert::{Domain, Expert, Level, by_name as expert_domains};
pub use held_out::Question;
pub use source::{Source, normal};
pub use write::{TextArgs, run};
