//! The window through its accessibility tree, as a person with a screen reader meets it.

mod adapters;
mod conversations;
mod guidance;
mod look;
mod models;
mod place;
mod replies;
mod reward;
mod stage;
mod steering;
mod stores;
mod vectors;
