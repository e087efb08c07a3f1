//! Measures a store that has been built: distances between its own entries, and from text that it
//! says nothing about; then how it is best asked, on questions made of its own text.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;

use crate::learn::preference::encoding::{self, Encoded};
use crate::model::{Language, Runner, Wanted};
use crate::platform::figures;
use crate::steer::FIRST_LAMBDA;
use crate::steer::datastore::calibration::{NEIGHBOURS, QUERIES, temperature};
use crate::steer::datastore::choosing::{MOST_OWN, Trial};
use crate::steer::datastore::{Calibration, Chosen, Datastore, Neighbour, Quantiles, search};

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
    store: Arc<Datastore>,
    /// Everyday exchanges still to be passed.
    neutral: Vec<Encoded>,
    /// Hidden states of neutral positions still to be asked.
    far_queries: Vec<Vec<f32>>,
    far: Vec<f64>,
    /// Entries still to be asked.
    near_queries: Vec<usize>,
    near: Vec<Vec<Neighbour>>,
    trying: Option<Trying>,
}

/// What was measured; `None` where there is nothing to measure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    pub calibration: Option<Calibration>,
    pub by_itself: Option<Chosen>,
}

/// The last part: distances are known, and the store is asked.
struct Trying {
    calibration: Option<Calibration>,
    trial: Trial,
    /// Questions of the store's own text and everyday exchanges still to be asked.
    own: Vec<Encoded>,
    elsewhere: Vec<Encoded>,
}

impl Measuring {
    /// # Errors
    /// When the store cannot be opened.
    pub fn begin(folder: &Path, language: &Language, runner: &dyn Runner) -> Result<Self> {
        let store = Arc::new(Datastore::open(folder)?);
        let neutral = fitting(NEUTRAL.into_iter(), language, runner)?;
        let count = store.len();
        let near_queries =
            (0..QUERIES.min(count)).map(|at| at * count / QUERIES.min(count)).collect();
        let (far_queries, far, near, trying) = Default::default();
        Ok(Self { store, neutral, far_queries, far, near_queries, near, trying })
    }

    /// What was measured once it is known. A pass of the model at most, or some searches.
    ///
    /// # Errors
    /// When a pass fails.
    pub fn advance(
        &mut self,
        language: &Language,
        runner: &mut dyn Runner,
    ) -> Result<Option<Measured>> {
        if self.store.is_empty() {
            return Ok(Some(Measured { calibration: None, by_itself: None }));
        }
        if let Some(trying) = &mut self.trying {
            return trying.advance(runner);
        }
        if let Some(Encoded { prompt, answers }) = self.neutral.pop() {
            let ids = [prompt.as_slice(), answers[0].as_slice()].concat();
            let from = prompt.len() - 1;
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
        let calibration = self.calibration();
        let probes = self.store.probes();
        let own = probes.iter().map(|probe| (probe.question.as_str(), probe.answer.as_str()));
        self.trying = Some(Trying {
            calibration,
            trial: Trial::begin(&self.store, calibration, MOST_OWN),
            own: fitting(own, language, runner)?,
            elsewhere: fitting(NEUTRAL.into_iter(), language, runner)?,
        });
        Ok(None)
    }

    fn calibration(&self) -> Option<Calibration> {
        let first = |found: &Vec<Neighbour>| found.first().map(|neighbour| neighbour.distance);
        let near: Vec<f64> = self.near.iter().filter_map(first).collect();
        let far = Quantiles::of(&self.far);
        let near = Quantiles::of(&near).or(far);
        near.zip(far).map(|(near, far)| Calibration {
            temperature: temperature(&self.near, NEIGHBOURS).unwrap_or(1.0),
            k: NEIGHBOURS,
            near,
            far,
            entries: self.store.len(),
        })
    }
}

impl Trying {
    fn advance(&mut self, runner: &mut dyn Runner) -> Result<Option<Measured>> {
        if let Some(question) = self.own.pop() {
            self.trial.ask(&question, runner)?;
            return Ok(None);
        }
        if let Some(exchange) = self.elsewhere.pop() {
            self.trial.ask_elsewhere(&exchange, runner)?;
            return Ok(None);
        }
        let by_itself = self.trial.best_of_own(figures::widened(FIRST_LAMBDA));
        Ok(Some(Measured { calibration: self.calibration, by_itself }))
    }
}

/// Those that fit the model's context, as ids.
fn fitting<'a>(
    exchanges: impl Iterator<Item = (&'a str, &'a str)>,
    language: &Language,
    runner: &dyn Runner,
) -> Result<Vec<Encoded>> {
    let mut all = Vec::new();
    for (question, answer) in exchanges {
        let encoded = encoding::encode(language, question, &[answer])?;
        let length = encoded.tokens();
        if !encoded.prompt.is_empty() && length <= runner.context_length() {
            all.push(encoded);
        }
    }
    Ok(all)
}
