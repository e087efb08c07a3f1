//! LoRA adapters against PEFT itself, merged into a checkpoint that our decoder then runs, and live.
//!
//! The adapters and the expected logits are made by `tests/golden/peft_adapters.py`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use safetensors::Dtype;
use serde_json::{Value, json};
use tempfile::TempDir;
use tiller::model::runner::{Runner, Wanted};
use tiller::model::vector::merge::{Share, merge};
use tiller::model::vector::{Facts, file, open, open_for};

use super::{changed, checkpoint, decoder, golden, largest_difference, logits};

const TOLERANCE: f32 = 1e-4;
pub(super) const CASES: [(&str, &str); 12] = [
    ("plain", "llama"),
    ("rslora", "llama"),
    ("patterns", "llama"),
    ("saved", "llama"),
    ("embedding", "llama"),
    ("head", "llama"),
    ("transposed", "gpt2"),
    ("bias-all", "gpt2"),
    ("bias-lora-only", "gpt2"),
    ("lora-bias", "gpt2"),
    ("tied-embedding", "gpt2"),
    ("factors-on-qwen", "qwen2"),
];

fn adapter(name: &str) -> PathBuf {
    golden("peft").join(name)
}

fn expected(name: &str) -> HashMap<String, Tensor> {
    let file = golden("peft").join(format!("{name}.expected.safetensors"));
    candle_core::safetensors::load(file, &Device::Cpu).unwrap()
}

fn ids(expected: &HashMap<String, Tensor>) -> Vec<u32> {
    expected["ids"].to_dtype(DType::U32).unwrap().to_vec1().unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// A base in f32, so that the merged weights are not rounded.
fn base(name: &str) -> TempDir {
    changed(name, Some(Dtype::F32), |_, _, value| value)
}

fn merged(base: &Path, vectors: &[(PathBuf, f32)]) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    let base = checkpoint(base);
    let shares: Vec<Share> = vectors
        .iter()
        .map(|(path, strength)| Share::open(path, *strength, &base, false).unwrap())
        .collect();
    merge(&base, &shares, &home.path().join("merged"), &mut |_, _| true).unwrap();
    home
}

#[test]
fn merged_adapters_say_what_peft_says_at_every_strength() {
    for (name, family) in CASES {
        let (base, expected) = (base(family), expected(name));
        for (label, strength) in [("0.5", 0.5), ("1", 1.0), ("-0.7", -0.7)] {
            let model = merged(base.path(), &[(adapter(name), strength)]);
            let logits = logits(&model.path().join("merged"), &ids(&expected));
            let wanted = values(&expected[&format!("logits_at_{label}")]);
            let difference = largest_difference(&logits, &wanted);
            println!("{name} at {label}: logits differ by {difference:.1e}");
            assert!(difference <= TOLERANCE, "{name} at {label}: {difference:e}");
        }
    }
}

/// The same adapters beside the weights, which stay what they are.
#[test]
fn live_adapters_say_what_peft_says_at_every_strength() {
    for (name, family) in CASES {
        let (home, expected) = (base(family), expected(name));
        let base = checkpoint(home.path());
        let vector = Arc::new(open_for(&adapter(name), &base, false).unwrap());
        let mut decoder = decoder(&base);
        decoder.attach(&[vector]).unwrap();
        for (label, strength) in [("0.5", 0.5), ("1", 1.0), ("-0.7", -0.7)] {
            decoder.truncate(0).unwrap();
            decoder.set_strengths(&[strength]).unwrap();
            let logits = decoder.prefill(&ids(&expected), Wanted::All).unwrap().logits;
            let wanted = values(&expected[&format!("logits_at_{label}")]);
            let difference = largest_difference(&logits, &wanted);
            println!("{name} at {label}, live: logits differ by {difference:.1e}");
            assert!(difference <= TOLERANCE, "{name} at {label}, live: {difference:e}");
        }
    }
}

