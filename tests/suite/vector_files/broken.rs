//! Vectors that are broken, lie, or belong to another model: one line with file and key.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;
use tiller::model::vector::extract::{ExtractOptions, extract};
use tiller::model::vector::merge::{Share, merge};
use tiller::model::vector::{is_vector, open, open_for};

use super::peft::edit_config;
use super::{changed, checkpoint, golden};
use crate::allocations::most_held;

#[track_caller]
fn refused<T>(result: anyhow::Result<T>, words: &[&str]) -> String {
    let Err(error) = result else { panic!("{words:?} was accepted") };
    let line = format!("{error:#}");
    assert!(!line.contains('\n'), "{line}");
    for word in words {
        assert!(line.contains(word), "does not say `{word}`: {line}");
    }
    line
}

/// A copy of the plain adapter with its tensors changed.
fn adapter(change: impl FnOnce(&mut HashMap<String, Tensor>)) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    let plain = golden("peft/plain");
    std::fs::copy(plain.join("adapter_config.json"), home.path().join("adapter_config.json"))
        .unwrap();
    let weights = plain.join("adapter_model.safetensors");
    let mut tensors = candle_core::safetensors::load(weights, &Device::Cpu).unwrap();
    change(&mut tensors);
    candle_core::safetensors::save(&tensors, home.path().join("adapter_model.safetensors"))
        .unwrap();
    home
}

const A: &str = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";
const B: &str = "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight";

fn zeros(rows: usize, columns: usize) -> Tensor {
    Tensor::zeros((rows, columns), DType::F32, &Device::Cpu).unwrap()
}

/// Invariant 21.
#[test]
fn adapters_that_are_none_are_refused_by_file_and_key() {
    let file = "adapter_model.safetensors";
    let without = |key: &'static str| adapter(move |tensors| drop(tensors.remove(key)));
    refused(open(without(A).path()), &[file, &format!("`{B}` has no `{A}`")]);
    refused(open(without(B).path()), &[file, &format!("`{A}` has no `{B}`")]);
    let with = |key: &'static str, tensor: Tensor| {
        adapter(move |tensors| drop(tensors.insert(key.into(), tensor)))
    };
    refused(open(with(A, zeros(5, 48)).path()), &[file, A, "do not multiply"]);
    refused(open(with(A, zeros(0, 48)).path()), &[file, A]);
    let vector = Tensor::zeros(48, DType::F32, &Device::Cpu).unwrap();
    refused(open(with(A, vector).path()), &[file, A, "not two matrices"]);
    for bad in [f32::NAN, f32::INFINITY] {
        let mut values = vec![0.0_f32; 4 * 48];
        values[77] = bad;
        let tensor = Tensor::from_vec(values, (4, 48), &Device::Cpu).unwrap();
        refused(open(with(A, tensor).path()), &[file, A, "not finite"]);
    }
    let double = Tensor::zeros((4, 48), DType::F64, &Device::Cpu).unwrap();
    refused(open(with(A, double).path()), &[file, A, "F64"]);
    let second = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.two.weight";
    let first = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.one.weight";
    let two = adapter(|tensors| {
        tensors.insert(first.into(), zeros(4, 48));
        tensors.insert(second.into(), zeros(4, 48));
    });
    refused(open(two.path()), &[file, "two adapters in one file"]);
    let dora = "base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector";
    refused(open(with(dora, zeros(1, 64)).path()), &[file, dora, "DoRA"]);

    let pissa = adapter(|_| ());
    edit_config(pissa.path(), |config| config["init_lora_weights"] = json!("pissa"));
    refused(open(pissa.path()), &["adapter_config.json", "`init_lora_weights`", "pissa"]);
    let empty = tempfile::tempdir().unwrap();
    refused(open(empty.path()), &["adapter_config.json"]);
    assert!(!is_vector(empty.path()) && is_vector(pissa.path()));
    std::fs::write(pissa.path().join("adapter_model.safetensors"), [1, 2, 3]).unwrap();
    edit_config(pissa.path(), |config| config["init_lora_weights"] = json!(true));
    refused(open(pissa.path()), &[file]);
    std::fs::remove_file(pissa.path().join("adapter_model.safetensors")).unwrap();
    std::fs::write(pissa.path().join("adapter_model.bin"), "x").unwrap();
    refused(open(pissa.path()), &["adapter_model.bin", "pickle"]);
    refused(open(Path::new("/nowhere/medical")), &["/nowhere/medical"]);
}

#[test]
fn an_adapter_named_otherwise_lies_in_a_folder_below() {
    let home = tempfile::tempdir().unwrap();
    let copy = |name: &str| {
        std::fs::create_dir(home.path().join(name)).unwrap();
        for file in ["adapter_config.json", "adapter_model.safetensors"] {
            let from = golden("peft/plain").join(file);
            std::fs::copy(from, home.path().join(name).join(file)).unwrap();
        }
    };
    copy("medical");
    assert_eq!(open(home.path()).unwrap().name, "medical");
    copy("legal");
    refused(open(home.path()), &["several adapters: legal, medical"]);
}

