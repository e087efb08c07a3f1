//! GGUF files against the Hugging Face checkpoints they were made from.
//!
//! The files are made by `tests/golden/gguf_files.py` with the `gguf` package.

use std::path::{Path, PathBuf};

use candle_core::quantized::{GgmlDType, QStorage, QTensor, gguf_file};
use candle_core::{Device, Tensor};
use tiller::model::checkpoint::{Checkpoint, Format, StoredType, describe};
use tiller::model::decoder::{Decoder, DecoderSpec};
use tiller::model::runner::{Runner, Wanted};
use tiller::model::weights::WeightForm;

pub fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn open(name: &str) -> Checkpoint {
    Checkpoint::open(&golden(name)).unwrap()
}

/// A tensor's values in f32, `[out, in]` whichever way it is stored.
fn values(checkpoint: &Checkpoint, name: &str) -> Vec<f32> {
    let stored = checkpoint.tensor(name).unwrap();
    let bytes = checkpoint.bytes(name).unwrap();
    let halves = || bytes.as_chunks::<2>().0.iter();
    let values: Vec<f32> = match stored.dtype {
        StoredType::F32 => {
            bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
        }
        StoredType::F16 => halves().map(|b| half::f16::from_le_bytes(*b).to_f32()).collect(),
        StoredType::BF16 => halves().map(|b| half::bf16::from_le_bytes(*b).to_f32()).collect(),
        StoredType::Quantized(kind) => {
            let storage = QStorage::from_data(bytes, &Device::Cpu, kind).unwrap();
            let blocks = QTensor::new(storage, stored.shape.clone()).unwrap();
            let dense = blocks.dequantize(&Device::Cpu).unwrap();
            dense.flatten_all().unwrap().to_vec1().unwrap()
        }
    };
    if !stored.input_first {
        return values;
    }
    let (inputs, outputs) = (stored.shape[0], stored.shape[1]);
    (0..outputs * inputs).map(|place| values[place % inputs * outputs + place / inputs]).collect()
}

/// Names both know; the head may be left out where it is tied.
fn shared_names<'a>(one: &'a Checkpoint, other: &Checkpoint) -> Vec<&'a String> {
    let names: Vec<&String> =
        one.tensors.keys().filter(|name| other.tensors.contains_key(*name)).collect();
    let missing: Vec<&String> =
        one.tensors.keys().filter(|name| !other.tensors.contains_key(*name)).collect();
    assert!(missing.is_empty(), "{} lacks {missing:?}", other.path.display());
    names
}

const TWINS: [&str; 9] = [
    "llama-tied",
    "llama-rope-llama3",
    "llama-rope-yarn",
    "qwen2",
    "qwen3",
    "phi3-longrope",
    "gemma2",
    "gemma3",
    "gpt2",
];

#[test]
fn every_family_has_the_weights_it_was_made_from() {
    for family in TWINS {
        let original = open(&format!("families/{family}"));
        let twin = open(&format!("gguf/{family}.gguf"));
        assert_eq!(twin.format, Format::Gguf { version: 3 });
        for name in shared_names(&original, &twin) {
            let (before, after) = (values(&original, name), values(&twin, name));
            assert_eq!(before.len(), after.len(), "{family} {name}");
            // Gemma's norms went through +1 in f32; everything else is the same number.
            let slack = if family.starts_with("gemma") && name.ends_with("norm.weight") {
                2e-7
            } else {
                0.0
            };
            let most = before.iter().zip(&after).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(most <= slack, "{family} {name} differs by {most}");
        }
    }
}

/// Logits of every position of a fixed sequence, in f32.
fn logits(checkpoint: &Checkpoint) -> Vec<f32> {
    let spec = DecoderSpec::from_config(&checkpoint.config).unwrap();
    let ids: Vec<u32> = (0..24).map(|step| 3 + step * 31 % 61).collect();
    let form = WeightForm::F32;
    let mut decoder =
        Decoder::load(checkpoint, spec, &Device::Cpu, form, 64, &mut |_, _| true).unwrap();
    decoder.prefill(&ids, Wanted::All).unwrap().logits
}

