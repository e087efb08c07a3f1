//! `tiller learn value`: the head of a prefix scorer, from texts with final rewards.
//!
//! The trunk is any model Tiller can load, of any size, and is left as it is; the head is the exact
//! minimiser of the squared error at every prefix (FUDGE form, CD-FUDGE's loss; IVG spec section
//! 4.2), a ridge regression on the final hidden states. Nothing is drawn at random.

mod arguments;
mod lessons;
mod ridge;
mod run;
#[cfg(test)]
mod tests;

pub use arguments::{ValueArgs, Weighting};
pub use lessons::Lesson;
pub use ridge::Ridge;
pub use run::{Outcome, run, train};
