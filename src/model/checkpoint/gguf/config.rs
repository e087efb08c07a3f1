//! GGUF metadata as a Hugging Face config.

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::header::TensorEntry;
use super::metadata::Metadata;
use super::{Architecture, rope};

/// What is needed to translate.
pub struct Facts<'a> {
    pub metadata: &'a Metadata,
    pub architecture: Architecture,
    /// The tensors of all parts, under their GGUF names.
    pub tensors: &'a [&'a TensorEntry],
}

impl Facts<'_> {
    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture.name())
    }

    pub fn unsigned(&self, name: &str) -> Option<u64> {
        self.metadata.unsigned(&self.key(name))
    }

    pub fn number(&self, name: &str) -> Option<f64> {
        self.metadata.number(&self.key(name))
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.metadata.text(&self.key(name))
    }

    /// A size that must be there; some writers give one number per layer, which must agree.
    pub fn need(&self, name: &str) -> Result<u64> {
        let key = self.key(name);
        let Some(list) = self.metadata.numbers(&key) else { return self.metadata.need(&key) };
        match list.first() {
            Some(first) if *first >= 0.0 && list.iter().all(|number| number == first) => {
                Ok(*first as u64)
            }
            _ => Err(self.metadata.refuse(&key, "it differs from layer to layer")),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.tensor(name).is_some()
    }

    pub fn tensor(&self, name: &str) -> Option<&TensorEntry> {
        self.tensors.iter().find(|tensor| tensor.name == name).copied()
    }
}

/// The config of the model in the file.
pub fn translate(facts: &Facts<'_>) -> Result<Value> {
    let metadata = facts.metadata;
    if facts.unsigned("expert_count").is_some_and(|count| count > 0) {
        let key = facts.key("expert_count");
        return Err(metadata.refuse(&key, "mixtures of experts are not supported"));
    }
    let mut config = Map::new();
    let vocab_size = facts
        .tensor("token_embd.weight")
        .and_then(|tensor| tensor.shape.first().copied())
        .ok_or_else(|| metadata.refuse("token_embd.weight", "this tensor is missing"))?;
    config.insert("vocab_size".into(), json!(vocab_size));
    for (key, from) in
        [("bos_token_id", "bos"), ("eos_token_id", "eos"), ("pad_token_id", "padding")]
    {
        if let Some(id) = metadata.id(&format!("tokenizer.ggml.{from}_token_id")) {
            config.insert(key.into(), json!(id));
        }
    }
    config.insert("tie_word_embeddings".into(), json!(!facts.has("output.weight")));
    match facts.architecture {
        Architecture::Gpt2 => gpt2(facts, &mut config)?,
        _ => common(facts, &mut config)?,
    }
    Ok(Value::Object(config))
}

fn gpt2(facts: &Facts<'_>, config: &mut Map<String, Value>) -> Result<()> {
    let epsilon = facts.number("attention.layer_norm_epsilon").unwrap_or(1e-5);
    for (key, value) in [
        ("model_type", json!("gpt2")),
        ("n_embd", json!(facts.need("embedding_length")?)),
        ("n_layer", json!(facts.need("block_count")?)),
        ("n_head", json!(facts.need("attention.head_count")?)),
        ("n_positions", json!(facts.need("context_length")?)),
        ("n_inner", json!(facts.need("feed_forward_length")?)),
        ("layer_norm_epsilon", shortest(epsilon)),
        ("activation_function", json!("gelu_new")),
    ] {
        config.insert(key.into(), value);
    }
    Ok(())
}

