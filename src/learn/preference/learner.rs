//! Steps over preference pairs: how the network stands to some of them, the gradients of the loss,
//! and the schedule of a whole run.

use std::time::Instant;

use anyhow::{Result, ensure};
use candle_core::Tensor;
use candle_core::backprop::GradStore;

use super::arguments::VectorArgs;
use super::batch::{PairBatch, shares};
use super::data::{Aim, Data, Lesson};
use super::state::Position;
use crate::learn::base::gradients::Workers;
use crate::learn::base::optimizer::{AdamW, StepSize};
use crate::learn::base::progress::duration;
use crate::learn::base::schedule;
use crate::learn::network::Network;
use crate::learn::random::Draws;

/// How a network stands to some pairs.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Standing {
    /// Mean loss.
    pub loss: f64,
    /// Share of the pairs whose margin is positive: the chosen answer has gained on the rejected.
    pub accuracy: f64,
    /// Mean margin in nats.
    pub margin: f64,
    /// Share of the pairs whose chosen answer is the likelier, whatever the reference says.
    pub likelier: f64,
    /// By how many nats the answers that are to stay as they are have moved.
    pub drift: f64,
}

impl Standing {
    /// For a person.
    pub fn phrase(&self) -> String {
        let drift = match self.drift {
            0.0 => String::new(),
            drift => format!(", others moved {drift:.2} nats"),
        };
        format!(
            "loss {:.4}, {:.1} % preferred, margin {:.2} nats, chosen likelier in {:.1} %{drift}",
            self.loss,
            100.0 * self.accuracy,
            self.margin,
            100.0 * self.likelier
        )
    }

    fn add(&mut self, other: &Self, share: f64) {
        self.loss += share * other.loss;
        self.accuracy += share * other.accuracy;
        self.margin += share * other.margin;
        self.likelier += share * other.likelier;
        self.drift += share * other.drift;
    }
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
    /// For the terminal.
    pub fn line(&self) -> String {
        let (steps, of) = (self.position.steps, self.of);
        let left = (of - steps) as f64 * self.seconds_per_step;
        format!("step {steps} of {of}  {}  about {} left", self.standing.phrase(), duration(left))
    }
}

/// What steps are taken with.
pub struct Learner<'a> {
    pub args: &'a VectorArgs,
    pub network: &'a Network,
    pub workers: &'a Workers,
}

