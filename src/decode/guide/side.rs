//! A guide or scorer as it reads candidates: by the base's own ids where the vocabularies are
//! equal, else through text, tokenised anew.

use std::sync::Arc;

use anyhow::Result;

use super::candidate::Candidate;
use super::follower::{Fed, Follower};

/// Ids of a prompt with a given beginning of the reply behind it, as another model tokenises them.
pub type Tokenise = Arc<dyn Fn(&str) -> Result<Vec<u32>> + Send + Sync>;

/// How a model reads a candidate.
#[derive(Clone)]
pub enum Reading {
    /// Its own prompt, then the ids that were drawn.
    Ids { prompt: Vec<u32> },
    /// Its own prompt with the candidate's text, tokenised as one.
    Text { prompt: Vec<u32>, tokenise: Tokenise },
}

impl Reading {
    fn prompt(&self) -> &[u32] {
        match self {
            Self::Ids { prompt } | Self::Text { prompt, .. } => prompt,
        }
    }
}

/// How far before the end of a prompt a text may be tokenised otherwise once a reply follows.
const SEAM: usize = 8;

/// A model that follows candidates.
pub struct Side {
    pub follower: Follower,
    reading: Reading,
    /// What ends a text for this model; `None` when it knows no end.
    end_of_text: Option<u32>,
    /// The ids of the candidates it was last brought to.
    rows: Vec<Vec<u32>>,
}

impl Side {
    /// `opening` ids of the reply were given rather than drawn; they count as prompt.
    pub fn new(
        runner: Box<dyn crate::model::Runner>,
        reading: Reading,
        end_of_text: Option<u32>,
        opening: usize,
    ) -> Self {
        let shared = match &reading {
            Reading::Ids { prompt } => prompt.len() + opening,
            Reading::Text { prompt, .. } => prompt.len().saturating_sub(SEAM).max(1),
        };
        Self { follower: Follower::new(runner, shared), reading, end_of_text, rows: Vec::new() }
    }

    /// True when it reads the ids the base draws.
    pub fn reads_ids(&self) -> bool {
        matches!(self.reading, Reading::Ids { .. })
    }

    /// Tokens a reply may have before this model's context is full.
    pub fn room(&self) -> usize {
        self.follower.context_length().saturating_sub(self.reading.prompt().len())
    }

    /// Brings the model to these candidates, the end included where they are finished.
    ///
    /// # Errors
    /// When a text cannot be tokenised or a pass fails.
    pub fn follow(
        &mut self,
        candidates: &[Candidate<'_>],
        note: &mut dyn FnMut(Fed<'_>) -> f32,
    ) -> Result<()> {
        self.rows.clear();
        for candidate in candidates {
            let (mut ids, end) = match &self.reading {
                Reading::Ids { prompt } => {
                    ([prompt, candidate.ids].concat(), candidate.end.or(self.end_of_text))
                }
                Reading::Text { tokenise, .. } => (tokenise(candidate.text)?, self.end_of_text),
            };
            ids.extend(end.filter(|_| candidate.finished));
            self.rows.push(ids);
        }
        let rows: Vec<&[u32]> = self.rows.iter().map(Vec::as_slice).collect();
        self.follower.follow(&rows, note)
    }

    /// The notes of a candidate's own ids, those of the prompt left out.
    pub fn notes(&self, candidate: usize) -> &[f32] {
        let prompt = self.reading.prompt();
        let ids = self.rows.get(candidate).map_or(&[][..], Vec::as_slice);
        let same = prompt.iter().zip(ids).take_while(|(a, b)| a == b).count();
        let notes = self.follower.notes(candidate);
        &notes[same.min(notes.len())..]
    }
}
