//! Steps over lessons: how a model's rewards stand to some of them, the gradients of the loss, and
//! the schedule of a whole run. The same for an inserted stream and for a model of its own.

use std::time::Instant;

use anyhow::{Result, ensure};
use candle_core::Tensor;
use candle_core::backprop::GradStore;

use super::arguments::Schedule;
use super::objective;
use super::signals::{self, Signal};
use super::standing::Standing;
use super::state::Position;
use super::texts::{Lesson, Lessons};
use super::told::Told;
use crate::learn::base::gradients::Workers;
use crate::learn::base::optimizer::{AdamW, StepSize, Trained};
use crate::learn::base::schedule;
use crate::learn::preference::batch::shares;
use crate::learn::random::Draws;
use crate::model::reward::Heads;

/// Most positions of one pass; larger batches are computed part by part.
pub const MOST_POSITIONS: usize = 4096;
/// Aligned positions that held-out pairs are checked at.
const CHECKED_PREFIXES: usize = 4;

/// A model whose rewards can be trained.
pub trait Rewarder: Trained + Sync {
    /// Makes these texts of the run ready to be read; called before [`Self::rewards`].
    ///
    /// # Errors
    /// When the base cannot be run over them.
    fn ready(&self, texts: &[usize]) -> Result<()>;

    /// Rewards at positions of some texts, `[reads]`: each read is a place in `texts` and a
    /// position of that text.
    ///
    /// # Errors
    /// When an operation fails.
    fn rewards(&self, texts: &[usize], reads: &[(usize, usize)]) -> Result<Tensor>;

    /// The heads that are trained.
    fn heads(&self) -> Heads {
        Heads::default()
    }

    /// Rewards and what heads over the vocabulary say; with `compares` also how often they are right.
    ///
    /// # Errors
    /// When an operation fails.
    fn read(
        &self,
        texts: &[usize],
        reads: &[(usize, usize)],
        _signals: &[Signal],
        _compares: bool,
    ) -> Result<Read> {
        Ok(Read { rewards: Some(self.rewards(texts, reads)?), signals: Vec::new() })
    }
}

/// What a model says of some texts.
pub struct Read {
    /// `[reads]`; `None` without reads.
    pub rewards: Option<Tensor>,
    /// For each signal its mean cross-entropy, and how many of its tokens would have been said.
    pub signals: Vec<(Tensor, f64)>,
}

/// By how much a part counts.
#[derive(Clone, Copy)]
struct Shares {
    /// One over the lessons of the whole batch that judge, and over the tokens heads are to say.
    lesson: f64,
    token: f64,
}

/// What is known after a step.
pub struct Step<'a> {
    pub optimizer: &'a AdamW,
    pub position: &'a Position,
    /// Steps of the whole run.
    pub of: u64,
    /// Smoothed over about twenty steps.
    pub standing: Standing,
    pub seconds_per_step: f64,
}

impl Step<'_> {
    /// What is told of it.
    pub fn told(&self) -> Told<'static> {
        let (steps, of, standing) = (self.position.steps, self.of, self.standing);
        Told::Step {
            steps,
            of,
            standing,
            seconds_left: (of - steps) as f64 * self.seconds_per_step,
        }
    }
}

/// What steps are taken with.
pub struct Learner<'a, M: Rewarder> {
    pub schedule: &'a Schedule,
    pub lessons: &'a Lessons,
    pub model: &'a M,
    pub workers: &'a Workers,
}

