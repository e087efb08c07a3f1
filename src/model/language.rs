//! How a model's ids and a person's text meet: tokenizer, chat template and the ids that end a
//! reply, as small traits, so that a toy in a test and a real checkpoint look the same above.

use anyhow::Result;

use crate::session::Role;

/// Text to ids and back.
pub trait Vocabulary: Send + Sync {
    /// Ids there are.
    fn size(&self) -> usize;
    /// The ids of a text; `parse_special` reads markers such as `<|im_end|>` as their one id.
    /// Nothing is put in front: see `beginning_of_text`.
    fn encode(&self, text: &str, parse_special: bool) -> Result<Vec<u32>>;
    /// The id this model wants in front of plain text, where it wants one; a rendered chat brings
    /// its own.
    fn beginning_of_text(&self) -> Option<u32>;
    /// A token's own text for display; bytes that are no whole character show as `<0xE4>`.
    fn token_text(&self, id: u32) -> String;
    /// The bytes an id stands for, a marker's own text included; `None` where the id has no token.
    fn token_bytes(&self, id: u32) -> Option<Vec<u8>>;
    /// True for markers such as `<|im_end|>`, which never show in a text.
    fn is_marker(&self, id: u32) -> bool;
    /// A fresh decoder for one reply. `continues_text`: the reply goes on where text stopped, so
    /// a space its first token brings is part of it (some tokenizers drop it at a beginning).
    fn stream(&self, continues_text: bool) -> Box<dyn TextStream>;
}

/// Turns the ids of one reply into text as they come.
pub trait TextStream: Send {
    /// The whole characters this id completes; a special token gives nothing.
    fn push(&mut self, id: u32) -> Result<String>;
}

/// A chat template.
pub trait Template: Send + Sync {
    /// The text a model of this template is shown for these messages.
    fn render(&self, messages: &[(Role, &str)], add_generation_prompt: bool) -> Result<String>;
}

/// Everything about a model that is text rather than numbers. Shared, so that tokens can be
/// counted while the model is busy.
pub struct Language {
    pub vocabulary: Box<dyn Vocabulary>,
    /// None: the model only completes text.
    pub template: Option<Box<dyn Template>>,
    /// The union of every id that ends a reply, from all of the model's files.
    pub end_of_text_ids: Vec<u32>,
}

impl Language {
    /// The ids of plain text that begins a context: the beginning-of-text id goes in front where
    /// the model wants one. Markers in the text are only characters.
    pub fn encode_plain(&self, text: &str) -> Result<Vec<u32>> {
        let mut ids = self.vocabulary.encode(text, false)?;
        if let Some(first) = self.vocabulary.beginning_of_text()
            && ids.first() != Some(&first)
        {
            ids.insert(0, first);
        }
        Ok(ids)
    }

    /// True when this id ends a reply.
    pub fn ends_reply(&self, id: u32) -> bool {
        self.end_of_text_ids.contains(&id)
    }
}
