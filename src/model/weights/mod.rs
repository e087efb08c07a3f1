//! The forms weights are stored and held in, and how a form in memory is chosen.

mod choice;
mod form;
mod stored;

pub use choice::{Choice, Matrix, choose, choose_for};
pub use form::WeightForm;
pub use stored::StoredType;
