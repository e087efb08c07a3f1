//! The guides of a reply of one row, as the first of its token rules.

use std::sync::Arc;

use anyhow::Result;
use parking_lot::Mutex;

use super::candidate::Candidate;
use super::implicit::Guides;
use crate::decode::rules::{Position, TokenRule};

/// Guides as a token rule; whoever holds the other handle changes their strengths.
pub struct GuideRule(pub Arc<Mutex<Guides>>);

impl TokenRule for GuideRule {
    fn name(&self) -> &'static str {
        "guides"
    }

    fn apply(&mut self, logits: &mut [f32], position: Position<'_>) -> Result<()> {
        let reply = &position.ids[position.reply_start..];
        self.0.lock().correct(logits, &[Candidate::of_ids(reply)])
    }
}
