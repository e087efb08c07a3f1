//! A checkpoint's tokenizer and template behind the traits everything above is written against.

use anyhow::Result;

use crate::model::chat_template::{ChatTemplate, Message};
use crate::model::checkpoint::Checkpoint;
use crate::model::tokenizer::{self, TextTokenizer};
use crate::model::{Language, Template, TextStream, Vocabulary};
use crate::session::Role;

/// The text side of a checkpoint alone, without its weights.
///
/// # Errors
/// When tokenizer or template cannot be read.
pub fn language(checkpoint: &Checkpoint) -> Result<Language> {
    let template = ChatTemplate::from_checkpoint(checkpoint)?;
    Ok(Language {
        vocabulary: Box::new(TextTokenizer::from_checkpoint(checkpoint)?),
        template: template.map(|template| Box::new(template) as Box<dyn Template>),
        end_of_text_ids: checkpoint.end_of_text_ids.clone(),
    })
}

impl Vocabulary for TextTokenizer {
    fn size(&self) -> usize {
        self.vocab_size()
    }

    fn encode(&self, text: &str, parse_special: bool) -> Result<Vec<u32>> {
        TextTokenizer::encode(self, text, parse_special)
    }

    fn beginning_of_text(&self) -> Option<u32> {
        self.bos_id.filter(|_| self.add_bos)
    }

    fn token_text(&self, id: u32) -> String {
        TextTokenizer::token_text(self, id)
    }

    fn token_bytes(&self, id: u32) -> Option<Vec<u8>> {
        TextTokenizer::token_bytes(self, id)
    }

    fn is_marker(&self, id: u32) -> bool {
        self.is_special(id)
    }

    fn stream(&self, continues_text: bool) -> Box<dyn TextStream> {
        Box::new(match continues_text {
            true => self.stream_continuing(),
            false => TextTokenizer::stream(self),
        })
    }
}

impl TextStream for tokenizer::TextStream {
    fn push(&mut self, id: u32) -> Result<String> {
        Ok(tokenizer::TextStream::push(self, id))
    }
}

impl Template for ChatTemplate {
    fn render(&self, messages: &[(Role, &str)], add_generation_prompt: bool) -> Result<String> {
        let messages: Vec<Message<'_>> = messages
            .iter()
            .map(|&(role, content)| Message { role: name_of(role), content })
            .collect();
        Ok(ChatTemplate::render(self, &messages, add_generation_prompt)?.text)
    }
}

fn name_of(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

/// True when the template refuses a system message, so that its text goes before the person's.
pub fn folds_system(template: &ChatTemplate) -> bool {
    let messages =
        [Message { role: "system", content: "a" }, Message { role: "user", content: "b" }];
    template.render(&messages, true).is_ok_and(|rendered| rendered.system_folded)
}
