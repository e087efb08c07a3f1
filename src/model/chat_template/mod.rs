//! A model's chat template: messages in, the prompt's text out, the same string as the reference
//! implementation gives.
//!
//! A template is a program somebody else wrote and is run as one: no files, no includes, a limit
//! on steps, on recursion and on how much text it may make.

mod environment;
mod expression;
mod growth;
mod guards;
mod python;
mod source;

use std::collections::BTreeMap;

use anyhow::Result;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, ErrorKind};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::model::checkpoint::{Checkpoint, TemplateText};
use crate::platform::Problem;

/// One message of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Message<'a> {
    /// `system`, `user` or `assistant`.
    pub role: &'a str,
    pub content: &'a str,
}

/// What rendering gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The prompt. Its special tokens stand as text.
    pub text: String,
    /// The template refused a system message, so its text was put before the first user message.
    pub system_folded: bool,
}

/// A compiled chat template.
pub struct ChatTemplate {
    environment: Environment<'static>,
    origin: TemplateText,
    fingerprint: String,
}

impl std::fmt::Debug for ChatTemplate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChatTemplate").field("source", &self.origin.source).finish_non_exhaustive()
    }
}

/// Name of the one template in the environment.
const NAME: &str = "chat template";

impl ChatTemplate {
    /// The checkpoint's template, compiled; `None` when it has none.
    pub fn from_checkpoint(checkpoint: &Checkpoint) -> Result<Option<Self>> {
        match checkpoint.template_text() {
            None => Ok(None),
            Some(text) => Self::new(text.clone())
                .map(Some)
                .map_err(|error| Problem::new(format!("{error}")).at(&checkpoint.path).into()),
        }
    }

    /// Compiles a template. The error names its line.
    pub fn new(origin: TemplateText) -> Result<Self> {
        let prepared = source::prepare(&origin.text)?;
        let mut environment = environment::new();
        environment
            .add_template_owned(NAME, prepared)
            .map_err(|error| explain("cannot be read", &error))?;
        let digest = Sha256::digest(origin.text.as_bytes());
        let fingerprint = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { environment, origin, fingerprint })
    }

    /// Names the template's text: 16 hexadecimal digits.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Where the template came from.
    pub fn source(&self) -> &str {
        &self.origin.source
    }

    /// Renders a conversation; `add_generation_prompt` opens the assistant's turn at the end.
    ///
    /// A template that refuses a system message is tried again with the system text before the
    /// first user message.
    pub fn render(
        &self,
        messages: &[Message<'_>],
        add_generation_prompt: bool,
    ) -> Result<Rendered> {
        let first = self.render_once(messages, add_generation_prompt);
        let error = match first {
            Ok(text) => return Ok(Rendered { text, system_folded: false }),
            Err(error) => error,
        };
        if is_limit(&error) || !messages.iter().any(|message| message.role == "system") {
            return Err(explain("failed", &error));
        }
        let folded = fold_system(messages);
        let messages: Vec<Message<'_>> = folded
            .iter()
            .map(|(role, content)| Message { role, content: content.as_str() })
            .collect();
        match self.render_once(&messages, add_generation_prompt) {
            Ok(text) => Ok(Rendered { text, system_folded: true }),
            // The first error is about what the person sees.
            Err(_) => Err(explain("failed", &error)),
        }
    }

    /// Renders a conversation whose last message is to be continued: the text ends with that
    /// message's last character, before anything that would close the turn.
    pub fn render_continuing(&self, messages: &[Message<'_>]) -> Result<Rendered> {
        let mut rendered = self.render(messages, false)?;
        let last = messages.last().map_or("", |message| message.content);
        // Many templates trim what they are given.
        let end = [last, last.trim_start(), last.trim_end(), last.trim()]
            .into_iter()
            .filter(|content| !content.is_empty())
            .find_map(|content| rendered.text.rfind(content).map(|at| at + content.len()));
        match end {
            Some(end) => rendered.text.truncate(end),
            None => {
                return Err(Problem::new(
                    "the chat template leaves out the last message, so it cannot be continued",
                )
                .into());
            }
        }
        Ok(rendered)
    }

    fn render_once(
        &self,
        messages: &[Message<'_>],
        add_generation_prompt: bool,
    ) -> Result<String, minijinja::Error> {
        let template = self.environment.get_template(NAME)?;
        let origin = &self.origin;
        let text = |token: &String| Value::from(token.as_str());
        let mut variables = BTreeMap::from([
            ("messages", Value::from(Serde(messages))),
            ("add_generation_prompt", Value::from(add_generation_prompt)),
            ("tools", Value::from(())),
            ("documents", Value::from(())),
        ]);
        // A token the files do not name stays undefined, as in the reference.
        variables.extend(origin.bos_token.as_ref().map(|token| ("bos_token", text(token))));
        variables.extend(origin.eos_token.as_ref().map(|token| ("eos_token", text(token))));
        variables
            .extend(origin.other_tokens.iter().map(|(name, token)| (name.as_str(), text(token))));
        let variables = Value::from(variables);
        let bytes = messages.iter().map(|message| message.content.len() + 64).sum();
        let allowance = growth::allowance(messages.len(), bytes);
        growth::limited(allowance, |out| template.render_captured_to(variables, out).map(|_| ()))
    }
}

/// The system text before the first user message, as `role, content` pairs.
fn fold_system<'a>(messages: &[Message<'a>]) -> Vec<(&'a str, String)> {
    let system: Vec<&str> = messages
        .iter()
        .filter(|message| message.role == "system")
        .map(|message| message.content)
        .collect();
    let system = system.join("\n\n");
    let mut folded: Vec<(&str, String)> = messages
        .iter()
        .filter(|message| message.role != "system")
        .map(|message| (message.role, message.content.to_string()))
        .collect();
    match folded.iter_mut().find(|(role, _)| *role == "user") {
        Some((_, content)) => *content = format!("{system}\n\n{content}"),
        None => folded.insert(0, ("user", system)),
    }
    folded
}

fn is_limit(error: &minijinja::Error) -> bool {
    matches!(error.kind(), ErrorKind::OutOfFuel | ErrorKind::WriteFailure)
        || growth::is_limit(error)
}

/// One line: what, why, at which line of the template.
fn explain(what: &str, error: &minijinja::Error) -> anyhow::Error {
    let why = match error.kind() {
        ErrorKind::OutOfFuel => "it ran for too many steps".to_string(),
        ErrorKind::WriteFailure => growth::TOO_LONG.to_string(),
        kind => error.detail().map_or_else(|| kind.to_string(), str::to_string),
    };
    // What the template said itself may run over lines or be long.
    let why: String =
        why.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect();
    let line = error.line().map_or_else(String::new, |line| format!(" at line {line}"));
    Problem::new(format!("the chat template {what}{line}: {why}"))
        .hint("use a raw prompt, or another model file")
        .into()
}

#[cfg(test)]
mod tests;
