//! The run itself: text in, steps, saves, and the finished folder out.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use tokenizers::Tokenizer;

use super::arguments::BaseArgs;
use super::corpus::{self, Document};
use super::gradients::Workers;
use super::optimizer::{AdamW, StepSize};
use super::packing::Epoch;
use super::progress::{self, Progress};
use super::state::Position;
use super::{evaluate, export, schedule, state, vocabulary};
use crate::learn::network::Network;
use crate::platform::{Cancelled, Problem, atomic, fnv};

/// The state of an unfinished run, inside the folder to be written.
pub const STATE_FILE: &str = "training.safetensors";
const TOKENIZER_FILE: &str = "tokenizer.json";

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    pub steps: u64,
    pub tokens: u64,
    /// Smoothed loss of the last steps, nats per token.
    pub loss: f64,
    /// On the held-out text.
    pub perplexity: f64,
    pub parameters: usize,
}

/// Trains as the arguments say; `cancelled` is asked after every step, `tell` gets lines for the
/// person.
///
/// # Errors
/// [`Cancelled`] after the state was saved; a [`Problem`] for anything a person can mend.
pub fn run(
    args: &BaseArgs,
    cancelled: impl Fn() -> bool,
    mut tell: impl FnMut(&str),
) -> Result<Outcome> {
    args.check()?;
    let device = args.device()?;
    std::fs::create_dir_all(&args.out)
        .with_context(|| Problem::new("cannot make this folder").at(&args.out))?;
    let state_path = args.out.join(STATE_FILE);
    atomic::remove_half_written(&state_path)?;
    let (training, held_out) = documents(args)?;
    let resuming = args.resume && state_path.exists();
    if !resuming && state_path.exists() {
        bail!(
            Problem::new("this folder holds an unfinished run")
                .at(&args.out)
                .hint("add --resume to go on with it, or delete training.safetensors")
        );
    }
    let tokenizer = tokenizer(args, &training, resuming)?;
    let encoded = vocabulary::encode(&tokenizer, &training)?;
    let encoded_held_out = vocabulary::encode(&tokenizer, &held_out)?;
    let count: usize = encoded.iter().map(Vec::len).sum();
    ensure!(count > 1, Problem::new("there is too little text to train on"));
    let fingerprint = fingerprint(&encoded);

    let (network, mut optimizer, mut position) = if resuming {
        let (network, optimizer, position) = state::load(&state_path, &device)?;
        same_run(args, &position, &fingerprint, &state_path)?;
        (network, optimizer, position)
    } else {
        let shape = args.shape(tokenizer.get_vocab_size(true));
        let network = Network::fresh(shape.clone(), args.seed, &device)?;
        let optimizer = AdamW::fresh(&network)?;
        let position = Position {
            shape,
            data_fingerprint: fingerprint,
            seed: args.seed,
            batch: args.batch,
            sequence: args.sequence,
            length: args.length(),
            learning_rate: args.learning_rate,
            prompt_share: args.prompt_share,
            steps: 0,
            epoch: 0,
            next_batch: 0,
            seconds: 0.0,
            tokens: 0,
        };
        (network, optimizer, position)
    };
    // The length may be changed when a run is taken up: that is how it is made longer.
    if args.steps.is_some() || args.minutes.is_some() {
        position.length = args.length();
    }
    let parameters = network.shape.parameter_count();
    tell(&format!(
        "{parameters} parameters, {} documents, {count} tokens, vocabulary {}{}",
        encoded.len(),
        network.shape.vocab_size,
        if resuming { format!(", from step {}", position.steps) } else { String::new() }
    ));

    let save = |network: &Network, optimizer: &AdamW, position: &Position| {
        state::save(&state_path, network, optimizer, position)
    };
    let mut last_save = Instant::now();
    let mut last_line = Instant::now();
    let workers = Workers::new(args.workers)?;
    let stopped = train(&network, &mut optimizer, &mut position, &encoded, &workers, |step| {
        if last_line.elapsed().as_secs() >= 2 || step.position.steps == 1 {
            last_line = Instant::now();
            tell(&step.progress.line(step.position.steps, step.position.seconds));
        }
        let stop = cancelled();
        if stop || last_save.elapsed().as_secs() >= args.save_every {
            save(step.network, step.optimizer, step.position)?;
            last_save = Instant::now();
        }
        Ok(!stop)
    })?;
    if stopped.is_none() {
        tell(&format!("saved at step {}; go on with --resume", position.steps));
        return Err(Cancelled.into());
    }
    save(&network, &optimizer, &position)?;

    let loss = stopped.unwrap_or(f64::NAN);
    let perplexity =
        evaluate::mean_loss(&network, &encoded_held_out, args.batch, args.sequence)?.exp();
    export::write(&args.out, &network, &tokenizer, args.precision)?;
    std::fs::remove_file(&state_path)
        .with_context(|| Problem::new("cannot remove the finished run's state").at(&state_path))?;
    tell(&format!(
        "done: {} steps, {} tokens, {}; loss {loss:.3}, held-out perplexity {perplexity:.2}",
        position.steps,
        position.tokens,
        progress::duration(position.seconds)
    ));
    Ok(Outcome { steps: position.steps, tokens: position.tokens, loss, perplexity, parameters })
}

