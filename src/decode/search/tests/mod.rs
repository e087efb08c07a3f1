//! The invariants of the specification (section 12) over models that are tables.

mod exhaustive;
mod finishing;
mod reductions;
pub mod stage;
pub mod table;
mod tree;
