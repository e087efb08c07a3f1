//! Logits, hidden states and the original keys and values, bit for bit with and without an
//! insertion of any weights (spec sections 11.1 and 11.2).

use candle_core::quantized::GgmlDType;

use super::*;
use crate::model::runner::{Runner, StepOutput, Wanted};

/// What the inserted weights are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Weights {
    Drawn,
    All(f32),
    /// Every kind of value that would show, one beside the other.
    Mixed,
}

pub(super) const WEIGHTS: [Weights; 5] = [
    Weights::Drawn,
    Weights::All(1e30),
    Weights::All(f32::NAN),
    Weights::All(f32::INFINITY),
    Weights::All(-1e30),
];

fn beside(checkpoint: &Checkpoint, weights: Weights) -> Adapter {
    let heads = Heads { reads_original: true, experts: true, drafts: 1 };
    let mut made = drawn(checkpoint, Recipe { heads, divisor: 8, ..Recipe::default() });
    if let Weights::All(value) = weights {
        made.tensors.values_mut().for_each(|tensor| tensor.values.fill(value));
    }
    if weights == Weights::Mixed {
        let values = [1e30, f32::NAN, f32::INFINITY, -1e30, 0.5];
        for tensor in made.tensors.values_mut() {
            let wild = values.into_iter().cycle();
            tensor.values.iter_mut().zip(wild).for_each(|(value, wild)| *value = wild);
        }
    }
    made
}

/// Prefill in two chunks, steps, three rows, a gather of them, settling, and rolling back.
fn run(decoder: &mut Decoder) -> (Vec<StepOutput>, Vec<Vec<f32>>) {
    let mut seen = Vec::new();
    let mut held = Vec::new();
    let keep = |decoder: &Decoder, held: &mut Vec<Vec<f32>>| held.extend(decoder.cache.values());
    seen.push(decoder.prefill(&IDS[..7], Wanted::All).unwrap());
    seen.push(decoder.prefill(&IDS[7..], Wanted::Last).unwrap());
    seen.push(decoder.step(&[4]).unwrap());
    keep(decoder, &mut held);
    decoder.gather(&[0, 0, 0]).unwrap();
    seen.push(decoder.step(&[1, 2, 3]).unwrap());
    seen.push(decoder.step(&[3, 2, 1]).unwrap());
    decoder.gather(&[2, 0]).unwrap();
    seen.push(decoder.step(&[9, 8]).unwrap());
    keep(decoder, &mut held);
    decoder.gather(&[1]).unwrap();
    seen.push(decoder.step(&[5]).unwrap());
    decoder.truncate(9).unwrap();
    seen.push(decoder.step(&[6]).unwrap());
    seen.push(decoder.prefill(&IDS[..3], Wanted::All).unwrap());
    keep(decoder, &mut held);
    (seen, held)
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[track_caller]
fn assert_untouched(what: &str, checkpoint: &Checkpoint, form: WeightForm, weights: &[Weights]) {
    for plain in [false, true] {
        assert_untouched_by(what, checkpoint, form, weights, plain);
    }
}

#[track_caller]
pub(super) fn assert_untouched_by(
    what: &str,
    checkpoint: &Checkpoint,
    form: WeightForm,
    weights: &[Weights],
    plain: bool,
) {
    let mut decoder = load(checkpoint, form);
    decoder.use_plain_operations(plain);
    let (alone, held_alone) = run(&mut decoder);
    for weights in weights {
        let mut decoder = load(checkpoint, form);
        decoder.use_plain_operations(plain);
        decoder.insert(Some(&beside(checkpoint, *weights))).unwrap();
        let (with, held) = run(&mut decoder);
        for (pass, (with, alone)) in with.iter().zip(&alone).enumerate() {
            let what = format!("{what}, {weights:?}, plain {plain}, pass {pass}");
            assert!(bits(&with.logits) == bits(&alone.logits), "{what}: logits");
            assert!(bits(&with.hidden) == bits(&alone.hidden), "{what}: hidden states");
            assert_eq!(with.reward.len(), with.rows, "{what}");
            assert_eq!(with.detox.len(), with.logits.len(), "{what}");
            let finite = with.reward.iter().all(|reward| reward.is_finite());
            assert!(finite == (*weights == Weights::Drawn), "{what}: {:?}", with.reward);
            assert!(alone.reward.is_empty() && alone.detox.is_empty());
        }
        assert_eq!(held.len(), held_alone.len());
        for (with, alone) in held.iter().zip(&held_alone) {
            assert!(bits(with) == bits(alone), "{what}, {weights:?}: keys and values");
        }
    }
}

#[test]
fn every_family_is_untouched_bit_for_bit() {
    for name in FAMILIES {
        assert_untouched(name, &family(name), WeightForm::F32, &WEIGHTS);
    }
}

#[test]
fn every_dense_type_is_untouched_bit_for_bit() {
    for form in [WeightForm::F16, WeightForm::BF16] {
        for name in ["qwen2", "gemma3"] {
            let what = format!("{name} in {form}");
            assert_untouched(&what, &family(name), form, &WEIGHTS[..3]);
        }
    }
}

#[test]
fn every_quantized_file_is_untouched_bit_for_bit() {
    for name in ["wide-Q4_0", "wide-Q4_1", "wide-Q5_0", "wide-Q5_1", "wide-Q8_0", "wide-F16"] {
        let checkpoint = Checkpoint::open(&golden("gguf").join(format!("{name}.gguf"))).unwrap();
        assert_untouched(name, &checkpoint, WeightForm::Stored, &WEIGHTS[..3]);
    }
    for name in ["gpt2", "gemma2", "qwen3", "phi3-longrope"] {
        let checkpoint = Checkpoint::open(&golden("gguf").join(format!("{name}.gguf"))).unwrap();
        assert_untouched(name, &checkpoint, WeightForm::Q8_0, &WEIGHTS[..2]);
    }
}

/// At toy sizes a leak through the order of a sum would not show (spec section 4).
#[test]
fn realistic_widths_are_untouched_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    for (hidden, heads, inner) in [(576, [9, 3], 1536), (768, [6, 2], 1024)] {
        let checkpoint = wide(folder.path(), hidden, heads, inner);
        let forms = match hidden {
            576 => vec![WeightForm::F32, WeightForm::BF16, WeightForm::F16],
            _ => vec![WeightForm::Q8_0, WeightForm::Q4K],
        };
        for form in forms {
            let what = format!("hidden size {hidden} in {form}");
            assert_untouched_by(&what, &checkpoint, form, &WEIGHTS[..3], false);
        }
    }
    for blocks in [
        GgmlDType::Q4_0,
        GgmlDType::Q4_1,
        GgmlDType::Q5_0,
        GgmlDType::Q5_1,
        GgmlDType::Q8_0,
        GgmlDType::Q2K,
        GgmlDType::Q3K,
        GgmlDType::Q4K,
        GgmlDType::Q5K,
        GgmlDType::Q6K,
    ] {
        let path = folder.path().join("blocks.gguf");
        wide_gguf(&path, blocks);
        let checkpoint = Checkpoint::open(&path).unwrap();
        let what = format!("hidden size 768 in {blocks:?}");
        assert_untouched_by(&what, &checkpoint, WeightForm::Stored, &WEIGHTS[1..4], false);
    }
}

