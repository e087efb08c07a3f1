//! Markdown of our own: parsed by pulldown-cmark into owned blocks, drawn as egui galleys.

pub mod block;
mod code;
pub mod document;
mod draw;
mod highlight;
mod inline;
mod math;
pub mod parse;
mod table;

pub use block::{Block, Inline};
pub use document::Document;
pub use draw::{BlockHeights, blocks_ui, plain_ui};
