//! `tiller say`: one reply in the terminal, as text or as JSON lines.

use std::io::{IsTerminal, Read};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use serde_json::to_string;

use super::guide_arguments::GuideArgs;
use super::output::{put, put_line, put_object};
use super::reward_arguments::{RewardArgs, RewardWeightArgs};
use super::store_arguments::StoreArgs;
use super::vector_arguments::VectorArgs;
use super::{LoadArgs, Usage};
use crate::engine::{
    Engine, EngineHandle, Event, Opening, Prompt, ReplyRequest, ReplyTimings, Request, StopReason,
    Turn,
};
use crate::model::ModelFacts;
use crate::platform::{Problem, interrupt};
use crate::session::{Role, TokenReferences, TokenTrace, Weighed};
use crate::steer::Plan;

/// How often Ctrl-C is looked at while the model is silent.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Every `say` draws as the first reply of a conversation: the seed alone tells them apart.
const REPLY: u64 = 1;

#[derive(Debug, Args)]
pub struct SayArgs {
    /// What to say to the model; `-` reads standard input.
    prompt: String,
    #[command(flatten)]
    load: LoadArgs,
    /// A plan in TOML: sampling, stop strings and all else that steers.
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    #[command(flatten)]
    vectors: VectorArgs,
    #[command(flatten)]
    reward: RewardArgs,
    #[command(flatten)]
    weight: RewardWeightArgs,
    #[command(flatten)]
    guides: GuideArgs,
    #[command(flatten)]
    stores: StoreArgs,
    /// The system prompt.
    #[arg(long, conflicts_with = "raw")]
    system: Option<String>,
    /// Seed of every draw.
    #[arg(long)]
    seed: Option<u64>,
    /// Most tokens the reply may have.
    #[arg(long)]
    max_tokens: Option<usize>,
    /// 0 always takes the most probable token.
    #[arg(long)]
    temperature: Option<f32>,
    /// Feed the prompt as it is, without the chat template.
    #[arg(long)]
    raw: bool,
    /// One JSON object per token, one per ranking of a search, and a last one with the recipe, the
    /// stop reason and the timings.
    #[arg(long)]
    json: bool,
}

pub fn run(args: SayArgs) -> Result<()> {
    let text = prompt(&args.prompt)?;
    let given = args.plan.as_deref().map(read_plan).transpose()?;
    // Before a model is loaded for a command line that means nothing.
    args.vectors.add_to(&mut Plan::default())?;
    args.weight.add_to(&args.reward, &mut Plan::default())?;
    args.guides.add_to(&mut given.clone().unwrap_or_default())?;
    args.stores.add_to(&mut Plan::default())?;
    let path = args.load.path()?;
    interrupt::watch();
    let engine = Engine::start(|| {})?;
    let facts = load(&engine, path, &args)?;
    eprintln!("{}", loaded_line(&facts));
    let mut plan = given.unwrap_or_else(|| recommended(&facts));
    args.vectors.add_to(&mut plan)?;
    args.weight.add_to(&args.reward, &mut plan)?;
    args.guides.add_to(&mut plan)?;
    args.stores.add_to(&mut plan)?;
    plan.seed = args.seed.unwrap_or(plan.seed);
    plan.max_tokens = args.max_tokens.or(plan.max_tokens);
    plan.sampling.temperature = args.temperature.unwrap_or(plan.sampling.temperature);

    let prompt = if args.raw { Prompt::Raw(text) } else { chat(args.system.clone(), text) };
    let request = ReplyRequest { id: REPLY, prompt, opening: Opening::None, plan };
    engine.send(Request::Reply(Box::new(request)))?;
    stream(&engine, args.json)
}

fn prompt(given: &str) -> Result<String> {
    if given != "-" {
        return Ok(given.to_owned());
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|error| {
        Problem::new(format!("standard input cannot be read as text: {error}"))
            .hint("give the prompt in UTF-8")
    })?;
    let text = text.trim_end_matches(['\n', '\r']);
    Ok(text.to_owned())
}

fn chat(system: Option<String>, text: String) -> Prompt {
    let system = system.map(|content| Turn { role: Role::System, content });
    let user = Turn { role: Role::User, content: text };
    Prompt::Chat(system.into_iter().chain([user]).collect())
}

pub(super) fn read_plan(path: &std::path::Path) -> Result<Plan> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Problem::new(format!("the plan cannot be read: {error}")).at(path))?;
    toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        let what = format!("the plan is wrong in line {line}: {}", error.message());
        anyhow!(Usage(Problem::new(what).at(path).to_string()))
    })
}

/// The house's plan with the sampling that the model's own files recommend.
fn recommended(facts: &ModelFacts) -> Plan {
    let mut plan = Plan::default();
    if let Some(own) = &facts.recommended {
        let sampling = &mut plan.sampling;
        sampling.temperature = own.temperature.unwrap_or(sampling.temperature);
        sampling.top_k = own.top_k.unwrap_or(sampling.top_k);
        sampling.top_p = own.top_p.unwrap_or(sampling.top_p);
        sampling.min_p = own.min_p.unwrap_or(sampling.min_p);
        sampling.repetition_penalty = own.repetition_penalty.unwrap_or(sampling.repetition_penalty);
    }
    plan
}

