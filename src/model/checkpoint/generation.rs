//! The sampling a model's own files recommend.

use serde_json::Value;

use crate::model::facts::GenerationDefaults;

/// From `generation_config.json`. Nothing is recommended where the file turns sampling off.
pub fn from_json(config: &Value) -> GenerationDefaults {
    if config["do_sample"] == Value::Bool(false) {
        return GenerationDefaults::default();
    }
    from_lookup(|key| config[key].as_f64())
}

/// From any source of numbers under `generation_config.json`'s names; absurd ones are dropped.
pub fn from_lookup(number: impl Fn(&str) -> Option<f64>) -> GenerationDefaults {
    let within = |key: &str, most: f64| {
        number(key).filter(|value| (0.0..=most).contains(value)).map(|value| value as f32)
    };
    GenerationDefaults {
        temperature: within("temperature", 100.0),
        top_k: within("top_k", 1e9).map(|top_k| top_k as usize),
        top_p: within("top_p", 1.0),
        min_p: within("min_p", 1.0),
        repetition_penalty: within("repetition_penalty", 100.0).filter(|penalty| *penalty > 0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_taken_and_absurd_ones_dropped() {
        let defaults = from_json(&json!({
            "do_sample": true, "temperature": 0.6, "top_k": 20, "top_p": 7, "min_p": "x",
            "repetition_penalty": 0
        }));
        assert_eq!(defaults.temperature, Some(0.6));
        assert_eq!(defaults.top_k, Some(20));
        assert_eq!(
            (defaults.top_p, defaults.min_p, defaults.repetition_penalty),
            (None, None, None)
        );
        let off = from_json(&json!({ "do_sample": false, "temperature": 0.6 }));
        assert_eq!(off, GenerationDefaults::default());
    }
}
