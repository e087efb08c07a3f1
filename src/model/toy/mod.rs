//! A deterministic model in a few lines, for tests of everything above `Runner`: it says a fixed
//! sentence with believable alternatives, and a gate can hold it between passes.

mod language;
mod loader;
mod runner;

pub use language::{ASSISTANT, BEGIN, END, SYSTEM, ToyVocabulary, USER, toy_language};
pub use loader::ToyLoader;
pub use runner::{SENTENCE, ToyOptions, ToyRunner};
