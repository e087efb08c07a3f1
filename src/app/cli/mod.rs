//! The command line: without a verb the window, with one a headless verb over the same engine.
//!
//! Exit codes: 0 done, 2 a wrong command line, 1 anything else, with one line on standard error
//! that says what happened and what to do.

mod doctor;
mod eval;
mod guide_arguments;
mod inspect;
mod learn;
mod output;
mod probe;
mod reward_arguments;
mod say;
mod store;
mod store_arguments;
mod vector;
mod vector_arguments;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};

use super::window;
use crate::model::LoadOptions;
use crate::model::stores::{self, Environment};
use crate::platform::{Folders, Problem, crash, folders, logs};

/// Steer a local language model while it speaks. Without a command the window opens.
#[derive(Debug, Parser)]
#[command(name = "tiller", version, args_conflicts_with_subcommands = true)]
struct CommandLine {
    /// Open the window on this model: a Hugging Face folder or a GGUF file.
    #[arg(long, value_name = "PATH")]
    model: Option<PathBuf>,
    /// Keep conversations, settings and logs in this folder, and nowhere else.
    #[arg(long, value_name = "FOLDER", global = true)]
    data_dir: Option<PathBuf>,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Answer a prompt in the terminal, streaming.
    Say(Box<say::SayArgs>),
    /// Write a model's logits and hidden states for some tokens to a safetensors file.
    Probe(probe::ProbeArgs),
    /// Say what a model file or folder is, or why it is refused.
    Inspect(inspect::InspectArgs),
    /// Report devices, folders, models found and why others were skipped.
    Doctor,
    /// Train on this computer.
    #[command(subcommand)]
    Learn(learn::LearnVerb),
    /// Measure the models that ship, as their READMEs record it.
    #[command(subcommand)]
    Eval(eval::EvalVerb),
    /// Make, measure and use alignment vectors.
    #[command(subcommand)]
    Vector(vector::VectorVerb),
    /// Build and ask datastores made of your files.
    #[command(subcommand)]
    Store(store::StoreVerb),
}

/// How a model is brought into memory, for every verb that loads one.
#[derive(Debug, Clone, Args)]
struct LoadArgs {
    /// The model: a Hugging Face folder or a GGUF file; without it the one that ships with Tiller.
    #[arg(long, value_name = "PATH")]
    model: Option<PathBuf>,
    /// auto, cpu, cuda, cuda:1 or metal.
    #[arg(long, default_value = "auto")]
    device: String,
    /// The form of the weights in memory: auto, f32, bf16, f16, q8_0 or q4_k.
    #[arg(long, default_value = "auto")]
    weights: String,
    /// Positions of context; without it the model's own, as far as memory allows.
    #[arg(long, value_name = "TOKENS")]
    context: Option<usize>,
}

impl LoadArgs {
    fn path(&self) -> Result<PathBuf> {
        if let Some(path) = &self.model {
            return Ok(path.clone());
        }
        stores::starter(&Environment::of_process()).ok_or_else(|| {
            let hint = "give one with --model, or name its folder in TILLER_STARTER";
            Problem::new("the model that ships with Tiller is not where it should be")
                .hint(hint)
                .into()
        })
    }

    fn options(&self) -> LoadOptions {
        LoadOptions {
            device: self.device.clone(),
            weights: self.weights.clone(),
            context_length: self.context,
        }
    }
}

/// A command line that means nothing, found out after it was parsed: exit code 2.
#[derive(Debug)]
struct Usage(String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Runs what the command line asks for.
pub fn run() -> ExitCode {
    let parsed = match CommandLine::try_parse() {
        Ok(parsed) => parsed,
        Err(error) => return refuse(&error),
    };
    if let Some(folder) = &parsed.data_dir {
        folders::keep_all_in(folder);
    }
    if let Ok(folders) = Folders::find(None) {
        crash::report_into(&folders.logs);
    }
    if parsed.verb.is_some() {
        logs::start(None);
    }
    let outcome = match parsed.verb {
        None => return open_window(parsed.model),
        Some(Verb::Say(args)) => say::run(*args),
        Some(Verb::Probe(args)) => probe::run(&args),
        Some(Verb::Inspect(args)) => inspect::run(&args),
        Some(Verb::Doctor) => doctor::run(),
        Some(Verb::Learn(verb)) => learn::run(verb),
        Some(Verb::Eval(verb)) => eval::run(&verb),
        Some(Verb::Vector(verb)) => vector::run(&verb),
        Some(Verb::Store(verb)) => store::run(&verb),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has had enough of it: `tiller say … | head`.
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tiller: {}", one_line(&format!("{error:#}")));
            ExitCode::from(if error.is::<Usage>() { 2 } else { 1 })
        }
    }
}

/// Help and version go out as clap has them; a wrong command line is one line and exit code 2.
fn refuse(error: &clap::Error) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        error.print().ok();
        return ExitCode::SUCCESS;
    }
    let text = error.to_string();
    let first: Vec<&str> =
        text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    let said = first.join(" ");
    let said = said.strip_prefix("error: ").unwrap_or(&said);
    eprintln!("tiller: {said}; `tiller --help` lists what can be asked");
    ExitCode::from(2)
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

fn open_window(model: Option<PathBuf>) -> ExitCode {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let needs_display = cfg!(all(unix, not(target_os = "macos")));
    if needs_display && !set("DISPLAY") && !set("WAYLAND_DISPLAY") {
        eprintln!(
            "tiller: there is no display to open a window on (neither DISPLAY nor \
             WAYLAND_DISPLAY is set); `tiller say` talks in the terminal"
        );
        return ExitCode::FAILURE;
    }
    window::run(model)
}