/// Taking the adapter away leaves the plain model with its cache; putting one there forgets the
/// cache, since it holds no inserted keys.
#[test]
fn what_is_held_when_an_adapter_comes_and_goes() {
    let checkpoint = family("llama");
    let mut decoder = load(&checkpoint, WeightForm::F32);
    decoder.prefill(&IDS, Wanted::Last).unwrap();
    let wrong = Adapter { facts: Facts::default(), ..beside(&checkpoint, Weights::Drawn) };
    assert!(decoder.insert(Some(&wrong)).is_err());
    assert_eq!(decoder.len(), IDS.len(), "a refusal changes nothing");
    decoder.insert(Some(&beside(&checkpoint, Weights::Drawn))).unwrap();
    assert_eq!(decoder.len(), 0);
    decoder.prefill(&IDS, Wanted::Last).unwrap();
    decoder.insert(None).unwrap();
    assert_eq!(decoder.len(), IDS.len());
    let mut alone = load(&checkpoint, WeightForm::F32);
    alone.prefill(&IDS, Wanted::Last).unwrap();
    assert!(decoder.step(&[7]).unwrap() == alone.step(&[7]).unwrap());
}

fn config(hidden: usize, [heads, kv_heads]: [usize; 2], inner: usize) -> serde_json::Value {
    serde_json::json!({
        "model_type": "llama", "vocab_size": 48, "hidden_size": hidden, "num_hidden_layers": 2,
        "num_attention_heads": heads, "num_key_value_heads": kv_heads,
        "intermediate_size": inner, "rms_norm_eps": 1e-5, "max_position_embeddings": 64,
        "rope_theta": 10000.0, "tie_word_embeddings": true, "hidden_act": "silu",
    })
}

