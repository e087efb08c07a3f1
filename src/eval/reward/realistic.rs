//! Space and time at the size of a real model: the shape of Qwen2.5-0.5B with random weights, once
//! as a language model and once with a score head.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use half::bf16;
use serde_json::{Map, Value, json};

use super::arguments::Measured;
use super::cost::{self, Cost};
use super::decoding::Settings;
use crate::learn::random;
use crate::model::checkpoint::Checkpoint;
use crate::model::decoder::initialise;
use crate::model::reward::{Adapter, Facts, Heads, Initialisation, Precision, Shape, Sizes, Start};
use crate::model::scorer::Scorer;
use crate::model::{LoadOptions, load};
use crate::platform::Problem;

/// Values drawn once and repeated: drawing half a billion of them takes its time.
const DRAWN: usize = 1 << 16;

/// The config of a shape.
pub fn config(shape: Measured) -> Value {
    let mut config = qwen();
    if shape == Measured::Tiny {
        for (name, size) in [
            ("hidden_size", 64),
            ("intermediate_size", 128),
            ("num_hidden_layers", 2),
            ("num_attention_heads", 4),
            ("vocab_size", 4096),
        ] {
            config[name] = json!(size);
        }
    }
    config
}

/// Where that is, in a sentence.
pub fn place(shape: Measured) -> &'static str {
    match shape {
        Measured::Qwen => "at the shape of Qwen2.5-0.5B",
        Measured::Tiny => "at a tiny shape, which says nothing of a real one",
    }
}

/// The config of Qwen2.5-0.5B.
fn qwen() -> Value {
    json!({
        "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": 896,
        "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14,
        "num_key_value_heads": 2, "vocab_size": 151_936, "max_position_embeddings": 4096,
        "rope_theta": 1e6, "rms_norm_eps": 1e-6, "hidden_act": "silu",
        "tie_word_embeddings": true, "eos_token_id": 0
    })
}

/// Two folders of random weights that go with the value.
struct Folders {
    language: PathBuf,
    judge: PathBuf,
}

impl Drop for Folders {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.language).ok();
        std::fs::remove_dir_all(&self.judge).ok();
    }
}

/// Measures an adapter of random weights at the default size against a reward model of the same
/// shape; `tokenizer` is the folder whose tokenizer the two borrow.
///
/// # Errors
/// When the folder has no room, or a model of this shape does not fit memory.
pub fn measure(
    folder: &Path,
    tokenizer: &Path,
    config: &Value,
    candidates: usize,
    tokens: usize,
) -> Result<Cost> {
    let own = |name: &str| folder.join(format!("tiller-{}-{name}", std::process::id()));
    let folders = Folders { language: own("language"), judge: own("judge") };
    write(&folders.language, tokenizer, config, false)
        .with_context(|| Problem::new("random weights cannot be written").at(folder))?;
    write(&folders.judge, tokenizer, config, true)
        .with_context(|| Problem::new("random weights cannot be written").at(folder))?;
    let options = LoadOptions { context_length: Some(512), ..LoadOptions::default() };
    let checkpoint = Checkpoint::open(&folders.language)?;
    let outlook = load::outlook(&checkpoint)?;
    let (mut decoder, model, _) = load::decoder(&checkpoint, outlook, &options, &mut |_, _| true)?;
    let mut scorer = Scorer::open(&folders.judge, &options, &mut |_, _| true)?;
    let spec = decoder.spec().clone();
    let facts = Facts {
        sizes: Sizes::one_in(8, &spec),
        start: Start::Hidden,
        initialisation: Initialisation::Random,
        ..Facts::default()
    };
    let shape = Shape::new(&facts, Heads::default(), &spec)?;
    let tensors = initialise(&checkpoint, &shape, Initialisation::Random, 1)?;
    let adapter = Adapter { facts, tensors, precision: Precision::BF16 };
    let vocabulary = spec.vocab_size as u32;
    let prompts: Vec<Vec<u32>> =
        (0..2_u32).map(|n| (0..32).map(|i| (97 * i + 31 * n + 5) % vocabulary).collect()).collect();
    let settings = Settings { candidates, tokens, ends: &[] };
    cost::measure(&mut decoder, (&model, &spec), &mut scorer, &adapter, &prompts, settings)
}

