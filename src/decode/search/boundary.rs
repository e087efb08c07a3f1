//! What is told at every boundary: all candidates with their values, which were kept, and whose
//! continuations they are. Together they are the tree of the search.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::session::TokenTrace;

/// One ranking.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Boundary {
    /// From 0.
    pub number: usize,
    /// Tokens every unfinished candidate has by now, the given opening not counted.
    pub tokens: usize,
    /// W and K of the chunks that begin here.
    pub beam_width: usize,
    pub successors: usize,
    /// In the order of their rows.
    pub candidates: Vec<Branch>,
    /// Candidates whose value is not a number; they rank last.
    pub without_value: usize,
}

/// One candidate: a chunk and where it hangs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Branch {
    /// Counts all chunks of the reply, from 0.
    pub node: usize,
    /// The chunk it continues; `None` at the beginning.
    pub parent: Option<usize>,
    /// The row it was drawn in, and by that its random numbers.
    pub row: usize,
    /// The ids drawn in this chunk; none for a text that had ended before.
    pub ids: Vec<u32>,
    /// What is remembered of each of them: for a branch that goes on from here.
    #[serde(skip)]
    pub tokens: Vec<Arc<TokenTrace>>,
    /// What they add to the text, up to and with a stop string.
    pub text: String,
    /// The value of the whole reply so far; `None` when the scorer gave no number.
    pub value: Option<f32>,
    /// The text has ended by itself.
    pub finished: bool,
    /// 0 for the best; `None` when it was pruned.
    pub rank: Option<usize>,
}

impl Boundary {
    /// Kept candidates, best first.
    pub fn kept(&self) -> Vec<&Branch> {
        let mut kept: Vec<&Branch> =
            self.candidates.iter().filter(|branch| branch.rank.is_some()).collect();
        kept.sort_by_key(|branch| branch.rank);
        kept
    }
}