#[test]
fn two_adapters_at_once_say_what_peft_says() {
    let (base, expected) = (base("llama"), expected("together"));
    let pair = [(adapter("plain"), 0.5), (adapter("rslora"), -0.7)];
    let wanted = values(&expected["logits"]);
    for pair in [pair.clone(), [pair[1].clone(), pair[0].clone()]] {
        let model = merged(base.path(), &pair);
        let logits = logits(&model.path().join("merged"), &ids(&expected));
        let difference = largest_difference(&logits, &wanted);
        assert!(difference <= TOLERANCE, "{difference:e}");
    }
    let base = checkpoint(base.path());
    let vector = |name| Arc::new(open_for(&adapter(name), &base, false).unwrap());
    let mut decoder = decoder(&base);
    decoder.attach(&[vector("plain"), vector("rslora")]).unwrap();
    decoder.set_strengths(&[0.5, -0.7]).unwrap();
    let live = decoder.prefill(&ids(&expected), Wanted::All).unwrap().logits;
    let difference = largest_difference(&live, &wanted);
    assert!(difference <= TOLERANCE, "live: {difference:e}");
}

/// Invariant 13: what was saved whole is there as it was saved; half-way is the midpoint.
#[test]
fn saved_parameters_are_exact_at_one_and_midway_at_a_half() {
    let base = base("llama");
    let saved = candle_core::safetensors::load(
        adapter("saved").join("adapter_model.safetensors"),
        &Device::Cpu,
    )
    .unwrap();
    let before =
        candle_core::safetensors::load(base.path().join("model.safetensors"), &Device::Cpu)
            .unwrap();
    for name in ["lm_head.weight", "model.norm.weight", "model.layers.1.input_layernorm.weight"] {
        let (to, from) =
            (values(&saved[&format!("base_model.model.{name}")]), values(&before[name]));
        for strength in [1.0_f32, 0.5] {
            let model = merged(base.path(), &[(adapter("saved"), strength)]);
            let file = model.path().join("merged/model.safetensors");
            let after = values(&candle_core::safetensors::load(file, &Device::Cpu).unwrap()[name]);
            for ((after, to), from) in after.iter().zip(&to).zip(&from) {
                let (to, from) = (f64::from(*to), f64::from(*from));
                let wanted = (from + f64::from(strength) * (to - from)) as f32;
                assert_eq!(after.to_bits(), wanted.to_bits(), "{name} at {strength}");
            }
        }
    }
}

/// Invariant 13 for biases, trained whole beside the factors.
#[test]
fn trained_biases_are_exact_at_one_and_midway_at_a_half() {
    let base = base("gpt2");
    let load = |path: &Path| candle_core::safetensors::load(path, &Device::Cpu).unwrap();
    let saved = load(&adapter("bias-all").join("adapter_model.safetensors"));
    let before = load(&base.path().join("model.safetensors"));
    let models =
        [1.0_f32, 0.5].map(|strength| merged(base.path(), &[(adapter("bias-all"), strength)]));
    let afters =
        models.each_ref().map(|model| load(&model.path().join("merged/model.safetensors")));
    let mut biases = 0;
    for (name, from) in before.iter().filter(|(name, _)| name.ends_with(".bias")) {
        let ends = |key: &&String| key.ends_with(name.trim_start_matches("transformer."));
        let Some(to) = saved.keys().find(ends).map(|key| values(&saved[key])) else { continue };
        let from = values(from);
        biases += usize::from(from != to);
        for (strength, after) in [1.0, 0.5].into_iter().zip(&afters) {
            for ((after, to), from) in values(&after[name]).iter().zip(&to).zip(&from) {
                let (to, from) = (f64::from(*to), f64::from(*from));
                let wanted = (from + strength * (to - from)) as f32;
                assert_eq!(after.to_bits(), wanted.to_bits(), "{name} at {strength}");
            }
        }
    }
    assert!(biases >= 4, "{biases} biases were trained");
}

