//! Conversations going out and coming in: complete as JSON, readable as Markdown.

mod json;
mod markdown;

pub use json::{json, parse_json, read_json};
pub use markdown::markdown;
