//! One row of a search: a beginning of the reply and what is remembered of it.

use std::sync::Arc;

use anyhow::Result;

use crate::decode::guide::Candidate;
use crate::decode::reply::Ending;
use crate::model::{Language, TextStream};
use crate::session::{TokenReferences, TokenTrace};

/// A row.
pub(super) struct Slot {
    /// Prompt, opening and every token drawn.
    pub ids: Vec<u32>,
    /// The tokens drawn.
    pub tokens: Vec<Arc<TokenTrace>>,
    /// What datastores did to them, rising by token.
    pub references: Vec<Arc<TokenReferences>>,
    /// The reply's text, the opening's included.
    pub text: String,
    /// Why it has ended by itself.
    pub done: Option<Ending>,
    /// The end-of-text id that was drawn.
    pub end: Option<u32>,
    /// Where a stop string begins in `text`.
    pub stop_at: Option<usize>,
    pub base_logprob: f64,
    /// The chunk that the one under way continues, and how many tokens came before it.
    pub node: Option<usize>,
    pub chunk_start: usize,
    stream: Box<dyn TextStream>,
}

/// Where every row of a search begins.
#[derive(Clone, Copy)]
pub(super) struct Origin<'a> {
    pub language: &'a Language,
    pub continues_text: bool,
    pub prompt_len: usize,
    /// Prompt and opening.
    pub begun: usize,
    /// Bytes of the opening's text.
    pub opening_bytes: usize,
}

impl Slot {
    /// A row with nothing drawn.
    pub fn new(origin: &mut Origin<'_>, ids: Vec<u32>) -> Result<Self> {
        let mut stream = origin.language.vocabulary.stream(origin.continues_text);
        let mut text = String::new();
        for id in &ids[origin.prompt_len..] {
            text += &stream.push(*id)?;
        }
        origin.opening_bytes = text.len();
        Ok(Self {
            ids,
            tokens: Vec::new(),
            references: Vec::new(),
            text,
            done: None,
            end: None,
            stop_at: None,
            base_logprob: 0.0,
            node: None,
            chunk_start: 0,
            stream,
        })
    }

    /// The same beginning in another row.
    pub fn copy(&self, origin: &Origin<'_>) -> Result<Self> {
        let mut stream = origin.language.vocabulary.stream(origin.continues_text);
        // Streams stand where their text ends, which may be inside a character.
        for id in &self.ids[origin.prompt_len..] {
            stream.push(*id)?;
        }
        Ok(Self {
            ids: self.ids.clone(),
            tokens: self.tokens.clone(),
            references: self.references.clone(),
            text: self.text.clone(),
            done: self.done.clone(),
            end: self.end,
            stop_at: self.stop_at,
            base_logprob: self.base_logprob,
            node: self.node,
            chunk_start: self.chunk_start,
            stream,
        })
    }

    /// What datastores did to these of its tokens.
    pub fn references_in(&self, tokens: std::ops::Range<usize>) -> Vec<TokenReferences> {
        let within = self.references.iter().filter(|told| tokens.contains(&told.token));
        within.map(|told| TokenReferences::clone(told)).collect()
    }

    /// What the next id adds to the text.
    pub fn push_text(&mut self, id: u32) -> Result<String> {
        self.ids.push(id);
        let text = self.stream.push(id)?;
        self.text += &text;
        Ok(text)
    }

    /// Ends the row just after the first stop string its text holds, if any: what was drawn after
    /// it is forgotten. Looked at when candidates are ranked and not before (spec section 5).
    pub fn cut_at_stop(&mut self, stops: &[String], origin: &Origin<'_>) {
        if self.stop_at.is_some() {
            return;
        }
        let drawn = &self.text[origin.opening_bytes..];
        // The one that is complete first; of those the longest, as in a reply of one row.
        let hit = stops
            .iter()
            .filter(|stop| !stop.is_empty())
            .filter_map(|stop| {
                let at = drawn.find(stop.as_str())?;
                Some((at + stop.len(), std::cmp::Reverse(stop.len()), stop))
            })
            .min();
        let Some((end, _, stop)) = hit else { return };
        let mut seen = 0;
        let within = self.tokens.iter().take_while(|token| {
            let open = seen < end;
            seen += token.text.len();
            open
        });
        let keep = within.count();
        self.tokens.truncate(keep);
        self.base_logprob = self.tokens.iter().map(|token| f64::from(token.logprob)).sum();
        self.end = None;
        self.ids.truncate(origin.begun + keep);
        self.text.truncate(origin.opening_bytes + end);
        self.stop_at = Some(origin.opening_bytes + end - stop.len());
        self.done = Some(Ending::StopString(stop.clone()));
    }

    /// As guides and scorers are shown it.
    pub fn candidate(&self, prompt_len: usize) -> Candidate<'_> {
        Candidate {
            ids: &self.ids[prompt_len..],
            text: &self.text,
            finished: self.done.is_some(),
            end: self.end,
            base_logprob: self.base_logprob as f32,
        }
    }

    /// The tokens from `from` on as the person gets to see them: nothing of a stop string.
    pub fn shown(&self, from: usize, origin: &Origin<'_>) -> Vec<TokenTrace> {
        let mut end = self.tokens[..from.min(self.tokens.len())]
            .iter()
            .fold(origin.opening_bytes, |end, token| end + token.text.len());
        let mut shown = Vec::new();
        for token in self.tokens.iter().skip(from) {
            let begin = end;
            end += token.text.len();
            let mut token = TokenTrace::clone(token);
            if let Some(stop) = self.stop_at.filter(|stop| *stop < end) {
                if begin < stop {
                    token.text.truncate(stop - begin);
                    shown.push(token);
                }
                break;
            }
            shown.push(token);
        }
        shown
    }
}
