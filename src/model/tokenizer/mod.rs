//! Text to ids and back.
//!
//! Encoding is the `tokenizers` crate's. Decoding is our own, by bytes: every id is a known run of
//! bytes, so a stream of ids can be shown as it grows without ever splitting a character and
//! without decoding anything twice.

mod byte_level;
mod gguf;
mod pieces;
mod sentencepiece;
mod stream;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use parking_lot::Mutex;
use serde_json::Value;
use tokenizers::Tokenizer;

pub use stream::TextStream;

use crate::model::checkpoint::{Checkpoint, Source, parse_json, read_json, read_optional};
use crate::platform::Problem;
use pieces::Pieces;

/// A model's tokenizer.
pub struct TextTokenizer {
    /// Encoding needs a switch thrown (whether special tokens are recognised in the text).
    encoder: Mutex<Tokenizer>,
    pieces: Arc<Pieces>,
    /// Whether plain text (not a rendered chat) begins with `bos_id`.
    pub add_bos: bool,
    /// The begin-of-text id, where the model has one.
    pub bos_id: Option<u32>,
}

impl std::fmt::Debug for TextTokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextTokenizer")
            .field("vocab_size", &self.vocab_size())
            .field("add_bos", &self.add_bos)
            .finish_non_exhaustive()
    }
}

impl TextTokenizer {
    /// Builds the tokenizer a checkpoint brings with it.
    pub fn from_checkpoint(checkpoint: &Checkpoint) -> Result<Self> {
        match checkpoint.source() {
            Source::Folder(folder) => Self::from_folder(folder),
            Source::Gguf(metadata) => gguf::build(metadata),
        }
    }

    fn from_folder(folder: &Path) -> Result<Self> {
        let path = folder.join("tokenizer.json");
        let Some(bytes) = read_optional(&path)? else {
            let old = folder.join("tokenizer.model").is_file();
            let hint = if old {
                "tokenizer.model alone is not enough: save the tokenizer in its fast form, or use a GGUF file"
            } else {
                "download tokenizer.json into the folder"
            };
            return Err(Problem::new("tokenizer.json is missing").at(folder).hint(hint).into());
        };
        // Parsed as JSON first, since that error says where.
        parse_json::<serde::de::IgnoredAny>(&bytes, &path)?;
        let tokenizer = parse(&bytes, &path)?;
        let config = read_json::<Value>(&folder.join("tokenizer_config.json"))?.unwrap_or_default();
        let bos_text =
            config["bos_token"].as_str().or_else(|| config["bos_token"]["content"].as_str());
        let bos_id = bos_text.and_then(|text| tokenizer.token_to_id(text));
        Self::new(tokenizer, bos_id, config["add_bos_token"].as_bool())
            .map_err(|error| Problem::new(format!("{error:#}")).at(&path).into())
    }

    /// `add_bos` of `None` asks the tokenizer itself: does it begin a text with a special token?
    fn new(mut tokenizer: Tokenizer, bos_id: Option<u32>, add_bos: Option<bool>) -> Result<Self> {
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| anyhow!("{error}"))?;
        let pieces = Arc::new(Pieces::new(&tokenizer)?);
        let first = tokenizer
            .encode_fast("a", true)
            .ok()
            .and_then(|encoding| encoding.get_ids().first().copied())
            .filter(|id| pieces.is_special(*id));
        let bos_id = bos_id.or(first);
        let add_bos = bos_id.is_some() && add_bos.unwrap_or(first == bos_id);
        Ok(Self { encoder: Mutex::new(tokenizer), pieces, add_bos, bos_id })
    }

    /// Encodes a text, without adding a begin-of-text id.
    ///
    /// `parse_special`: whether `<|im_end|>` and its like in the text become the special token (a
    /// rendered template) or stay plain text (what a person typed).
    pub fn encode(&self, text: &str, parse_special: bool) -> Result<Vec<u32>> {
        let mut encoder = self.encoder.lock();
        encoder.set_encode_special_tokens(!parse_special);
        let encoding = encoder
            .encode_fast(text, false)
            .map_err(|error| Problem::new(format!("the text cannot be tokenized: {error}")))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Encodes a plain text, with the begin-of-text id where the model wants one.
    pub fn encode_plain(&self, text: &str, parse_special: bool) -> Result<Vec<u32>> {
        let ids = self.encode(text, parse_special)?;
        Ok(self.bos_id.filter(|_| self.add_bos).into_iter().chain(ids).collect())
    }

    /// The text of one token for a person; bytes that are no whole character as `<E2 96>`.
    /// An id outside the vocabulary is `<id>`.
    pub fn token_text(&self, id: u32) -> String {
        self.pieces.display(id)
    }

    /// The bytes an id stands for; `None` where it has no token.
    pub fn token_bytes(&self, id: u32) -> Option<Vec<u8>> {
        self.pieces.raw(id).map(<[u8]>::to_vec)
    }

    /// Whether the token is a control token, which never shows in a text.
    pub fn is_special(&self, id: u32) -> bool {
        self.pieces.is_special(id)
    }

    /// Decodes the ids of a text from its beginning, special tokens left out.
    pub fn decode(&self, ids: &[u32]) -> String {
        let mut bytes = Vec::new();
        for id in ids {
            bytes.extend_from_slice(self.pieces.visible(*id));
        }
        let spaces = bytes.iter().take(self.pieces.leading_spaces()).take_while(|b| **b == b' ');
        let skip = spaces.count();
        String::from_utf8_lossy(&bytes[skip..]).into_owned()
    }

    /// Decodes ids as they come, from the beginning of a text: a SentencePiece model's first
    /// space is dropped, as in `decode`.
    pub fn stream(&self) -> TextStream {
        TextStream::new(self.pieces.clone(), self.pieces.leading_spaces())
    }

    /// Decodes ids as they come after other text (a raw prompt, a reply continued): the first
    /// space belongs to the text.
    pub fn stream_continuing(&self) -> TextStream {
        TextStream::new(self.pieces.clone(), 0)
    }

    /// One more than the highest id that has a token. The logits may be wider.
    pub fn vocab_size(&self) -> usize {
        self.pieces.len()
    }

    /// The id of a token given as the vocabulary writes it.
    pub fn id_of(&self, token: &str) -> Option<u32> {
        self.encoder.lock().token_to_id(token)
    }
}

fn parse(bytes: &[u8], path: &Path) -> Result<Tokenizer> {
    Tokenizer::from_bytes(bytes).map_err(|error| {
        Problem::new(format!("the tokenizer cannot be read: {error}")).at(path).into()
    })
}
