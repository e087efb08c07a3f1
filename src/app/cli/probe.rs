//! `tiller probe`: the model's numbers for some tokens, for anyone who wants to check them.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use serde_json::json;

use super::reward_arguments::RewardArgs;
use super::say::read_plan;
use super::vector_arguments::VectorArgs;
use super::{LoadArgs, Usage};
use crate::decode::mixture::mix;
use crate::decode::reply::PREFILL_CHUNK;
use crate::engine::pair::load_aligned;
use crate::model::load::Checkpoints;
use crate::model::scorer::Scorer;
use crate::model::{LoadOptions, Loader, Model, Wanted};
use crate::platform::{Problem, interrupt};
use crate::steer::{MixtureSetting, Plan, RewardSetting};

#[derive(Debug, Args)]
#[group(id = "what", required = true, multiple = false, args = ["ids", "text"])]
pub struct ProbeArgs {
    #[command(flatten)]
    load: LoadArgs,
    #[command(flatten)]
    vectors: VectorArgs,
    #[command(flatten)]
    reward: RewardArgs,
    /// A plan in TOML; its vectors, its mixture with an aligned model and its reward adapter count
    /// here. Guides and datastores, which act on a reply, are refused.
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Token ids, separated by commas.
    #[arg(long, value_name = "1,2,3", value_delimiter = ',')]
    ids: Vec<u32>,
    /// Text to tokenize, the beginning-of-text id put in front where the model wants one.
    #[arg(long)]
    text: Option<String>,
    /// The safetensors file to write: `ids` [T] u32, `logits` [T, V] f32, `hidden` [T, d] f32, and
    /// with a reward adapter `reward` [T] f32.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub fn run(args: &ProbeArgs) -> Result<()> {
    interrupt::watch();
    let path = args.load.path()?;
    let mut plan = args.plan.as_deref().map(read_plan).transpose()?.unwrap_or_default();
    args.vectors.add_to(&mut plan)?;
    args.reward.add_to(&mut plan);
    check(&plan, args.plan.as_deref())?;
    let mut model =
        Checkpoints.load(&path, &args.load.options(), &mut |_, _| !interrupt::pressed())?;
    attach(&mut model, &plan)?;
    let ids = match &args.text {
        Some(text) => model.language.encode_plain(text)?,
        None => args.ids.clone(),
    };
    if ids.is_empty() {
        return Err(anyhow!(Usage("there are no tokens to probe; give some text or ids".into())));
    }
    let room = model.runner.context_length();
    if ids.len() > room {
        let what = format!("{} tokens do not fit the context of {room}", ids.len());
        return Err(Problem::new(what).hint("give fewer, or a larger --context").into());
    }
    let mut rewards = Rewards::None;
    if let Some(RewardSetting { path, .. }) = &plan.reward {
        rewards = match path.is_dir() {
            true => Rewards::Separate(scores(path, args, &model, &ids)?),
            false => Rewards::Inserted,
        };
        if let Rewards::Inserted = rewards {
            let adapter = Checkpoints.open_reward(path, &model.facts)?;
            model.runner.insert(Some(&adapter))?;
        }
    }
    let mut aligned = match plan.mixture_in_play() {
        None => None,
        Some(MixtureSetting { aligned, strength }) => {
            let goes_on = &mut |_, _| !interrupt::pressed();
            let options = args.load.options();
            let aligned = load_aligned(aligned, &model, &options, &Checkpoints, goes_on)?;
            Some((aligned, *strength))
        }
    };
    // Beside the target, so that the rename cannot cross file systems.
    let mut name = args.out.file_name().context("--out names no file")?.to_os_string();
    name.push(format!(".{}.new", std::process::id()));
    let temporary = args.out.with_file_name(name);
    let mixed = aligned.as_mut().map(|(aligned, strength)| (aligned, *strength));
    let written = write(&temporary, &mut model, mixed, &ids, rewards)
        .and_then(|()| Ok(std::fs::rename(&temporary, &args.out)?))
        .with_context(|| Problem::new("the numbers cannot be written").at(&args.out));
    if written.is_err() {
        std::fs::remove_file(&temporary).ok();
    }
    written?;
    let with = aligned.map_or_else(String::new, |(aligned, strength)| {
        format!(", logits mixed with {} at {strength}", aligned.facts.name)
    });
    eprintln!("{} tokens through {} on {}{with}", ids.len(), model.facts.name, model.facts.device);
    Ok(())
}

