//! One test binary for everything that is tested from outside the library: linking once is what
//! keeps the suite quick on two cores.

mod allocations;
mod bad_input;
mod cli;
mod crash;
mod datastores;
mod decoder_load;
mod engine;
mod engine_checkpoint;
mod eval_guidance;
mod gguf;
mod golden;
mod gui;
mod guidance;
mod house;
mod learn;
mod learn_reward;
mod learn_vector;
mod reward;
mod reward_table;
mod session;
mod small_model;
mod templates;
mod tokenizers;
mod transcript;
mod vector_files;
mod vectors;
mod window;
