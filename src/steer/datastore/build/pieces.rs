//! From a document to what is passed through the model: overlapping windows of its text, pairs
//! after their prompt, questions with their options in every rotation.

use std::ops::Range;

use anyhow::Result;

use super::choices::{asked, letter_id};
use crate::documents::{Document, Place};
use crate::learn::preference::encoding;
use crate::model::Language;

/// Tokens of one window of text.
pub const WINDOW: usize = 512;
/// Positions at the beginning of every window but the first that are no keys: their context is
/// too short. The window before holds them with a longer one.
pub const WORN: usize = 24;
/// Text is tokenized in parts of about this many bytes, cut at line ends: a tokenizer's memory
/// grows with what it is given at once.
const PART_BYTES: usize = 32 * 1024;

/// Ids to pass through the model at once, from an empty cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    pub ids: Vec<u32>,
    /// The positions whose final hidden states are keys.
    pub kept: Range<usize>,
}

/// Everything a source's entries are made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pieces {
    pub pieces: Vec<Piece>,
    /// Of every kept position, in order: the token that comes next, and the bytes of `text` it
    /// stands for.
    pub values: Vec<u32>,
    pub spans: Vec<[u32; 2]>,
    pub text: String,
    pub places: Vec<(usize, Place)>,
    pub notes: Vec<String>,
}

impl Pieces {
    /// Cuts a document up for a model with this much context.
    ///
    /// # Errors
    /// When a text cannot be tokenized.
    pub fn of(document: &Document, language: &Language, context: usize) -> Result<Self> {
        let mut made = Self {
            text: document.text.as_str().to_owned(),
            places: document.text.places().to_vec(),
            notes: document.notes.clone(),
            ..Self::default()
        };
        made.add_windows(language, context)?;
        let mut too_long = 0;
        for pair in &document.pairs {
            let encoded = encoding::encode(language, &pair.question, &[&pair.answer])?;
            made.place(pair.place);
            made.text += &pair.question;
            made.text.push('\n');
            let begins = made.text.len();
            made.text += &pair.answer;
            made.text += "\n\n";
            let Some(answer) = encoded.answers.first() else { continue };
            let ids = [encoded.prompt.as_slice(), answer].concat();
            // The last id is only ever a value: nothing comes after it.
            if encoded.prompt.is_empty() || ids.len() - 1 > context {
                too_long += 1;
                continue;
            }
            let kept = encoded.prompt.len() - 1..ids.len() - 1;
            let spans = spans(language, answer, &pair.answer, begins)?;
            made.values.extend(answer);
            made.spans.extend(spans);
            made.pieces.push(Piece { ids: ids[..ids.len() - 1].to_vec(), kept });
        }
        for choice in &document.choices {
            made.place(choice.place);
            for rotation in 0..choice.options.len() {
                let asked = asked(&choice.question, &choice.options, choice.answer, rotation);
                let prompt = encoding::encode(language, &asked.prompt, &[])?.prompt;
                if prompt.is_empty() || prompt.len() > context {
                    too_long += 1;
                    continue;
                }
                let begins = made.text.len();
                made.text += &asked.prompt;
                let span = [made.text.len() as u32, made.text.len() as u32 + 2];
                made.text.push(' ');
                made.text.push(super::letter(asked.label));
                made.text += "\n\n";
                debug_assert!(begins < span[0] as usize);
                made.values.push(letter_id(language, asked.label)?);
                made.spans.push(span);
                let kept = prompt.len() - 1..prompt.len();
                made.pieces.push(Piece { ids: prompt, kept });
            }
        }
        if too_long > 0 {
            made.notes
                .push(format!("{too_long} questions are longer than the context of {context}"));
        }
        Ok(made)
    }

    fn place(&mut self, place: Place) {
        self.places.push((self.text.len(), place));
    }

    fn add_windows(&mut self, language: &Language, context: usize) -> Result<()> {
        let mut ids = Vec::new();
        for part in parts(&self.text) {
            ids.extend(language.vocabulary.encode(part, false)?);
        }
        let spans = spans(language, &ids, &self.text, 0)?;
        let first = language.vocabulary.beginning_of_text();
        let front = usize::from(first.is_some());
        let body = WINDOW.min(context).saturating_sub(front);
        if body <= WORN {
            return Ok(());
        }
        let mut start = 0;
        // The last token of the text has nothing after it.
        while start + 1 < ids.len() {
            let end = (start + body).min(ids.len() - 1);
            let from = if start == 0 { 0 } else { start + WORN };
            if from >= end {
                break;
            }
            let window: Vec<u32> =
                first.into_iter().chain(ids[start..end].iter().copied()).collect();
            let kept = front + from - start..front + end - start;
            self.values.extend(&ids[from + 1..=end]);
            self.spans.extend(&spans[from + 1..=end]);
            self.pieces.push(Piece { ids: window, kept });
            start = end - WORN.min(end);
            if end == ids.len() - 1 {
                break;
            }
        }
        Ok(())
    }
}

/// The bytes of `text` that each id stands for, moved by `begins`. A tokenizer that changes text
/// on the way in gives other lengths back: then they are stretched to fit.
fn spans(language: &Language, ids: &[u32], text: &str, begins: usize) -> Result<Vec<[u32; 2]>> {
    let mut stream = language.vocabulary.stream(true);
    let mut ends = Vec::with_capacity(ids.len());
    let mut end = 0;
    for id in ids {
        end += stream.push(*id)?.len();
        ends.push(end);
    }
    let stretch = |at: usize| match end {
        0 => begins as u32,
        end if end == text.len() => (begins + at) as u32,
        end => (begins + at * text.len() / end) as u32,
    };
    let starts = std::iter::once(0).chain(ends.iter().copied());
    Ok(starts.zip(&ends).map(|(start, end)| [stretch(start), stretch(*end)]).collect())
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut cut = rest.len().min(PART_BYTES);
        while !rest.is_char_boundary(cut) {
            cut -= 1;
        }
        if cut < rest.len() {
            cut = rest[..cut].rfind('\n').map_or(cut, |at| at + 1);
        }
        let (part, after) = rest.split_at(cut);
        rest = after;
        Some(part)
    })
}
