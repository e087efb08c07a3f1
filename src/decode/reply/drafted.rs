//! Speculation: inserted heads draft the tokens behind the next one, and one pass over token and
//! drafts verifies them. A draft counts only where the model itself would have drawn it, so the text
//! is the one without drafts (Otter's third task; spec sections 8.4 and 9.2).

#[cfg(test)]
mod tests;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::Reply;
use crate::model::{Runner, StepOutput, Wanted};

/// What a pass gave behind a drafted token.
pub(super) struct Ahead {
    /// The draft.
    fed: u32,
    output: StepOutput,
}

/// How drafting went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drafting {
    /// Tokens drafted and verified.
    pub drafted: usize,
    /// Of these, tokens the model itself drew.
    pub accepted: usize,
    /// Passes that drafts could be verified in.
    #[serde(default)]
    pub passes: usize,
}

impl Drafting {
    /// Nothing was drafted.
    pub fn is_none(&self) -> bool {
        self.drafted == 0
    }

    /// Share of the drafts that were accepted.
    pub fn rate(&self) -> f64 {
        self.accepted as f64 / self.drafted.max(1) as f64
    }

    /// Tokens that each of those passes brought, 1 without a draft accepted: how much faster the
    /// reply was, were a pass over several positions as cheap as one over a single one.
    pub fn tokens_per_pass(&self) -> f64 {
        (self.passes + self.accepted) as f64 / self.passes.max(1) as f64
    }
}

impl Reply<'_> {
    /// How drafting went so far.
    pub fn drafting(&self) -> Drafting {
        self.drafting
    }

    /// Drafts are verified for greedy replies alone, and not where rewards decide.
    pub(super) fn is_speculating(&self) -> bool {
        let asked = self.plan.reward.as_ref().is_some_and(|reward| reward.speculate);
        asked && self.plan.sampling.temperature == 0.0 && self.weight().is_none()
    }

    /// Takes up what is known behind the token just drawn, if that was drafted; else forgets it.
    pub(super) fn settle_drafts(&mut self, runner: &mut dyn Runner) -> Result<()> {
        if self.output.is_some() {
            return Ok(());
        }
        let Some(ahead) = self.ahead.pop_front() else { return Ok(()) };
        if self.ids.last() == Some(&ahead.fed) && self.is_speculating() {
            self.drafting.accepted += 1;
            self.note_reward(&ahead.output);
            self.output = Some(ahead.output);
            return Ok(());
        }
        self.ahead.clear();
        // All but the token just drawn, which is fed next.
        let read = (self.ids.len() - 1).min(runner.len());
        self.passes.truncate(read);
        runner.truncate(read)
    }

    /// Feeds the token just drawn, and behind it what was drafted.
    pub(super) fn feed(&mut self, runner: &mut dyn Runner) -> Result<StepOutput> {
        let cached = runner.len();
        let mut fed = self.ids[cached..].to_vec();
        if self.is_speculating() {
            self.drafting.passes += 1;
            let room = runner.context_length() - cached;
            fed.extend(self.drafts.iter().take(room.saturating_sub(fed.len())));
        }
        if fed.len() == 1 {
            let output = runner.step(&fed)?;
            self.passes.stepped(&self.mix);
            return Ok(output);
        }
        let all = runner.prefill(&fed, Wanted::All)?;
        self.passes.prefilled(fed.len(), &self.mix);
        self.drafting.drafted += fed.len() - 1;
        let behind = fed.iter().enumerate().skip(1);
        self.ahead = behind.map(|(row, id)| Ahead { fed: *id, output: all.only(row) }).collect();
        Ok(all.only(0))
    }
}