fn farthest(one: &[f32], other: &[f32]) -> f32 {
    assert_eq!(one.len(), other.len());
    one.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn both_formats_of_one_model_give_the_same_logits() {
    for family in TWINS {
        let mut original = open(&format!("families/{family}"));
        if family == "qwen2" {
            // GGUF has no word for Qwen 2's window, which every published model leaves off.
            let config = original.config.as_object_mut().unwrap();
            config.insert("use_sliding_window".into(), false.into());
            config.remove("layer_types");
        }
        let twin = open(&format!("gguf/{family}.gguf"));
        let most = farthest(&logits(&original), &logits(&twin));
        println!("{family}: {most:e}");
        assert!(most <= 2e-5, "{family}: logits differ by {most}");
    }
}

#[test]
fn fewer_bits_cost_more_and_never_more_than_they_must() {
    let exact = logits(&open("gguf/wide"));
    let spread = exact.iter().map(|logit| logit * logit).sum::<f32>() / exact.len() as f32;
    let off = |name: &str| {
        let found = logits(&open(&format!("gguf/{name}.gguf")));
        let squares = exact.iter().zip(&found).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
        let share = (squares / exact.len() as f32 / spread).sqrt();
        println!("{name}: {share:.4} of the logits' size");
        share
    };
    assert!(off("wide-F16") <= 1e-6);
    // One step is 1/127, 1/16 and 1/8 of a block's largest weight; a layer's products add up to
    // some four times the share one weight is off by.
    let (eight, five, four) = (off("wide-Q8_0"), off("wide-Q5_0"), off("wide-Q4_0"));
    assert!(eight > 0.0 && eight < 4.0 / 127.0, "{eight}");
    assert!(five < 4.0 / 16.0 && four < 4.0 / 8.0, "{five} {four}");
    assert!(2.0 * eight < five && 1.5 * five < four, "{eight} {five} {four}");
    assert!(off("wide-Q5_1") < 4.0 / 16.0 && off("wide-Q4_1") < 4.0 / 8.0);
}

#[test]
fn a_quantised_type_stays_within_its_format_s_error() {
    let original = open("gguf/wide");
    // Half a step of a block, as a share of the block's largest value (or span, where there is a
    // minimum); 0.001 for the rounding of the f16 scale and minimum.
    for (kind, dtype, share) in [
        ("Q4_0", GgmlDType::Q4_0, 1.0 / 8.0),
        ("Q4_1", GgmlDType::Q4_1, 1.0 / 15.0),
        ("Q5_0", GgmlDType::Q5_0, 1.0 / 16.0),
        ("Q5_1", GgmlDType::Q5_1, 1.0 / 31.0),
        ("Q8_0", GgmlDType::Q8_0, 0.5 / 127.0),
    ] {
        let twin = open(&format!("gguf/wide-{kind}.gguf"));
        for name in shared_names(&original, &twin) {
            if twin.tensors[name].shape.len() < 2 {
                continue;
            }
            assert_eq!(twin.tensors[name].dtype, StoredType::Quantized(dtype), "{name}");
            let (before, after) = (values(&original, name), values(&twin, name));
            let mut changed = false;
            for (before, after) in before.chunks(32).zip(after.chunks(32)) {
                let most = before.iter().fold(0.0f32, |most, value| most.max(value.abs()));
                for (a, b) in before.iter().zip(after) {
                    assert!((a - b).abs() <= most * (share + 0.001), "{kind} {name}: {a} {b}");
                    changed |= a != b;
                }
            }
            assert!(changed, "{kind} {name} is not quantised at all");
        }
    }
}

/// The k-quants, which the package cannot write: made here, with the same metadata.
#[test]
fn every_type_candle_can_multiply_is_read_back_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let weight = Tensor::randn(0f32, 1.0, (16, 256), &Device::Cpu).unwrap();
    for dtype in [
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
        let blocks = QTensor::quantize(&weight, dtype).unwrap();
        let path = folder.path().join("blob-without-extension");
        write_llama(&path, &blocks);
        let read = Checkpoint::open(&path).unwrap();
        let name = "model.embed_tokens.weight";
        assert_eq!(read.tensors[name].dtype, StoredType::Quantized(dtype));
        assert_eq!(read.bytes(name).unwrap(), blocks.data().unwrap(), "{dtype:?}");
        // Rows of queries are put back in order block-wise: here every row is moved.
        let name = "model.layers.0.self_attn.q_proj.weight";
        let rows = read.bytes(name).unwrap();
        let written = blocks.data().unwrap();
        let row = rows.len() / 16;
        for (index, from) in
            [0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15].iter().enumerate()
        {
            assert_eq!(rows[index * row..][..row], written[from * row..][..row], "row {index}");
        }
        let dense = blocks.dequantize(&Device::Cpu).unwrap();
        let error = (dense - &weight).unwrap().sqr().unwrap().mean_all().unwrap();
        let error = error.to_scalar::<f32>().unwrap().sqrt();
        let bits = dtype.type_size() as f32 * 8.0 / dtype.block_size() as f32;
        // A normal value quantised to b bits is off by about a step of 6 sigma / 2^b.
        assert!(error <= 6.0 / 2f32.powf(bits - 1.0), "{dtype:?}: {error} at {bits} bits");
    }
}