impl<M: Rewarder> Learner<'_, M> {
    /// Steps of the whole run.
    pub fn steps(&self) -> u64 {
        self.schedule.epochs * self.lessons.training.len().div_ceil(self.schedule.batch) as u64
    }

    /// Takes steps to the end; false when `after` said to stop.
    ///
    /// # Errors
    /// When the loss is no longer finite, or `after` fails.
    pub fn train(
        &self,
        optimizer: &mut AdamW,
        position: &mut Position,
        mut after: impl FnMut(&Self, Step<'_>) -> Result<bool>,
    ) -> Result<bool> {
        let (of, size) = (self.steps(), self.schedule.batch);
        let in_epoch = of / self.schedule.epochs;
        let mut order: (u64, Vec<usize>) = (u64::MAX, Vec::new());
        let mut smooth: Option<Standing> = None;
        let (begun, first) = (Instant::now(), position.steps);
        while position.steps < of {
            let started = Instant::now();
            let (epoch, at) = (position.steps / in_epoch, position.steps % in_epoch);
            if order.0 != epoch {
                let mut indices: Vec<usize> = (0..self.lessons.training.len()).collect();
                Draws::new(self.schedule.seed, 0x7265_7761_0000 + epoch).shuffle(&mut indices);
                order = (epoch, indices);
            }
            let from = at as usize * size;
            let some = &order.1[from..(from + size).min(order.1.len())];
            let some: Vec<Lesson> = some.iter().map(|&i| self.lessons.training[i]).collect();
            let (now, grads) = self.compute(&some, self.schedule.prefixes, true)?;
            let steps = position.steps;
            ensure!(now.loss().is_finite(), "the loss is no longer finite at step {steps}");
            optimizer.step(self.model, &grads, &self.step_size(steps, of))?;
            position.steps += 1;
            position.seconds += started.elapsed().as_secs_f64();
            let standing = smooth.map_or(now, |smooth| smooth.faded(0.95).with(&now.faded(0.05)));
            smooth = Some(standing);
            let taken = (position.steps - first) as f64;
            let seconds_per_step = begun.elapsed().as_secs_f64() / taken;
            if !after(self, Step { optimizer, position, of, standing, seconds_per_step })? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// How far a step goes: a warm-up, then down to nothing.
    pub fn step_size(&self, steps: u64, of: u64) -> StepSize {
        let warm_up = (of * 3 / 100).clamp(1, 200);
        let fraction = steps as f64 / of as f64;
        StepSize {
            learning_rate: schedule::learning_rate(
                self.schedule.learning_rate,
                warm_up,
                steps,
                fraction,
            ),
            weight_decay: self.schedule.weight_decay,
            beta2: 0.999,
            ..StepSize::default()
        }
    }

    /// How the model stands to lessons, part by part; `go_on` is asked between two parts.
    ///
    /// # Errors
    /// When a pass fails or `go_on` does.
    pub fn standing(
        &self,
        lessons: &[Lesson],
        mut go_on: impl FnMut() -> Result<()>,
    ) -> Result<Standing> {
        let mut all = Standing::default();
        for some in lessons.chunks(16) {
            go_on()?;
            all = all.with(&self.compute(some, CHECKED_PREFIXES, false)?.0);
        }
        Ok(all)
    }

    /// How the model stands to some lessons and, where asked for, the gradients of their mean
    /// loss in parts; pairs are also compared at up to `prefixes` aligned positions, which count
    /// for the loss where the run trains on them.
    ///
    /// # Errors
    /// When a pass fails.
    pub fn compute(
        &self,
        lessons: &[Lesson],
        prefixes: usize,
        backward: bool,
    ) -> Result<(Standing, Vec<GradStore>)> {
        let texts = &self.lessons.texts;
        let positions = |lesson: &Lesson| -> usize {
            lesson.texts().iter().map(|text| texts[*text].ids.len()).sum()
        };
        let lengths: Vec<usize> = lessons.iter().map(positions).collect();
        let all: usize = lengths.iter().sum();
        let count = all.div_ceil(MOST_POSITIONS).max(1).next_multiple_of(self.workers.count());
        let parts = shares(&lengths, count);
        let judging = lessons.iter().filter(|lesson| lesson.judges()).count().max(1);
        let tokens = signals::count(self.model.heads(), lessons, texts).max(1);
        let each = Shares { lesson: 1.0 / judging as f64, token: 1.0 / tokens as f64 };
        let (mut standing, mut sum) = (Standing::default(), Vec::<GradStore>::new());
        for parts in parts.chunks(self.workers.count()) {
            let numbers: Vec<usize> = parts
                .iter()
                .flat_map(|part| lessons[part.clone()].iter().flat_map(|l| l.texts().to_vec()))
                .collect();
            self.model.ready(&numbers)?;
            let results = self
                .workers
                .each(parts, |part| self.part(&lessons[part.clone()], prefixes, each, backward))?;
            for (place, (one, grads)) in results.into_iter().enumerate() {
                standing = standing.with(&one);
                match (sum.get_mut(place), grads) {
                    (Some(sum), Some(grads)) => add(self.model, sum, grads)?,
                    (None, Some(grads)) => sum.push(grads),
                    (_, None) => {}
                }
            }
        }
        // A head that had nothing to say in these lessons stays where it is.
        for grads in &mut sum {
            for (_, var) in self.model.trained() {
                if grads.get(var).is_none() {
                    grads.insert(var, var.as_tensor().zeros_like()?);
                }
            }
        }
        Ok((standing, sum))
    }

    /// One part: its standing, and the gradients of its share of the mean loss.
    fn part(
        &self,
        lessons: &[Lesson],
        prefixes: usize,
        share: Shares,
        backward: bool,
    ) -> Result<(Standing, Option<GradStore>)> {
        let mut texts: Vec<usize> = Vec::new();
        let mut reads = Vec::new();
        // For each lesson, how many positions before the last are compared.
        let mut before = Vec::new();
        for lesson in lessons {
            let mut place = |number: usize| {
                let at = texts.iter().position(|other| *other == number).unwrap_or(texts.len());
                if at == texts.len() {
                    texts.push(number);
                }
                at
            };
            let last = |number: usize| self.lessons.texts[number].ids.len() - 1;
            match lesson {
                Lesson::Rating(text, _) => {
                    reads.push((place(*text), last(*text)));
                    before.push(0);
                }
                Lesson::Own(text) => {
                    place(*text);
                    before.push(0);
                }
                Lesson::Pair(pair) => {
                    let places = pair.map(&mut place);
                    let aligned =
                        objective::aligned(pair.map(|text| &self.lessons.texts[text]), prefixes);
                    before.push(aligned.len());
                    for [a, b] in aligned.into_iter().chain([pair.map(last)]) {
                        reads.extend([(places[0], a), (places[1], b)]);
                    }
                }
            }
        }
        let find = |number: usize| texts.iter().position(|text| *text == number).unwrap_or(0);
        let signals = signals::of(self.model.heads(), lessons, &self.lessons.texts, find);
        let Read { rewards, signals: said } =
            self.model.read(&texts, &reads, &signals, !backward)?;
        let values = match &rewards {
            Some(rewards) => rewards.to_vec1::<f32>()?,
            None => Vec::new(),
        };
        let values: Vec<f64> = values.into_iter().map(f64::from).collect();
        let (mut standing, mut slopes) = (Standing::default(), Vec::with_capacity(values.len()));
        let mut rest = values.as_slice();
        for (lesson, before) in lessons.iter().zip(before) {
            match lesson {
                Lesson::Own(_) => {}
                Lesson::Rating(_, wanted) => {
                    let (loss, slope) = objective::rating(rest[0], *wanted);
                    standing.add_rating(*wanted, loss);
                    slopes.push(slope);
                    rest = &rest[1..];
                }
                Lesson::Pair(_) => {
                    let (now, behind) = rest.split_at(2 * (before + 1));
                    rest = behind;
                    let margins: Vec<f64> =
                        now.chunks_exact(2).map(|two| two[0] - two[1]).collect();
                    let counted = if self.schedule.prefixes > 0 { before } else { 0 };
                    let each = 1.0 / (counted + 1) as f64;
                    let mut total = 0.0;
                    for (place, margin) in margins.iter().enumerate() {
                        let counts = place == before || counted > 0;
                        let (loss, slope) = objective::pairwise(*margin);
                        let weight = if counts { each } else { 0.0 };
                        total += weight * loss;
                        slopes.extend([weight * slope, -weight * slope]);
                    }
                    standing.add_pair(&margins, total);
                }
            }
        }
        for (signal, (loss, right)) in signals.iter().zip(&said) {
            let right = (signal.is_draft && !backward).then_some(*right);
            standing.add_signal(signal.targets.len(), f64::from(loss.to_scalar::<f32>()?), right);
        }
        if !backward {
            return Ok((standing, None));
        }
        let mut parts = Vec::new();
        if let Some(rewards) = rewards {
            // The rewards times the loss's slopes there have the loss's own gradients.
            let slopes: Vec<f32> =
                slopes.into_iter().map(|slope| (share.lesson * slope) as f32).collect();
            let slopes = Tensor::from_vec(slopes, rewards.shape(), rewards.device())?;
            parts.push((rewards * slopes)?.sum_all()?);
        }
        for (signal, (loss, _)) in signals.iter().zip(said) {
            let weight = signals::WEIGHT * signal.targets.len() as f64 * share.token;
            parts.push(loss.affine(weight, 0.0)?);
        }
        let mut parts = parts.into_iter();
        let Some(mut sum) = parts.next() else { return Ok((standing, None)) };
        for part in parts {
            sum = (sum + part)?;
        }
        Ok((standing, Some(sum.backward()?)))
    }
}

/// Adds the gradients of what is trained to a sum.
fn add(model: &impl Trained, sum: &mut GradStore, grads: GradStore) -> Result<()> {
    for (_, var) in model.trained() {
        if let Some(more) = grads.get(var) {
            let total = match sum.get(var) {
                Some(grad) => (grad + more)?,
                None => more.clone(),
            };
            sum.insert(var, total);
        }
    }
    Ok(())
}
