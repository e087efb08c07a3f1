//! Keys and values of all rows computed again, once the strengths of vectors have changed.

use anyhow::Result;

use super::machine::Search;
use crate::decode::mix::{Mix, MixChange};
use crate::decode::reply::PREFILL_CHUNK;
use crate::model::{Runner, Wanted};
use crate::steer::KvPolicy;

impl Search<'_> {
    /// Takes up other strengths of the vectors by the plan's policy; `None` when nothing changes.
    pub fn set_mix(&mut self, mix: Mix) -> Option<MixChange> {
        let positions = self.slots.iter().map(|slot| slot.ids.len()).max().unwrap_or(0);
        let policy = self.plan.kv_policy_for(positions);
        if mix == self.mix || policy == KvPolicy::NextTurn {
            return None;
        }
        self.mix = mix;
        let again = policy == KvPolicy::Recompute;
        self.recompute |= again;
        Some(MixChange { policy, positions: if again { positions } else { 0 } })
    }

    /// Feeds everything but the last id of every row again.
    pub(super) fn feed_again(&mut self, runner: &mut dyn Runner) -> Result<()> {
        if runner.rows() > 1 {
            runner.gather(&[0])?;
        }
        runner.truncate(0)?;
        let longest = self.slots.iter().map(|slot| slot.ids.len()).max().unwrap_or(1);
        let first = &self.slots[0].ids;
        let shared = self.slots.iter().fold(longest - 1, |shared, slot| {
            let same = slot.ids.iter().zip(first).take_while(|(a, b)| a == b).count();
            // A finished row is shorter and nothing of it is read again.
            if slot.done.is_some() { shared } else { shared.min(same) }
        });
        let shared = shared.min(first.len());
        for chunk in first[..shared].chunks(PREFILL_CHUNK) {
            runner.prefill(chunk, Wanted::Last)?;
        }
        runner.gather(&vec![0; self.slots.len()])?;
        for at in shared..longest - 1 {
            let ids: Vec<u32> = self
                .slots
                .iter()
                .map(|slot| slot.ids.get(at).or(slot.ids.last()).copied().unwrap_or(0))
                .collect();
            runner.step(&ids)?;
        }
        // The prompt's own passes are gone with the cache they made.
        self.passes.truncate(0);
        self.recompute = false;
        Ok(())
    }
}
