//! The toy's text side: bytes, five markers, a few words, and a template in their terms.

use anyhow::{Result, ensure};

use crate::model::{Language, Template, TextStream, Vocabulary};
use crate::session::Role;

/// Beginning of text; opens every rendered conversation.
pub const BEGIN: u32 = 256;
/// Ends a message and a reply.
pub const END: u32 = 257;
/// Opens a message of the system, of the person, of the model.
pub const SYSTEM: u32 = 258;
/// Opens a message of the person.
pub const USER: u32 = 259;
/// Opens a message of the model.
pub const ASSISTANT: u32 = 260;
const MARKERS: [&str; 5] = ["<|begin|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"];
const WORDS: [&str; 24] = [
    " the", " a", " of", " and", " boat", " wind", " river", " sail", " tiller", " hand", " turns",
    " holds", " slowly", " north", " home", " light", " water", " is", " to", " with", "The", ".",
    ",", " harbour",
];

/// Bytes, markers and a few words.
#[derive(Debug, Clone, Copy, Default)]
pub struct ToyVocabulary;

impl ToyVocabulary {
    fn bytes_of(id: u32) -> Vec<u8> {
        match id {
            0..=255 => vec![id as u8],
            256..=260 => Vec::new(),
            _ => WORDS.get(id as usize - 261).map(|w| w.as_bytes().to_vec()).unwrap_or_default(),
        }
    }
}

impl Vocabulary for ToyVocabulary {
    fn size(&self) -> usize {
        261 + WORDS.len()
    }

    fn encode(&self, text: &str, parse_special: bool) -> Result<Vec<u32>> {
        let mut rest = text.as_bytes();
        let mut ids = Vec::new();
        while let Some(&byte) = rest.first() {
            let marker = MARKERS
                .iter()
                .position(|marker| parse_special && rest.starts_with(marker.as_bytes()));
            let word = WORDS
                .iter()
                .enumerate()
                .filter(|(_, word)| rest.starts_with(word.as_bytes()))
                .max_by_key(|(_, word)| word.len());
            let (id, length) = match (marker, word) {
                (Some(at), _) => (256 + at as u32, MARKERS[at].len()),
                (None, Some((at, word))) => (261 + at as u32, word.len()),
                (None, None) => (u32::from(byte), 1),
            };
            ids.push(id);
            rest = &rest[length..];
        }
        Ok(ids)
    }

    fn beginning_of_text(&self) -> Option<u32> {
        Some(BEGIN)
    }

    fn token_text(&self, id: u32) -> String {
        match id {
            256..=260 => MARKERS[id as usize - 256].to_owned(),
            128..=255 => format!("<0x{id:02X}>"),
            _ => String::from_utf8_lossy(&Self::bytes_of(id)).into_owned(),
        }
    }

    fn token_bytes(&self, id: u32) -> Option<Vec<u8>> {
        match id {
            256..=260 => Some(MARKERS[id as usize - 256].as_bytes().to_vec()),
            _ => Some(Self::bytes_of(id)).filter(|bytes| !bytes.is_empty()),
        }
    }

    fn is_marker(&self, id: u32) -> bool {
        (256..=260).contains(&id)
    }

    fn stream(&self, _continues_text: bool) -> Box<dyn TextStream> {
        Box::new(ToyStream { held: Vec::new() })
    }
}

struct ToyStream {
    held: Vec<u8>,
}

impl TextStream for ToyStream {
    fn push(&mut self, id: u32) -> Result<String> {
        self.held.extend(ToyVocabulary::bytes_of(id));
        match String::from_utf8(std::mem::take(&mut self.held)) {
            Ok(text) => Ok(text),
            Err(error) => {
                self.held = error.into_bytes();
                Ok(String::new())
            }
        }
    }
}

/// `<|user|>…<|end|>` and so on; refuses a system message after the first place, as real ones do.
struct ToyTemplate;

impl Template for ToyTemplate {
    fn render(&self, messages: &[(Role, &str)], add_generation_prompt: bool) -> Result<String> {
        let mut text = MARKERS[0].to_owned();
        for (at, (role, content)) in messages.iter().enumerate() {
            ensure!(*role != Role::System || at == 0, "a system message must come first");
            let marker = match role {
                Role::System => MARKERS[2],
                Role::User => MARKERS[3],
                Role::Assistant => MARKERS[4],
            };
            text += marker;
            text += content;
            text += MARKERS[1];
        }
        if add_generation_prompt {
            text += MARKERS[4];
        }
        Ok(text)
    }
}

/// The toy's text side.
pub fn toy_language() -> Language {
    Language {
        vocabulary: Box::new(ToyVocabulary),
        template: Some(Box::new(ToyTemplate)),
        end_of_text_ids: vec![END],
    }
}