fn load(engine: &EngineHandle, path: PathBuf, args: &SayArgs) -> Result<Box<ModelFacts>> {
    engine.send(Request::Load { path, options: args.load.options() })?;
    let show = std::io::stderr().is_terminal();
    loop {
        if interrupt::pressed() {
            engine.cancel_load();
        }
        match engine.wait(LOOK_EVERY)? {
            Some(Event::LoadProgress { bytes_done, bytes_total, .. })
                if show && bytes_total > 0 =>
            {
                eprint!("\rLoading {:3} %\r", bytes_done * 100 / bytes_total);
            }
            Some(Event::Loaded(facts)) => return Ok(facts),
            Some(Event::LoadFailed { cancelled: true, .. }) => {
                return Err(Problem::new("stopped while loading").into());
            }
            Some(Event::LoadFailed { message, .. }) => return Err(anyhow!(message)),
            _ => {}
        }
    }
}

/// `starter: CPU, 2 threads; f16 as stored; …`.
fn loaded_line(facts: &ModelFacts) -> String {
    let mut line = format!("{}: {}; weights {}", facts.name, facts.device, facts.held_as);
    if !facts.device_note.is_empty() {
        line += &format!(" ({})", facts.device_note);
    }
    line
}

fn stream(engine: &EngineHandle, as_json: bool) -> Result<()> {
    // A token's reward comes with the pass behind it: as JSON it waits for that.
    let mut waiting: Option<Box<TokenTrace>> = None;
    let mut rewards = Vec::new();
    let mut references = Vec::new();
    loop {
        if interrupt::pressed() {
            engine.stop();
        }
        match engine.wait(LOOK_EVERY)? {
            Some(Event::Token { trace, .. }) => {
                rewards.extend(trace.reward);
                if !as_json {
                    put(&trace.text)?;
                } else if let Some(whole) = waiting.replace(trace) {
                    put_line(&to_string(&whole)?)?;
                }
            }
            Some(Event::Rewarded { reward, .. }) => {
                rewards.push(reward);
                if let Some(token) = &mut waiting {
                    token.reward = Some(reward);
                }
            }
            Some(Event::Ranked { boundary, .. }) if as_json => {
                put_object(&[("boundary", to_string(&boundary)?)])?;
            }
            Some(Event::Ranked { boundary, .. }) if boundary.without_value > 0 => {
                let (count, all) = (boundary.without_value, boundary.candidates.len());
                eprintln!("{count} of {all} candidates have no value: the scorer gave no number");
            }
            Some(Event::PlanRefused { message, .. }) => eprintln!("tiller: {message}"),
            Some(Event::References { references: told, .. }) => {
                if as_json {
                    put_object(&[("references", to_string(&told)?)])?;
                }
                references.push(*told);
            }
            Some(Event::ReplyDone { reason, timings, recipe, .. }) => {
                if let Some(whole) = waiting.take() {
                    put_line(&to_string(&whole)?)?;
                }
                if as_json {
                    let parts = [to_string(&recipe)?, to_string(&reason)?, to_string(&timings)?];
                    let [recipe, stop, timings] = parts;
                    put_object(&[("recipe", recipe), ("stop", stop), ("timings", timings)])?;
                } else {
                    put_line("")?;
                }
                eprintln!("{}{}", summary(&reason, &timings), worth(&rewards));
                if !references.is_empty() {
                    eprintln!("{}", weighed(&references));
                }
                return Ok(());
            }
            Some(Event::ReplyFailed { message, .. }) => {
                if let Some(whole) = waiting.take() {
                    put_line(&to_string(&whole)?)?;
                }
                if !as_json {
                    put_line("").context("the reply broke off")?;
                }
                return Err(anyhow!(message));
            }
            _ => {}
        }
    }
}

/// The reply's reward at its end and on average, where there was any.
fn worth(rewards: &[f32]) -> String {
    let Some(last) = rewards.last() else { return String::new() };
    let mean = rewards.iter().sum::<f32>() / rewards.len() as f32;
    format!("; reward {last:.3} at the end, {mean:.3} on average")
}

/// How much the stores mattered, also when they did not.
fn weighed(references: &[TokenReferences]) -> String {
    let weighed = Weighed::of(references);
    let mut line = format!(
        "stores: {} of {} tokens moved, share {:.2}, distribution moved by {:.2}",
        weighed.moved, weighed.tokens, weighed.lambda, weighed.mean_moved
    );
    let files: Vec<String> = weighed
        .files
        .iter()
        .take(3)
        .filter_map(|(file, _)| Some(file.file_name()?.to_string_lossy().into_owned()))
        .collect();
    if !files.is_empty() {
        line += &format!("; mostly by {}", files.join(", "));
    }
    line
}

fn summary(reason: &StopReason, timings: &ReplyTimings) -> String {
    let why = match reason {
        StopReason::EndOfText => "the model ended it".to_owned(),
        StopReason::StopString(stop) => format!("stop string {stop:?}"),
        StopReason::MaxTokens => "max-tokens reached".to_owned(),
        StopReason::ContextFull => "the context is full".to_owned(),
        StopReason::Stopped => "stopped".to_owned(),
    };
    let tokens = timings.reply_tokens;
    let rate = match timings.decode_secs > 0.0 && tokens > 1 {
        true => format!(", {:.1} tokens/s", (tokens - 1) as f64 / timings.decode_secs),
        false => String::new(),
    };
    let first = timings.first_token_secs;
    let drafted = match timings.drafting {
        drafting if drafting.is_none() => String::new(),
        drafting => format!(
            "; {} of {} drafts accepted ({:.0} %), {:.2} tokens a pass",
            drafting.accepted,
            drafting.drafted,
            100.0 * drafting.rate(),
            drafting.tokens_per_pass()
        ),
    };
    let rows = match timings.row_forwards {
        0 => String::new(),
        rows => format!(", {rows} row-forwards"),
    };
    format!("{tokens} tokens{rate}{rows}, first after {first:.2} s; {why}{drafted}")
}