/// A Llama of random bf16 weights, its files written into the folder.
fn wide(folder: &Path, hidden: usize, heads: [usize; 2], inner: usize) -> Checkpoint {
    let path = folder.join(format!("wide-{hidden}"));
    std::fs::create_dir(&path).unwrap();
    let config = config(hidden, heads, inner);
    std::fs::write(path.join("config.json"), config.to_string()).unwrap();
    let keys = hidden / heads[0] * heads[1];
    let mut tensors = vec![
        ("model.embed_tokens.weight".to_owned(), vec![48, hidden]),
        ("model.norm.weight".to_owned(), vec![hidden]),
    ];
    for layer in 0..2 {
        let mut add = |name: &str, shape: &[usize]| {
            tensors.push((format!("model.layers.{layer}.{name}.weight"), shape.to_vec()));
        };
        add("input_layernorm", &[hidden]);
        add("self_attn.q_proj", &[hidden, hidden]);
        add("self_attn.k_proj", &[keys, hidden]);
        add("self_attn.v_proj", &[keys, hidden]);
        add("self_attn.o_proj", &[hidden, hidden]);
        add("post_attention_layernorm", &[hidden]);
        add("mlp.gate_proj", &[inner, hidden]);
        add("mlp.up_proj", &[inner, hidden]);
        add("mlp.down_proj", &[hidden, inner]);
    }
    let made: std::collections::HashMap<String, candle_core::Tensor> = tensors
        .into_iter()
        .enumerate()
        .map(|(stream, (name, shape))| {
            let count: usize = shape.iter().product();
            let scale = if shape.len() == 1 { 0.1 } else { 1.0 / (shape[1] as f32).sqrt() };
            let mean = if shape.len() == 1 { 1.0 } else { 0.0 };
            let draw = |at| mean + scale * random::normal(5, stream as u64, at);
            let values: Vec<f32> = (0..count as u64).map(draw).collect();
            let tensor = candle_core::Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
            (name, tensor.to_dtype(candle_core::DType::BF16).unwrap())
        })
        .collect();
    candle_core::safetensors::save(&made, path.join("model.safetensors")).unwrap();
    Checkpoint::open(&path).unwrap()
}

/// A Llama of 768 features whose matrices are in blocks of this type.
fn wide_gguf(path: &Path, blocks: GgmlDType) {
    use candle_core::quantized::gguf_file::{self, Value};
    use candle_core::quantized::{QStorage, QTensor};
    let tensor = |rows: usize, columns: usize, dtype: GgmlDType, stream: u64| {
        let draw = |at| random::normal(9, stream, at) / (columns as f32).sqrt();
        let values: Vec<f32> = (0..(rows * columns) as u64).map(draw).collect();
        let mut storage = dtype.cpu_zeros(values.len());
        storage.from_float(&values);
        QTensor::new(QStorage::Cpu(storage), (rows, columns)).unwrap()
    };
    let ones = |count: usize| {
        let mut values = GgmlDType::F32.cpu_zeros(count);
        values.from_float(&vec![1.0; count]);
        QTensor::new(QStorage::Cpu(values), count).unwrap()
    };
    let (hidden, inner) = (768, 768);
    let mut tensors = vec![
        ("token_embd.weight".to_owned(), tensor(48, hidden, blocks, 0)),
        ("output_norm.weight".to_owned(), ones(hidden)),
    ];
    let names = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"];
    for (stream, name) in names.iter().enumerate() {
        let rows = if *name == "attn_k" || *name == "attn_v" { 256 } else { hidden };
        let made = tensor(rows, hidden, blocks, stream as u64 + 1);
        tensors.push((format!("blk.0.{name}.weight"), made));
    }
    tensors.push(("blk.0.attn_norm.weight".into(), ones(hidden)));
    tensors.push(("blk.0.ffn_norm.weight".into(), ones(hidden)));
    let count = |count: usize| Value::U32(count as u32);
    let metadata = [
        ("general.architecture", Value::String("llama".into())),
        ("llama.block_count", count(1)),
        ("llama.context_length", count(64)),
        ("llama.embedding_length", count(hidden)),
        ("llama.feed_forward_length", count(inner)),
        ("llama.attention.head_count", count(6)),
        ("llama.attention.head_count_kv", count(2)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-6)),
        ("llama.vocab_size", count(48)),
    ];
    let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(key, value)| (*key, value)).collect();
    let tensors: Vec<(&str, &QTensor)> =
        tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    gguf_file::write(&mut file, &metadata, &tensors).unwrap();
}
