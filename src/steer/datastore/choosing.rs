//! Choosing how a store is asked: temperature, neighbours, share and gate over a grid, on questions
//! whose answers are known (our notes, section 6), or on ones made of the store's own text.
//!
//! Every question is passed once with its answer. Greedy decoding says exactly the answer when the
//! mixed distribution has the answer's token on top at every place of it, so the whole grid is
//! worked out from what that one pass brought.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;

use super::build::{CHUNK, NEUTRAL};
use super::calibration::{self, MIDDLE};
use super::{Calibration, Chosen, Datastore, Neighbour, Reference};
use crate::documents::Pair;
use crate::learn::preference::encoding::{self, Encoded};
use crate::model::runner::log_mass;
use crate::model::{Language, Runner, Wanted};
use crate::platform::{Problem, figures};

/// Neighbours tried; those beyond a store's size count as all of it.
pub const NEIGHBOURS: [usize; 5] = [8, 32, 128, 512, 1024];
/// Temperatures tried, as parts of the one at which √k neighbours count.
pub const TEMPERATURES: [f64; 5] = [0.25, 0.5, 1.0, 2.0, 4.0];
/// The same for questions made of the store's own text, where only these few are tried: with words
/// left out they are farther from what is stored than a person's.
const OWN_NEIGHBOURS: [usize; 2] = [8, 32];
const OWN_TEMPERATURES: [f64; 5] = [1.0 / 16.0, 0.125, 0.25, 0.5, 1.0];
/// Most neighbours of such a question.
pub const MOST_OWN: usize = OWN_NEIGHBOURS[1];
/// Shares tried.
pub const LAMBDAS: [f64; 7] = [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0];
/// Where the gate is tried half open, on the way from what is near to what is far.
pub const MIDDLES: [f64; 4] = [0.5, 0.6, 0.7, 0.8];
/// Everyday text may become this much harder to foresee, as a share of its perplexity.
pub const MOST_HARM: f64 = 0.01;
/// What a place that the mixture thinks impossible counts as.
const LEAST: f64 = 1e-9;

/// One place of an answer.
struct Place {
    target: u32,
    /// The model's own probability of it, and the most it gives to any other token.
    own: f64,
    other: f64,
    /// The nearest entries, and the model's probability of every token they put forward, rising by
    /// token.
    found: Vec<Neighbour>,
    own_of: BTreeMap<u32, f64>,
}

impl Place {
    /// The target's probability, and whether it has more than any other token.
    fn mixed(&self, said: &Reference, lambda: f64) -> (f64, bool) {
        let mix = |own: f64, said: f64| (1.0 - lambda) * own + lambda * said;
        let of_target = mix(self.own, said.probability(self.target));
        let own_of = |token: &u32| self.own_of.get(token).copied().unwrap_or_default();
        let others = said.tokens.iter().filter(|(token, _)| *token != self.target);
        let most = others
            .map(|(token, probability)| mix(own_of(token), *probability))
            .fold(mix(self.other, 0.0), f64::max);
        (of_target, of_target > most)
    }
}

/// What one way of asking brings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tried {
    pub neighbours: usize,
    pub temperature: f64,
    pub lambda: f64,
    /// Where the gate is half open.
    pub middle: f64,
    /// Share of the questions that are answered exactly.
    pub exact: f64,
    /// Share of the answers' tokens that are the likeliest ones.
    pub on_top: f64,
    /// Mean log-probability of a token of the answers.
    pub mean_log: f64,
    /// How much more perplexity everyday text has, as a share.
    pub harm: f64,
}

impl Tried {
    /// As a row of a table.
    pub fn line(&self) -> String {
        format!(
            "{:>5} neighbours  temperature {:>10.3}  share {:<4}  gate {:<3}  {:5.1} % exactly  \
             {:8.4} nats  {:+6.2} % elsewhere",
            self.neighbours,
            self.temperature,
            figures::short(self.lambda),
            self.middle,
            100.0 * self.exact,
            -self.mean_log,
            100.0 * self.harm
        )
    }
}

/// The questions as the store sees them.
pub struct Trial {
    store: Arc<Datastore>,
    calibration: Option<Calibration>,
    /// Neighbours looked up at every place.
    most: usize,
    /// Places of each question's answer.
    questions: Vec<Vec<Place>>,
    /// Places of everyday answers that no store is about.
    elsewhere: Vec<Place>,
}

/// One way of asking but for the share and the gate, and what the store says so.
struct Said {
    neighbours: usize,
    temperature: f64,
    questions: Vec<Vec<Reference>>,
    elsewhere: Vec<Reference>,
}