/// Invariant 21: an embedding or a head that was saved for a larger vocabulary has rows that no
/// slider can scale.
#[test]
fn an_adapter_with_a_resized_vocabulary_is_refused_by_key() {
    let base = checkpoint(&golden("families/llama"));
    for (module, name) in [("lm_head", "lm_head.weight"), ("model.embed_tokens", "embed_tokens")] {
        let key = format!("base_model.model.{module}.weight");
        let resized = adapter(|tensors| drop(tensors.insert(key, zeros(97, 48))));
        edit_config(resized.path(), |config| config["modules_to_save"] = json!([module]));
        refused(open_for(resized.path(), &base, true), &[name, "[97, 48]"]);
    }
}

#[test]
fn another_models_adapter_is_refused_by_key_and_file() {
    let plain = golden("peft/plain");
    let other = checkpoint(&golden("gguf/wide"));
    refused(open_for(&plain, &other, false), &["plain", "proj.weight", "wide", "the vector"]);
    let gpt2 = checkpoint(&golden("families/gpt2"));
    refused(open_for(&plain, &gpt2, true), &["plain", "not in the model gpt2"]);
}

#[test]
fn two_models_that_are_not_one_are_not_subtracted() {
    let base = checkpoint(&golden("families/llama"));
    let options = ExtractOptions { rank: None, name: "v".into(), domain: String::new() };
    let against = |folder: &Path| {
        let other = checkpoint(folder);
        extract(&base, &other, &options, &mut |_, _| true)
    };
    refused(against(&golden("families/qwen2")), &["qwen2", "configs differ"]);
    refused(against(&golden("families/llama")), &["the same as"]);
    let resized = changed("llama", None, |_, _, value| value);
    let config = resized.path().join("config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("\"vocab_size\": 96", "\"vocab_size\": 97")).unwrap();
    refused(against(resized.path()), &["vocabulary was resized"]);
    let infinite =
        changed("llama", None, |_, index, value| if index == 3 { f32::INFINITY } else { value });
    refused(against(infinite.path()), &["not finite", "tensor `"]);
    // A stop is no failure.
    let aligned = changed("llama", None, |_, _, value| value + 0.1);
    let stopped = extract(&base, &checkpoint(aligned.path()), &options, &mut |_, _| false);
    assert!(stopped.unwrap_err().is::<tiller::platform::Cancelled>());
    let quantized = checkpoint(&golden("gguf/wide-Q8_0.gguf"));
    let wide = checkpoint(&golden("gguf/wide"));
    let words = ["wide-Q8_0.gguf", "quantised"];
    refused(extract(&wide, &quantized, &options, &mut |_, _| true), &words);
}

#[test]
fn merging_writes_nowhere_it_should_not() {
    let home = changed("llama", None, |_, _, value| value);
    let base = checkpoint(home.path());
    let share = || vec![Share::open(&golden("peft/plain"), 1.0, &base, false).unwrap()];
    let before = super::contents(home.path());
    let into = |out: &Path| merge(&base, &share(), out, &mut |_, _| true);
    refused(into(home.path()), &["something already"]);
    refused(into(&home.path().join("merged")), &["never written into its base"]);
    assert!(super::contents(home.path()) == before);
    let out = tempfile::tempdir().unwrap();
    let stopped = merge(&base, &share(), &out.path().join("m"), &mut |done, _| done < 9000);
    assert!(stopped.unwrap_err().is::<tiller::platform::Cancelled>());
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0, "nothing is left lying about");
    let gguf = checkpoint(&golden("gguf/qwen2.gguf"));
    refused(merge(&gguf, &[], &out.path().join("m"), &mut |_, _| true), &["qwen2.gguf", "GGUF"]);
    let f16 = checkpoint(&golden("families/llama-tied"));
    let mut vector = open(&golden("peft/plain")).unwrap();
    vector.parts.retain(|name, _| name.ends_with("layers.0.self_attn.q_proj.weight"));
    for part in vector.parts.values_mut() {
        if let tiller::model::vector::Part::LowRank { scale, .. } = part {
            *scale = 1e9;
        }
    }
    let huge = [Share::of(vector, 1.0, &f16).unwrap()];
    refused(
        merge(&f16, &huge, &out.path().join("m"), &mut |_, _| true),
        &["range of f16", "q_proj"],
    );
    refused(Share::open(&golden("peft/plain"), f32::NAN, &base, false).map(drop), &["NaN"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// No bytes changed anywhere make a panic, or an allocation beyond the file's own size.
    #[test]
    fn a_changed_byte_is_an_error_or_a_vector(at in 0_usize..6000, value in any::<u8>()) {
        let plain = golden("peft/plain/adapter_model.safetensors");
        let home = tempfile::tempdir().unwrap();
        std::fs::copy(golden("peft/plain/adapter_config.json"), home.path().join("adapter_config.json"))
            .unwrap();
        let mut bytes = std::fs::read(plain).unwrap();
        let size = bytes.len();
        bytes[at % size] = value;
        std::fs::write(home.path().join("adapter_model.safetensors"), bytes).unwrap();
        let (result, most) = most_held(|| open(home.path()).map(|vector| vector.parts.len()));
        prop_assert!(most <= 16 * size + 200_000, "{most} bytes held for {size}");
        if let Err(error) = result {
            let line = format!("{error:#}");
            prop_assert!(!line.contains('\n'), "{}", line);
        }
    }
}
