//! Loss over held-out conversations, of a model or of the trigram baseline, for all tokens and
//! for those of the answers alone.

use anyhow::Result;

use super::trigram::Trigram;
use crate::decode::reply::PREFILL_CHUNK;
use crate::learn::base::corpus::Message;
use crate::learn::base::markup;
use crate::model::{Language, Runner, Wanted};

/// A conversation as ids, and which of them the assistant said (its end marker included).
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    pub ids: Vec<u32>,
    pub answer: Vec<bool>,
}

/// Encodes a conversation with the starter's own markup.
///
/// # Errors
/// When a role is unknown or the tokenizer refuses the text.
pub fn encode(language: &Language, messages: &[Message]) -> Result<Scored> {
    let mut scored = Scored { ids: Vec::new(), answer: Vec::new() };
    for message in messages {
        let text = markup::conversation(std::slice::from_ref(message))
            .map_err(|role| anyhow::anyhow!("`{role}` is no role"))?;
        let ids = language.vocabulary.encode(&text, true)?;
        // The role marker is no choice of the assistant's.
        let said = message.role == "assistant";
        scored.answer.extend((0..ids.len()).map(|i| said && i > 0));
        scored.ids.extend(ids);
    }
    Ok(scored)
}

/// Sums of losses in nats.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Loss {
    pub all: f64,
    pub tokens: usize,
    pub answers: f64,
    pub answer_tokens: usize,
}

impl Loss {
    fn add(&mut self, nats: f64, answer: bool) {
        self.all += nats;
        self.tokens += 1;
        if answer {
            self.answers += nats;
            self.answer_tokens += 1;
        }
    }

    /// Per token.
    pub fn perplexity(&self) -> f64 {
        (self.all / self.tokens.max(1) as f64).exp()
    }

    /// Per token of the answers.
    pub fn answer_perplexity(&self) -> f64 {
        (self.answers / self.answer_tokens.max(1) as f64).exp()
    }
}

/// The model's loss over conversations, each cut at the context. The first two tokens of each are
/// not counted, as the trigram model cannot predict them.
///
/// # Errors
/// When a pass fails.
pub fn of_model(runner: &mut dyn Runner, conversations: &[Scored]) -> Result<Loss> {
    let mut loss = Loss::default();
    for conversation in conversations {
        let count = conversation.ids.len().min(runner.context_length());
        runner.truncate(0)?;
        let mut at = 0;
        for chunk in conversation.ids[..count].chunks(PREFILL_CHUNK) {
            let output = runner.prefill(chunk, Wanted::All)?;
            for row in 0..chunk.len() {
                let next = at + row + 1;
                if (2..count).contains(&next) {
                    let nats = nats(output.logits_of(row), conversation.ids[next]);
                    loss.add(nats, conversation.answer[next]);
                }
            }
            at += chunk.len();
        }
    }
    runner.truncate(0)?;
    Ok(loss)
}

/// The baseline's loss over the same tokens.
pub fn of_trigram(trigram: &Trigram, conversations: &[Scored], context: usize) -> Loss {
    let mut loss = Loss::default();
    for conversation in conversations {
        let count = conversation.ids.len().min(context);
        for (at, three) in conversation.ids[..count].windows(3).enumerate() {
            let nats = -trigram.probability(three[0], three[1], three[2]).ln();
            loss.add(nats, conversation.answer[at + 2]);
        }
    }
    loss
}

/// The surprise of one id under logits.
pub fn nats(logits: &[f32], id: u32) -> f64 {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|l| f64::from(l - most).exp()).sum();
    sum.ln() - f64::from(logits[id as usize] - most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_surprise_of_equal_logits_is_the_logarithm_of_their_number() {
        assert!((nats(&[3.0; 16], 5) - 16_f64.ln()).abs() < 1e-12);
    }
}
