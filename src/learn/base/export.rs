//! The finished model as an ordinary Hugging Face folder.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Result, anyhow};
use half::f16;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::json;
use tokenizers::Tokenizer;

use super::markup;
use crate::learn::network::names::{self, Named};
use crate::learn::network::{Network, NetworkShape};
use crate::platform::atomic;

/// How the weights are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Precision {
    #[default]
    F16,
    F32,
}

/// Writes `config.json`, `generation_config.json`, `model.safetensors`, `tokenizer.json` and
/// `tokenizer_config.json`; the weights last, so that a folder with weights is whole.
///
/// # Errors
/// When the folder cannot be written.
pub fn write(
    folder: &Path,
    network: &Network,
    tokenizer: &Tokenizer,
    precision: Precision,
) -> Result<()> {
    let pretty = |name: &str, value: &serde_json::Value| {
        let text = serde_json::to_string_pretty(value)? + "\n";
        atomic::write(&folder.join(name), text.as_bytes())?;
        anyhow::Ok(())
    };
    pretty("config.json", &config(&network.shape, precision))?;
    pretty("generation_config.json", &generation())?;
    pretty("tokenizer_config.json", &tokenizer_config(network.shape.context_length))?;
    let text = tokenizer.to_string(false).map_err(|e| anyhow!("writing the tokenizer: {e}"))?;
    atomic::write(&folder.join("tokenizer.json"), text.as_bytes())?;
    let weights = weights(network, precision)?;
    atomic::write(&folder.join("model.safetensors"), &weights)?;
    Ok(())
}

fn config(shape: &NetworkShape, precision: Precision) -> serde_json::Value {
    json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": shape.hidden_size,
        "intermediate_size": shape.intermediate_size,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.key_heads,
        "head_dim": shape.head_dim(),
        "vocab_size": shape.vocab_size,
        "max_position_embeddings": shape.context_length,
        "rope_theta": shape.rope_theta,
        "rms_norm_eps": shape.norm_epsilon,
        "hidden_act": "silu",
        "attention_bias": false,
        "mlp_bias": false,
        "tie_word_embeddings": !shape.own_head,
        "bos_token_id": null,
        "eos_token_id": 4,
        "pad_token_id": 0,
        "torch_dtype": match precision { Precision::F16 => "float16", Precision::F32 => "float32" },
    })
}

/// Small models wander: their own recommendation is to sample close to the top.
fn generation() -> serde_json::Value {
    json!({
        "do_sample": true,
        "temperature": 0.5,
        "top_k": 20,
        "top_p": 0.9,
        "eos_token_id": [4, 0],
        "pad_token_id": 0,
    })
}

fn tokenizer_config(context_length: usize) -> serde_json::Value {
    let marker = |content: &str| {
        json!({
            "content": content, "lstrip": false, "normalized": false, "rstrip": false,
            "single_word": false, "special": true,
        })
    };
    let markers: serde_json::Map<String, serde_json::Value> = (0..)
        .zip(markup::MARKERS)
        .map(|(id, text): (u32, &str)| (id.to_string(), marker(text)))
        .collect();
    json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "added_tokens_decoder": markers,
        "bos_token": null,
        "eos_token": markup::END_OF_TURN,
        "pad_token": markup::END_OF_TEXT,
        "add_bos_token": false,
        "add_eos_token": false,
        "clean_up_tokenization_spaces": false,
        "model_max_length": context_length,
        "chat_template": markup::CHAT_TEMPLATE,
    })
}

/// Splits the joint matrices into the ones the folder's readers expect.
pub fn named(network: &Network) -> Result<Vec<Named>> {
    let mut all = Vec::new();
    for (name, var) in network.parameters() {
        let values = var.flatten_all()?.to_vec1::<f32>()?;
        all.extend(names::split(&network.shape, &name, &values));
    }
    Ok(all)
}

fn weights(network: &Network, precision: Precision) -> Result<Vec<u8>> {
    let dtype = match precision {
        Precision::F16 => Dtype::F16,
        Precision::F32 => Dtype::F32,
    };
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = named(network)?
        .into_iter()
        .map(|(name, dims, values)| {
            let data = match precision {
                Precision::F16 => {
                    values.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect()
                }
                Precision::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            };
            (name, dims, data)
        })
        .collect();
    let views = tensors
        .iter()
        .map(|(name, dims, data)| Ok((name, TensorView::new(dtype, dims.clone(), data)?)))
        .collect::<Result<Vec<_>>>()?;
    let facts = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    Ok(safetensors::serialize(views, Some(facts))?)
}
