//! The few things the reader itself wants of a config; the decoder reads the rest.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use crate::platform::Problem;

/// Positions the model was made for: `max_position_embeddings` and its older names.
pub fn context_length(config: &Value) -> usize {
    let text = config.get("text_config").unwrap_or(&Value::Null);
    ["max_position_embeddings", "n_positions", "n_ctx"]
        .iter()
        .flat_map(|key| [config.get(*key), text.get(*key)])
        .flatten()
        .find_map(Value::as_u64)
        .and_then(|length| usize::try_from(length).ok())
        .unwrap_or(0)
}

/// Refuses weights that were quantised by a scheme whose tensors are no plain matrices.
pub fn refuse_foreign_quantization(config: &Value, file: &Path) -> Result<()> {
    let scheme = &config["quantization_config"];
    if !scheme.is_object() {
        return Ok(());
    }
    let method = scheme["quant_method"].as_str().unwrap_or("an unnamed method");
    Err(Problem::new(format!(
        "`quantization_config`: the weights are quantised with {method}, which Tiller cannot read"
    ))
    .at(file)
    .hint("use the original weights or a GGUF file")
    .into())
}
