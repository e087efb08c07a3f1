//! What a reply costs with a vector in play against asking for the level in the prompt.

use std::time::Instant;

use anyhow::{Context, Result};

use super::arguments::VectorsArgs;
use super::bench::{Bench, DOMAINS, alone};
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

/// Most tokens of a reply.
const LONGEST: usize = 200;

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

    /// Positions and seconds for a hundred generated tokens, the prompt's share among them.
    pub fn per_hundred(&self) -> [f64; 2] {
        let share = 100.0 / self.reply_tokens.max(1.0);
        [share * self.positions(), share * self.seconds]
    }
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The domain's vector at 1.
    Vector,
    /// The instruction, all vectors at 0; the reply ends where the model ends it.
    Prompting,
    /// The same, made to go on for as many tokens as the vector's reply has: the formula of the
    /// method, in which asking is all that differs.
    AsLong,
}

/// The cost of replies under the domain's vector, under the instruction, and under the instruction
/// at the vector's length.
///
/// # Errors
/// When a pass fails.
fn measure(bench: &mut Bench, domain: usize, replies: usize, seed: u64) -> Result<[Cost; 3]> {
    let asked: Vec<String> = bench.questions[domain]
        .iter()
        .take(replies)
        .map(|question| question.question.text.clone())
        .collect();
    let mut costs = [Cost::default(); 3];
    let share = 1.0 / asked.len().max(1) as f64;
    for (number, question) in asked.iter().enumerate() {
        let mut vectors_length = LONGEST;
        for (way, cost) in [Way::Vector, Way::Prompting, Way::AsLong].into_iter().zip(&mut costs) {
            bench.set(alone(domain, if way == Way::Vector { 1.0 } else { 0.0 }))?;
            let mut messages = vec![(Role::User, question.as_str())];
            if way != Way::Vector {
                messages.insert(0, (Role::System, INSTRUCTION));
            }
            let mut plan = Plan { seed, max_tokens: Some(LONGEST), ..Plan::default() };
            plan.sampling.temperature = 0.7;
            if way == Way::AsLong {
                plan.max_tokens = Some(vectors_length);
                let ends = &bench.model.language.end_of_text_ids;
                let never = ends.iter().map(|id| (id.to_string(), f32::NEG_INFINITY));
                plan.sampling.logit_bias.extend(never);
            }
            let one = reply(bench, &messages, number as u64, plan)?;
            if way == Way::Vector {
                vectors_length = one.reply_tokens as usize;
            }
            cost.prompt_tokens += share * one.prompt_tokens;
            cost.reply_tokens += share * one.reply_tokens;
            cost.seconds += share * one.seconds;
        }
    }
    Ok(costs)
}

/// Measures every domain and tells three lines about each.
///
/// # Errors
/// When a pass fails.
pub fn table(bench: &mut Bench, args: &VectorsArgs, tell: &mut impl FnMut(&str)) -> Result<()> {
    tell(
        "cost            prompt +  reply tokens  seconds   positions of the vector's to prompting's, \
         and its time",
    );
    for (domain, name) in DOMAINS.iter().enumerate() {
        let costs = measure(bench, domain, args.replies, args.seed)?;
        lines(name, &costs).iter().for_each(|line| tell(line));
    }
    Ok(())
}

/// The figures of one domain. The vector's replies and prompting's differ in length, so that a
/// reply, a hundred tokens and replies of one length are three questions with three answers.
fn lines(name: &str, costs: &[Cost; 3]) -> Vec<String> {
    let [vector, prompting, as_long] = costs;
    let row = |what: &str, cost: &Cost| {
        let Cost { prompt_tokens, reply_tokens, seconds } = cost;
        format!("{what:<15}{prompt_tokens:>7.0} + {reply_tokens:>6.0} {seconds:>14.3}")
    };
    let of = |what: &str, a: [f64; 2], b: [f64; 2]| {
        format!("  {what:<46}{:>7.2} {:>7.2}", a[0] / b[0], a[1] / b[1])
    };
    let whole = |cost: &Cost| [cost.positions(), cost.seconds];
    vec![
        row(name, vector),
        row("  prompting", prompting),
        row("  as long", as_long),
        of("per reply, each as long as it came", whole(vector), whole(prompting)),
        of("per 100 generated tokens", vector.per_hundred(), prompting.per_hundred()),
        of("replies of one length (the method's formula)", whole(vector), whole(as_long)),
    ]
}

fn reply(bench: &mut Bench, messages: &[(Role, &str)], number: u64, plan: Plan) -> Result<Cost> {
    let model = &mut bench.model;
    let template = model.language.template.as_ref().context("this model has no chat template")?;
    let ids = model.language.vocabulary.encode(&template.render(messages, true)?, true)?;
    let prompt_tokens = ids.len() as f64;
    let start = ReplyStart { reply: number, prompt_len: ids.len(), ids, ..ReplyStart::default() };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_reply_is_cheap_and_its_hundred_tokens_are_dear() {
        let cost =
            |prompt_tokens, reply_tokens, seconds| Cost { prompt_tokens, reply_tokens, seconds };
        let all = [cost(20.0, 100.0, 1.0), cost(100.0, 25.0, 0.5), cost(100.0, 100.0, 1.6)];
        assert_eq!(all[1].per_hundred(), [500.0, 2.0]);
        let lines = lines("medical", &all);
        let ends = |line: &str, values: &str| assert!(line.ends_with(values), "{line}");
        ends(&lines[3], "0.96    2.00");
        ends(&lines[4], "0.24    0.50");
        ends(&lines[5], "0.60    0.62");
    }
}
