//! Decoding by reward: the candidates of one step are the rows of one pass, and the row that is
//! chosen already holds what the next step begins with (ARGS in one model; spec section 9.2, A).

#[cfg(test)]
mod tests;

use anyhow::Result;

use super::{Ending, Progress, Reply};
use crate::decode::observe;
use crate::decode::ranking::Ranking;
use crate::decode::rules::TokenRule;
use crate::model::{Runner, StepOutput};
use crate::platform::Problem;

/// How rewards weigh in, as far as a plan and an adapter say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weight {
    /// Logits per unit of reward.
    per_reward: f32,
    candidates: usize,
    /// Probability of the likeliest token from which on nothing is scored.
    gate: Option<f32>,
}

impl Reply<'_> {
    /// How rewards weigh in now; `None` when they do not, and then nothing of this is called.
    pub(super) fn weight(&self) -> Option<Weight> {
        let setting = self.plan.reward.as_ref().filter(|setting| setting.strength != 0.0)?;
        let per_reward = setting.strength / self.reward_unit?;
        Some(Weight { per_reward, candidates: setting.candidates, gate: setting.gate })
    }

    /// The reward of the last token that was told, the last one of the opening before any; once.
    pub fn take_reward(&mut self) -> Option<f32> {
        self.reward_told.take()
    }

    /// What a pass that read the whole reply so far says it is worth.
    pub(super) fn note_reward(&mut self, output: &StepOutput) {
        let Some(reward) = output.reward.first().copied().filter(|reward| reward.is_finite())
        else {
            return;
        };
        match self.held.back_mut() {
            Some(held) => held.reward = Some(reward),
            None if self.ids.len() > self.prompt_len => self.reward_told = Some(reward),
            None => {}
        }
    }

    /// Draws among the likeliest tokens by logit and reward, in one pass over all of them.
    pub(super) fn draw_by_reward(
        &mut self,
        runner: &mut dyn Runner,
        output: &StepOutput,
        rules: &mut [Box<dyn TokenRule + '_>],
        weight: Weight,
    ) -> Result<Progress> {
        let logits = output.logits_of(0);
        let seen = observe::observe(logits)?;
        self.steer(output, rules)?;
        // Chosen before any reward is known: the set is the same whatever the weight.
        let mut ranking = Ranking::new(&self.steered);
        let candidates: Vec<u32> = (0..weight.candidates)
            .map_while(|rank| ranking.id(rank))
            .filter(|id| self.steered[*id as usize] > f32::NEG_INFINITY)
            .collect();
        let is_sure = |gate: f32| seen.top.first().is_some_and(|(_, best)| best.exp() >= gate);
        if candidates.is_empty() || weight.gate.is_some_and(is_sure) {
            self.keep_only(&candidates, &[], 0.0);
            let id = self.choose()?;
            return self.accept(id, logits[id as usize], &seen, None);
        }
        let held = runner.len();
        if held >= runner.context_length() {
            return Ok(self.end(Ending::ContextFull));
        }
        let chosen = score(runner, &candidates).and_then(|scored| {
            self.keep_only(&candidates, &scored.reward, weight.per_reward);
            let id = self.choose()?;
            let row = candidates.iter().position(|candidate| *candidate == id);
            Ok((id, row.unwrap_or(0), scored))
        });
        let ends = chosen.as_ref().map_or(true, |(id, ..)| self.language.ends_reply(*id));
        if ends {
            // Nothing of these candidates stays, as after a plain pass that ended the reply.
            runner.gather(&[0])?;
            runner.truncate(held)?;
        }
        let (id, row, scored) = chosen?;
        if !ends {
            runner.gather(&[row])?;
            match candidates.len() {
                1 => self.passes.stepped(&self.mix),
                rows => self.passes.stepped_among(rows, row, &self.mix),
            }
            self.output = Some(scored.only(row));
        }
        self.accept(id, logits[id as usize], &seen, Some(scored.reward[row]))
    }

    /// Bans all other tokens and adds what rewards weigh.
    fn keep_only(&mut self, candidates: &[u32], rewards: &[f32], per_reward: f32) {
        let scores: Vec<f32> = candidates
            .iter()
            .enumerate()
            .map(|(row, id)| {
                let reward = rewards.get(row).copied().unwrap_or(0.0);
                self.steered[*id as usize] + per_reward * reward
            })
            .collect();
        self.steered.fill(f32::NEG_INFINITY);
        for (id, score) in candidates.iter().zip(scores) {
            // Finite numbers far apart may add up to none.
            self.steered[*id as usize] = score.clamp(f32::MIN, f32::MAX);
        }
    }
}

/// One pass over all candidates, each behind the text so far.
fn score(runner: &mut dyn Runner, candidates: &[u32]) -> Result<StepOutput> {
    runner.gather(&vec![0; candidates.len()])?;
    let scored = runner.step(candidates)?;
    if scored.reward.len() != candidates.len() {
        let hint = "choose a reward adapter for this model, or decode at strength 0";
        return Err(Problem::new("the model gives no rewards").hint(hint).into());
    }
    if let Some(reward) = scored.reward.iter().find(|reward| !reward.is_finite()) {
        let what = format!("the reward adapter gave {reward}, which is no number to decide by");
        return Err(Problem::new(what).hint("learn the adapter anew").into());
    }
    Ok(scored)
}