/// What is known after a step.
pub struct Step<'a> {
    pub network: &'a Network,
    pub optimizer: &'a AdamW,
    pub position: &'a Position,
    pub progress: &'a Progress,
}

/// Takes steps until the position's length is reached: the smoothed loss then, or `None` when
/// `after` said to stop.
pub fn train(
    network: &Network,
    optimizer: &mut AdamW,
    position: &mut Position,
    documents: &[Vec<u32>],
    workers: &Workers,
    mut after: impl FnMut(Step<'_>) -> Result<bool>,
) -> Result<Option<f64>> {
    let mut progress = Progress::new(position.length);
    let pass = |position: &Position| {
        let Position { sequence, seed, epoch, prompt_share, .. } = *position;
        Epoch::new(documents, sequence, seed, epoch).with_prompt_share(prompt_share, seed, epoch)
    };
    let mut epoch = pass(position);
    let warm_up_steps = match position.length {
        schedule::Length::Steps(all) => (all / 20).clamp(1, 100),
        schedule::Length::Minutes(_) => 50,
    };
    while position.length.fraction(position.steps, position.seconds) < 1.0 {
        let begun = Instant::now();
        if position.next_batch >= epoch.batches(position.batch) {
            position.epoch += 1;
            position.next_batch = 0;
            epoch = pass(position);
        }
        let batch = epoch.batch(position.next_batch, position.batch);
        let fraction = position.length.fraction(position.steps, position.seconds);
        let size = StepSize {
            learning_rate: schedule::learning_rate(
                position.learning_rate,
                warm_up_steps,
                position.steps,
                fraction,
            ),
            ..StepSize::default()
        };
        let (loss, grads) = workers.compute(network, &batch)?;
        optimizer.step(network, &grads, &size)?;
        ensure!(loss.is_finite(), "the loss is no longer finite at step {}", position.steps);
        let tokens = batch.ids.len() as u64;
        let seconds = begun.elapsed().as_secs_f64();
        position.steps += 1;
        position.next_batch += 1;
        position.seconds += seconds;
        position.tokens += tokens;
        progress.step(loss, seconds, tokens);
        if !after(Step { network, optimizer, position, progress: &progress })? {
            return Ok(None);
        }
    }
    Ok(Some(progress.loss()))
}

/// Training and held-out documents.
fn documents(args: &BaseArgs) -> Result<(Vec<Document>, Vec<Document>)> {
    let training = corpus::read(&args.text)?;
    if !args.held_out.is_empty() {
        return Ok((training, corpus::read(&args.held_out)?));
    }
    let (mut kept, mut held_out) = (Vec::new(), Vec::new());
    for (index, document) in training.into_iter().enumerate() {
        if index % 50 == 49 { held_out.push(document) } else { kept.push(document) }
    }
    Ok((kept, held_out))
}

/// Trains the tokenizer and keeps it beside the state, or takes up the one a run began with.
fn tokenizer(args: &BaseArgs, documents: &[Document], resuming: bool) -> Result<Tokenizer> {
    let path = args.out.join(TOKENIZER_FILE);
    if resuming {
        return vocabulary::open(&path);
    }
    let tokenizer = match &args.tokenizer {
        Some(folder) => vocabulary::open(&folder.join(TOKENIZER_FILE))?,
        None => vocabulary::train(documents, args.vocab)?,
    };
    let text =
        tokenizer.to_string(false).map_err(|e| anyhow::anyhow!("writing the tokenizer: {e}"))?;
    atomic::write(&path, text.as_bytes())?;
    Ok(tokenizer)
}

/// A hash over every token in order (FNV-1a): other text or another tokenizer is another run.
fn fingerprint(documents: &[Vec<u32>]) -> String {
    let ids = documents.iter().flat_map(|document| document.iter().chain(&[u32::MAX]));
    fnv::of_ids(ids.copied())
}

/// Refuses to go on with other text or other sizes than the run began with.
fn same_run(args: &BaseArgs, position: &Position, fingerprint: &str, path: &Path) -> Result<()> {
    let shape = args.shape(position.shape.vocab_size);
    let differs = [
        ("the text", position.data_fingerprint != fingerprint),
        ("the network's sizes", position.shape != shape),
        (
            "the batch or sequence",
            (position.batch, position.sequence) != (args.batch, args.sequence),
        ),
        ("the seed", position.seed != args.seed),
        ("the share of prompts", position.prompt_share != args.prompt_share),
    ];
    match differs.iter().find(|(_, differs)| *differs) {
        Some((what, _)) => bail!(
            Problem::new(format!("{what} differs from what this run began with"))
                .at(path)
                .hint("give the same arguments, or delete it and train anew")
        ),
        None => Ok(()),
    }
}
