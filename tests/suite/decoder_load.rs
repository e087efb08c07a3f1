//! Loading a decoder: what does not fit together is refused before anything is read.

use std::fs;
use std::path::Path;

use candle_core::Device;
use serde_json::Value;
use tiller::model::checkpoint::Checkpoint;
use tiller::model::decoder::{Decoder, DecoderSpec};
use tiller::model::runner::{Runner, Wanted};
use tiller::model::weights::WeightForm;
use tiller::platform::Cancelled;

/// A fixture with fields of its config changed.
fn changed(name: &str, changes: &[(&str, Value)]) -> tempfile::TempDir {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/families").join(name);
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let file = folder.path().join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    for (field, value) in changes {
        config[field] = value.clone();
    }
    fs::write(file, config.to_string()).unwrap();
    folder
}

fn load(folder: &Path, form: WeightForm) -> anyhow::Result<Decoder> {
    let checkpoint = Checkpoint::open(folder)?;
    let spec = DecoderSpec::from_config(&checkpoint.config)?;
    Decoder::load(&checkpoint, spec, &Device::Cpu, form, 64, &mut |_, _| true)
}

fn refusal(name: &str, changes: &[(&str, Value)]) -> String {
    let folder = changed(name, changes);
    load(folder.path(), WeightForm::F32)
        .map_or_else(|error| format!("{error:#}"), |_| "loaded".to_owned())
}

#[test]
fn what_the_config_claims_must_be_in_the_file() {
    let said = refusal("llama", &[("num_hidden_layers", 3.into())]);
    assert!(said.contains("model.layers.2.") && said.contains("missing"), "{said}");
    let said = refusal("llama", &[("intermediate_size", 96.into())]);
    assert!(said.contains("gate_proj.weight"), "{said}");
    assert!(said.contains("[80, 48]") && said.contains("[96, 48]"), "{said}");
    let said = refusal("gpt2", &[("n_inner", 100.into())]);
    assert!(said.contains("c_fc.weight"), "{said}");
    assert!(said.contains("[48, 192]") && said.contains("[48, 100]"), "{said}");
    let said = refusal("llama", &[("vocab_size", 16_000_000.into())]);
    assert!(said.contains("embed_tokens.weight"), "{said}");
    let said = refusal("llama-tied", &[("tie_word_embeddings", false.into())]);
    assert!(said.contains("lm_head.weight") && said.contains("missing"), "{said}");
}

#[test]
fn weights_that_would_go_unused_are_refused() {
    let said = refusal("llama", &[("num_hidden_layers", 1.into())]);
    assert!(said.contains("model.layers.1.") && said.contains("does not have"), "{said}");
    let said = refusal("qwen3", &[("model_type", "llama".into())]);
    assert!(said.contains("k_norm.weight"), "{said}");
    // A head beside tied embeddings is what many real files carry.
    assert_eq!(refusal("llama", &[("tie_word_embeddings", true.into())]), "loaded");
}

#[test]
fn progress_ends_at_the_total_and_can_cancel() {
    let folder = changed("qwen2", &[]);
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    let spec = DecoderSpec::from_config(&checkpoint.config).unwrap();
    let mut seen = Vec::new();
    let mut note = |done, total| {
        seen.push((done, total));
        true
    };
    let form = WeightForm::Stored;
    Decoder::load(&checkpoint, spec.clone(), &Device::Cpu, form, 64, &mut note).unwrap();
    assert!(seen.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 == pair[1].1));
    let (done, total) = seen[seen.len() - 1];
    assert_eq!((done, total), (checkpoint.weight_bytes(), checkpoint.weight_bytes()));

    let mut calls = 0;
    let mut cancel = |_, _| {
        calls += 1;
        calls < 4
    };
    let stopped = Decoder::load(&checkpoint, spec, &Device::Cpu, form, 64, &mut cancel);
    assert!(stopped.err().unwrap().is::<Cancelled>());
    assert_eq!(calls, 4);
}

#[test]
fn the_estimate_counts_what_is_held() {
    let folder = changed("llama", &[]);
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    let spec = DecoderSpec::from_config(&checkpoint.config).unwrap();
    let estimate =
        |form, positions| spec.memory_estimate(&checkpoint, form, positions, true).unwrap();
    let stored = estimate(WeightForm::Stored, 10);
    assert_eq!(stored.weight_bytes, checkpoint.weight_bytes());
    // Keys and values of two layers, two heads of sixteen each, four bytes a value.
    assert_eq!(stored.cache_bytes, 2 * 2 * 2 * 16 * 4 * 10);
    assert_eq!(estimate(WeightForm::Stored, 20).cache_bytes, 2 * stored.cache_bytes);
    let half = estimate(WeightForm::F16, 10).weight_bytes;
    assert!(half < stored.weight_bytes * 6 / 10 && half > stored.weight_bytes / 2);
    assert_eq!(spec.matrices(&checkpoint).unwrap().len(), 2 * 7 + 1);
}

/// Forms in 16 bits are exact where the file is of that form; blocks are close.
#[test]
fn every_form_gives_nearly_the_same_logits() {
    let folder = changed("qwen2", &[]);
    let logits = |form| {
        let mut decoder = load(folder.path(), form).unwrap();
        decoder.prefill(&[5, 17, 40, 3, 88, 9, 61, 30, 2], Wanted::Last).unwrap().logits
    };
    let exact = logits(WeightForm::F32);
    let spread = exact.iter().map(|x| x.abs()).fold(0.0, f32::max);
    for (form, most) in [
        (WeightForm::Stored, 1e-5),
        (WeightForm::BF16, 1e-5),
        (WeightForm::F16, 1e-2),
        (WeightForm::Q8_0, 0.1),
    ] {
        let difference =
            logits(form).iter().zip(&exact).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(difference <= most * spread, "{form}: {difference} of {spread}");
    }
}
