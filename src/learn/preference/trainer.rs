//! The run itself: pairs in, the reference once, steps, saves, and the vector's file out.

use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use super::arguments::VectorArgs;
use super::base_model::BaseModel;
use super::data::Data;
use super::encoding::Encoded;
use super::learner::{Learner, Standing};
use super::state::{self, Position, Recipe, State};
use super::{export, reference};
use crate::learn::base::gradients::Workers;
use crate::learn::base::optimizer::AdamW;
use crate::learn::base::progress::duration;
use crate::learn::network::{Adapters, Network};
use crate::platform::{Cancelled, Problem, atomic};

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    pub steps: u64,
    /// Pairs trained on and held out.
    pub pairs: usize,
    pub held_out: usize,
    /// On the pairs held out, before and after.
    pub before: Standing,
    pub after: Standing,
}

/// Learns as the arguments say; `cancelled` is asked after every step, `tell` gets lines for the
/// person.
///
/// # Errors
/// [`Cancelled`] after the state was saved; a [`Problem`] for anything a person can mend.
pub fn run(
    args: &VectorArgs,
    cancelled: impl Fn() -> bool,
    mut tell: impl FnMut(&str),
) -> Result<Outcome> {
    args.check()?;
    let device = crate::learn::base::device(&args.device)?;
    let mut base = BaseModel::open(&args.base, &device)?;
    let data = Data::read(args, &base, &mut tell)?;
    let state_path = state::path_of(&args.out);
    if state_path.exists() && !args.resume {
        bail!(
            Problem::new("an unfinished run lies beside the file to write")
                .at(&state_path)
                .hint("add --resume to go on with it, or delete it")
        );
    }
    atomic::remove_half_written(&state_path)?;
    if !args.full {
        let shape = base.network.shape.clone();
        let adapters = Adapters::fresh(&shape, args.rank, args.alpha(), args.seed, &device)?;
        base.network.adapt(adapters);
    }
    let recipe = recipe(args, &base, &data);
    let workers = Workers::new(args.workers)?;
    let network = &base.network;
    let trained: usize = network.trained().iter().map(|(_, var)| var.elem_count()).sum();
    tell(&format!(
        "{trained} numbers to train, {} pairs, {} held out",
        data.training.len(),
        data.held_out.len()
    ));
    let State { mut position, mut optimizer, reference } = if state_path.exists() {
        let state = state::load(&state_path, network, &recipe)?;
        tell(&format!("taken up at step {}", state.position.steps));
        state
    } else {
        let reference = referenced(network, &workers, &data, &cancelled, &mut tell)?;
        let optimizer = AdamW::fresh(network)?;
        let position = Position { recipe, steps: 0, seconds: 0.0 };
        state::save(&state_path, network, &optimizer, &reference, &position)?;
        State { position, optimizer, reference }
    };
    ensure!(reference.len() == 2 * data.all().count(), "the state knows other pairs");
    let (training, held_out) = reference.split_at(2 * data.training.len());

    let learner = Learner { args, network, workers: &workers };
    let before = before(args, held_out);
    let mut last_save = Instant::now();
    let checks = (learner.steps(&data) / 10).max(1);
    let finished =
        learner.train(&data, training, &mut optimizer, &mut position, |learner, step| {
            tell(&step.line());
            if step.position.steps.is_multiple_of(checks) && step.position.steps < step.of {
                let some = args.checked.min(data.held_out.len());
                let standing = learner.standing(&data.held_out[..some], &held_out[..2 * some])?;
                tell(&format!("after step {}: {}", step.position.steps, standing.phrase()));
            }
            let stop = cancelled();
            if stop || last_save.elapsed().as_secs() >= args.save_every {
                state::save(&state_path, network, step.optimizer, &reference, step.position)?;
                last_save = Instant::now();
            }
            Ok(!stop)
        })?;
    if !finished {
        tell(&format!("saved at step {}; go on with --resume", position.steps));
        return Err(Cancelled.into());
    }
    state::save(&state_path, network, &optimizer, &reference, &position)?;
    let after = learner.standing(&data.held_out, held_out)?;
    export::write(args, &base, &data, &after, position.seconds)?;
    std::fs::remove_file(&state_path)
        .with_context(|| Problem::new("cannot remove the finished run's state").at(&state_path))?;
    tell(&format!(
        "done: {} steps, {}; {} held-out pairs: {}",
        position.steps,
        duration(position.seconds),
        data.held_out.len(),
        after.phrase()
    ));
    Ok(Outcome {
        steps: position.steps,
        pairs: data.training.len(),
        held_out: data.held_out.len(),
        before,
        after,
    })
}

fn recipe(args: &VectorArgs, base: &BaseModel, data: &Data) -> Recipe {
    Recipe {
        base_fingerprint: base.fingerprint.clone(),
        pairs_fingerprint: data.fingerprint(),
        objective: args.objective,
        b: args.b,
        nll_weight: args.nll_weight,
        full: args.full,
        rank: args.rank,
        alpha: args.alpha(),
        learning_rate: args.learning_rate(),
        epochs: args.epochs,
        batch: args.batch,
        seed: args.seed,
    }
}

/// The base's log-probabilities of everything, before any training.
fn referenced(
    network: &Network,
    workers: &Workers,
    data: &Data,
    cancelled: &impl Fn() -> bool,
    tell: &mut impl FnMut(&str),
) -> Result<Vec<f32>> {
    let all: Vec<&Encoded> = data.all().map(|lesson| &lesson.pair).collect();
    let begun = Instant::now();
    reference::log_probabilities(network, workers, &all, |done| {
        if cancelled() {
            return Err(Cancelled.into());
        }
        let left = begun.elapsed().as_secs_f64() * (all.len() as f64 / done as f64 - 1.0);
        tell(&format!("reference {done} of {} pairs  about {} left", all.len(), duration(left)));
        Ok(())
    })
}

/// The base against itself: no margin anywhere, but answers that are likelier all the same.
fn before(args: &VectorArgs, reference: &[f32]) -> Standing {
    let likelier = reference.chunks_exact(2).filter(|two| two[0] > two[1]).count();
    Standing {
        loss: args.objective.loss(0.0, args.b).0,
        accuracy: 0.0,
        margin: 0.0,
        likelier: likelier as f64 / (reference.len() / 2).max(1) as f64,
        drift: 0.0,
    }
}
