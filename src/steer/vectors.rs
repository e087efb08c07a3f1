//! What a plan says of alignment vectors: which, how much of each, and what becomes of the cache
//! when that changes.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize};

use super::Plan;
use crate::platform::Problem;

/// Largest strength either way. Beyond it a model says nothing any more; the window's sliders end
/// far earlier.
pub const MOST_STRENGTH: f32 = 4.0;

/// Most positions that are recomputed when the plan does not say otherwise.
pub const RECOMPUTED_BY_DEFAULT: usize = 2048;

/// One alignment vector and how much of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct VectorSetting {
    /// Our file, or a PEFT folder.
    pub path: PathBuf,
    /// 0 is the base model, 1 the aligned one; finite, from -4 to 4.
    #[serde(default = "one", deserialize_with = "read_strength")]
    pub strength: f32,
    /// Take it although it was made with another base model, as long as the shapes fit: for a
    /// further fine-tuned stage of the base, or another quantisation of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub any_base: bool,
}

impl VectorSetting {
    /// A vector at a strength, for the base it was made with.
    pub fn new(path: impl Into<PathBuf>, strength: f32) -> Self {
        Self { path: path.into(), strength, any_base: false }
    }
}

/// What becomes of keys and values that were computed under other strengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KvPolicy {
    /// They stay: instant, and the history is a mixture.
    Keep,
    /// They are computed again before the next token: exact.
    Recompute,
    /// The reply under way goes on as it was; the next one is made under the new strengths, from
    /// its first position on.
    NextTurn,
}

impl Plan {
    /// The policy for a change of strengths over this many positions.
    pub fn kv_policy_for(&self, positions: usize) -> KvPolicy {
        self.kv_policy.unwrap_or(if positions <= RECOMPUTED_BY_DEFAULT {
            KvPolicy::Recompute
        } else {
            KvPolicy::NextTurn
        })
    }

    /// Vectors that are not at 0.
    pub fn vectors_in_play(&self) -> impl Iterator<Item = &VectorSetting> {
        self.vectors.iter().filter(|vector| vector.strength != 0.0)
    }

    /// # Errors
    /// When a strength is not finite or out of range, with the path of vector or model.
    pub fn check_strengths(&self) -> Result<(), Problem> {
        let vectors = self.vectors.iter().map(|vector| (vector.strength, &vector.path));
        let mixture = self.mixture.iter().map(|mixture| (mixture.strength, &mixture.aligned));
        vectors.chain(mixture).try_for_each(|(strength, path)| check(strength, Some(path)))
    }
}

fn check(strength: f32, path: Option<&Path>) -> Result<(), Problem> {
    if strength.is_finite() && strength.abs() <= MOST_STRENGTH {
        return Ok(());
    }
    let problem = Problem::new(format!("a strength of {strength} means nothing"));
    let problem = problem.hint(format!("give one from -{MOST_STRENGTH} to {MOST_STRENGTH}"));
    Err(match path {
        Some(path) => problem.at(path),
        None => problem,
    })
}

pub(super) fn one() -> f32 {
    1.0
}

pub(super) fn read_strength<'de, D: Deserializer<'de>>(from: D) -> Result<f32, D::Error> {
    let strength = f32::deserialize(from)?;
    check(strength, None).map_err(serde::de::Error::custom)?;
    Ok(strength)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steer::Sampling;

    #[test]
    fn a_plan_goes_through_toml_and_back() {
        let plan = Plan {
            kv_policy: Some(KvPolicy::NextTurn),
            vectors: vec![
                VectorSetting::new("C:\\vectors\\medical.safetensors", -0.75),
                VectorSetting { any_base: true, ..VectorSetting::new("legal", 0.1) },
            ],
            sampling: Sampling { temperature: 0.3, ..Sampling::default() },
            ..Plan::default()
        };
        let text = toml::to_string(&plan).unwrap();
        assert!(text.contains("kv-policy = \"next-turn\""), "{text}");
        assert_eq!(toml::from_str::<Plan>(&text).unwrap(), plan);
        let plain = toml::to_string(&Plan::default()).unwrap();
        assert!(!plain.contains("kv-policy"), "{plain}");
        assert_eq!(toml::from_str::<Plan>("seed = 0").unwrap(), Plan::default());
        let short: Plan = toml::from_str("[[vectors]]\npath = \"a\"").unwrap();
        assert_eq!(short.vectors, [VectorSetting::new("a", 1.0)]);
    }

    #[test]
    fn a_strength_out_of_range_is_refused_by_line_and_in_code() {
        for strength in ["4.1", "-5", "nan", "inf", "-inf"] {
            let text = format!("[[vectors]]\npath = \"a\"\nstrength = {strength}\n");
            let error = toml::from_str::<Plan>(&text).unwrap_err();
            assert!(error.message().contains("strength"), "{error}");
            assert!(text[..error.span().unwrap().start].contains("path"), "{error}");
        }
        let plan = |strength| Plan {
            vectors: vec![VectorSetting::new("medical.safetensors", strength)],
            ..Plan::default()
        };
        assert!(plan(-4.0).check_strengths().is_ok());
        let refused = plan(f32::NAN).check_strengths().unwrap_err().to_string();
        assert!(refused.contains("medical.safetensors") && refused.contains("-4 to 4"));
        let unknown = "[[vectors]]\npath = \"a\"\nstrenght = 1\n";
        assert!(toml::from_str::<Plan>(unknown).is_err());
    }

    #[test]
    fn the_policy_follows_the_length_unless_it_is_given() {
        let plan = Plan::default();
        assert_eq!(plan.kv_policy_for(2048), KvPolicy::Recompute);
        assert_eq!(plan.kv_policy_for(2049), KvPolicy::NextTurn);
        let keep = Plan { kv_policy: Some(KvPolicy::Keep), ..Plan::default() };
        assert_eq!(keep.kv_policy_for(9), KvPolicy::Keep);
    }
}
