//! Replies of a model to single questions, as a person would get them.

use anyhow::{Context, Result};

use crate::decode::reply::Ending;
use crate::decode::{Knobs, Passes, Progress, Reply, ReplyStart, TokenRule};
use crate::model::{Language, Model};
use crate::session::Role;
use crate::steer::Plan;

/// A reply and whether the model ended it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub text: String,
    pub ended: bool,
}

/// The ids of a question as the model is asked it.
///
/// # Errors
/// When the model has no chat template or its tokenizer refuses the text.
pub fn prompt_ids(language: &Language, question: &str) -> Result<Vec<u32>> {
    let template = language.template.as_ref().context("this model has no chat template")?;
    let text = template.render(&[(Role::User, question)], true)?;
    language.vocabulary.encode(&text, true)
}

/// Asks one question; `number` tells the draws of several replies apart.
///
/// # Errors
/// When a pass fails or the question is longer than the context.
pub fn ask(model: &mut Model, question: &str, number: u64, plan: &Plan) -> Result<Answer> {
    ask_with(model, question, number, plan, &mut [])
}

/// The same with rules that steer.
///
/// # Errors
/// As [`ask`], and when a rule fails.
pub fn ask_with(
    model: &mut Model,
    question: &str,
    number: u64,
    plan: &Plan,
    rules: &mut [Box<dyn TokenRule>],
) -> Result<Answer> {
    let ids = prompt_ids(&model.language, question)?;
    let start = ReplyStart { reply: number, prompt_len: ids.len(), ids, ..ReplyStart::default() };
    let runner = model.runner.as_mut();
    // Strengths stay what the caller has set them to.
    let (mut passes, mut knobs) = (Passes::default(), Knobs::default());
    let (mut reply, _) =
        Reply::begin(&model.language, runner, &mut passes, &mut knobs, start, plan.clone())?;
    let mut text = String::new();
    loop {
        match reply.advance(runner, rules)? {
            Progress::Prefilled { .. } => {}
            Progress::Tokens(tokens) => text.extend(tokens.into_iter().map(|t| t.text)),
            Progress::Ended(tokens, ending) => {
                text.extend(tokens.into_iter().map(|t| t.text));
                return Ok(Answer { text, ended: ending == Ending::EndOfText });
            }
        }
    }
}
