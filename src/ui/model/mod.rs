//! What the window shows of the model: the card in the right panel, and the dialog that chooses.

mod card;
pub mod facts;
mod picker;

pub use card::{CardView, card_ui};
pub use picker::{PickerState, PickerView, picker_ui};
