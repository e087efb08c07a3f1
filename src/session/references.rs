//! What datastores did to a token: plain data, kept beside a reply and shown in the window.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What the stores in play made of one token.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TokenReferences {
    /// Which token of the reply, from 0; a given beginning is not counted.
    pub token: usize,
    /// The token's probability for the model, and after mixing; temperature 1, before penalties.
    pub before: f32,
    pub after: f32,
    /// The share the stores had together, gates included.
    pub lambda: f32,
    /// Half the sum of all changes of probability: how far the distribution moved.
    pub moved: f32,
    /// The passages that weighed most, heaviest first.
    pub passages: Vec<PassageShare>,
}

/// One passage's part in it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PassageShare {
    /// The store's name.
    pub store: String,
    pub file: PathBuf,
    /// `line 12`, `page 3`; empty where nothing is known.
    pub place: String,
    /// The text around it, and the bytes of it that it puts forward as what comes next.
    pub text: String,
    pub start: usize,
    pub end: usize,
    /// Of what its store said, from 0 to 1.
    pub share: f32,
    /// Squared, between the two hidden states.
    pub distance: f32,
    /// It put forward the token that was drawn.
    pub agrees: bool,
}

/// A change of probability that is worth a mark.
const WORTH_A_MARK: f32 = 0.1;

impl TokenReferences {
    /// The token was drawn with a probability that passages had changed by a good part, or would
    /// hardly have been drawn without them.
    pub fn is_moved(&self) -> bool {
        (self.after - self.before).abs() >= WORTH_A_MARK
            || (self.after > 2.0 * self.before && self.after - self.before > WORTH_A_MARK / 10.0)
    }
}

/// How much stores mattered to a reply.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Weighed {
    pub tokens: usize,
    pub moved: usize,
    /// Mean share of the stores.
    pub lambda: f32,
    /// Mean movement of the distribution, from 0 to 1.
    pub mean_moved: f32,
    /// Files by how much of the moved tokens they account for, most first.
    pub files: Vec<(PathBuf, f32)>,
}

impl Weighed {
    /// Sums up a reply.
    pub fn of(tokens: &[TokenReferences]) -> Self {
        let count = tokens.len().max(1) as f32;
        let mut files: Vec<(PathBuf, f32)> = Vec::new();
        for token in tokens.iter().filter(|token| token.is_moved()) {
            for passage in token.passages.iter().filter(|passage| passage.agrees) {
                match files.iter_mut().find(|(file, _)| *file == passage.file) {
                    Some((_, share)) => *share += passage.share,
                    None => files.push((passage.file.clone(), passage.share)),
                }
            }
        }
        files.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        Self {
            tokens: tokens.len(),
            moved: tokens.iter().filter(|token| token.is_moved()).count(),
            lambda: tokens.iter().map(|token| token.lambda).sum::<f32>() / count,
            mean_moved: tokens.iter().map(|token| token.moved).sum::<f32>() / count,
            files,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_summed_up_and_what_did_not_move_counts_too() {
        let passage = |file: &str, share| PassageShare {
            file: file.into(),
            share,
            agrees: true,
            ..PassageShare::default()
        };
        let token = |before, after, passages| TokenReferences {
            before,
            after,
            lambda: 0.5,
            moved: 0.2,
            passages,
            ..TokenReferences::default()
        };
        let tokens = [
            token(0.1, 0.6, vec![passage("a", 0.5), passage("b", 0.4)]),
            token(0.9, 0.9, vec![passage("c", 1.0)]),
            token(0.01, 0.03, vec![passage("b", 0.4)]),
        ];
        let weighed = Weighed::of(&tokens);
        assert_eq!((weighed.tokens, weighed.moved), (3, 2));
        assert_eq!(weighed.files[0].0, PathBuf::from("b"));
        assert_eq!(weighed.files.len(), 2);
        assert!((weighed.lambda - 0.5).abs() < 1e-6);
        assert_eq!(Weighed::of(&[]), Weighed::default());
    }
}
