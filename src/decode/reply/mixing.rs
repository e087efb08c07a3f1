//! What a reply does when strengths change while it is made: keep what the cache holds, compute it
//! again, or wait for the next turn.

use anyhow::Result;

use super::Reply;
use crate::decode::mix::{Mix, MixChange};
use crate::model::Runner;
use crate::steer::KvPolicy;

impl Reply<'_> {
    /// Takes up other strengths, by the plan's policy: from the next token on, or not in this reply
    /// at all. `None` when nothing changes by it.
    ///
    /// Whatever moment of the prompt's passes a change falls into, what is made is the same: before
    /// the first token the passes of this reply begin again. A replay can therefore count tokens
    /// and need not count passes.
    pub fn set_mix(&mut self, runner: &mut dyn Runner, mix: Mix) -> Result<Option<MixChange>> {
        let policy = self.plan.kv_policy_for(self.ids.len());
        // Kept while a slider was dragged, say, and to be made exact when the hand lets go.
        let mends = policy == KvPolicy::Recompute && mix == self.mix && self.is_mixed();
        let settled = mix == self.mix || policy == KvPolicy::NextTurn;
        if mix == self.asked_mix && settled && !mends {
            return Ok(None);
        }
        self.asked_mix.clone_from(&mix);
        if mix == self.mix && !mends {
            return Ok(None);
        }
        let mut positions = 0;
        match policy {
            KvPolicy::NextTurn => {}
            // A computing-again under way goes on under the new strengths, from the beginning.
            KvPolicy::Keep if !self.refeeding => {
                self.mix = mix;
                if !self.ahead.is_empty() {
                    // Read under the old strengths: what was drafted is read again when it is drawn.
                    self.forget_from(runner, self.ids.len().saturating_sub(1))?;
                }
                if self.drawn() == 0 {
                    self.forget_from(runner, self.begun_at)?;
                }
            }
            KvPolicy::Keep | KvPolicy::Recompute => {
                self.mix = mix;
                self.again = None;
                self.begun_at = 0;
                self.refeeding = true;
                self.forget_from(runner, 0)?;
                positions = self.ids.len();
            }
        }
        Ok(Some(MixChange { policy, positions }))
    }

    /// Positions the cache held and this reply could not use: they were computed under other
    /// strengths.
    pub fn dropped(&self) -> usize {
        self.dropped
    }

    /// Whether the cache holds positions computed under other strengths than those in force; in a
    /// replay, whether it did at this point of the reply that is made again.
    fn is_mixed(&self) -> bool {
        let held = self.again.as_ref().unwrap_or(&self.passes);
        held.positions_under(&self.mix) < held.positions()
    }

    fn forget_from(&mut self, runner: &mut dyn Runner, position: usize) -> Result<()> {
        self.output = None;
        self.ahead.clear();
        let position = position.min(runner.len());
        self.passes.truncate(position);
        runner.truncate(position)
    }
}