impl Learner<'_> {
    /// Steps of the whole run.
    pub fn steps(&self, data: &Data) -> u64 {
        self.args.epochs * data.training.len().div_ceil(self.args.batch) as u64
    }

    /// Takes steps to the end; false when `after` said to stop.
    pub fn train(
        &self,
        data: &Data,
        reference: &[f32],
        optimizer: &mut AdamW,
        position: &mut Position,
        mut after: impl FnMut(&Self, Step<'_>) -> Result<bool>,
    ) -> Result<bool> {
        let of = self.steps(data);
        let in_epoch = of / self.args.epochs;
        let mut order: (u64, Vec<usize>) = (u64::MAX, Vec::new());
        let mut standing: Option<Standing> = None;
        let (begun, first) = (Instant::now(), position.steps);
        while position.steps < of {
            let started = Instant::now();
            let (epoch, at) = (position.steps / in_epoch, position.steps % in_epoch);
            if order.0 != epoch {
                let mut indices: Vec<usize> = (0..data.training.len()).collect();
                Draws::new(self.args.seed, 0x7072_6566_0000 + epoch).shuffle(&mut indices);
                order = (epoch, indices);
            }
            let from = at as usize * self.args.batch;
            let some = &order.1[from..(from + self.args.batch).min(order.1.len())];
            let pairs: Vec<&Lesson> = some.iter().map(|&i| &data.training[i]).collect();
            let known: Vec<f32> =
                some.iter().flat_map(|&i| [reference[2 * i], reference[2 * i + 1]]).collect();
            let (now, grads) = self.compute(&pairs, &known, true)?;
            ensure!(
                now.loss.is_finite(),
                "the loss is no longer finite at step {}",
                position.steps
            );
            optimizer.step(self.network, &grads, &self.step_size(position.steps, of))?;
            position.steps += 1;
            position.seconds += started.elapsed().as_secs_f64();
            let mut smooth = standing.unwrap_or(now);
            let change = if standing.is_some() { 0.05 } else { 0.0 };
            let was = smooth;
            smooth.add(&now, change);
            smooth.add(&was, -change);
            standing = Some(smooth);
            let taken = (position.steps - first) as f64;
            let seconds_per_step = begun.elapsed().as_secs_f64() / taken;
            let step = Step { optimizer, position, of, standing: smooth, seconds_per_step };
            if !after(self, step)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn step_size(&self, steps: u64, of: u64) -> StepSize {
        let fraction = steps as f64 / of as f64;
        let warm_up = (of / 20).clamp(1, 100);
        StepSize {
            learning_rate: schedule::learning_rate(
                self.args.learning_rate(),
                warm_up,
                steps,
                fraction,
            ),
            // The reference already holds the weights back.
            weight_decay: 0.0,
            ..StepSize::default()
        }
    }

    /// How the network stands to pairs.
    pub fn standing(&self, pairs: &[Lesson], reference: &[f32]) -> Result<Standing> {
        let mut all = Standing::default();
        let refs: Vec<&Lesson> = pairs.iter().collect();
        for (some, known) in refs.chunks(16).zip(reference.chunks(32)) {
            let (standing, _) = self.compute(some, known, false)?;
            all.add(&standing, some.len() as f64 / pairs.len() as f64);
        }
        Ok(all)
    }

    /// How the network stands to some pairs and, where asked for, the gradients of their mean
    /// loss, by worker.
    pub fn compute(
        &self,
        lessons: &[&Lesson],
        reference: &[f32],
        backward: bool,
    ) -> Result<(Standing, Vec<GradStore>)> {
        let lengths: Vec<usize> = lessons.iter().map(|lesson| lesson.pair.tokens()).collect();
        let preferring = lessons.iter().filter(|lesson| lesson.aim == Aim::Prefer).count();
        let share = Share {
            all: 1.0 / lessons.len() as f64,
            preferring: 1.0 / preferring.max(1) as f64,
            keeping: 1.0 / (lessons.len() - preferring).max(1) as f64,
        };
        let parts = shares(&lengths, self.workers.count());
        let results = self.workers.each(&parts, |part| {
            let some = &lessons[part.clone()];
            let packed = PairBatch::at(some.iter().map(|lesson| (&lesson.pair, lesson.strength)));
            let PairBatch { batch, owners, answers } = packed;
            let values = self.network.answer_log_probabilities(&batch, &owners, answers)?;
            let known = reference[2 * part.start..2 * part.end].chunks_exact(2);
            let (mut standing, mut slopes) = (Standing::default(), Vec::new());
            for ((lesson, now), was) in
                some.iter().zip(values.to_vec1::<f32>()?.chunks_exact(2)).zip(known)
            {
                let (one, slope) = self.lesson(lesson, now, was, &share);
                standing.add(&one, 1.0);
                slopes.extend(slope.map(|slope| (share.all * slope) as f32));
            }
            // The log-probabilities times the loss's slopes there have the loss's own gradients.
            let grads = match backward {
                true => {
                    let slopes = Tensor::from_vec(slopes, values.shape(), values.device())?;
                    Some((values * slopes)?.sum_all()?.backward()?)
                }
                false => None,
            };
            Ok((standing, grads))
        })?;
        let mut all = Standing::default();
        let mut grads = Vec::new();
        for (standing, part) in results {
            all.add(&standing, 1.0);
            grads.extend(part);
        }
        Ok((all, grads))
    }

    /// What one pair adds to the standing, and the slopes of its loss along both answers'
    /// log-probabilities.
    fn lesson(
        &self,
        lesson: &Lesson,
        now: &[f32],
        was: &[f32],
        share: &Share,
    ) -> (Standing, [f64; 2]) {
        let b = self.args.b;
        let gains = [f64::from(now[0] - was[0]), f64::from(now[1] - was[1])];
        let yes = |holds: bool, share: f64| if holds { share } else { 0.0 };
        match lesson.aim {
            Aim::Prefer => {
                let margin = gains[0] - gains[1];
                let (loss, slope) = self.args.objective.loss(margin, b);
                // The mean over the chosen answer's tokens, so that long ones weigh no more.
                let weight = self.args.likelihood_weight();
                let per_token = weight / lesson.pair.answers[0].len().max(1) as f64;
                let standing = Standing {
                    loss: share.all * (loss - per_token * f64::from(now[0])),
                    accuracy: yes(margin > 0.0, share.preferring),
                    margin: share.preferring * margin,
                    likelier: yes(now[0] > now[1], share.preferring),
                    drift: 0.0,
                };
                (standing, [slope - per_token, -slope])
            }
            Aim::Keep => {
                let loss: f64 = gains.iter().map(|gain| (b * gain).powi(2)).sum();
                let drift = 0.5 * share.keeping * (gains[0].abs() + gains[1].abs());
                let standing = Standing { loss: share.all * loss, drift, ..Standing::default() };
                (standing, gains.map(|gain| 2.0 * b * b * gain))
            }
        }
    }
}

/// What one pair counts in means over all, over those that prefer, and over those that keep.
struct Share {
    all: f64,
    preferring: f64,
    keeping: f64,
}
