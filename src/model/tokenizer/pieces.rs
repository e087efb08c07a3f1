//! The bytes of every token, as the tokenizer's own decoder would give them.

use anyhow::{Result, anyhow, bail};
use serde_json::Value;
use tokenizers::Tokenizer;

/// What the decoder of a `tokenizer.json` does to a token, as far as the supported families go.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Decoding {
    /// Each character stands for a byte (GPT-2 and most since).
    ByteLevel,
    /// `▁` (or another mark) is a space; `<0xE2>` may be a byte; a leading space may be dropped.
    Marked { replacements: Vec<(String, String)>, byte_fallback: bool, leading_spaces: usize },
}

/// Bytes by id.
#[derive(Debug)]
pub struct Pieces {
    bytes: Vec<u8>,
    /// `ends[id]` is where the id's bytes end.
    ends: Vec<u32>,
    special: Vec<bool>,
    known: Vec<bool>,
    leading_spaces: usize,
}

impl Pieces {
    pub fn new(tokenizer: &Tokenizer) -> Result<Self> {
        let decoder = serde_json::to_value(tokenizer.get_decoder())?;
        let decoding = read_decoder(&decoder)?;
        let vocabulary = tokenizer.get_vocab(true);
        let added = tokenizer.get_added_tokens_decoder();
        // An added token may hide a vocabulary entry of the same id, as in the crate's own decode.
        let highest = vocabulary.values().max().copied();
        let length = highest.map_or(0, |id| id as usize + 1);
        if length > vocabulary.len() * 4 + 65_536 {
            bail!("the vocabulary has {} tokens, but ids up to {length}", vocabulary.len());
        }
        let mut texts: Vec<Option<&str>> = vec![None; length];
        for (text, id) in &vocabulary {
            texts[*id as usize] = Some(text);
        }
        for (id, token) in &added {
            if let Some(text) = texts.get_mut(*id as usize) {
                *text = Some(&token.content);
            }
        }
        let mut pieces = Self {
            bytes: Vec::new(),
            ends: Vec::with_capacity(length),
            special: vec![false; length],
            known: texts.iter().map(Option::is_some).collect(),
            leading_spaces: match &decoding {
                Decoding::ByteLevel => 0,
                Decoding::Marked { leading_spaces, .. } => *leading_spaces,
            },
        };
        let byte_of = byte_level_alphabet();
        for (id, text) in texts.iter().enumerate() {
            let entry = added.get(&(id as u32));
            pieces.special[id] = entry.is_some_and(|token| token.special);
            if let Some(text) = text {
                let literal = entry.is_some() && !pieces.special[id];
                append(&decoding, &byte_of, text, literal, &mut pieces.bytes);
            }
            pieces
                .ends
                .push(u32::try_from(pieces.bytes.len()).map_err(|_| {
                    anyhow!("the vocabulary's texts take more than four gigabytes")
                })?);
        }
        Ok(pieces)
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_special(&self, id: u32) -> bool {
        self.special.get(id as usize).copied().unwrap_or(false)
    }

    /// Spaces dropped at the beginning of a text.
    pub fn leading_spaces(&self) -> usize {
        self.leading_spaces
    }

    /// The bytes of a token, also of one that does not show; `None` where there is none.
    pub fn raw(&self, id: u32) -> Option<&[u8]> {
        let index = id as usize;
        let end = *self.ends.get(index)? as usize;
        let begin = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        self.known[index].then(|| &self.bytes[begin..end])
    }

    /// The bytes that show in a text: none for a special or unknown id.
    pub fn visible(&self, id: u32) -> &[u8] {
        if self.is_special(id) { &[] } else { self.raw(id).unwrap_or(&[]) }
    }

    /// One token for a person.
    pub fn display(&self, id: u32) -> String {
        let Some(bytes) = self.raw(id) else { return format!("<{id}>") };
        let mut text = String::new();
        for chunk in bytes.utf8_chunks() {
            text.push_str(chunk.valid());
            if !chunk.invalid().is_empty() {
                let hex: Vec<String> =
                    chunk.invalid().iter().map(|byte| format!("{byte:02X}")).collect();
                text.push_str(&format!("<{}>", hex.join(" ")));
            }
        }
        text
    }
}

/// `literal`: an added token, whose text is itself and no code for bytes.
fn append(
    decoding: &Decoding,
    byte_of: &[Option<u8>],
    text: &str,
    literal: bool,
    out: &mut Vec<u8>,
) {
    match decoding {
        Decoding::ByteLevel => {
            let bytes: Option<Vec<u8>> = text
                .chars()
                .map(|letter| byte_of.get(letter as usize).copied().flatten())
                .collect();
            match bytes {
                Some(bytes) if !literal => out.extend(bytes),
                _ => out.extend(text.as_bytes()),
            }
        }
        Decoding::Marked { replacements, byte_fallback, .. } => {
            if *byte_fallback && let Some(byte) = fallback_byte(text) {
                out.push(byte);
                return;
            }
            let mut text = text.to_string();
            for (from, to) in replacements {
                text = text.replace(from, to);
            }
            out.extend(text.as_bytes());
        }
    }
}

/// `<0xE2>` is the byte 0xE2.
fn fallback_byte(text: &str) -> Option<u8> {
    let hex = text.strip_prefix("<0x")?.strip_suffix('>')?;
    if hex.len() != 2 { None } else { u8::from_str_radix(hex, 16).ok() }
}

/// GPT-2's alphabet: printable Latin-1 stands for itself, the other bytes for 256 and on.
fn byte_level_alphabet() -> Vec<Option<u8>> {
    let mut byte_of = vec![None; 512];
    let mut next = 256;
    for byte in 0..=255u8 {
        let own = matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
        let letter = if own { byte as usize } else { next };
        if !own {
            next += 1;
        }
        byte_of[letter] = Some(byte);
    }
    byte_of
}

fn read_decoder(decoder: &Value) -> Result<Decoding> {
    let steps: Vec<&Value> = match decoder["type"].as_str() {
        Some("Sequence") => decoder["decoders"].as_array().into_iter().flatten().collect(),
        Some(_) => vec![decoder],
        None => bail!("it has no `decoder`, so its ids cannot be turned into text"),
    };
    let mut replacements = Vec::new();
    let mut byte_fallback = false;
    let mut leading_spaces = 0;
    for step in steps {
        match step["type"].as_str().unwrap_or("") {
            "ByteLevel" => return Ok(Decoding::ByteLevel),
            "ByteFallback" => byte_fallback = true,
            "Fuse" => {}
            "Replace" => match (step["pattern"]["String"].as_str(), step["content"].as_str()) {
                (Some(from), Some(to)) if !from.is_empty() => {
                    replacements.push((from.to_string(), to.to_string()));
                }
                _ => bail!("its decoder replaces by a pattern, which Tiller does not know"),
            },
            "Strip" if step["content"] == " " => {
                leading_spaces = step["start"].as_u64().unwrap_or(0).min(16) as usize;
            }
            "Metaspace" => {
                let mark = step["replacement"].as_str().unwrap_or("▁");
                replacements.push((mark.to_string(), " ".to_string()));
                leading_spaces = usize::from(step["prepend_scheme"] != "never");
            }
            other => bail!("its decoder `{other}` is none that Tiller knows"),
        }
    }
    Ok(Decoding::Marked { replacements, byte_fallback, leading_spaces })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_is_that_of_the_reference() {
        let byte_of = byte_level_alphabet();
        let ours: Vec<char> = (0..512u32)
            .filter(|letter| byte_of[*letter as usize].is_some())
            .filter_map(char::from_u32)
            .collect();
        assert_eq!(ours.len(), 256);
        let theirs = tokenizers::pre_tokenizers::byte_level::ByteLevel::alphabet();
        assert!(ours.iter().all(|letter| theirs.contains(letter)));
        assert_eq!(byte_of['Ġ' as usize], Some(b' '));
        assert_eq!(byte_of['Ċ' as usize], Some(b'\n'));
    }

    #[test]
    fn only_two_hexadecimal_digits_are_a_byte() {
        assert_eq!(fallback_byte("<0xE2>"), Some(0xE2));
        for text in ["<0xE>", "<0xE22>", "<0xGG>", "0xE2", "<0x+1>é"] {
            assert_eq!(fallback_byte(text), None, "{text}");
        }
    }
}
