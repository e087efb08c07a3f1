//! The tokens of a reply as one compact blob.
//!
//! Layout, all integers LEB128: the version byte, 2 where any token has a reward and 1 where none
//! has; the number of texts, then each as length and
//! UTF-8 bytes; the number of tokens, then each as id, number of its text, log-probability and
//! entropy (f32, little end first), in version 2 the reward (not a number where there is none), the
//! number of alternatives, and each of those as id, number of
//! its text, log-probability. A text is stored once however often it comes up.

use std::collections::HashMap;

use super::token::{Alternative, TokenTrace};
use crate::platform::Problem;

const VERSION: u8 = 1;
const WITH_REWARDS: u8 = 2;

/// The tokens as a blob; empty for none.
pub fn encode(tokens: &[TokenTrace]) -> Vec<u8> {
    if tokens.is_empty() {
        return Vec::new();
    }
    let mut texts: Vec<&str> = Vec::new();
    let mut number_of: HashMap<&str, u64> = HashMap::new();
    for token in tokens {
        let of_alternatives = token.alternatives.iter().map(|alternative| &alternative.text);
        for text in std::iter::once(&token.text).chain(of_alternatives) {
            number_of.entry(text).or_insert_with(|| {
                texts.push(text);
                texts.len() as u64 - 1
            });
        }
    }
    let rewarded = tokens.iter().any(|token| token.reward.is_some());
    let mut blob = vec![if rewarded { WITH_REWARDS } else { VERSION }];
    put(&mut blob, texts.len() as u64);
    for text in texts {
        put(&mut blob, text.len() as u64);
        blob.extend_from_slice(text.as_bytes());
    }
    put(&mut blob, tokens.len() as u64);
    for token in tokens {
        put(&mut blob, u64::from(token.id));
        put(&mut blob, number_of[token.text.as_str()]);
        blob.extend_from_slice(&token.logprob.to_le_bytes());
        blob.extend_from_slice(&token.entropy.to_le_bytes());
        if rewarded {
            blob.extend_from_slice(&token.reward.unwrap_or(f32::NAN).to_le_bytes());
        }
        put(&mut blob, token.alternatives.len() as u64);
        for alternative in &token.alternatives {
            put(&mut blob, u64::from(alternative.id));
            put(&mut blob, number_of[alternative.text.as_str()]);
            blob.extend_from_slice(&alternative.logprob.to_le_bytes());
        }
    }
    blob
}

/// The tokens of a blob. Never allocates more than a small multiple of the blob's own size.
pub fn decode(blob: &[u8]) -> Result<Vec<TokenTrace>, Problem> {
    if blob.is_empty() {
        return Ok(Vec::new());
    }
    let broken = || Problem::new("the tokens of this message cannot be read");
    let mut rest = blob;
    let rewarded = match take(&mut rest, 1).ok_or_else(broken)? {
        [VERSION] => false,
        [WITH_REWARDS] => true,
        _ => return Err(Problem::new("the tokens of this message were kept by a newer Tiller")),
    };
    read(&mut rest, rewarded).filter(|_| rest.is_empty()).ok_or_else(broken)
}

fn read(rest: &mut &[u8], rewarded: bool) -> Option<Vec<TokenTrace>> {
    let text_count = get_count(rest)?;
    let mut texts = Vec::with_capacity(text_count);
    for _ in 0..text_count {
        let length = get_count(rest)?;
        texts.push(std::str::from_utf8(take(rest, length)?).ok()?);
    }
    let text = |rest: &mut &[u8]| -> Option<String> {
        texts.get(usize::try_from(get(rest)?).ok()?).map(|text| (*text).to_owned())
    };
    let mut tokens = Vec::new();
    for _ in 0..get_count(rest)? {
        let id = u32::try_from(get(rest)?).ok()?;
        let token_text = text(rest)?;
        let (logprob, entropy) = (get_f32(rest)?, get_f32(rest)?);
        let reward = if rewarded { Some(get_f32(rest)?).filter(|r| r.is_finite()) } else { None };
        let mut alternatives = Vec::new();
        for _ in 0..get_count(rest)? {
            let id = u32::try_from(get(rest)?).ok()?;
            let text = text(rest)?;
            alternatives.push(Alternative { id, text, logprob: get_f32(rest)? });
        }
        tokens.push(TokenTrace { id, text: token_text, logprob, entropy, alternatives, reward });
    }
    Some(tokens)
}

fn put(blob: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        blob.push(value as u8 | 0x80);
        value >>= 7;
    }
    blob.push(value as u8);
}

fn get(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// A number of things that take at least one byte each, so that a lie is found before allocating.
fn get_count(rest: &mut &[u8]) -> Option<usize> {
    usize::try_from(get(rest)?).ok().filter(|&count| count <= rest.len())
}

fn get_f32(rest: &mut &[u8]) -> Option<f32> {
    take(rest, 4)?.try_into().ok().map(f32::from_le_bytes)
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(count)?;
    *rest = tail;
    Some(head)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_token() -> impl Strategy<Value = TokenTrace> {
        let text = || prop_oneof!["\\PC{0,6}", Just("the".to_owned()), Just("<0xE4>".to_owned())];
        let number = || prop_oneof![-40f32..0.0, Just(f32::NEG_INFINITY), Just(-0.0f32)];
        let alternative = (any::<u32>(), text(), number())
            .prop_map(|(id, text, logprob)| Alternative { id, text, logprob });
        let alternatives = proptest::collection::vec(alternative, 0..11);
        let reward = proptest::option::of(-9f32..9.0);
        (any::<u32>(), text(), number(), 0f32..12.0, alternatives, reward).prop_map(
            |(id, text, logprob, entropy, alternatives, reward)| TokenTrace {
                id,
                text,
                logprob,
                entropy,
                alternatives,
                reward,
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn tokens_come_back_as_they_were(tokens in proptest::collection::vec(any_token(), 0..40)) {
            prop_assert_eq!(decode(&encode(&tokens)).unwrap(), tokens);
        }

        #[test]
        fn damaged_blobs_are_refused_without_a_panic(
            tokens in proptest::collection::vec(any_token(), 1..8),
            cut in any::<prop::sample::Index>(),
            place in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let blob = encode(&tokens);
            prop_assert!(decode(&blob[..cut.index(blob.len()).max(1)]).is_err());
            let mut damaged = blob.clone();
            damaged[place.index(blob.len())] = byte;
            decode(&damaged).ok();
        }
    }

    #[test]
    fn a_lying_count_is_refused_before_allocating() {
        let mut blob = vec![VERSION];
        put(&mut blob, u64::MAX / 2);
        assert!(decode(&blob).is_err());
        assert!(decode(&[3, 0, 0]).unwrap_err().what.contains("newer"));
    }
}
