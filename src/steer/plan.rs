//! The plan of a reply as plain data: serialised as TOML, changed live, stored in the recipe.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::guidance::GuidancePlan;
use super::mixture::MixtureSetting;
use super::reward::RewardSetting;
use super::stores::StoreSetting;
use super::vectors::{KvPolicy, VectorSetting};

/// Everything the person can dial for one reply.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Plan {
    /// Seed of every draw; the same seed, recipe and device give the same text.
    pub seed: u64,
    /// Most tokens the reply may have; `None` means until the context is full.
    pub max_tokens: Option<usize>,
    /// The reply ends just before the first occurrence of any of these strings.
    pub stop: Vec<String>,
    /// What becomes of the keys and values in the cache when strengths change; `None` recomputes
    /// up to 2,048 positions and else waits for the next turn.
    pub kv_policy: Option<KvPolicy>,
    /// How a token is drawn from the (steered) distribution.
    pub sampling: Sampling,
    /// Alignment vectors and how much of each; one at strength 0 is not read.
    pub vectors: Vec<VectorSetting>,
    /// A second model mixed in by its logits; at strength 0 it is not called.
    pub mixture: Option<MixtureSetting>,
    /// The reward adapter that is shown, and how much it decides; `None` shows none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reward: Option<RewardSetting>,
    /// Guides at token level and the search at chunk level; both off unless asked for.
    #[serde(skip_serializing_if = "GuidancePlan::is_default")]
    pub guidance: Box<GuidancePlan>,
    /// Datastores and how much of each; one at 0 is not asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stores: Vec<StoreSetting>,
}

impl Plan {
    /// The same seed, length and draw with nothing that steers: what the model says by itself.
    pub fn unsteered(&self) -> Self {
        let Self { seed, max_tokens, stop, kv_policy, sampling, .. } = self.clone();
        Self { seed, max_tokens, stop, kv_policy, sampling, ..Self::default() }
    }

    /// Whether the plan of a recipe, as its TOML stands there, names anything that steers.
    pub fn names_steering(toml: &str) -> bool {
        ["[guidance", "[[vectors", "[mixture]", "[reward]", "[[stores"]
            .iter()
            .any(|part| toml.contains(part))
    }
}

/// How a token is drawn. Every neutral value is exactly a no-op.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Sampling {
    /// Logits are divided by this; 0 is greedy, lowest id on ties.
    pub temperature: f32,
    /// Keep the k largest logits (ties at the threshold survive); 0 is off.
    pub top_k: usize,
    /// Keep the smallest set of tokens whose renormalised mass reaches p; 1 is off.
    pub top_p: f32,
    /// Keep tokens at least this fraction as probable as the most probable one; 0 is off.
    pub min_p: f32,
    /// Divides positive and multiplies negative logits of tokens seen in the window; 1 is off.
    pub repetition_penalty: f32,
    /// Subtracted once from the logit of every token seen in the reply; 0 is off.
    pub presence_penalty: f32,
    /// Subtracted per occurrence in the reply; 0 is off.
    pub frequency_penalty: f32,
    /// How many last tokens (prompt and reply) the repetition penalty looks at; 0 is all of them.
    pub repetition_window: usize,
    /// Added to the logit of a token id, written as a string in TOML.
    pub logit_bias: BTreeMap<String, f32>,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.7,
            top_k: 0,
            top_p: 0.95,
            min_p: 0.0,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            repetition_window: 64,
            logit_bias: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steer::GuidePair;

    #[test]
    fn unsteered_keeps_the_draw_and_nothing_that_steers() {
        let mut plan = Plan { seed: 9, max_tokens: Some(7), ..Plan::default() };
        plan.sampling.temperature = 0.3;
        let plain = toml::to_string(&plan).unwrap();
        assert!(!Plan::names_steering(&plain), "{plain}");
        let unsteered = plan.clone();
        plan.guidance.pairs.push(GuidePair { tuned: Some("a".into()), ..GuidePair::default() });
        plan.vectors.push(VectorSetting::new("v", 1.0));
        plan.stores.push(StoreSetting::new("s", 0.5));
        for part in [0, 1, 2] {
            let mut one = plan.clone();
            if part != 0 {
                *one.guidance = GuidancePlan::default();
            }
            if part != 1 {
                one.vectors.clear();
            }
            if part != 2 {
                one.stores.clear();
            }
            let text = toml::to_string(&one).unwrap();
            assert!(Plan::names_steering(&text), "{text}");
            // As it stands in a recipe.
            assert!(Plan::names_steering(&serde_json::to_string(&text).unwrap()));
        }
        assert_eq!(plan.unsteered(), unsteered);
    }
}
