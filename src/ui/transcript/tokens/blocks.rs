//! Tokens gathered into lines: the text to lay out and which characters of it belong to which
//! token. Only what arrives is worked on; finished lines stay.

use std::ops::Range;
use std::sync::Arc;

use egui::{Galley, Rect};

use super::TokenOptions;
use super::scale::{self, own_text};
use crate::session::TokenTrace;

/// The lines of one reply.
#[derive(Debug, Default)]
pub struct TokenBlocks {
    pub blocks: Vec<TokenBlock>,
    /// How many tokens are in the blocks, and the id of the last, to notice another reply.
    taken: usize,
    last: Option<u32>,
    numbers: bool,
}

/// A line of the reply with everything up to its line break.
#[derive(Debug, Default)]
pub struct TokenBlock {
    pub text: String,
    /// In order; gaps are numbers beside tokens.
    pub parts: Vec<Part>,
    /// Its layout and where each token lies in it.
    pub placed: Option<Placed>,
    pub height: f32,
    pub width: f32,
    is_complete: bool,
}

/// A laid-out line.
#[derive(Debug)]
pub struct Placed {
    pub galley: Arc<Galley>,
    /// Pieces of tokens in reading order, relative to the galley.
    pub rects: Vec<(usize, Rect)>,
}

/// A stretch of a line's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub kind: Kind,
    pub bytes: Range<usize>,
    /// Characters of the line; may reach one beyond its end, for the line break itself.
    pub chars: Range<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The characters of a token.
    Text(usize),
    /// A name for a token that adds no character of its own.
    Special(usize),
    /// The percentage beside a token.
    Number,
}

impl TokenBlocks {
    /// Take in the tokens that have come since the last call.
    pub fn update(&mut self, tokens: &[TokenTrace], options: TokenOptions) {
        let same_start = self.taken <= tokens.len()
            && (self.taken == 0 || tokens.get(self.taken - 1).map(|last| last.id) == self.last);
        if !same_start || self.numbers != options.numbers {
            *self = Self { numbers: options.numbers, ..Self::default() };
        }
        for (index, trace) in tokens.iter().enumerate().skip(self.taken) {
            self.take(index, trace);
        }
        self.taken = tokens.len();
        self.last = tokens.last().map(|last| last.id);
    }

    fn take(&mut self, index: usize, trace: &TokenTrace) {
        if self.blocks.last().is_none_or(|block| block.is_complete) {
            self.blocks.push(TokenBlock::default());
        }
        let numbers = self.numbers;
        let Some(block) = self.blocks.last_mut() else { return };
        block.placed = None;
        if trace.text.is_empty() {
            block.push(Kind::Special(index), &scale::visible(&own_text(trace)));
        } else {
            block.push(Kind::Text(index), &shown(&trace.text));
        }
        if numbers {
            let percent = scale::percent(trace.logprob);
            block.push_before_break(Kind::Number, percent.trim_end_matches(" %"));
        }
        block.finish_line(trace.text.ends_with('\n'));
    }
}

impl TokenBlock {
    fn push(&mut self, kind: Kind, text: &str) {
        let (bytes, chars) = (self.text.len(), self.chars());
        self.text.push_str(text);
        let part = Part {
            kind,
            bytes: bytes..self.text.len(),
            chars: chars..chars + text.chars().count(),
        };
        self.parts.push(part);
    }

    /// A number after a token that ends its line belongs on that line, not on the next.
    fn push_before_break(&mut self, kind: Kind, text: &str) {
        if !self.text.ends_with('\n') {
            self.push(kind, text);
        }
    }

    fn chars(&self) -> usize {
        self.parts.last().map_or(0, |part| part.chars.end)
    }

    /// The last line break is not laid out, or an empty row would follow; its token keeps the
    /// character, which stands for the end of the row.
    fn finish_line(&mut self, is_complete: bool) {
        self.is_complete = is_complete;
        if is_complete
            && self.text.ends_with('\n')
            && let Some(last) = self.parts.last_mut()
        {
            self.text.pop();
            last.bytes.end -= 1;
        }
    }

