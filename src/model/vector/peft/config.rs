//! `adapter_config.json`: what is accepted, and the scale of each module.
//!
//! A whitelist: a variant that is not known to be plain LoRA at inference is refused by its key
//! (spec section 9.4).

use std::path::Path;

use anyhow::Result;
use serde_json::{Map, Value};
use tokenizers::utils::SysRegex;

use crate::model::checkpoint::read_json;
use crate::platform::Problem;

/// Keys that change nothing about what a saved adapter computes, or are read here.
const KNOWN: [&str; 27] = [
    "alpha_pattern",
    "auto_mapping",
    "base_model_name_or_path",
    "bias",
    "ensure_weight_tying",
    "eva_config",
    "exclude_modules",
    "fan_in_fan_out",
    "inference_mode",
    "init_lora_weights",
    "layers_pattern",
    "layers_to_transform",
    "lora_alpha",
    "lora_bias",
    "lora_dropout",
    "megatron_core",
    "modules_to_save",
    "peft_type",
    "peft_version",
    "qalora_group_size",
    "r",
    "rank_pattern",
    "revision",
    "runtime_config",
    "target_modules",
    "task_type",
    "use_rslora",
];
/// What training may start from without changing the base weights.
const KEPT_BASE: [&str; 3] = ["gaussian", "eva", "orthogonal"];

/// The configuration, checked.
#[derive(Debug)]
pub struct AdapterConfig {
    /// What the adapter calls its base; empty when it does not say.
    pub base_name: String,
    lora_alpha: f64,
    alpha_pattern: Vec<(SysRegex, f64)>,
    root_scaling: bool,
    /// The adapter moves tied input and output embeddings together.
    pub ties_head: bool,
}

impl AdapterConfig {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// For every setting that makes the adapter something else than `scale · B · A` beside the
    /// unchanged base, with file and key.
    pub fn read(path: &Path) -> Result<Self> {
        let refuse = |what: String| anyhow::Error::from(Problem::new(what).at(path));
        let Some(config) = read_json::<Map<String, Value>>(path)? else {
            return Err(refuse("the adapter's configuration is missing".into()));
        };
        check(&config).map_err(&refuse)?;
        let alpha_pattern = patterns(&config, "alpha_pattern").map_err(&refuse)?;
        // Ranks come from the tensors; the pattern is checked for what it says all the same.
        patterns(&config, "rank_pattern").map_err(&refuse)?;
        let lora_alpha = match config.get("lora_alpha") {
            None | Some(Value::Null) => 8.0,
            Some(value) => number(value)
                .ok_or_else(|| refuse(format!("`lora_alpha` is {value}, not a number")))?,
        };
        let base = config.get("base_model_name_or_path").and_then(Value::as_str);
        Ok(Self {
            base_name: base.unwrap_or_default().to_owned(),
            lora_alpha,
            alpha_pattern,
            ties_head: config.get("ensure_weight_tying") == Some(&Value::Bool(true)),
            root_scaling: config.get("use_rslora") == Some(&Value::Bool(true)),
        })
    }

    /// `alpha / rank`, or `alpha / √rank` with rslora (Kalajdzievski, arXiv 2312.03732). The rank is
    /// the tensors'; overriding it does not rescale alpha.
    pub fn scale(&self, module: &str, rank: usize) -> f32 {
        let found = self.alpha_pattern.iter().find(|(pattern, _)| matches(pattern, module));
        let alpha = found.map_or(self.lora_alpha, |(_, alpha)| *alpha);
        let divisor = if self.root_scaling { (rank as f64).sqrt() } else { rank as f64 };
        (alpha / divisor) as f32
    }

    /// A few words for a person.
    pub fn summary(&self) -> String {
        let root = if self.root_scaling { ", scaled by the root of the rank" } else { "" };
        format!("alpha {}{root}", self.lora_alpha)
    }
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().filter(|number| number.is_finite() && number.abs() < 1e6)
}

/// Per module pattern a number, in the file's order.
fn patterns(config: &Map<String, Value>, key: &str) -> Result<Vec<(SysRegex, f64)>, String> {
    let listed = match config.get(key) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(listed)) => listed,
        Some(other) => return Err(format!("`{key}` is {other}, not an object")),
    };
    listed
        .iter()
        .map(|(pattern, value)| {
            let number = number(value)
                .ok_or_else(|| format!("`{key}` gives {value} for `{pattern}`, not a number"))?;
            let regex = SysRegex::new(&format!(r"^(?:.*\.)?(?:{pattern})$"))
                .map_err(|_| format!("`{key}`: `{pattern}` is no regular expression"))?;
            Ok((regex, number))
        })
        .collect()
}

fn matches(pattern: &SysRegex, module: &str) -> bool {
    pattern.find_iter(module).next().is_some()
}

/// True for the values that switch a setting off.
fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