/// What a plan says beyond a model's numbers would be left out in silence.
fn check(plan: &Plan, path: Option<&Path>) -> Result<()> {
    let acts = [
        ("[guidance]", plan.guidance.acts_on_tokens() || plan.guidance.search.is_on()),
        ("[[stores]]", { plan.stores_in_play().next().is_some() }),
    ];
    let Some((part, _)) = acts.iter().find(|(_, acts)| *acts) else { return Ok(()) };
    let problem = Problem::new(format!("{part} acts on a reply, and a probe makes none"))
        .hint("leave it out of the plan, or use `tiller say --json`");
    Err(match path {
        Some(path) => problem.at(path).into(),
        None => problem.into(),
    })
}

/// Where rewards come from.
enum Rewards {
    None,
    /// The adapter in the model.
    Inserted,
    /// A reward model of its own, which has read the tokens already.
    Separate(Vec<f32>),
}

/// A separate reward model's score behind every token.
fn scores(path: &Path, args: &ProbeArgs, model: &Model, ids: &[u32]) -> Result<Vec<f32>> {
    let options = LoadOptions { context_length: Some(ids.len()), ..args.load.options() };
    let mut scorer = Scorer::open(path, &options, &mut |_, _| !interrupt::pressed())?;
    let reads_alike = match &args.text {
        Some(text) => scorer.language.encode_plain(text)? == ids,
        None => scorer.facts.vocab_size == model.facts.vocab_size,
    };
    if !reads_alike {
        let what = "this reward model reads the text in other tokens than the model";
        let hint = "take a reward model of the same tokenizer";
        return Err(Problem::new(what).at(path).hint(hint).into());
    }
    scorer.rewards_along(ids)
}

/// Puts the plan's vectors beside the weights, at their strengths.
fn attach(model: &mut Model, plan: &Plan) -> Result<()> {
    let (mut vectors, mut strengths) = (Vec::new(), Vec::new());
    for setting in plan.vectors_in_play() {
        let vector = Checkpoints.open_vector(&setting.path, &model.facts, setting.any_base)?;
        vectors.push(Arc::new(vector));
        strengths.push(setting.strength);
    }
    model.runner.attach(&vectors)?;
    model.runner.set_strengths(&strengths)
}

/// Logits go to the file as they come: a long text over a large vocabulary need not fit memory.
fn write(
    path: &Path,
    model: &mut Model,
    mut mixed: Option<(&mut Model, f32)>,
    ids: &[u32],
    rewards: Rewards,
) -> Result<()> {
    let runner = model.runner.as_mut();
    let (tokens, vocab, width) = (ids.len(), runner.vocab_size(), runner.hidden_size());
    let ids_end = 4 * tokens;
    let logits_end = ids_end + 4 * tokens * vocab;
    let hidden_end = logits_end + 4 * tokens * width;
    let mut header = json!({
        "__metadata__": {
            "model": model.facts.name,
            "fingerprint": model.facts.fingerprint,
            "device": model.facts.device,
            "weights": model.facts.held_as,
            "mixed_with": mixed.as_ref().map_or("", |(aligned, _)| &aligned.facts.fingerprint),
        },
        "ids": { "dtype": "U32", "shape": [tokens], "data_offsets": [0, ids_end] },
        "logits": { "dtype": "F32", "shape": [tokens, vocab], "data_offsets": [ids_end, logits_end] },
        "hidden": { "dtype": "F32", "shape": [tokens, width], "data_offsets": [logits_end, hidden_end] },
    });
    if !matches!(rewards, Rewards::None) {
        let offsets = [hidden_end, hidden_end + 4 * tokens];
        header["reward"] = json!({ "dtype": "F32", "shape": [tokens], "data_offsets": offsets });
    }
    let mut header = header.to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');

    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(&header)?;
    for id in ids {
        file.write_all(&id.to_le_bytes())?;
    }
    let mut hidden = Vec::with_capacity(tokens * width);
    let mut reward = match rewards {
        Rewards::Separate(scores) => scores,
        Rewards::Inserted | Rewards::None => Vec::new(),
    };
    for chunk in ids.chunks(PREFILL_CHUNK) {
        if interrupt::pressed() {
            return Err(Problem::new("stopped").into());
        }
        let mut output = runner.prefill(chunk, Wanted::All)?;
        if let Some((aligned, strength)) = &mut mixed {
            let other = aligned.runner.prefill(chunk, Wanted::All)?;
            mix(&mut output.logits, &other.logits, *strength);
        }
        for value in &output.logits {
            file.write_all(&value.to_le_bytes())?;
        }
        hidden.extend(output.hidden);
        reward.extend(output.reward);
    }
    for value in hidden.into_iter().chain(reward) {
        file.write_all(&value.to_le_bytes())?;
    }
    file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
    Ok(())
}
