//! What a store was made with, and whether a model is that.

use serde::{Deserialize, Serialize};

use crate::model::ModelFacts;
use crate::platform::Problem;

/// Everything the keys depend on. Another model, template or quantisation is another key space.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreFacts {
    pub model_name: String,
    pub model_fingerprint: String,
    pub template_fingerprint: String,
    /// The form of the weights in memory, as the window says it.
    pub weights: String,
    /// Columns of a key.
    pub hidden_size: usize,
    /// Always `final-norm`: the head's input.
    pub layer: String,
    /// Always `squared-l2`.
    pub metric: String,
}

impl StoreFacts {
    /// Those of a model in memory.
    pub fn of(model: &ModelFacts) -> Self {
        Self {
            model_name: model.name.clone(),
            model_fingerprint: model.fingerprint.clone(),
            template_fingerprint: model.template_fingerprint.clone(),
            weights: model.held_as.clone(),
            hidden_size: model.hidden_size,
            layer: "final-norm".into(),
            metric: "squared-l2".into(),
        }
    }

    /// # Errors
    /// When a store of these facts says nothing about that model; both are named.
    pub fn check(&self, model: &ModelFacts) -> Result<(), Problem> {
        let now = Self::of(model);
        let refuse = |what: String| Err(Problem::new(what).hint("build it again for this model"));
        if self.model_fingerprint != now.model_fingerprint || self.hidden_size != now.hidden_size {
            return refuse(format!(
                "this store was made with {} ({}), and {} ({}) is loaded",
                self.model_name, self.model_fingerprint, now.model_name, now.model_fingerprint
            ));
        }
        if self.template_fingerprint != now.template_fingerprint {
            let name = |print: &str| match print {
                "" => "none".to_owned(),
                print => print.to_owned(),
            };
            return refuse(format!(
                "this store was made with another chat template ({}) than the model has now ({})",
                name(&self.template_fingerprint),
                name(&now.template_fingerprint)
            ));
        }
        if numbers(&self.weights) != numbers(&now.weights) {
            return refuse(format!(
                "this store was made with weights {}, and the model is loaded with {}",
                self.weights, now.weights
            ));
        }
        if self.layer != now.layer || self.metric != now.metric {
            return refuse(format!("this store has keys of another kind: {}", self.layer));
        }
        Ok(())
    }
}

/// Exact forms of the same weights hold the same numbers, however they lie in memory.
fn numbers(weights: &str) -> &str {
    if weights.contains("exact") && !weights.contains("not exact") { "exact" } else { weights }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_model_template_or_quantisation_is_refused_with_both_names() {
        let model = ModelFacts {
            name: "starter".into(),
            fingerprint: "aa".into(),
            template_fingerprint: "tt".into(),
            held_as: "f16 as stored; own kernel, exact".into(),
            hidden_size: 8,
            ..ModelFacts::default()
        };
        let facts = StoreFacts::of(&model);
        assert!(facts.check(&model).is_ok());
        let wider = ModelFacts { held_as: "f32 made from f16; exact".into(), ..model.clone() };
        assert!(facts.check(&wider).is_ok());
        let said = |changed: ModelFacts| facts.check(&changed).unwrap_err().to_string();
        let error =
            said(ModelFacts { name: "other".into(), fingerprint: "bb".into(), ..model.clone() });
        assert!(error.contains("starter") && error.contains("other"), "{error}");
        let error = said(ModelFacts { template_fingerprint: String::new(), ..model.clone() });
        assert!(error.contains("tt") && error.contains("none"), "{error}");
        let error = said(ModelFacts { held_as: "q4_k made from f16; not exact".into(), ..model });
        assert!(error.contains("q4_k") && error.contains("f16 as stored"), "{error}");
    }
}
