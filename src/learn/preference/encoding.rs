//! A prompt and its answer as ids: the prompt as the chat template shows it to the model, the
//! answer with what ends it.

use anyhow::{Result, ensure};

use super::pairs::Pair;
use crate::model::Language;
use crate::session::Role;

/// A question as ids, and answers to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    pub prompt: Vec<u32>,
    pub answers: Vec<Vec<u32>>,
}

impl Encoded {
    /// Tokens that a pass over all answers takes.
    pub fn tokens(&self) -> usize {
        self.answers.iter().map(|answer| self.prompt.len() + answer.len()).sum()
    }
}

/// Encodes a question and answers to it as this model is asked and answers.
///
/// # Errors
/// When the template or the tokenizer refuses the text.
pub fn encode(language: &Language, prompt: &str, answers: &[&str]) -> Result<Encoded> {
    encode_after(language, &[(Role::User, prompt)], answers)
}

/// Encodes what was said and answers to it. A model without a chat template is shown one message
/// as it is, and several as the transcripts of the HH data set have them.
///
/// # Errors
/// When the template or the tokenizer refuses the text.
pub fn encode_after(
    language: &Language,
    said: &[(Role, &str)],
    answers: &[&str],
) -> Result<Encoded> {
    let Some(template) = &language.template else {
        let end = language.end_of_text_ids.first().copied();
        let (prompt, space) = match said {
            [(_, only)] => ((*only).to_owned(), ""),
            _ => (transcript(said), " "),
        };
        let ids = language.encode_plain(&prompt)?;
        let answer = |text: &&str| -> Result<Vec<u32>> {
            let text = format!("{space}{text}");
            Ok(language.vocabulary.encode(&text, false)?.into_iter().chain(end).collect())
        };
        return Ok(Encoded {
            prompt: ids,
            answers: answers.iter().map(answer).collect::<Result<_>>()?,
        });
    };
    let opened = template.render(said, true)?;
    let ids = language.vocabulary.encode(&opened, true)?;
    let answer = |text: &&str| -> Result<Vec<u32>> {
        let messages: Vec<(Role, &str)> =
            said.iter().copied().chain([(Role::Assistant, *text)]).collect();
        let whole = template.render(&messages, false)?;
        // What some templates write behind the last turn is no part of the answer: it ends with
        // the first id that ends a reply.
        let mut answer = match whole.strip_prefix(&opened) {
            Some(behind) => language.vocabulary.encode(behind, true)?,
            None => language.vocabulary.encode(text.trim(), false)?,
        };
        match answer.iter().position(|id| language.ends_reply(*id)) {
            Some(end) => answer.truncate(end + 1),
            None => answer.extend(language.end_of_text_ids.first()),
        }
        ensure!(!answer.is_empty(), "an answer has no tokens");
        Ok(answer)
    };
    Ok(Encoded { prompt: ids, answers: answers.iter().map(answer).collect::<Result<_>>()? })
}

/// Several messages as the HH data set writes them, open for the assistant's next.
fn transcript(said: &[(Role, &str)]) -> String {
    let mut text = String::new();
    for (role, content) in said {
        let speaker = if *role == Role::Assistant { "Assistant" } else { "Human" };
        text += &format!("\n\n{speaker}: {}", content.trim());
    }
    text + "\n\nAssistant:"
}

/// Pairs as ids, and what became of those that were too long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EncodedPairs {
    /// Each with the chosen answer first.
    pub pairs: Vec<Encoded>,
    /// Their prompts lost their beginning.
    pub truncated: usize,
    /// Left out: an answer alone fills the context.
    pub too_long: usize,
}

/// Encodes pairs; a prompt loses as many of its first ids as it takes to fit both answers.
///
/// # Errors
/// When a text cannot be encoded.
pub fn encode_pairs(language: &Language, pairs: &[Pair], context: usize) -> Result<EncodedPairs> {
    let mut all = EncodedPairs::default();
    for Pair { prompt, chosen, rejected } in pairs {
        let mut encoded = encode(language, prompt, &[chosen, rejected])?;
        let longest = encoded.answers.iter().map(Vec::len).max().unwrap_or_default();
        if longest + 1 > context {
            all.too_long += 1;
            continue;
        }
        let excess = (encoded.prompt.len() + longest).saturating_sub(context);
        if excess > 0 {
            encoded.prompt.drain(..excess);
            all.truncated += 1;
        }
        all.pairs.push(encoded);
    }
    Ok(all)
}
