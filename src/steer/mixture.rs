//! What a plan says of the mixture of two models by their logits (DeRa).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Plan;
use super::vectors::{one, read_strength};

/// The aligned model of the pair, and how much of it. The base is the model that replies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MixtureSetting {
    /// Any model with the same vocabulary: a folder, or a GGUF file.
    pub aligned: PathBuf,
    /// 0 is the base model alone, 1 the aligned one; finite, from -4 to 4.
    #[serde(default = "one", deserialize_with = "read_strength")]
    pub strength: f32,
}

impl Plan {
    /// The mixture, unless there is none or it is at 0.
    pub fn mixture_in_play(&self) -> Option<&MixtureSetting> {
        self.mixture.as_ref().filter(|mixture| mixture.strength != 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mixture_goes_through_toml_and_a_strength_out_of_range_is_refused() {
        let mixture = MixtureSetting { aligned: "models/aligned".into(), strength: 0.35 };
        let plan = Plan { mixture: Some(mixture), ..Plan::default() };
        let text = toml::to_string(&plan).unwrap();
        assert!(text.contains("[mixture]"), "{text}");
        assert_eq!(toml::from_str::<Plan>(&text).unwrap(), plan);
        assert!(!toml::to_string(&Plan::default()).unwrap().contains("mixture"));
        let short: Plan = toml::from_str("[mixture]\naligned = \"a\"").unwrap();
        assert_eq!(short.mixture_in_play().map(|mixture| mixture.strength), Some(1.0));
        for wrong in ["4.1", "nan", "-inf"] {
            let text = format!("[mixture]\naligned = \"a\"\nstrength = {wrong}\n");
            let error = toml::from_str::<Plan>(&text).unwrap_err();
            assert!(error.message().contains("strength"), "{error}");
        }
        let plan = |strength| Plan {
            mixture: Some(MixtureSetting { aligned: "aligned.gguf".into(), strength }),
            ..Plan::default()
        };
        assert!(plan(-4.0).check_strengths().is_ok());
        let refused = plan(5.0).check_strengths().unwrap_err().to_string();
        assert!(refused.contains("aligned.gguf") && refused.contains("-4 to 4"), "{refused}");
        assert!(plan(0.0).mixture_in_play().is_none());
        assert!(toml::from_str::<Plan>("[mixture]\nstrength = 1\n").is_err(), "of what?");
    }
}