/// Every tensor of a Qwen2 of this config, in bf16.
fn tensors(config: &Value, judge: bool) -> Vec<(String, Vec<usize>)> {
    let size = |name: &str| config[name].as_u64().unwrap_or(1) as usize;
    let (hidden, inner) = (size("hidden_size"), size("intermediate_size"));
    let head = hidden / size("num_attention_heads");
    let keys = head * size("num_key_value_heads");
    let mut all = vec![
        ("model.embed_tokens.weight".to_owned(), vec![size("vocab_size"), hidden]),
        ("model.norm.weight".to_owned(), vec![hidden]),
    ];
    for layer in 0..size("num_hidden_layers") {
        for (name, shape) in [
            ("input_layernorm.weight", vec![hidden]),
            ("self_attn.q_proj.weight", vec![hidden, hidden]),
            ("self_attn.q_proj.bias", vec![hidden]),
            ("self_attn.k_proj.weight", vec![keys, hidden]),
            ("self_attn.k_proj.bias", vec![keys]),
            ("self_attn.v_proj.weight", vec![keys, hidden]),
            ("self_attn.v_proj.bias", vec![keys]),
            ("self_attn.o_proj.weight", vec![hidden, hidden]),
            ("post_attention_layernorm.weight", vec![hidden]),
            ("mlp.gate_proj.weight", vec![inner, hidden]),
            ("mlp.up_proj.weight", vec![inner, hidden]),
            ("mlp.down_proj.weight", vec![hidden, inner]),
        ] {
            all.push((format!("model.layers.{layer}.{name}"), shape));
        }
    }
    if judge {
        all.push(("score.weight".to_owned(), vec![1, hidden]));
    }
    all
}

fn write(folder: &Path, tokenizer: &Path, config: &Value, judge: bool) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(tokenizer.join(name), folder.join(name))?;
    }
    let mut config = config.clone();
    if judge {
        config["architectures"] = json!(["Qwen2ForSequenceClassification"]);
        config["num_labels"] = json!(1);
    }
    std::fs::write(folder.join("config.json"), config.to_string())?;
    let (mut header, mut end) = (Map::new(), 0);
    let tensors = tensors(&config, judge);
    for (name, shape) in &tensors {
        let begin = end;
        end += 2 * shape.iter().product::<usize>();
        let entry = json!({ "dtype": "BF16", "shape": shape, "data_offsets": [begin, end] });
        header.insert(name.clone(), entry);
    }
    let mut text = serde_json::to_vec(&header)?;
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut out = BufWriter::new(File::create(folder.join("model.safetensors"))?);
    out.write_all(&(text.len() as u64).to_le_bytes())?;
    out.write_all(&text)?;
    let drawn: Vec<u8> = (0..DRAWN as u64)
        .flat_map(|at| bf16::from_f32(0.02 * random::normal(1, 2, at)).to_le_bytes())
        .collect();
    let ones: Vec<u8> = bf16::ONE.to_le_bytes().repeat(DRAWN);
    for (name, shape) in &tensors {
        let from = if name.ends_with("norm.weight") { &ones } else { &drawn };
        let mut left = 2 * shape.iter().product::<usize>();
        while left > 0 {
            let part = left.min(from.len());
            out.write_all(&from[..part])?;
            left -= part;
        }
    }
    out.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_shape_is_measured_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(Measured::Tiny);
        let starter = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/starter");
        let cost = measure(folder.path(), &starter, &config, 4, 3).unwrap();
        assert!(cost.stream_bytes > 0 && cost.space_saved() > 0.5, "{cost:?}");
        assert!(cost.plain > 0.0 && cost.stream > 0.0 && cost.separate > 0.0, "{cost:?}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
