//! GGUF's ways to say how rotary positions are stretched, as Hugging Face's `rope_scaling`.

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::config::{Facts, shortest};
use super::header::TensorEntry;
use crate::model::weights::StoredType;

pub fn translate(facts: &Facts<'_>, config: &mut Map<String, Value>) -> Result<()> {
    let theta = facts.number("rope.freq_base").unwrap_or(10_000.0);
    config.insert("rope_theta".into(), shortest(theta));
    let context = facts.unsigned("context_length").unwrap_or(0);
    let original = facts.unsigned("rope.scaling.original_context_length").unwrap_or(context);
    let long = facts.tensor("rope_factors_long.weight");
    let short = facts.tensor("rope_factors_short.weight");
    let scaling = if let (Some(long), Some(short)) = (long, short) {
        config.insert("original_max_position_embeddings".into(), json!(original));
        let mut scaling = Map::new();
        scaling.insert("rope_type".into(), json!("longrope"));
        scaling.insert("long_factor".into(), factors(facts, long)?);
        scaling.insert("short_factor".into(), factors(facts, short)?);
        if let Some(factor) = facts.number("rope.scaling.attn_factor") {
            scaling.insert("attention_factor".into(), shortest(factor));
        }
        Value::Object(scaling)
    } else if let Some(table) = facts.tensor("rope_freqs.weight") {
        // Llama 3's stretch comes as one divisor per pair: a long rope with one list for all
        // lengths and no change of attention says exactly that.
        let list = factors(facts, table)?;
        json!({
            "rope_type": "longrope",
            "factor": 1.0,
            "attention_factor": 1.0,
            "original_max_position_embeddings": context,
            "long_factor": list.clone(),
            "short_factor": list,
        })
    } else {
        named_scaling(facts, original)?
    };
    // For Gemma 3 only the global layers are stretched, which is what Hugging Face means too.
    if !scaling.is_null() {
        config.insert("rope_scaling".into(), scaling);
    }
    Ok(())
}

fn named_scaling(facts: &Facts<'_>, original: u64) -> Result<Value> {
    let factor = facts.number("rope.scaling.factor").or(facts.number("rope.scale_linear"));
    let kind = match facts.text("rope.scaling.type") {
        Some(kind) => kind,
        // The key of old files, which knew only one way.
        None if factor.is_some() => "linear",
        None => "none",
    };
    let factor = factor.unwrap_or(1.0);
    match kind {
        "none" => Ok(Value::Null),
        "linear" if factor == 1.0 || factor == 0.0 => Ok(Value::Null),
        "linear" => Ok(json!({ "rope_type": "linear", "factor": shortest(factor) })),
        "yarn" => {
            let mut scaling = Map::new();
            scaling.insert("rope_type".into(), json!("yarn"));
            scaling.insert("factor".into(), shortest(factor));
            scaling.insert("original_max_position_embeddings".into(), json!(original));
            for (key, from) in [
                ("beta_fast", "rope.scaling.yarn_beta_fast"),
                ("beta_slow", "rope.scaling.yarn_beta_slow"),
            ] {
                if let Some(value) = facts.number(from) {
                    scaling.insert(key.into(), shortest(value));
                }
            }
            Ok(Value::Object(scaling))
        }
        other => {
            let key = format!("{}.rope.scaling.type", facts.architecture.name());
            let why = format!("`{other}` is unknown; known are none, linear and yarn");
            Err(facts.metadata.refuse(&key, &why))
        }
    }
}

/// The numbers of a small f32 tensor of the first part.
fn factors(facts: &Facts<'_>, tensor: &TensorEntry) -> Result<Value> {
    let bytes = facts.metadata.file.bytes().get(tensor.offset..tensor.offset + tensor.byte_length);
    match (bytes, tensor.dtype) {
        (Some(bytes), StoredType::F32) => {
            let numbers = bytes.as_chunks::<4>().0.iter();
            Ok(numbers.map(|bytes| shortest(f32::from_le_bytes(*bytes).into())).collect())
        }
        _ => Err(facts.metadata.refuse(&tensor.name, "these rotary factors are not f32 numbers")),
    }
}
