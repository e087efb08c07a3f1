//! `--reward FILE` and what decides by it, for every verb that passes tokens through a model.

use std::path::PathBuf;

use anyhow::{Result, anyhow};
use clap::Args;

use super::Usage;
use crate::steer::{Plan, RewardSetting};

/// Which adapter.
#[derive(Debug, Clone, Args)]
pub struct RewardArgs {
    /// A reward adapter, or the folder of a separate reward model: what the text is worth is computed
    /// with every token.
    #[arg(long, value_name = "PATH")]
    pub reward: Option<PathBuf>,
}

/// How much it decides.
#[derive(Debug, Clone, Args)]
pub struct RewardWeightArgs {
    /// Logits per standard deviation of the candidates' rewards, of a separate model's score per unit;
    /// 1 unless given, 0 decides nothing.
    #[arg(long, value_name = "W", requires = "reward", allow_hyphen_values = true)]
    reward_strength: Option<f32>,
    /// How many of the likeliest tokens are scored, in one pass; 10 unless given.
    #[arg(long, value_name = "K", requires = "reward")]
    candidates: Option<usize>,
    /// Score nothing where the likeliest token is at least this probable.
    #[arg(long, value_name = "P", requires = "reward")]
    reward_gate: Option<f32>,
    /// Weight of an adapter's expert and anti-expert heads, against toxic text; 2 is usual.
    #[arg(long, value_name = "ALPHA", requires = "reward", allow_hyphen_values = true)]
    detox: Option<f32>,
    /// Let an adapter's draft heads draft tokens of a greedy reply, verified: the text stays the
    /// same.
    #[arg(long, requires = "reward")]
    speculate: bool,
}

impl RewardArgs {
    /// The adapter asked for in place of a plan's, as the plan weighs it or shown alone.
    pub fn add_to(&self, plan: &mut Plan) {
        if let Some(path) = &self.reward {
            let shown = || RewardSetting::shown(path);
            let old = plan.reward.take().unwrap_or_else(shown);
            plan.reward = Some(RewardSetting { path: path.clone(), ..old });
        }
    }
}

impl RewardWeightArgs {
    /// Weighs the adapter of the command line, at strength 1 unless told otherwise.
    pub fn add_to(&self, reward: &RewardArgs, plan: &mut Plan) -> Result<()> {
        let had_one = plan.reward.is_some();
        reward.add_to(plan);
        if let (true, Some(setting)) = (reward.reward.is_some(), &mut plan.reward) {
            let strength = if had_one { setting.strength } else { 1.0 };
            setting.strength = self.reward_strength.unwrap_or(strength);
            setting.candidates = self.candidates.unwrap_or(setting.candidates);
            setting.gate = self.reward_gate.or(setting.gate);
            setting.detox = self.detox.unwrap_or(setting.detox);
            setting.speculate |= self.speculate;
            if setting.speculate && self.reward_strength.is_none() {
                // Drafts are verified where rewards do not decide.
                setting.strength = 0.0;
            }
        }
        plan.check_reward().map_err(|problem| anyhow!(Usage(problem.to_string())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weighed(plan: &mut Plan, strength: Option<f32>) -> Result<()> {
        let weight = RewardWeightArgs {
            reward_strength: strength,
            candidates: None,
            reward_gate: None,
            detox: None,
            speculate: false,
        };
        weight.add_to(&RewardArgs { reward: Some("civil".into()) }, plan)
    }

    #[test]
    fn an_adapter_on_the_command_line_decides_at_strength_one() {
        let mut plan = Plan::default();
        weighed(&mut plan, None).unwrap();
        let reward = plan.reward.clone().unwrap();
        assert_eq!((reward.strength, reward.candidates), (1.0, 10));
        let mut own = Plan {
            reward: Some(RewardSetting { candidates: 4, ..RewardSetting::shown("other") }),
            ..Plan::default()
        };
        weighed(&mut own, None).unwrap();
        let reward = own.reward.clone().unwrap();
        assert_eq!((reward.strength, reward.candidates), (0.0, 4), "as the plan weighs it");
        assert_eq!(reward.path, PathBuf::from("civil"));
        assert!(weighed(&mut plan, Some(-1.0)).unwrap_err().is::<Usage>());
    }
}
