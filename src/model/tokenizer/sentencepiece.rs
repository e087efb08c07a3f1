//! SentencePiece BPE out of a GGUF file: pieces with scores become BPE merges with byte fallback,
//! the way the reference converts such a model to its fast form.

use std::cmp::Ordering;
use std::collections::HashMap;

use anyhow::{Result, anyhow};
use tokenizers::Tokenizer;
use tokenizers::decoders::DecoderWrapper;
use tokenizers::decoders::byte_fallback::ByteFallback;
use tokenizers::decoders::fuse::Fuse;
use tokenizers::decoders::sequence::Sequence as DecoderSequence;
use tokenizers::decoders::strip::Strip;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::{NormalizerWrapper, Prepend, Replace, Sequence};

use super::gguf::Lists;

/// What stands for a space in the pieces.
const MARK: &str = "▁";

/// The tokenizer without its added tokens.
pub fn build(lists: &Lists<'_>) -> Result<Tokenizer> {
    let key = "tokenizer.ggml.scores";
    let scores = lists
        .metadata
        .numbers(key)
        .ok_or_else(|| lists.metadata.refuse(key, "the list of scores is missing"))?;
    if scores.len() != lists.tokens.len() {
        let why = format!("{} entries for {} tokens", scores.len(), lists.tokens.len());
        return Err(lists.metadata.refuse(key, &why));
    }
    let ids: HashMap<&str, u32> =
        lists.tokens.iter().enumerate().map(|(id, token)| (token.as_str(), id as u32)).collect();
    let merges = merges(&lists.tokens, &scores, &ids);
    let vocabulary = ids.iter().map(|(token, id)| (token.to_string(), *id));
    let mut model = BPE::builder()
        .vocab_and_merges(vocabulary.collect::<Vocab>(), merges)
        .byte_fallback(true)
        .fuse_unk(true);
    if let Some(unknown) = lists.named_token("unknown").or_else(|| {
        let usual = ids.get_key_value("<unk>");
        usual.map(|(token, _)| *token)
    }) {
        model = model.unk_token(unknown.to_string());
    }
    let model = model.build().map_err(|error| anyhow!("the tokenizer's pieces: {error}"))?;
    let mut tokenizer = Tokenizer::new(model);
    let begins_with_space = lists.metadata.flag("tokenizer.ggml.add_space_prefix").unwrap_or(true);
    let replace = |from: &str, to: &str| {
        Replace::new(from, to).map_err(|error| anyhow!("the tokenizer's spaces: {error}"))
    };
    let mut steps: Vec<NormalizerWrapper> = Vec::new();
    if begins_with_space {
        steps.push(Prepend::new(MARK.to_string()).into());
    }
    steps.push(replace(" ", MARK)?.into());
    tokenizer.with_normalizer(Some(Sequence::new(steps))).map_err(|error| anyhow!("{error}"))?;
    let mut steps: Vec<DecoderWrapper> =
        vec![replace(MARK, " ")?.into(), ByteFallback::new().into(), Fuse::new().into()];
    if begins_with_space {
        steps.push(Strip::new(' ', 1, 0).into());
    }
    tokenizer.with_decoder(Some(DecoderSequence::new(steps)));
    Ok(tokenizer)
}

/// Every way to put a piece together from two others, best score first; on equal scores in the
/// reference's order (longer left part, longer right part, then the order of the pieces).
fn merges(tokens: &[String], scores: &[f64], ids: &HashMap<&str, u32>) -> Vec<(String, String)> {
    let mut found: Vec<(&str, &str, f64)> = Vec::new();
    for (token, score) in tokens.iter().zip(scores) {
        let mut here: Vec<(u32, u32, &str, &str)> = Vec::new();
        for (at, _) in token.char_indices().skip(1) {
            let (left, right) = token.split_at(at);
            if let (Some(left_id), Some(right_id)) = (ids.get(left), ids.get(right)) {
                here.push((*left_id, *right_id, left, right));
            }
        }
        here.sort_unstable();
        found.extend(here.into_iter().map(|(_, _, left, right)| (left, right, *score)));
    }
    let length = |text: &str| text.chars().count();
    found.sort_by(|a, b| {
        b.2.partial_cmp(&a.2)
            .unwrap_or(Ordering::Equal)
            .then_with(|| length(b.0).cmp(&length(a.0)))
            .then_with(|| length(b.1).cmp(&length(a.1)))
    });
    found.into_iter().map(|(left, right, _)| (left.to_string(), right.to_string())).collect()
}
