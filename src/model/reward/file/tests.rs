//! An adapter's file: the round trip, and every refusal.

use super::*;
use crate::model::ModelFacts;
use crate::model::decoder::DecoderSpec;
use crate::model::reward::{Base, Deviation, Heads, Shape, Sizes, open_for};

fn spec(family: &str) -> DecoderSpec {
    let config = json!({
        "model_type": family, "vocab_size": 40, "hidden_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
        "intermediate_size": 64, "rms_norm_eps": 1e-6, "max_position_embeddings": 64,
        "rope_theta": 10000.0, "tie_word_embeddings": true, "hidden_act": "silu",
    });
    DecoderSpec::from_config(&config).unwrap()
}

fn model() -> ModelFacts {
    ModelFacts {
        name: "small".into(),
        fingerprint: "aaaabbbbcccc".into(),
        template_fingerprint: "ttttuuuu".into(),
        stored_as: "f32".into(),
        ..ModelFacts::default()
    }
}

fn adapter(spec: &DecoderSpec, precision: Precision) -> Adapter {
    let facts = Facts {
        name: "civil".into(),
        base: Base {
            fingerprint: "aaaabbbbcccc".into(),
            name: "small".into(),
            stored_as: "f32".into(),
            rounded_to: String::new(),
            template_fingerprint: "ttttuuuu".into(),
        },
        sizes: Sizes::one_in(8, spec),
        deviation: Some(Deviation { value: 0.25, candidates: 10, prefixes: 64 }),
        ..Facts::default()
    };
    let heads = Heads { reads_original: true, experts: true, drafts: 2 };
    let shape = Shape::new(&facts, heads, spec).unwrap();
    let value = |at: usize| (at as f32 * 0.37).sin();
    let tensors = shape.tensors().into_iter().map(|tensor| {
        let count = tensor.shape.iter().product();
        let values = (0..count).map(|at| half::bf16::from_f32(value(at)).to_f32()).collect();
        (tensor.name, Values { shape: tensor.shape, values })
    });
    Adapter { tensors: tensors.collect(), facts, precision }
}

/// Spec section 11.19.
#[test]
fn what_was_written_is_read_back_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("civil.safetensors");
    for (family, precision) in [("llama", Precision::F32), ("qwen3", Precision::BF16)] {
        let spec = spec(family);
        let written = adapter(&spec, precision);
        write(&path, &written).unwrap();
        assert_eq!(open_for(&path, &model(), &spec).unwrap(), written);
        assert!(is_adapter(&path));
    }
    write(&path, &adapter(&spec("llama"), Precision::F32)).unwrap();
    let first = std::fs::read(&path).unwrap();
    write(&path, &read(&path).unwrap()).unwrap();
    assert!(first == std::fs::read(&path).unwrap(), "the same adapter made another file");
}

fn refusal(change: impl Fn(&mut Adapter), model: &ModelFacts) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("civil.safetensors");
    let spec = spec("llama");
    let mut adapter = adapter(&spec, Precision::F32);
    change(&mut adapter);
    if let Err(error) = write(&path, &adapter) {
        return error.to_string();
    }
    let message = open_for(&path, model, &spec).unwrap_err().to_string();
    assert!(message.contains("civil.safetensors"), "{message} names no file");
    message
}

#[test]
fn another_model_quantization_or_template_is_refused_by_name() {
    let nothing = |_: &mut Adapter| ();
    let other = ModelFacts { fingerprint: "ddddeeee".into(), name: "large".into(), ..model() };
    let message = refusal(nothing, &other);
    assert!(message.contains("small (aaaabbbb), not large (ddddeeee)"), "{message}");

    let quantized =
        ModelFacts { fingerprint: "ddddeeee".into(), stored_as: "q4_k, f32".into(), ..model() };
    let message = refusal(nothing, &quantized);
    assert!(message.contains("stored as f32, and it is stored as q4_k"), "{message}");

    let rounded = ModelFacts { rounded_to: "q8_0".into(), ..model() };
    let message = refusal(nothing, &rounded);
    assert!(message.contains("weights rounded to q8_0"), "{message}");

    let template = ModelFacts { template_fingerprint: String::new(), ..model() };
    let message = refusal(nothing, &template);
    assert!(message.contains("chat template (ttttuuuu, not none)"), "{message}");
}

#[test]
fn shapes_that_lie_and_values_that_are_none_are_refused() {
    let name = "layers.1.output.weight";
    let message = refusal(
        |adapter| {
            let tensor = adapter.tensors.get_mut(name).unwrap();
            tensor.shape.reverse();
        },
        &model(),
    );
    assert!(message.contains(name) && message.contains("ask for"), "{message}");
    let message = refusal(|adapter| drop(adapter.tensors.remove(name)), &model());
    assert!(message.contains("missing"), "{message}");
    let message = refusal(
        |adapter| {
            let values = Values { shape: vec![1], values: vec![0.0] };
            adapter.tensors.insert("layers.7.surplus".into(), values);
        },
        &model(),
    );
    assert!(message.contains("layers.7.surplus"), "{message}");
    let message = refusal(|adapter| adapter.facts.sizes.width = 4, &model());
    assert!(message.contains("ask for"), "{message}");
    for value in [f32::NAN, f32::INFINITY] {
        let message =
            refusal(|adapter| adapter.tensors.get_mut(name).unwrap().values[3] = value, &model());
        assert!(message.contains(name), "{message}");
    }
    let unit = Deviation { value: 0.0, candidates: 10, prefixes: 1 };
    let message = refusal(|adapter| adapter.facts.deviation = Some(unit), &model());
    assert!(message.contains("no unit"), "{message}");
}

/// Bytes that somebody else wrote: a value that is not finite, a header that lies, a later version.
#[test]
fn files_of_others_are_refused_without_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("civil.safetensors");
    write(&path, &adapter(&spec("llama"), Precision::F32)).unwrap();
    let good = std::fs::read(&path).unwrap();
    let mut bad = good.clone();
    let end = bad.len();
    bad[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    let refuse = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        read(&path).unwrap_err().to_string()
    };
    assert!(refuse(&bad).contains("NaN"));
    for length in [0, 7, 8, 100, good.len() / 2, good.len() - 1] {
        assert!(refuse(&good[..length]).contains("civil.safetensors"));
    }
    let other = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let text = String::from_utf8_lossy(&good[..4000]).into_owned();
        let at = text.find(from).unwrap();
        let mut bytes = good.clone();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        bytes
    };
    assert!(refuse(&other("tiller reward 1", "tiller reward 2")).contains("newer"));
    assert!(refuse(&other("tiller reward 1", "something else.")).contains("no reward adapter"));
    assert!(refuse(&other("\"sizes", "\"seize"[..6].trim_end())).contains("facts"));
    assert!(!is_adapter(&folder.path().join("none")));
}
