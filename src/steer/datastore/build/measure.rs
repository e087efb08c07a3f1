//! Measures a store that has been built: distances between its own entries, and from text that it
//! says nothing about.

use std::path::Path;

use anyhow::Result;

use crate::learn::preference::encoding;
use crate::model::{Language, Runner, Wanted};
use crate::steer::datastore::calibration::{NEIGHBOURS, QUERIES, temperature};
use crate::steer::datastore::{Calibration, Datastore, Neighbour, Quantiles, search};

/// Everyday exchanges that no store is about. What a store says of these is noise.
pub const NEUTRAL: [(&str, &str); 12] = [
    ("Hello! How are you today?", "Hello! I am well, thank you. What can I do for you?"),
    ("What is a good name for a cat?", "A short name is easy to call: Pip, or Luna, for instance."),
    (
        "Why is the sky blue?",
        "Air scatters blue light more than red light, so blue comes from everywhere.",
    ),
    (
        "Tell me a short story.",
        "A small boat went out one morning and came home with the evening tide.",
    ),
    (
        "How do I boil an egg?",
        "Put it into boiling water, wait eight minutes, then cool it under the tap.",
    ),
    ("What is seven times eight?", "Seven times eight is fifty-six."),
    ("I feel sad today.", "I am sorry to hear that. Would you like to talk about it?"),
    (
        "Can you write me a poem about rain?",
        "Rain on the roof, rain on the street, soft as the steps of a stranger's feet.",
    ),
    ("What does a library do?", "A library keeps books and lends them to people who want to read."),
    (
        "How can I sleep better?",
        "Go to bed at the same time each night and keep the room dark and cool.",
    ),
    ("Thank you for your help.", "You are welcome. Ask me again whenever you like."),
    (
        "Is it better to walk or to run?",
        "Both are good for you. Walking is easier to keep up for a long time.",
    ),
];
/// Neutral positions that are asked; more say no more.
const MOST_FAR: usize = 192;
/// Queries in one advance.
const AT_ONCE: usize = 16;

/// A measurement under way.
pub struct Measuring {
    store: Datastore,
    /// Prompts and answers still to be passed: all ids, and where the answer begins.
    neutral: Vec<(Vec<u32>, usize)>,
    /// Hidden states of neutral positions still to be asked.
    far_queries: Vec<Vec<f32>>,
    far: Vec<f64>,
    /// Entries still to be asked.
    near_queries: Vec<usize>,
    near: Vec<Vec<Neighbour>>,
}

impl Measuring {
    /// # Errors
    /// When the store cannot be opened.
    pub fn begin(folder: &Path, language: &Language, runner: &dyn Runner) -> Result<Self> {
        let store = Datastore::open(folder)?;
        let mut neutral = Vec::new();
        for (question, answer) in NEUTRAL {
            let encoded = encoding::encode(language, question, &[answer])?;
            let ids = [encoded.prompt.as_slice(), encoded.answers[0].as_slice()].concat();
            if !encoded.prompt.is_empty() && ids.len() <= runner.context_length() {
                neutral.push((ids, encoded.prompt.len() - 1));
            }
        }
        let count = store.len();
        let near_queries =
            (0..QUERIES.min(count)).map(|at| at * count / QUERIES.min(count)).collect();
        let (far_queries, far, near) = Default::default();
        Ok(Self { store, neutral, far_queries, far, near_queries, near })
    }

    /// The calibration once it is known: `Some(None)` for a store without entries.
    ///
    /// # Errors
    /// When a pass fails.
    pub fn advance(&mut self, runner: &mut dyn Runner) -> Result<Option<Option<Calibration>>> {
        if self.store.is_empty() {
            return Ok(Some(None));
        }
        if let Some((ids, from)) = self.neutral.pop() {
            if runner.rows() > 1 {
                runner.gather(&[0])?;
            }
            runner.truncate(0)?;
            let output = runner.prefill(&ids, Wanted::Hidden)?;
            self.far_queries.extend((from..ids.len()).map(|at| output.hidden_of(at).to_vec()));
            if self.neutral.is_empty() {
                let step = self.far_queries.len().div_ceil(MOST_FAR).max(1);
                self.far_queries =
                    std::mem::take(&mut self.far_queries).into_iter().step_by(step).collect();
            }
            return Ok(None);
        }
        let blocks = self.store.blocks();
        if !self.far_queries.is_empty() {
            let left = self.far_queries.len().saturating_sub(AT_ONCE);
            for query in self.far_queries.drain(left..) {
                let found = search::nearest(&blocks, &query, 1, 1, &(0..0));
                self.far.extend(found[0].first().map(|neighbour| neighbour.distance));
            }
            return Ok(None);
        }
        if !self.near_queries.is_empty() {
            let left = self.near_queries.len().saturating_sub(AT_ONCE);
            for entry in self.near_queries.drain(left..) {
                let Some(key) = search::key_of(&blocks, entry, self.store.width()) else {
                    continue;
                };
                let query: Vec<f32> = key.iter().map(|value| value.to_f32()).collect();
                let mut found =
                    search::nearest(&blocks, &query, 1, NEIGHBOURS, &(entry..entry + 1));
                self.near.extend(found.pop());
            }
            return Ok(None);
        }
        let first = |found: &Vec<Neighbour>| found.first().map(|neighbour| neighbour.distance);
        let near: Vec<f64> = self.near.iter().filter_map(first).collect();
        let far = Quantiles::of(&self.far);
        let near = Quantiles::of(&near).or(far);
        let calibration = near.zip(far).map(|(near, far)| Calibration {
            temperature: temperature(&self.near, NEIGHBOURS).unwrap_or(1.0),
            k: NEIGHBOURS,
            near,
            far,
            entries: self.store.len(),
        });
        Ok(Some(calibration))
    }
}
