//! The tokenizer inside a GGUF file, rebuilt from its lists.

use std::collections::HashSet;

use anyhow::{Result, anyhow};
use tokenizers::{AddedToken, Tokenizer};

use super::{TextTokenizer, byte_level, sentencepiece};
use crate::model::checkpoint::gguf::Metadata;

/// `tokenizer.ggml.token_type`: what each token is.
mod token_type {
    pub const UNKNOWN: u32 = 2;
    pub const CONTROL: u32 = 3;
    pub const USER_DEFINED: u32 = 4;
}

/// The lists of the file, read.
pub struct Lists<'a> {
    pub metadata: &'a Metadata,
    pub tokens: Vec<String>,
    pub types: Vec<u32>,
}

impl Lists<'_> {
    fn read(metadata: &Metadata) -> Result<Lists<'_>> {
        let key = "tokenizer.ggml.tokens";
        let tokens: Vec<String> = metadata
            .texts(key)
            .ok_or_else(|| metadata.refuse(key, "the list of tokens is missing"))?
            .map(|token| token.into_owned())
            .collect();
        if tokens.is_empty() {
            return Err(metadata.refuse(key, "the list of tokens is empty"));
        }
        let key = "tokenizer.ggml.token_type";
        let types: Vec<u32> =
            metadata.numbers(key).unwrap_or_default().into_iter().map(|kind| kind as u32).collect();
        if !types.is_empty() && types.len() != tokens.len() {
            let why = format!("{} entries for {} tokens", types.len(), tokens.len());
            return Err(metadata.refuse(key, &why));
        }
        Ok(Lists { metadata, tokens, types })
    }

    /// An id the file names, if it is one.
    pub fn named_id(&self, kind: &str) -> Option<u32> {
        let id = self.metadata.id(&format!("tokenizer.ggml.{kind}_token_id"))?;
        ((id as usize) < self.tokens.len()).then_some(id)
    }

    pub fn named_token(&self, kind: &str) -> Option<&str> {
        self.named_id(kind).map(|id| self.tokens[id as usize].as_str())
    }

    fn is(&self, id: usize, kind: u32) -> bool {
        self.types.get(id) == Some(&kind)
    }
}

/// Builds the tokenizer of a GGUF file.
pub fn build(metadata: &Metadata) -> Result<TextTokenizer> {
    let add_bos = metadata.flag("tokenizer.ggml.add_bos_token");
    let lists = Lists::read(metadata)?;
    let bos_id = lists.named_id("bos");
    if let Some(json) = metadata.text("tokenizer.huggingface.json") {
        let tokenizer = super::parse(json.as_bytes(), metadata.path())?;
        return TextTokenizer::new(tokenizer, bos_id, add_bos);
    }
    let key = "tokenizer.ggml.model";
    let kind = metadata.text(key).ok_or_else(|| metadata.refuse(key, "it is missing"))?;
    let (mut tokenizer, usually_bos) = match kind {
        "gpt2" => byte_level::build(&lists)?,
        "llama" => (sentencepiece::build(&lists)?, true),
        other => {
            let why = format!(
                "`{other}` is unknown; known are gpt2 (byte-level BPE) and llama (SentencePiece)"
            );
            return Err(metadata.refuse(key, &why));
        }
    };
    add_tokens(&mut tokenizer, &lists)?;
    TextTokenizer::new(tokenizer, bos_id, Some(add_bos.unwrap_or(usually_bos)))
}

/// Control tokens and the writer's own tokens are matched whole, before anything else.
fn add_tokens(tokenizer: &mut Tokenizer, lists: &Lists<'_>) -> Result<()> {
    let mut seen = HashSet::new();
    let mut added = Vec::new();
    for (id, text) in lists.tokens.iter().enumerate() {
        let special = lists.is(id, token_type::CONTROL) || lists.is(id, token_type::UNKNOWN);
        let own = lists.is(id, token_type::USER_DEFINED);
        if (special || own) && !text.is_empty() && seen.insert(text.as_str()) {
            added.push(AddedToken::from(text.clone(), special).normalized(false));
        }
    }
    tokenizer.add_tokens(added).map_err(|error| anyhow!("{error}"))?;
    Ok(())
}
