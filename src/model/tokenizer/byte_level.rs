//! Byte-level BPE out of a GGUF file: vocabulary, merges, and the pattern that splits text into
//! words, which the file only names.

use anyhow::{Result, anyhow};
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::NFC;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{SplitDelimiterBehavior, Tokenizer};

use super::gguf::Lists;

/// Words with one leading non-letter, digits in groups of at most `{}`, punctuation, whitespace.
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// As above, and a word ends before a capital letter.
const GPT4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// How one kind of byte-level tokenizer treats text before the merges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Splitting {
    /// `None`: GPT-2's own pattern.
    pattern: Option<&'static str>,
    /// Every digit is a word.
    single_digits: bool,
    /// Text is brought to Unicode's composed form.
    composed: bool,
    /// A word that is a token as a whole is that token, whatever the merges make of it.
    whole_words: bool,
    /// Texts usually begin with the begin-of-text token.
    begins: bool,
}

/// By the value of `tokenizer.ggml.pre`.
fn splitting(name: &str) -> Option<Splitting> {
    let plain = Splitting {
        pattern: None,
        single_digits: false,
        composed: false,
        whole_words: false,
        begins: false,
    };
    Some(match name {
        "gpt-2" | "gpt2" | "default" | "phi-2" | "jina-en" | "olmo" | "dbrx" => plain,
        "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" => {
            Splitting { single_digits: true, ..plain }
        }
        "llama3" | "llama-v3" | "llama-bpe" | "falcon3" | "pixtral" => {
            Splitting { pattern: Some(LLAMA3), whole_words: true, begins: true, ..plain }
        }
        "smaug-bpe" => Splitting { pattern: Some(LLAMA3), begins: true, ..plain },
        "qwen2" | "deepseek-r1-qwen" => Splitting { pattern: Some(QWEN2), composed: true, ..plain },
        "gpt-4o" => Splitting { pattern: Some(GPT4O), ..plain },
        "tekken" => Splitting { pattern: Some(TEKKEN), whole_words: true, begins: true, ..plain },
        _ => return None,
    })
}

/// The tokenizer without its added tokens, and whether texts usually begin with one.
pub fn build(lists: &Lists<'_>) -> Result<(Tokenizer, bool)> {
    let key = "tokenizer.ggml.pre";
    let name = lists.metadata.text(key).unwrap_or("gpt-2");
    let splitting = splitting(name).ok_or_else(|| {
        lists.metadata.refuse(key, &format!("the word pattern `{name}` is unknown"))
    })?;
    let vocabulary: Vocab =
        lists.tokens.iter().enumerate().map(|(id, token)| (token.clone(), id as u32)).collect();
    let key = "tokenizer.ggml.merges";
    let merges = lists
        .metadata
        .texts(key)
        .ok_or_else(|| lists.metadata.refuse(key, "the list of merges is missing"))?
        .map(|merge| {
            // A space never stands within either half: the alphabet writes it as `Ġ`.
            let (left, right) = merge.split_once(' ').ok_or_else(|| {
                lists.metadata.refuse(key, &format!("`{merge}` is not two parts"))
            })?;
            Ok((left.to_string(), right.to_string()))
        })
        .collect::<Result<Vec<_>>>()?;
    let model = BPE::builder()
        .vocab_and_merges(vocabulary, merges)
        .ignore_merges(splitting.whole_words)
        .build()
        .map_err(|error| lists.metadata.refuse(key, &error.to_string()))?;
    let mut tokenizer = Tokenizer::new(model);
    if splitting.composed {
        tokenizer.with_normalizer(Some(NFC)).map_err(|error| anyhow!("{error}"))?;
    }
    let mut steps: Vec<PreTokenizerWrapper> = Vec::new();
    if splitting.single_digits {
        steps.push(Digits::new(true).into());
    }
    if let Some(pattern) = splitting.pattern {
        let pattern = SplitPattern::Regex(pattern.to_string());
        let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false);
        steps.push(split.map_err(|error| anyhow!("{error}"))?.into());
    }
    steps.push(ByteLevel::new(false, true, splitting.pattern.is_none()).into());
    tokenizer.with_pre_tokenizer(Some(Sequence::new(steps)));
    tokenizer.with_decoder(Some(ByteLevel::default()));
    Ok((tokenizer, splitting.begins))
}
