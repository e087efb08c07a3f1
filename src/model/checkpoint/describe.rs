//! What can be said of a model without loading it: for `tiller inspect` and the window.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Checkpoint;
use crate::model::facts::{GenerationDefaults, ModelFacts};

/// Fills what the files alone tell. What depends on how it is loaded (cache, device, form in
/// memory, template fingerprint) is left empty for the loader.
pub fn describe(checkpoint: &Checkpoint) -> ModelFacts {
    let field = |names: &[&str]| number(&checkpoint.config, names);
    let recommended = (checkpoint.generation != GenerationDefaults::default())
        .then(|| checkpoint.generation.clone());
    ModelFacts {
        path: checkpoint.path.clone(),
        name: checkpoint.name.clone(),
        family: family(&checkpoint.config),
        parameters: checkpoint.parameter_count(),
        vocab_size: field(&["vocab_size"]),
        hidden_size: field(&["hidden_size", "n_embd"]),
        layer_count: field(&["num_hidden_layers", "n_layer"]),
        context_length: checkpoint.context_length,
        weight_bytes: checkpoint.weight_bytes(),
        stored_as: stored_as(checkpoint),
        fingerprint: checkpoint.fingerprint(),
        template_source: checkpoint
            .template_text()
            .map_or_else(|| "none".to_string(), |template| template.source.clone()),
        recommended,
        details: details(checkpoint),
        ..ModelFacts::default()
    }
}

fn family(config: &Value) -> String {
    let text = &config["text_config"]["model_type"];
    config["model_type"].as_str().or(text.as_str()).unwrap_or("unknown").to_string()
}

fn number(config: &Value, names: &[&str]) -> usize {
    names
        .iter()
        .flat_map(|name| [&config[*name], &config["text_config"][*name]])
        .find_map(Value::as_u64)
        .and_then(|value| usize::try_from(value).ok())
        .unwrap_or(0)
}

/// The types in the files, the one with most parameters first: `q4_k, q6_k, f32`.
fn stored_as(checkpoint: &Checkpoint) -> String {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for tensor in checkpoint.tensors.values() {
        *counts.entry(tensor.dtype.to_string()).or_default() += tensor.element_count() as u64;
    }
    let mut counts: Vec<(String, u64)> = counts.into_iter().collect();
    counts.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), name.clone()));
    counts.into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(", ")
}

fn details(checkpoint: &Checkpoint) -> Vec<(String, String)> {
    let config = &checkpoint.config;
    let mut details = vec![("Format".to_string(), checkpoint.format.to_string())];
    let mut add = |label: &str, names: &[&str]| {
        let value = number(config, names);
        if value > 0 {
            details.push((label.to_string(), value.to_string()));
        }
    };
    add("Attention heads", &["num_attention_heads", "n_head"]);
    add("Key/value heads", &["num_key_value_heads"]);
    add("Head size", &["head_dim"]);
    add("MLP size", &["intermediate_size", "n_inner"]);
    add("Sliding window", &["sliding_window"]);
    let rope = ["rope_parameters", "rope_scaling"]
        .iter()
        .flat_map(|key| [&config[*key], &config["text_config"][*key]])
        .find_map(|rope| rope["rope_type"].as_str().or(rope["type"].as_str()));
    if let Some(rope) = rope.filter(|rope| *rope != "default") {
        details.push(("Rope scaling".to_string(), rope.to_string()));
    }
    let files = checkpoint.parts.len();
    if files > 1 {
        details.push(("Files".to_string(), files.to_string()));
    }
    let ends: Vec<String> = checkpoint.end_of_text_ids.iter().map(u32::to_string).collect();
    if !ends.is_empty() {
        details.push(("End-of-text ids".to_string(), ends.join(", ")));
    }
    details
}
