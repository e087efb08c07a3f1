//! What a plan says of a reward adapter: which one is shown, and how much it decides.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Plan;
use crate::platform::Problem;

/// Most candidates that are scored for one token.
pub const MOST_CANDIDATES: usize = 64;
/// Largest strength; beyond it the reward alone decides among the candidates.
pub const MOST_REWARD_STRENGTH: f32 = 1000.0;

/// A reward adapter and decoding by it: the ARGS rule over the candidates of one pass (Otter, arXiv
/// 2408.10764; ARGS, arXiv 2402.01694).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RewardSetting {
    /// The adapter's file, or the folder of a reward model of its own.
    pub path: PathBuf,
    /// Logits per standard deviation of the candidates' rewards (with a reward model of its own, per
    /// unit of its score), 0 or more; at 0 rewards are shown
    /// and nothing is decided by them.
    #[serde(default = "one")]
    pub strength: f32,
    /// How many of the likeliest tokens are scored.
    #[serde(default = "ten")]
    pub candidates: usize,
    /// Where the likeliest token is at least this probable, nothing is scored and no wide pass is
    /// made. Ours, not the method's; `None` scores every token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<f32>,
    /// α of the expert and anti-expert rule, for an adapter with those signal heads; 0 is off, 2 is
    /// usual against toxic text. With it only tokens of the model's own nucleus are drawn.
    #[serde(default, skip_serializing_if = "is_off")]
    pub detox: f32,
    /// Let an adapter with draft heads draft tokens, verified so that greedy text stays the same;
    /// for greedy replies alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub speculate: bool,
}

impl RewardSetting {
    /// Shown, and deciding nothing.
    pub fn shown(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            strength: 0.0,
            candidates: ten(),
            gate: None,
            detox: 0.0,
            speculate: false,
        }
    }
}

impl Plan {
    /// # Errors
    /// When a number of the reward's setting means nothing, with the adapter's path.
    pub fn check_reward(&self) -> Result<(), Problem> {
        let Some(reward) = &self.reward else { return Ok(()) };
        let refuse = |what: String, hint: String| {
            Err(Problem::new(what).at(&reward.path).hint(format!("give one from {hint}")))
        };
        if !(0.0..=MOST_REWARD_STRENGTH).contains(&reward.strength) {
            let what = format!("a strength of {} means nothing for a reward", reward.strength);
            return refuse(what, format!("0 to {MOST_REWARD_STRENGTH}"));
        }
        if !(1..=MOST_CANDIDATES).contains(&reward.candidates) {
            let what = format!("{} candidates cannot be scored", reward.candidates);
            return refuse(what, format!("1 to {MOST_CANDIDATES}"));
        }
        if !(reward.detox.is_finite() && reward.detox.abs() <= MOST_REWARD_STRENGTH) {
            let what = format!("a detox of {} means nothing", reward.detox);
            return refuse(what, format!("0 (off) to {MOST_REWARD_STRENGTH}"));
        }
        if let Some(gate) = reward.gate.filter(|gate| !(*gate > 0.0 && *gate <= 1.0)) {
            let what = format!("a gate of {gate} is no probability");
            return refuse(what, "above 0 to 1".to_owned());
        }
        Ok(())
    }
}

fn one() -> f32 {
    1.0
}

fn ten() -> usize {
    10
}

fn is_off(detox: &f32) -> bool {
    *detox == 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_in_toml_keeps_what_it_says_of_the_reward() {
        let text = "seed = 3\n\n[reward]\npath = \"civil.safetensors\"\n";
        let plan: Plan = toml::from_str(text).unwrap();
        let reward = plan.reward.clone().unwrap();
        assert_eq!((reward.strength, reward.candidates, reward.gate), (1.0, 10, None));
        assert_eq!(toml::from_str::<Plan>(&toml::to_string(&plan).unwrap()).unwrap(), plan);
        let with_vectors = Plan {
            vectors: vec![crate::steer::VectorSetting::new("calm", 0.5)],
            reward: Some(RewardSetting { gate: Some(0.9), ..RewardSetting::shown("x") }),
            ..Plan::default()
        };
        let text = toml::to_string(&with_vectors).unwrap();
        assert_eq!(toml::from_str::<Plan>(&text).unwrap(), with_vectors);
        assert!(!toml::to_string(&Plan::default()).unwrap().contains("reward"));
    }

    #[test]
    fn numbers_that_mean_nothing_are_refused() {
        let refused = |change: &dyn Fn(&mut RewardSetting)| {
            let mut reward = RewardSetting::shown("civil.safetensors");
            change(&mut reward);
            let plan = Plan { reward: Some(reward), ..Plan::default() };
            plan.check_reward().is_err_and(|problem| problem.to_string().contains("civil"))
        };
        assert!(!refused(&|_| ()));
        for strength in [-1.0, 1001.0, f32::NAN, f32::INFINITY] {
            assert!(refused(&|reward| reward.strength = strength), "{strength}");
        }
        assert!(refused(&|reward| reward.candidates = 0));
        assert!(refused(&|reward| reward.candidates = 65));
        for gate in [0.0, 1.5, f32::NAN] {
            assert!(refused(&|reward| reward.gate = Some(gate)), "{gate}");
        }
    }
}
