//! Datastores as a token rule: at every token each store in play is asked with the final hidden
//! state, and what it says is mixed into the distribution before anything is drawn (reference
//! trustable decoding; `p = (1 − Σλ)·p + Σ λ·r`, in probabilities, never in logits).

use std::sync::Arc;

use anyhow::Result;

use super::observe;
use super::rules::{Position, TokenRule};
use crate::platform::Problem;
use crate::session::{PassageShare, TokenReferences};
use crate::steer::StoreSetting;
use crate::steer::datastore::{Datastore, Neighbour, Reference, distribution};

/// A store whose gate leaves less than this is not mixed in at all.
const NOTHING: f64 = 1e-4;
/// Passages told of each token.
const TOLD: usize = 4;

/// A store and how it is asked.
#[derive(Debug, Clone)]
pub struct StoreInPlay {
    pub store: Arc<Datastore>,
    pub setting: StoreSetting,
}

/// The rule over all stores in play.
#[derive(Debug, Default)]
pub struct References {
    stores: Vec<StoreInPlay>,
    last: Option<Last>,
}

/// What was done at the last position.
#[derive(Debug)]
struct Last {
    /// The logits as they came, and log Σ exp of them.
    before: Vec<f32>,
    log_mass: f32,
    /// Of each store that said something: its place, its share, what it said, its neighbours.
    said: Vec<(usize, f64, Reference, Vec<Vec<Neighbour>>)>,
}

impl References {
    /// Over these stores.
    ///
    /// # Errors
    /// When a number of heads does not divide a store's width.
    pub fn new(stores: Vec<StoreInPlay>) -> Result<Self, Problem> {
        for StoreInPlay { store, setting } in &stores {
            let (heads, width) = (setting.heads, store.width());
            if heads == 0 || width % heads != 0 {
                let what = format!("{heads} heads do not divide hidden states of {width}");
                let heads: Vec<String> =
                    (1..=64).filter(|h| width % h == 0).map(|h: usize| h.to_string()).collect();
                let hint = format!("take one of {}", heads.join(", "));
                return Err(Problem::new(what).at(&setting.path).hint(hint));
            }
        }
        let stores = stores.into_iter().filter(|s| s.setting.lambda > 0.0 && !s.store.is_empty());
        Ok(Self { stores: stores.collect(), last: None })
    }

    /// True when there is nothing to ask: the rule need not be called.
    pub fn is_empty(&self) -> bool {
        self.stores.is_empty()
    }

    /// What a store says of a hidden state and the share it gets; `None` when its gate is shut.
    pub fn ask(
        in_play: &StoreInPlay,
        hidden: &[f32],
    ) -> Option<(f64, Reference, Vec<Vec<Neighbour>>)> {
        let StoreInPlay { store, setting } = in_play;
        let (neighbours, temperature) = store.manifest.asked_with(setting);
        let found = store.nearest(hidden, setting.heads, neighbours);
        let open = match setting.gate {
            true => store.manifest.gate(store.nearest_whole(hidden, &found)),
            false => 1.0,
        };
        let lambda = f64::from(setting.lambda) * open;
        if lambda < NOTHING {
            return None;
        }
        let reference = Reference::of(&found, temperature, |entry| store.value(entry))?;
        Some((lambda, reference, found))
    }

    fn passages(&self, last: &Last, token: u32) -> Vec<PassageShare> {
        let mut told = Vec::new();
        for (at, _, reference, found) in &last.said {
            let store = &self.stores[*at].store;
            for (entry, share) in reference.shares.iter().take(TOLD) {
                let Some(passage) = store.passage(*entry) else { continue };
                let of_entry = |found: &Vec<Neighbour>| {
                    found.iter().find(|n| n.entry == *entry).map(|n| n.distance)
                };
                told.push(PassageShare {
                    store: store.manifest.name.clone(),
                    file: passage.path,
                    place: passage.place.map(|place| place.to_string()).unwrap_or_default(),
                    start: passage.value.start,
                    end: passage.value.end,
                    text: passage.text,
                    share: *share as f32,
                    distance: found.iter().find_map(of_entry).unwrap_or_default() as f32,
                    agrees: store.value(*entry) == token,
                });
            }
        }
        told.sort_by(|a, b| b.share.total_cmp(&a.share));
        told.truncate(TOLD);
        told
    }
}

impl TokenRule for References {
    fn name(&self) -> &str {
        "references"
    }

    fn apply(&mut self, logits: &mut [f32], position: Position<'_>) -> Result<()> {
        self.last = None;
        let said: Vec<_> = self
            .stores
            .iter()
            .enumerate()
            .filter_map(|(at, in_play)| {
                let (lambda, reference, found) = Self::ask(in_play, position.hidden)?;
                Some((at, lambda, reference, found))
            })
            .collect();
        let mut last = Last { before: logits.to_vec(), log_mass: 0.0, said };
        last.log_mass = observe::log_mass(logits);
        let mixed: Vec<(f64, &Reference)> =
            last.said.iter().map(|(_, lambda, reference, _)| (*lambda, reference)).collect();
        distribution::mix(logits, last.log_mass, &mixed);
        self.last = Some(last);
        Ok(())
    }

    fn references(&mut self, token: u32) -> Option<TokenReferences> {
        let last = self.last.take()?;
        let sum: f64 = last.said.iter().map(|(_, lambda, ..)| lambda).sum();
        let scale = if sum > 1.0 { 1.0 / sum } else { 1.0 };
        let own = 1.0 - sum * scale;
        let before = |token: u32| -> f64 {
            let logit = last.before.get(token as usize).copied().unwrap_or(f32::NEG_INFINITY);
            f64::from(logit - last.log_mass).exp()
        };
        let said = |token: u32| -> f64 {
            let of_store = |(_, lambda, reference, _): &(usize, f64, Reference, _)| {
                lambda * scale * reference.probability(token)
            };
            last.said.iter().map(of_store).sum()
        };
        // Mass only moves to what was said, so the gains there are all the movement there is.
        let mut tokens: Vec<u32> =
            last.said.iter().flat_map(|(_, _, r, _)| r.tokens.iter().map(|(id, _)| *id)).collect();
        tokens.sort_unstable();
        tokens.dedup();
        let gain = |id: &u32| (own * before(*id) + said(*id) - before(*id)).max(0.0);
        Some(TokenReferences {
            token: 0,
            before: before(token) as f32,
            after: (own * before(token) + said(token)) as f32,
            lambda: (sum * scale) as f32,
            moved: tokens.iter().map(gain).sum::<f64>() as f32,
            passages: self.passages(&last, token),
        })
    }
}

#[cfg(test)]
#[path = "references_tests.rs"]
mod tests;
