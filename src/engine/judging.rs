//! A reward model of its own reads replies that are there already, so that a person can compare its
//! scores with an adapter's: on a thread of its own, so that nothing waits for it.

use std::path::PathBuf;

use anyhow::Result;
use crossbeam_channel::Receiver;

use super::aside::contained;
use super::reward::{Stamp, same_tokens, stamp};
use super::shared::{Shared, Teller};
use super::{Event, Opening, Prompt, prompt};
use crate::model::scorer::Scorer;
use crate::model::{Loader, Wanted};
use crate::platform::Problem;
use crate::session::NodeId;

/// Positions of one pass; between two of them the program may end.
const CHUNK: usize = 128;

/// A reply to read.
#[derive(Debug, Clone, PartialEq)]
pub struct Judging {
    /// The folder of the reward model.
    pub path: PathBuf,
    /// The reply's message.
    pub node: NodeId,
    pub prompt: Prompt,
    /// The reply's tokens.
    pub tokens: Vec<u32>,
}

/// What a reward model thinks of a reply.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// The reward model's.
    pub name: String,
    /// Behind each of the reply's tokens.
    pub rewards: Vec<f32>,
}

/// The reward model in memory, and what it was opened beside.
struct Held {
    path: PathBuf,
    stamp: Stamp,
    beside: String,
    scorer: Scorer,
}

/// Answers until the handle is gone; `None` lets go of the reward model.
pub fn run(
    requests: &Receiver<Option<Box<Judging>>>,
    shared: &Shared,
    loader: &dyn Loader,
    teller: &Teller,
) {
    let mut held = None;
    while let Ok(request) = requests.recv() {
        let Some(judging) = request else {
            held = None;
            continue;
        };
        let Judging { path, node, .. } = judging.as_ref().clone();
        let outcome = contained(|| judge(&mut held, *judging, shared, loader).map(Box::new));
        if outcome.is_err() {
            // Whatever broke in it, the next reply is read by a fresh one.
            held = None;
        }
        teller.tell(Event::Judged { path, node, outcome });
    }
}

fn judge(
    held: &mut Option<Held>,
    judging: Judging,
    shared: &Shared,
    loader: &dyn Loader,
) -> Result<Judged> {
    let Judging { path, prompt, tokens, .. } = judging;
    let (facts, language) = (shared.facts.read().clone(), shared.language.read().clone());
    let (Some(facts), Some(language)) = (facts, language) else {
        return Err(Problem::new("no model is loaded").hint("choose a model first").into());
    };
    let stamp = stamp(&path);
    let fits =
        |held: &Held| held.path == path && held.stamp == stamp && held.beside == facts.fingerprint;
    if !held.as_ref().is_some_and(fits) {
        // Never two of them in memory.
        *held = None;
        let scorer = loader.open_judge(&path, &facts)?;
        same_tokens(language.vocabulary.as_ref(), &scorer, &path)?;
        let beside = facts.fingerprint.clone();
        *held = Some(Held { path: path.clone(), stamp, beside, scorer });
    }
    let Some(Held { scorer, .. }) = held else {
        return Err(Problem::new("the reward model went away").at(&path).into());
    };
    let read = prompt::assemble(&language, &prompt, &Opening::Tokens(tokens))?;
    if read.ids.len() > scorer.context_length() {
        let (long, room) = (read.ids.len(), scorer.context_length());
        let what = format!("the reply ends at token {long}, and the reward model reads {room}");
        return Err(Problem::new(what)
            .at(&path)
            .hint("load the model with a longer context")
            .into());
    }
    scorer.runner().truncate(0)?;
    let mut rewards = Vec::with_capacity(read.ids.len());
    for chunk in read.ids.chunks(CHUNK) {
        if shared.closing.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(crate::platform::Cancelled.into());
        }
        let output = scorer.runner().prefill(chunk, Wanted::All)?;
        rewards.extend(scorer.rewards(&output));
    }
    let name = scorer.facts.name.clone();
    Ok(Judged { name, rewards: rewards.split_off(read.prompt_len) })
}