fn check(config: &Map<String, Value>) -> Result<(), String> {
    let kind = config.get("peft_type").and_then(Value::as_str).unwrap_or("missing");
    if kind != "LORA" {
        return Err(format!("`peft_type` is {kind}; only LORA adapters can be vectors"));
    }
    match config.get("task_type") {
        None | Some(Value::Null) => {}
        Some(Value::String(task)) if task == "CAUSAL_LM" => {}
        Some(task) => return Err(format!("`task_type` is {task}, not CAUSAL_LM")),
    }
    match config.get("bias").and_then(Value::as_str).unwrap_or("none") {
        "none" | "all" | "lora_only" => {}
        other => return Err(format!("`bias` is `{other}`, which Tiller does not know")),
    }
    match config.get("init_lora_weights") {
        None | Some(Value::Null | Value::Bool(_)) => {}
        Some(Value::String(start)) if KEPT_BASE.contains(&start.as_str()) => {}
        Some(start) => {
            return Err(format!(
                "`init_lora_weights` is {start}: training started from changed base weights, so \
                 the adapter is no difference to the base; convert it when saving it with PEFT"
            ));
        }
    }
    for (key, value) in config {
        if is_off(value) || KNOWN.contains(&key.as_str()) {
            continue;
        }
        let why = match key.as_str() {
            "use_dora" => "DoRA is not linear in its strength",
            "layer_replication" => "it makes another model of the base",
            "alora_invocation_tokens" => "it acts on some tokens only",
            "target_parameters" => "factors of fused experts are not supported",
            "trainable_token_indices" => "adapters of single tokens are not supported",
            _ => "Tiller does not know this variant of LoRA",
        };
        return Err(format!("`{key}` is set: {why}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(config: &Value) -> Result<AdapterConfig> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("adapter_config.json");
        std::fs::write(&path, config.to_string()).unwrap();
        AdapterConfig::read(&path)
    }

    #[test]
    fn scales_follow_alpha_rank_and_the_first_pattern_that_matches() {
        let plain = read(&json!({ "peft_type": "LORA", "r": 16, "lora_alpha": 16 })).unwrap();
        assert_eq!(plain.scale("m.q_proj", 16), 1.0);
        assert_eq!(plain.scale("m.q_proj", 8), 2.0);
        let root = json!({ "peft_type": "LORA", "r": 16, "lora_alpha": 16, "use_rslora": true });
        assert_eq!(read(&root).unwrap().scale("m.q_proj", 16), 4.0);
        let patterned = read(&json!({
            "peft_type": "LORA",
            "alpha_pattern": { "layers.0.self_attn.q_proj": 32, "q_proj|k_proj": 4, "proj": 1,
                               "^model.layers.1.mlp.*": 64 },
        }))
        .unwrap();
        for (module, alpha) in [
            ("model.layers.0.self_attn.q_proj", 32.0),
            ("model.layers.10.self_attn.q_proj", 4.0),
            ("model.layers.2.self_attn.k_proj", 4.0),
            // A pattern is a whole segment's tail, not any substring: `proj` is not `o_proj`.
            ("model.layers.2.self_attn.o_proj", 8.0),
            ("model.layers.1.mlp.up_proj", 64.0),
            ("q_proj", 4.0),
        ] {
            assert_eq!(patterned.scale(module, 1), alpha, "{module}");
        }
        // Absent: rank 8, alpha 8.
        assert_eq!(read(&json!({ "peft_type": "LORA" })).unwrap().scale("x", 8), 1.0);
    }

    #[test]
    fn variants_are_refused_by_key() {
        let cases = [
            ("peft_type", json!("LOHA")),
            ("task_type", json!("SEQ_CLS")),
            ("bias", json!("some")),
            ("init_lora_weights", json!("pissa_niter_4")),
            ("init_lora_weights", json!("olora")),
            ("init_lora_weights", json!("loftq")),
            ("use_dora", json!(true)),
            ("layer_replication", json!([[0, 4], [2, 5]])),
            ("alora_invocation_tokens", json!([1, 2])),
            ("target_parameters", json!(["experts.down_proj"])),
            ("use_qalora", json!(true)),
            ("arrow_config", json!({ "top_k": 2 })),
            ("kasa_config", json!({ "beta": 1.0 })),
            ("some_future_variant", json!(true)),
            ("alpha_pattern", json!({ "(": 2 })),
            ("alpha_pattern", json!({ "q": "high" })),
            ("rank_pattern", json!(["q"])),
            ("lora_alpha", json!("16")),
        ];
        for (key, value) in cases {
            let mut config = json!({ "peft_type": "LORA" });
            config[key] = value.clone();
            let line = read(&config).unwrap_err().to_string();
            assert!(line.contains(&format!("`{key}`")), "{key}: {line}");
            assert!(line.contains("adapter_config.json") && !line.contains('\n'), "{line}");
        }
        let harmless = json!({
            "peft_type": "LORA", "task_type": "CAUSAL_LM", "use_dora": false, "loftq_config": {},
            "layer_replication": null, "init_lora_weights": true, "some_future_variant": null,
        });
        read(&harmless).unwrap();
    }
}
