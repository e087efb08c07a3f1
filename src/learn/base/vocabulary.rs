//! The tokenizer of a new model: byte-level BPE trained on its own text.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use tokenizers::models::bpe::{BPE, BpeTrainerBuilder};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Tokenizer, models::TrainerWrapper};

use super::corpus::Document;
use super::markup;
use crate::platform::Problem;

/// Trains a byte-level BPE of at most `size` tokens, turn markers and all 256 bytes among them.
///
/// # Errors
/// When `size` has no room for markers and bytes.
pub fn train(documents: &[Document], size: usize) -> Result<Tokenizer> {
    let least = 256 + markup::MARKERS.len();
    if size < least {
        return Err(Problem::new(format!("a vocabulary of {size} is too small"))
            .hint(format!("the bytes and markers alone take {least}"))
            .into());
    }
    let markers: Vec<AddedToken> =
        markup::MARKERS.iter().map(|text| AddedToken::from(*text, true)).collect();
    let bytes = ByteLevel::new(false, false, true);
    let mut tokenizer = Tokenizer::new(BPE::default());
    tokenizer.with_pre_tokenizer(Some(bytes));
    tokenizer.with_post_processor(Some(bytes));
    tokenizer.with_decoder(Some(bytes));
    let mut trainer = TrainerWrapper::from(
        BpeTrainerBuilder::new()
            .vocab_size(size)
            .min_frequency(2)
            .show_progress(false)
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .special_tokens(markers.clone())
            .build(),
    );
    // The markers stand outside the text that merges are counted on.
    let pieces = documents.iter().flat_map(|d| pieces(&d.text));
    tokenizer.train(&mut trainer, pieces).map_err(|e| anyhow!("training the tokenizer: {e}"))?;
    tokenizer.add_special_tokens(markers).map_err(|e| anyhow!("adding the markers: {e}"))?;
    Ok(tokenizer)
}

/// The text between markers.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces = vec![text.to_owned()];
    for marker in markup::MARKERS {
        pieces = pieces.iter().flat_map(|p| p.split(marker)).map(str::to_owned).collect();
    }
    pieces.retain(|p| !p.is_empty());
    pieces
}

/// Token ids of every document, in order.
pub fn encode(tokenizer: &Tokenizer, documents: &[Document]) -> Result<Vec<Vec<u32>>> {
    let texts: Vec<&str> = documents.iter().map(|d| d.text.as_str()).collect();
    let encodings =
        tokenizer.encode_batch(texts, false).map_err(|e| anyhow!("encoding the text: {e}"))?;
    Ok(encodings.into_iter().map(|e| e.get_ids().to_vec()).collect())
}

/// Reads a tokenizer back.
pub fn open(path: &Path) -> Result<Tokenizer> {
    Tokenizer::from_file(path)
        .map_err(|e| anyhow!("{e}"))
        .with_context(|| Problem::new("cannot read this tokenizer").at(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_comes_back_and_markers_are_one_token() {
        let text = "<|user|>Why is the sky blue? The sky!<|end|>";
        let documents = vec![Document { text: text.repeat(20) }];
        let tokenizer = train(&documents, 300).unwrap();
        for (id, marker) in markup::MARKERS.iter().enumerate() {
            assert_eq!(tokenizer.token_to_id(marker), Some(id as u32));
        }
        for text in [text, "naïve — 日本語 \u{1F600}", "  two  spaces\n\tand a tab"] {
            let document = Document { text: text.to_owned() };
            let ids = encode(&tokenizer, &[document]).unwrap().remove(0);
            assert_eq!(tokenizer.decode(&ids, false).unwrap(), text);
        }
        let ids = encode(&tokenizer, &documents).unwrap().remove(0);
        assert!(ids.len() < text.len() * 20 / 2, "merges were learnt: {} tokens", ids.len());
        assert_eq!(ids.iter().filter(|&&id| id == 2).count(), 20);
    }

    #[test]
    fn a_vocabulary_without_room_is_refused() {
        assert!(train(&[], 100).is_err());
    }
}
