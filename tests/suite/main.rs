//! One test binary for everything that is tested from outside the library: linking once is what
//! keeps the suite quick on two cores.

mod crash;
mod gguf;
mod golden;
mod engine;
mod house;
mod session;
mod templates;
mod tokenizers;
mod transcript;
