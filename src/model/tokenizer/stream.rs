//! Ids in, whole characters out.

use std::sync::Arc;

use super::pieces::Pieces;

/// Turns a growing list of ids into text. What `push` and `finish` return, joined, is the decoded
/// text: nothing is lost, and no half character is ever shown.
#[derive(Debug, Clone)]
pub struct TextStream {
    pieces: Arc<Pieces>,
    /// Spaces still to be dropped at the beginning of the text.
    leading_spaces: usize,
    /// The beginning of a character whose end has not come yet: at most three bytes.
    pending: Vec<u8>,
}

impl TextStream {
    pub(super) fn new(pieces: Arc<Pieces>, leading_spaces: usize) -> Self {
        Self { pieces, leading_spaces, pending: Vec::new() }
    }

    /// Takes one id and returns the characters it completes; a special token gives nothing.
    /// Bytes that can no longer become a character come as `�`.
    pub fn push(&mut self, id: u32) -> String {
        let mut bytes = self.pieces.visible(id);
        while self.leading_spaces > 0 && !bytes.is_empty() {
            if bytes[0] == b' ' {
                bytes = &bytes[1..];
                self.leading_spaces -= 1;
            } else {
                self.leading_spaces = 0;
            }
        }
        self.pending.extend_from_slice(bytes);
        let mut text = String::new();
        let mut taken = 0;
        for chunk in self.pending.utf8_chunks() {
            text.push_str(chunk.valid());
            taken += chunk.valid().len();
            let invalid = chunk.invalid();
            if invalid.is_empty() {
                continue;
            }
            let at_end = taken + invalid.len() == self.pending.len();
            if at_end && is_unfinished(invalid) {
                break;
            }
            text.push(char::REPLACEMENT_CHARACTER);
            taken += invalid.len();
        }
        self.pending.drain(..taken);
        text
    }

    /// The end: an unfinished character comes as `�`. The stream begins anew after it, mid-text.
    pub fn finish(&mut self) -> String {
        let rest = std::mem::take(&mut self.pending);
        String::from_utf8_lossy(&rest).into_owned()
    }
}

/// Whether more bytes could still make these a character.
fn is_unfinished(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}
