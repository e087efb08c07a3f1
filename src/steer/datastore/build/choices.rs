//! How a question with options is put to a model, and the rotation of options that takes a model's
//! liking for a letter out of a store (our notes, section 2.3).

use anyhow::{Context, Result};

use crate::learn::preference::encoding;
use crate::model::Language;

const INSTRUCTION: &str = "Answer with the letter of the right option.";

/// A question as it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub prompt: String,
    /// Index of the letter that is right.
    pub label: usize,
}

/// The letter of an option.
pub fn letter(index: usize) -> char {
    char::from(b'A' + (index % 26) as u8)
}

/// The question with its options rotated: the text under letter j is option `(j + rotation) mod n`.
pub fn asked(question: &str, options: &[String], answer: usize, rotation: usize) -> Asked {
    let count = options.len();
    let mut prompt = format!("{INSTRUCTION}\n\nQuestion: {question}\n");
    for at in 0..count {
        prompt += &format!("{}. {}\n", letter(at), options[(at + rotation) % count]);
    }
    prompt += "Answer:";
    Asked { prompt, label: (answer + count - rotation % count) % count }
}

/// The id that an answer with this letter begins with.
///
/// # Errors
/// When the tokenizer refuses it.
pub fn letter_id(language: &Language, label: usize) -> Result<u32> {
    let text = letter(label).to_string();
    let encoded = encoding::encode(language, "x", &[&text])?;
    let first = encoded.answers.first().and_then(|answer| answer.first());
    first.copied().context("a letter has no token")
}