fn common(facts: &Facts<'_>, config: &mut Map<String, Value>) -> Result<()> {
    use Architecture::{Gemma2, Gemma3, Llama, Phi3, Qwen2};
    let architecture = facts.architecture;
    let hidden = facts.need("embedding_length")?;
    let heads = facts.need("attention.head_count")?;
    let layers = facts.need("block_count")?;
    let key_heads = match facts.metadata.values.contains_key(&facts.key("attention.head_count_kv"))
    {
        true => facts.need("attention.head_count_kv")?,
        false => heads,
    };
    if heads == 0 {
        let key = facts.key("attention.head_count");
        return Err(facts.metadata.refuse(&key, "it is zero"));
    }
    let head_size = facts.unsigned("attention.key_length").unwrap_or(hidden / heads);
    let window = facts.unsigned("attention.sliding_window").filter(|window| *window > 0);
    let model_type = match architecture {
        Llama if window.is_some() => "mistral",
        Gemma3 => "gemma3_text",
        other => other.name(),
    };
    let gemma = matches!(architecture, Gemma2 | Gemma3);
    let epsilon = facts.number("attention.layer_norm_rms_epsilon").unwrap_or(1e-6);
    for (key, value) in [
        ("model_type", json!(model_type)),
        ("hidden_size", json!(hidden)),
        ("intermediate_size", json!(facts.need("feed_forward_length")?)),
        ("num_hidden_layers", json!(layers)),
        ("num_attention_heads", json!(heads)),
        ("num_key_value_heads", json!(key_heads)),
        ("head_dim", json!(head_size)),
        ("max_position_embeddings", json!(facts.need("context_length")?)),
        ("rms_norm_eps", shortest(epsilon)),
        ("sliding_window", json!(window)),
    ] {
        config.insert(key.into(), value);
    }
    let activation = if gemma { "gelu_pytorch_tanh" } else { "silu" };
    config
        .insert((if gemma { "hidden_activation" } else { "hidden_act" }).into(), json!(activation));
    if architecture != Qwen2 {
        let bias = facts.has("blk.0.attn_q.bias") || facts.has("blk.0.attn_qkv.bias");
        config.insert("attention_bias".into(), json!(bias));
    }
    if architecture == Llama {
        config.insert("mlp_bias".into(), json!(facts.has("blk.0.ffn_gate.bias")));
    }
    if gemma {
        // Most files leave the scale out. Only the two 27 B models differ from the head size.
        let largest = if architecture == Gemma2 { 46 } else { 62 };
        let usual = if layers == largest { hidden / heads } else { head_size };
        let scale = facts.number("attention.scale").filter(|scale| *scale > 0.0);
        let scalar = scale.map_or(usual as f64, |scale| (scale * scale).recip());
        // Written as an f32 root, it was a whole number before.
        let whole = (scalar - scalar.round()).abs() < 1e-3;
        config.insert(
            "query_pre_attn_scalar".into(),
            if whole { json!(scalar.round() as u64) } else { json!(scalar) },
        );
        for (key, from) in [
            ("attn_logit_softcapping", "attn_logit_softcapping"),
            ("final_logit_softcapping", "final_logit_softcapping"),
        ] {
            config.insert(key.into(), facts.number(from).map_or(Value::Null, shortest));
        }
    }
    if architecture == Gemma3 {
        let pattern = facts.unsigned("attention.sliding_window_pattern").unwrap_or(6);
        config.insert("sliding_window_pattern".into(), json!(pattern));
        let local = facts.number("rope.freq_base_swa").unwrap_or(10_000.0);
        config.insert("rope_local_base_freq".into(), shortest(local));
    }
    if architecture == Phi3 && head_size > 0 {
        let rotated = facts.unsigned("rope.dimension_count").unwrap_or(head_size);
        config.insert("partial_rotary_factor".into(), json!(rotated as f64 / head_size as f64));
    }
    rope::translate(facts, config)
}

/// A number that was an f32 in the file, as a person would write it: `1e-5`, not `9.99…e-6`.
pub fn shortest(number: f64) -> Value {
    let short: Option<f64> = (number as f32).to_string().parse().ok();
    json!(short.filter(|short| *short as f32 == number as f32).unwrap_or(number))
}