    /// Where the pieces of tokens lie in `galley`, in one walk over its rows.
    pub fn places(&self, galley: &Galley, break_width: f32) -> Vec<(usize, Rect)> {
        let mut rects = Vec::with_capacity(self.parts.len());
        let mut parts = self.parts.iter().peekable();
        let mut row_start = 0;
        for (index, row) in galley.rows.iter().enumerate() {
            let glyphs = row.glyphs.len();
            let is_last = index + 1 == galley.rows.len();
            let row_end = row_start + glyphs + usize::from(row.ends_with_newline || is_last);
            while let Some(part) = parts.peek() {
                if part.chars.start >= row_end {
                    break;
                }
                let from = part.chars.start.max(row_start) - row_start;
                let to = part.chars.end.min(row_end).max(row_start) - row_start;
                if let Kind::Text(token) | Kind::Special(token) = part.kind
                    && from < to
                {
                    let inside = row.glyphs.get(from..to.min(glyphs)).unwrap_or_default();
                    // The space before a word that wraps stays behind: not worth a sliver.
                    let goes_on = part.chars.end > row_end;
                    if goes_on && inside.iter().all(|glyph| glyph.chr == ' ') {
                        break;
                    }
                    let mut left = f32::INFINITY;
                    let mut right = f32::NEG_INFINITY;
                    for glyph in inside {
                        left = left.min(glyph.pos.x);
                        right = right.max(glyph.max_x());
                    }
                    if to > glyphs {
                        left = left.min(row.size.x);
                        right = right.max(row.size.x + break_width);
                    }
                    let rect = Rect::from_x_y_ranges(left..=right, row.min_y()..=row.max_y());
                    rects.push((token, rect.translate(egui::vec2(row.pos.x, 0.0))));
                }
                if part.chars.end > row_end {
                    break;
                }
                parts.next();
            }
            row_start += glyphs + usize::from(row.ends_with_newline);
        }
        rects
    }
}

/// Line breaks other than "\n" and control characters have no shape of their own.
fn shown(text: &str) -> String {
    if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        let kept = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
        text.chars().map(|c| if kept(c) { c } else { '\u{fffd}' }).collect()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(id: u32, text: &str) -> TokenTrace {
        TokenTrace {
            id,
            text: text.to_owned(),
            logprob: 0.5_f32.ln(),
            entropy: 1.0,
            alternatives: Vec::new(),
            reward: None,
        }
    }

    fn texts(blocks: &TokenBlocks) -> Vec<&str> {
        blocks.blocks.iter().map(|block| block.text.as_str()).collect()
    }

    #[test]
    fn lines_end_with_the_token_that_breaks_them() {
        let tokens = ["One", " two", ".\n\n", "", "Three"].map(|text| token(3, text));
        let mut blocks = TokenBlocks::default();
        blocks.update(&tokens, TokenOptions::default());
        assert_eq!(texts(&blocks), ["One two.\n", "#3Three"]);
        let last = blocks.blocks[0].parts.last().expect("has parts");
        // The second break stands for the end of the line; it is in no galley.
        assert_eq!((last.kind, last.chars.clone()), (Kind::Text(2), 7..10));
        assert_eq!(blocks.blocks[1].parts[0].kind, Kind::Special(3));
    }

    #[test]
    fn growing_gives_the_same_lines_as_the_whole() {
        let words = ["a", " b\n", "\n", "c", "", " d\ne", " f"];
        let tokens: Vec<_> = words.iter().zip(1..).map(|(text, id)| token(id, text)).collect();
        for numbers in [false, true] {
            let options = TokenOptions { numbers, ..TokenOptions::default() };
            let mut grown = TokenBlocks::default();
            for count in 0..=tokens.len() {
                grown.update(&tokens[..count], options);
            }
            let mut whole = TokenBlocks::default();
            whole.update(&tokens, options);
            assert_eq!(texts(&grown), texts(&whole));
            let parts = |blocks: &TokenBlocks| {
                blocks.blocks.iter().flat_map(|block| block.parts.clone()).collect::<Vec<_>>()
            };
            assert_eq!(parts(&grown), parts(&whole));
        }
    }

    #[test]
    fn another_reply_starts_afresh() {
        let mut blocks = TokenBlocks::default();
        blocks.update(&[token(1, "one"), token(2, " two")], TokenOptions::default());
        blocks.update(&[token(1, "one"), token(9, " nine")], TokenOptions::default());
        assert_eq!(texts(&blocks), ["one nine"]);
    }
}
