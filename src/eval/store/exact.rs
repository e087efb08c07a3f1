//! Exact answers to held-out questions, and the perplexity of text under a rule.

use std::path::Path;

use anyhow::Result;

use crate::decode::reply::PREFILL_CHUNK;
use crate::decode::{Position, TokenRule, observe};
use crate::documents;
use crate::eval::replies;
use crate::learn::preference::encoding::Encoded;
use crate::model::runner::reuse_prefix;
use crate::model::{Model, Wanted};
use crate::platform::Problem;
use crate::steer::{Plan, Sampling};

/// A reply longer than this is no answer to one of these questions.
const MOST_TOKENS: usize = 64;

/// Questions with their answers out of a file of JSON lines.
///
/// # Errors
/// When it cannot be read or holds none.
pub fn questions(path: &Path) -> Result<Vec<documents::Pair>> {
    let (_, document) = documents::read(path)?;
    if document.pairs.is_empty() {
        return Err(Problem::new("there are no questions with answers in this file")
            .at(path)
            .into());
    }
    Ok(document.pairs)
}

/// The share of questions answered with exactly the stored answer, by the likeliest tokens.
///
/// # Errors
/// When a pass fails.
pub fn share(
    model: &mut Model,
    questions: &[documents::Pair],
    rule: Option<Box<dyn TokenRule>>,
    verbose: bool,
    tell: &mut impl FnMut(&str),
) -> Result<f64> {
    let sampling = Sampling { temperature: 0.0, ..Sampling::default() };
    let plan = Plan { sampling, max_tokens: Some(MOST_TOKENS), ..Plan::default() };
    let mut rules: Vec<Box<dyn TokenRule>> = rule.into_iter().collect();
    let mut right = 0;
    for (number, pair) in questions.iter().enumerate() {
        let answer =
            replies::ask_with(model, &pair.question, number as u64, &plan, &mut rules)?.text;
        let is_right = answer.trim() == pair.answer;
        right += usize::from(is_right);
        if verbose {
            let mark = if is_right { "right" } else { "wrong" };
            tell(&format!("{mark}  {}  {}", pair.question, answer.trim()));
        }
    }
    Ok(right as f64 / questions.len().max(1) as f64)
}

/// Perplexity per token of answers under a rule.
///
/// # Errors
/// When a pass fails.
pub fn perplexity(
    model: &mut Model,
    exchanges: &[Encoded],
    rule: Option<Box<dyn TokenRule>>,
) -> Result<f64> {
    let mut rule = rule;
    let (mut nats, mut count) = (0.0, 0_usize);
    for exchange in exchanges {
        for answer in &exchange.answers {
            let ids = [exchange.prompt.as_slice(), answer].concat();
            let runner = model.runner.as_mut();
            reuse_prefix(runner, &ids)?;
            runner.truncate(0)?;
            let mut at = 0;
            for chunk in ids[..ids.len() - 1].chunks(PREFILL_CHUNK) {
                let output = runner.prefill(chunk, Wanted::All)?;
                for row in 0..output.rows {
                    let next = at + row + 1;
                    if next < exchange.prompt.len() {
                        continue;
                    }
                    let mut logits = output.logits_of(row).to_vec();
                    if let Some(rule) = &mut rule {
                        let position = Position {
                            ids: &ids[..next],
                            reply_start: exchange.prompt.len(),
                            hidden: output.hidden_of(row),
                        };
                        rule.apply(&mut logits, position)?;
                    }
                    nats += f64::from(observe::log_mass(&logits) - logits[ids[next] as usize]);
                    count += 1;
                }
                at += chunk.len();
            }
        }
    }
    Ok((nats / count.max(1) as f64).exp())
}