impl Trial {
    /// Passes every question with its answer.
    ///
    /// # Errors
    /// When a pass fails, or there is no question or no entry.
    pub fn of(
        store: &Arc<Datastore>,
        language: &Language,
        runner: &mut dyn Runner,
        pairs: &[Pair],
    ) -> Result<Self> {
        if store.is_empty() || pairs.is_empty() {
            let what = "there is nothing to choose by: no entries, or no questions with answers";
            return Err(Problem::new(what).at(&store.folder).into());
        }
        let calibration = store.manifest.calibration;
        let mut trial = Self::begin(store, calibration, NEIGHBOURS[NEIGHBOURS.len() - 1]);
        for pair in pairs {
            let encoded = encoding::encode(language, &pair.question, &[&pair.answer])?;
            trial.ask(&encoded, runner)?;
        }
        for (question, answer) in NEUTRAL {
            let encoded = encoding::encode(language, question, &[answer])?;
            trial.ask_elsewhere(&encoded, runner)?;
        }
        Ok(trial)
    }

    /// One without questions yet. The calibration decides on the gate; `most` neighbours are looked
    /// up at every place.
    pub fn begin(store: &Arc<Datastore>, calibration: Option<Calibration>, most: usize) -> Self {
        let (questions, elsewhere) = Default::default();
        Self { store: Arc::clone(store), calibration, most, questions, elsewhere }
    }

    /// Passes a question with its first answer.
    ///
    /// # Errors
    /// When a pass fails.
    pub fn ask(&mut self, question: &Encoded, runner: &mut dyn Runner) -> Result<()> {
        let places = self.places(question, runner)?;
        self.questions.push(places);
        Ok(())
    }

    /// Passes an exchange that the store is not about.
    ///
    /// # Errors
    /// When a pass fails.
    pub fn ask_elsewhere(&mut self, exchange: &Encoded, runner: &mut dyn Runner) -> Result<()> {
        let places = self.places(exchange, runner)?;
        self.elsewhere.extend(places);
        Ok(())
    }

    /// The temperature at which the median place has √k neighbours that count.
    pub fn temperature(&self, neighbours: usize) -> f64 {
        let found = |place: &Place| place.found[..neighbours.min(place.found.len())].to_vec();
        let queries: Vec<Vec<Neighbour>> = self.questions.iter().flatten().map(found).collect();
        calibration::temperature(&queries, neighbours).unwrap_or(1.0)
    }

    /// What a way of asking brings. The gate is on, half open at `middle`.
    pub fn try_one(&self, neighbours: usize, temperature: f64, lambda: f64, middle: f64) -> Tried {
        self.weigh(&self.said(neighbours, temperature), lambda, middle)
    }

    fn said(&self, neighbours: usize, temperature: f64) -> Said {
        let of = |place: &Place| {
            let found = place.found[..neighbours.min(place.found.len())].to_vec();
            Reference::of(&[found], temperature, |entry| self.store.value(entry))
                .unwrap_or_default()
        };
        let questions = self.questions.iter().map(|places| places.iter().map(of).collect());
        let elsewhere = self.elsewhere.iter().map(of).collect();
        Said { neighbours, temperature, questions: questions.collect(), elsewhere }
    }

    fn weigh(&self, said: &Said, lambda: f64, middle: f64) -> Tried {
        let open = |place: &Place| {
            let nearest = place.found.first().map_or(f64::INFINITY, |near| near.distance);
            self.calibration.map_or(1.0, |calibration| calibration.gate(nearest, middle))
        };
        let mixed = |(place, said): (&Place, &Reference)| place.mixed(said, lambda * open(place));
        let (mut right, mut on_top, mut sum, mut count) = (0_usize, 0_usize, 0.0, 0_usize);
        for (question, said) in self.questions.iter().zip(&said.questions) {
            let before = on_top;
            for (of_target, is_top) in question.iter().zip(said).map(mixed) {
                on_top += usize::from(is_top);
                sum += of_target.max(LEAST).ln();
                count += 1;
            }
            right += usize::from(on_top - before == question.len());
        }
        let lost = self.elsewhere.iter().zip(&said.elsewhere).map(|(place, said)| {
            place.own.max(LEAST).ln() - mixed((place, said)).0.max(LEAST).ln()
        });
        Tried {
            neighbours: said.neighbours,
            temperature: said.temperature,
            lambda,
            middle,
            exact: right as f64 / self.questions.len().max(1) as f64,
            on_top: on_top as f64 / count.max(1) as f64,
            mean_log: sum / count.max(1) as f64,
            harm: (lost.sum::<f64>() / self.elsewhere.len().max(1) as f64).exp() - 1.0,
        }
    }