/// Invariant 6: twice alpha is twice the strength.
#[test]
fn twice_alpha_is_twice_the_strength() {
    let base = base("llama");
    let doubled = tempfile::tempdir().unwrap();
    for file in ["adapter_config.json", "adapter_model.safetensors"] {
        std::fs::copy(adapter("plain").join(file), doubled.path().join(file)).unwrap();
    }
    edit_config(doubled.path(), |config| config["lora_alpha"] = json!(12));
    let one = merged(base.path(), &[(doubled.path().to_path_buf(), 0.5)]);
    let other = merged(base.path(), &[(adapter("plain"), 1.0)]);
    let weights = |home: &TempDir| std::fs::read(home.path().join("merged/model.safetensors"));
    assert!(weights(&one).unwrap() == weights(&other).unwrap());
}

pub(super) fn edit_config(folder: &Path, edit: impl FnOnce(&mut Value)) {
    let path = folder.join("adapter_config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    edit(&mut config);
    std::fs::write(path, config.to_string()).unwrap();
}

#[test]
fn an_adapter_as_one_file_is_the_same_vector() {
    let home = tempfile::tempdir().unwrap();
    for (name, family) in CASES {
        let vector = open(&adapter(name)).unwrap();
        let path = home.path().join(format!("{name}.safetensors"));
        file::write(&path, &vector, &Facts::default(), file::Precision::F32).unwrap();
        assert_eq!(open(&path).unwrap(), vector, "{name}");
        // Both fit the base they were made for, and end up the same there.
        let base = checkpoint(&golden("families").join(family));
        let fitted = open_for(&path, &base, false).unwrap();
        assert_eq!(fitted, open_for(&adapter(name), &base, false).unwrap(), "{name}");
        let known = |part: &String| {
            base.tensors.contains_key(part)
                || (name, part.as_str()) == ("tied-embedding", "lm_head.weight")
        };
        assert!(fitted.parts.keys().all(known), "{name}");
    }
}

/// A base layer that was saved beside its factors and never trained leaves them factors.
#[test]
fn embedding_factors_stay_factors() {
    let base = checkpoint(&golden("families/llama"));
    let vector = open_for(&adapter("embedding"), &base, false).unwrap();
    let part = &vector.parts["model.embed_tokens.weight"];
    assert!(matches!(part, tiller::model::vector::Part::LowRank { rank: 3, .. }));
}

/// A head of its own over tied embeddings: the merged model has one, and says so.
#[test]
fn a_saved_head_over_tied_embeddings_is_untied() {
    let base = changed("llama-tied", Some(Dtype::F32), |_, _, value| value);
    let home = tempfile::tempdir().unwrap();
    std::fs::copy(
        adapter("saved").join("adapter_config.json"),
        home.path().join("adapter_config.json"),
    )
    .unwrap();
    let embedding = "model.embed_tokens.weight";
    let weights = base.path().join("model.safetensors");
    let before = candle_core::safetensors::load(&weights, &Device::Cpu).unwrap();
    let tensors: HashMap<String, Tensor> = [("model.embed_tokens", 1.5), ("lm_head", -2.0)]
        .map(|(module, factor)| {
            let saved = before[embedding].affine(factor, 0.0).unwrap();
            (format!("base_model.model.{module}.weight"), saved)
        })
        .into();
    candle_core::safetensors::save(&tensors, home.path().join("adapter_model.safetensors"))
        .unwrap();
    let model = merged(base.path(), &[(home.path().to_path_buf(), 1.0)]);
    let merged = checkpoint(&model.path().join("merged"));
    assert_eq!(merged.config["tie_word_embeddings"], json!(false));
    let file = model.path().join("merged/model.safetensors");
    let after = candle_core::safetensors::load(file, &Device::Cpu).unwrap();
    for (name, factor) in [(embedding, 1.5), ("lm_head.weight", -2.0)] {
        let wanted = values(&before[embedding].affine(factor, 0.0).unwrap());
        let difference = largest_difference(&values(&after[name]), &wanted);
        assert!(difference < 1e-6, "{name}: {difference:e}");
    }
    logits(&model.path().join("merged"), &[1, 2, 3]);
}
