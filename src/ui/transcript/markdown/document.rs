//! A message's blocks, kept between frames: parsed once when finished; while it streams in, every
//! block but the last is kept and only the tail is parsed again.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Range;

use super::block::Block;
use super::parse::parse;

/// The parsed form of one message.
#[derive(Debug, Default)]
pub struct Document {
    /// Hash of the text the blocks stand for.
    hash: u64,
    length: usize,
    /// Where the text begins that is parsed again when more arrives.
    tail_start: usize,
    /// How many of `blocks` lie before the tail.
    settled: usize,
    pub blocks: Vec<Block>,
}

impl Document {
    /// Bring the blocks up to date with a text that will not change any more. Returns how many
    /// bytes were parsed: 0 when nothing had changed.
    pub fn set_finished(&mut self, text: &str) -> usize {
        let hash = hash_of(text);
        if self.length == text.len() && self.hash == hash && self.tail_start == text.len() {
            return 0;
        }
        *self = Self {
            hash,
            length: text.len(),
            tail_start: text.len(),
            settled: 0,
            blocks: parse(text).into_iter().map(|(_, block)| block).collect(),
        };
        self.settled = self.blocks.len();
        text.len()
    }

    /// How many blocks more text will not change.
    pub fn settled(&self) -> usize {
        self.settled
    }

    /// Bring the blocks up to date with a text that grows at its end. Returns how many bytes were
    /// parsed.
    pub fn set_growing(&mut self, text: &str) -> usize {
        if self.length == text.len() && self.hash == hash_of(text) {
            return 0;
        }
        let grown = text.len() > self.length
            && text.is_char_boundary(self.length)
            && text.is_char_boundary(self.tail_start)
            && hash_of(&text[..self.length]) == self.hash;
        if !grown {
            *self = Self::default();
        }
        let tail = &text[self.tail_start..];
        let parsed = parse(tail);
        self.blocks.truncate(self.settled);
        // A later line can still change the last block, but none before it. The line that is not
        // yet whole does not count: half a table row looks like a paragraph.
        let last_line = tail.rfind('\n').map_or(0, |at| at + 1);
        let whole = parsed.iter().filter(|(range, _)| range.start < last_line).count();
        let kept = whole.saturating_sub(1);
        let last_start = parsed.get(kept).map_or(0, |(range, _)| line_start(tail, range));
        self.blocks.extend(parsed.into_iter().map(|(_, block)| block));
        let length = tail.len();
        self.settled += kept;
        self.tail_start += last_start;
        self.length = text.len();
        self.hash = hash_of(text);
        length
    }
}

/// The indentation before a block belongs to it.
fn line_start(text: &str, range: &Range<usize>) -> usize {
    text.get(..range.start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1)
}

fn hash_of(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