    /// All of the grid.
    pub fn grid(&self) -> Vec<Tried> {
        self.over(&NEIGHBOURS, &TEMPERATURES, &LAMBDAS)
    }

    fn over(&self, neighbours: &[usize], temperatures: &[f64], lambdas: &[f64]) -> Vec<Tried> {
        let mut sizes: Vec<usize> = neighbours.iter().map(|k| *k.min(&self.store.len())).collect();
        sizes.dedup();
        let mut all = Vec::new();
        for neighbours in sizes {
            let measured = self.temperature(neighbours);
            for part in temperatures {
                let said = self.said(neighbours, part * measured);
                for middle in MIDDLES {
                    all.extend(lambdas.iter().map(|lambda| self.weigh(&said, *lambda, middle)));
                }
            }
        }
        all
    }

    /// The best of the grid: of what leaves everyday text alone, most exact answers, then the
    /// likeliest ones.
    pub fn best(&self) -> Chosen {
        let mut grid = self.grid();
        grid.retain(|tried| tried.harm <= MOST_HARM);
        let better = |a: &&Tried, b: &&Tried| {
            a.exact.total_cmp(&b.exact).then(a.mean_log.total_cmp(&b.mean_log))
        };
        let best = grid.iter().max_by(better).copied();
        self.as_chosen(best.unwrap_or_else(|| self.try_one(1, 1.0, 0.0, MIDDLE)))
    }

    /// The best way to ask with a share that is given, on questions made of the store's own text:
    /// of what leaves everyday text alone, or else of what harms it least, most tokens on top. Of
    /// such a question the first token is often not to be guessed, so whole answers say little.
    ///
    /// `None` without questions.
    pub fn best_of_own(&self, lambda: f64) -> Option<Chosen> {
        let mut grid = self.over(&OWN_NEIGHBOURS, &OWN_TEMPERATURES, &[lambda]);
        let least = grid.iter().map(|tried| tried.harm).fold(f64::INFINITY, f64::min);
        grid.retain(|tried| tried.harm <= MOST_HARM.max(least));
        let better = |a: &&Tried, b: &&Tried| {
            a.on_top.total_cmp(&b.on_top).then(a.mean_log.total_cmp(&b.mean_log))
        };
        let best = grid.iter().max_by(better).copied()?;
        (!self.questions.is_empty()).then(|| self.as_chosen(best))
    }

    fn as_chosen(&self, best: Tried) -> Chosen {
        Chosen {
            neighbours: best.neighbours,
            temperature: best.temperature,
            lambda: best.lambda,
            middle: best.middle,
            harm: best.harm,
            questions: self.questions.len(),
            exact: best.exact,
            alone: self.try_one(1, 1.0, 0.0, MIDDLE).exact,
        }
    }

    fn places(&self, encoded: &Encoded, runner: &mut dyn Runner) -> Result<Vec<Place>> {
        let answer = encoded.answers.first().map_or(&[][..], Vec::as_slice);
        let ids = [encoded.prompt.as_slice(), answer].concat();
        if runner.rows() > 1 {
            runner.gather(&[0])?;
        }
        runner.truncate(0)?;
        let (mut places, mut at) = (Vec::new(), 0);
        for chunk in ids[..ids.len().saturating_sub(1)].chunks(CHUNK) {
            let output = runner.prefill(chunk, Wanted::All)?;
            for row in 0..output.rows {
                let next = at + row + 1;
                if next < encoded.prompt.len() {
                    continue;
                }
                places.push(self.place(output.logits_of(row), output.hidden_of(row), ids[next]));
            }
            at += chunk.len();
        }
        Ok(places)
    }

    fn place(&self, logits: &[f32], hidden: &[f32], target: u32) -> Place {
        let mass = log_mass(logits);
        let probability = |logit: f32| f64::from(logit - mass).exp();
        let others = logits.iter().enumerate().filter(|(id, _)| *id != target as usize);
        let other = others.map(|(_, logit)| *logit).fold(f32::NEG_INFINITY, f32::max);
        let found = self.store.nearest(hidden, 1, self.most).pop().unwrap_or_default();
        let said = found.iter().map(|near| self.store.value(near.entry));
        let own_of = |id: u32| Some((id, probability(*logits.get(id as usize)?)));
        Place {
            target,
            own: logits.get(target as usize).map_or(0.0, |logit| probability(*logit)),
            other: probability(other),
            own_of: said.filter_map(own_of).collect(),
            found,
        }
    }
}