fn write_llama(path: &Path, blocks: &QTensor) {
    use gguf_file::Value;
    let number = |number: u32| Value::U32(number);
    let metadata = [
        ("general.architecture", Value::String("llama".into())),
        ("llama.context_length", number(64)),
        ("llama.embedding_length", number(256)),
        ("llama.block_count", number(1)),
        ("llama.feed_forward_length", number(16)),
        ("llama.attention.head_count", number(2)),
        ("llama.attention.key_length", number(8)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
        ("general.name", Value::String("Written here".into())),
    ];
    let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(key, value)| (*key, value)).collect();
    let tensors = [("token_embd.weight", blocks), ("blk.0.attn_q.weight", blocks)];
    let mut file = std::fs::File::create(path).unwrap();
    gguf_file::write(&mut file, &metadata, &tensors).unwrap();
}

#[test]
fn any_part_opens_the_whole_and_a_missing_one_is_named() {
    let whole = open("gguf/wide-F16.gguf");
    let parts = ["wide-split-00001-of-00002.gguf", "wide-split-00002-of-00002.gguf"];
    for part in parts {
        let split = open(&format!("gguf/{part}"));
        assert_eq!(split.config, whole.config);
        assert_eq!(split.fingerprint(), whole.fingerprint());
        for name in shared_names(&whole, &split) {
            assert_eq!(whole.bytes(name).unwrap(), split.bytes(name).unwrap(), "{name}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join(parts[1]);
    std::fs::copy(golden("gguf").join(parts[1]), &copy).unwrap();
    let error = Checkpoint::open(&copy).unwrap_err().to_string();
    assert!(error.contains("00001-of-00002") && error.contains("missing"), "{error}");
    let renamed = folder.path().join("renamed.gguf");
    std::fs::rename(copy, &renamed).unwrap();
    let error = Checkpoint::open(&renamed).unwrap_err().to_string();
    assert!(error.contains("part 2 of 2"), "{error}");
}

#[test]
fn version_2_and_a_name_without_extension_are_read() {
    let whole = open("gguf/wide-F16.gguf");
    let mut bytes = std::fs::read(&whole.path).unwrap();
    bytes[4..8].copy_from_slice(&2u32.to_le_bytes());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sha256-0123");
    std::fs::write(&path, bytes).unwrap();
    let old = Checkpoint::open(&path).unwrap();
    assert_eq!(old.format, Format::Gguf { version: 2 });
    assert_eq!(old.fingerprint(), whole.fingerprint());
}

#[test]
fn what_the_file_says_beside_the_weights_is_found() {
    let checkpoint = open("text_tokenizers/bpe-qwen2.gguf");
    assert_eq!(checkpoint.generation.temperature, Some(0.7));
    assert_eq!(checkpoint.generation.top_k, Some(20));
    assert_eq!(checkpoint.template_text().unwrap().source, "the GGUF file");
    assert_eq!(checkpoint.template_text().unwrap().eos_token.as_deref(), Some("<|endoftext|>"));
    assert_eq!(checkpoint.end_of_text_ids.len(), 2);
    let facts = describe(&open("gguf/wide-Q8_0.gguf"));
    assert_eq!((facts.family.as_str(), facts.layer_count, facts.vocab_size), ("llama", 1, 64));
    assert_eq!(facts.stored_as, "q8_0, f32");
    assert_eq!(facts.parameters, 4096 * 3 + 2048 * 2 + 6144 * 3 + 3 * 64);
    assert_eq!(facts.template_source, "none");
}

#[test]
fn the_fingerprint_stays_where_the_file_goes_and_follows_its_content() {
    let first = open("gguf/wide");
    let folder = tempfile::tempdir().unwrap();
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(first.path.join(file), folder.path().join(file)).unwrap();
    }
    let moved = Checkpoint::open(folder.path()).unwrap();
    assert_eq!(moved.fingerprint(), first.fingerprint());
    assert_eq!(first.fingerprint().len(), 32);
    assert_ne!(first.fingerprint(), open("gguf/wide-F16.gguf").fingerprint());
    assert_ne!(first.fingerprint(), open("families/llama-tied").fingerprint());
    let config = std::fs::read_to_string(folder.path().join("config.json")).unwrap();
    let changed = config.replace("10000.0", "20000.0");
    assert_ne!(config, changed);
    std::fs::write(folder.path().join("config.json"), changed).unwrap();
    assert_ne!(Checkpoint::open(folder.path()).unwrap().fingerprint(), first.fingerprint());
}

#[test]
fn every_way_to_name_a_folder_opens_it() {
    let folder = golden("gguf/wide");
    let whole = Checkpoint::open(&folder).unwrap();
    for file in ["config.json", "model.safetensors"] {
        let opened = Checkpoint::open(&folder.join(file)).unwrap();
        assert_eq!((opened.path, opened.tensors.len()), (whole.path.clone(), whole.tensors.len()));
    }
}
