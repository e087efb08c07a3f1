//! What a reply costs with a vector in play against asking for the level in the prompt.

use std::time::Instant;

use anyhow::{Context, Result};

use super::bench::{Bench, alone};
use crate::decode::reply::Ending;
use crate::decode::{Knobs, Passes, Progress, Reply, ReplyStart};
use crate::session::Role;
use crate::steer::Plan;

/// An instruction as one would write it to get the expert level from a model that follows
/// instructions.
pub const INSTRUCTION: &str = "You are a specialist in this field, speaking to someone who wants \
    the whole picture. Do not decline and do not refer the person elsewhere without an answer. \
    Explain the mechanism behind the matter, use the proper terms, give the numbers that matter, \
    and name the caveats and exceptions that a specialist would name.";

/// Means over some replies.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cost {
    pub prompt_tokens: f64,
    pub reply_tokens: f64,
    pub seconds: f64,
}

impl Cost {
    /// Positions the model computes for one reply.
    pub fn positions(&self) -> f64 {
        self.prompt_tokens + self.reply_tokens
    }
}

/// The cost of replies under the domain's vector at 1, and of as long replies under the
/// instruction with all vectors at 0.
///
/// # Errors
/// When a pass fails.
pub fn measure(bench: &mut Bench, domain: usize, replies: usize, seed: u64) -> Result<[Cost; 2]> {
    let asked: Vec<String> = bench.questions[domain]
        .iter()
        .take(replies)
        .map(|question| question.question.text.clone())
        .collect();
    let mut costs = [Cost::default(); 2];
    let share = 1.0 / asked.len().max(1) as f64;
    for (number, question) in asked.iter().enumerate() {
        let mut longest = 200;
        for (instructed, cost) in costs.iter_mut().enumerate() {
            bench.set(alone(domain, if instructed == 0 { 1.0 } else { 0.0 }))?;
            let mut messages = vec![(Role::User, question.as_str())];
            if instructed == 1 {
                messages.insert(0, (Role::System, INSTRUCTION));
            }
            let one = reply(bench, &messages, number as u64, longest, seed)?;
            // As many tokens each way: what is compared is the cost of asking.
            longest = one.reply_tokens as usize;
            cost.prompt_tokens += share * one.prompt_tokens;
            cost.reply_tokens += share * one.reply_tokens;
            cost.seconds += share * one.seconds;
        }
    }
    Ok(costs)
}

fn reply(
    bench: &mut Bench,
    messages: &[(Role, &str)],
    number: u64,
    longest: usize,
    seed: u64,
) -> Result<Cost> {
    let model = &mut bench.model;
    let template = model.language.template.as_ref().context("this model has no chat template")?;
    let ids = model.language.vocabulary.encode(&template.render(messages, true)?, true)?;
    let prompt_tokens = ids.len() as f64;
    let start = ReplyStart { reply: number, prompt_len: ids.len(), ids, ..ReplyStart::default() };
    let mut plan = Plan { seed, max_tokens: Some(longest), ..Plan::default() };
    plan.sampling.temperature = 0.7;
    let runner = model.runner.as_mut();
    runner.truncate(0)?;
    let begun = Instant::now();
    // Strengths stay what they were set to.
    let (mut passes, mut knobs) = (Passes::default(), Knobs::default());
    let (mut reply, _) =
        Reply::begin(&model.language, runner, &mut passes, &mut knobs, start, plan)?;
    let mut tokens = 0;
    loop {
        match reply.advance(runner, &mut [])? {
            Progress::Prefilled { .. } => {}
            Progress::Tokens(some) => tokens += some.len(),
            Progress::Ended(some, ending) => {
                // The end marker is a token that was computed, too.
                tokens += some.len() + usize::from(ending == Ending::EndOfText);
                break;
            }
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    Ok(Cost { prompt_tokens, reply_tokens: tokens as f64, seconds })
}
