//! Broken and lying model files: one clear line that names the file and the field, no panic, and
//! no more memory than the file itself warrants.

use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};
use tiller::model::chat_template::{ChatTemplate, Message};
use tiller::model::checkpoint::{Checkpoint, describe};
use tiller::model::decoder::DecoderSpec;
use tiller::model::tokenizer::TextTokenizer;

use super::allocations::most_held;
use super::gguf::golden;

/// Does all that can be done with a file short of loading it.
fn use_up(path: &Path) -> anyhow::Result<()> {
    let checkpoint = Checkpoint::open(path)?;
    describe(&checkpoint);
    for name in checkpoint.tensors.keys() {
        checkpoint.bytes(name)?;
    }
    DecoderSpec::from_config(&checkpoint.config)?;
    ChatTemplate::from_checkpoint(&checkpoint)?;
    TextTokenizer::from_checkpoint(&checkpoint)?.encode("some text", true)?;
    Ok(())
}

/// The error must be one line, name the file and hold every word; memory must be bounded.
fn refused(path: &Path, words: &[&str]) {
    let size = std::fs::metadata(path).map_or(0, |facts| facts.len() as usize);
    let (result, most) = most_held(|| Checkpoint::open(path).map(|checkpoint| checkpoint.name));
    let line = result.expect_err(&format!("{words:?} was accepted")).to_string();
    assert!(!line.contains('\n'), "{line}");
    let file = path.file_name().unwrap().to_str().unwrap();
    assert!(line.contains(file), "does not name {file}: {line}");
    for word in words {
        assert!(line.contains(word), "does not say `{word}`: {line}");
    }
    assert!(most <= 16 * size + 200_000, "{most} bytes held for {size}: {line}");
}

// ---- GGUF

/// Builds a GGUF header by hand, to lie in it where the package would not.
struct Writer(Vec<u8>);

impl Writer {
    fn new(version: u32, tensors: u64, pairs: u64) -> Self {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(version.to_le_bytes());
        bytes.extend(tensors.to_le_bytes());
        bytes.extend(pairs.to_le_bytes());
        Self(bytes)
    }

    fn text(mut self, text: &str) -> Self {
        self.0.extend((text.len() as u64).to_le_bytes());
        self.0.extend(text.as_bytes());
        self
    }

    fn u32(mut self, number: u32) -> Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    fn u64(mut self, number: u64) -> Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    fn text_pair(self, key: &str, value: &str) -> Self {
        self.text(key).u32(8).text(value)
    }

    fn number_pair(self, key: &str, value: u32) -> Self {
        self.text(key).u32(4).u32(value)
    }

    fn tensor(self, name: &str, shape: &[u64], kind: u32, offset: u64) -> Self {
        let named = self.text(name).u32(shape.len() as u32);
        shape.iter().fold(named, |writer, size| writer.u64(*size)).u32(kind).u64(offset)
    }

    /// Writes the file with this many bytes of data behind the header.
    fn refused(mut self, data: usize, words: &[&str]) {
        let aligned = self.0.len().next_multiple_of(32);
        self.0.resize(aligned + data, 0);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lying.gguf");
        std::fs::write(&path, &self.0).unwrap();
        refused(&path, words);
    }
}

const HUGE: u64 = u64::MAX / 2;

#[test]
fn lying_counts_and_lengths_in_a_gguf_header() {
    Writer::new(3, HUGE, 0).refused(64, &["tensor_count", "room"]);
    Writer::new(3, 0, HUGE).refused(64, &["metadata_kv_count", "room"]);
    Writer::new(3, 0, 1).u64(HUGE).refused(64, &["key of metadata pair 0"]);
    Writer::new(3, 0, 1).text("a.b").u32(8).u64(HUGE).refused(64, &["a.b"]);
    Writer::new(3, 0, 1).text("a.list").u32(9).u32(4).u64(HUGE).refused(64, &["a.list", "room"]);
    Writer::new(3, 0, 1).text("a.list").u32(9).u32(8).u64(3).u64(HUGE).refused(64, &["a.list"]);
    Writer::new(3, 0, 1).text("a.odd").u32(77).refused(64, &["a.odd", "kind 77"]);
    let nested =
        (0..8).fold(Writer::new(3, 0, 1).text("a.deep").u32(9), |writer, _| writer.u32(9).u64(1));
    nested.refused(64, &["a.deep", "nested"]);
    let twice = Writer::new(3, 0, 2).number_pair("a.same", 1).number_pair("a.same", 2);
    twice.refused(64, &["a.same", "twice"]);
}

#[test]
fn lying_tensor_descriptions_in_a_gguf_header() {
    let one = || Writer::new(3, 1, 0);
    one().u64(HUGE).refused(64, &["name of tensor 0"]);
    one().tensor("t", &[1, 1, 1, 1, 1], 0, 0).refused(64, &["`t`", "5 dimensions"]);
    one().tensor("t", &[HUGE, 4], 0, 0).refused(64, &["`t`"]);
    one().tensor("t", &[1 << 40], 0, 0).refused(64, &["`t`", "beyond"]);
    one().tensor("t", &[4], 0, 1 << 40).refused(64, &["`t`", "beyond"]);
    one().tensor("t", &[4], 0, u64::MAX - 31).refused(64, &["`t`"]);
    one().tensor("t", &[4], 0, 7).refused(64, &["`t`", "aligned"]);
    one().tensor("t", &[48], 8, 0).refused(64, &["`t`", "blocks"]);
    one().tensor("t", &[256], 23, 0).refused(256, &["`t`", "IQ4_XS"]);
    one().tensor("t", &[256], 1234, 0).refused(256, &["`t`", "type 1234"]);
    let two = |name: &str, offset| {
        Writer::new(3, 2, 0).tensor("t", &[16], 0, 0).tensor(name, &[16], 0, offset)
    };
    two("t", 64).refused(256, &["`t`", "twice"]);
    two("u", 32).refused(256, &["`u`", "within"]);
    for alignment in [0, 3, 1 << 30] {
        let odd = Writer::new(3, 0, 1).number_pair("general.alignment", alignment);
        odd.refused(64, &["general.alignment"]);
    }
}

#[test]
fn gguf_files_that_are_something_else() {
    Writer::new(1, 0, 0).refused(64, &["version 1"]);
    Writer::new(99, 0, 0).refused(64, &["99"]);
    Writer::new(3u32.swap_bytes(), 0, 0).refused(64, &["big-endian"]);
    Writer::new(3, 0, 0).refused(0, &["general.architecture", "llama", "gpt2"]);
    let other = Writer::new(3, 0, 1).text_pair("general.architecture", "mamba");
    other.refused(0, &["mamba", "not supported", "qwen3"]);
    let llama = |pairs| Writer::new(3, 1, pairs).text_pair("general.architecture", "llama");
    let table = |writer: Writer| writer.tensor("token_embd.weight", &[8, 4], 0, 0);
    Writer::new(3, 0, 1).text_pair("general.architecture", "llama").refused(0, &["token_embd"]);
    table(llama(1)).refused(128, &["llama.", "missing"]);
    table(llama(2).text_pair("llama.embedding_length", "8")).refused(128, &["embedding_length"]);
    table(llama(2).number_pair("llama.expert_count", 8)).refused(128, &["expert_count"]);
    let headless = llama(4)
        .number_pair("llama.embedding_length", 8)
        .number_pair("llama.attention.head_count", 0)
        .number_pair("llama.block_count", 1);
    table(headless).refused(128, &["head_count", "zero"]);
}

#[test]
fn a_gguf_file_cut_anywhere_is_refused() {
    let whole = std::fs::read(golden("gguf/wide-Q8_0.gguf")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.gguf");
    let early = 0..1600;
    for length in early.step_by(7).chain((1600..whole.len() - 32).step_by(1999)) {
        std::fs::write(&path, &whole[..length]).unwrap();
        refused(&path, &[]);
    }
}

#[test]
fn a_broken_tokenizer_in_a_gguf_file_is_named() {
    let whole = std::fs::read(golden("text_tokenizers/spm.gguf")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    for (from, to, words) in [
        ("tokenizer.ggml.tokens", "tokenizer.ggml.t0kens", "tokens is missing"),
        ("tokenizer.ggml.scores", "tokenizer.ggml.sc0res", "scores is missing"),
        ("tokenizer.ggml.model", "tokenizer.ggml.m0del", "tokenizer.ggml.model"),
    ] {
        let at = whole.windows(from.len()).position(|part| part == from.as_bytes()).unwrap();
        let mut bytes = whole.clone();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        std::fs::write(&path, &bytes).unwrap();
        let checkpoint = Checkpoint::open(&path).unwrap();
        let line = TextTokenizer::from_checkpoint(&checkpoint).unwrap_err().to_string();
        assert!(line.contains(words) || line.contains("missing"), "{line}");
        assert!(line.contains("model.gguf") && line.contains("tokenizer.ggml"), "{line}");
    }
}

// ---- Hugging Face folders

fn safetensors(header: &Value, data: usize) -> Vec<u8> {
    let header = header.to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

/// A folder with a config and these files.
fn folder_of(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.json"), br#"{"model_type": "llama"}"#).unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

fn weights_refused(bytes: &[u8], words: &[&str]) {
    let folder = folder_of(&[("model.safetensors", bytes)]);
    refused(&folder.path().join("model.safetensors"), words);
}

#[test]
fn lying_safetensors_headers() {
    let one = |dtype: &str, shape: Value, offsets: Value| {
        safetensors(&json!({ "t": {"dtype": dtype, "shape": shape, "data_offsets": offsets} }), 64)
    };
    weights_refused(b"", &["0 bytes"]);
    weights_refused(&[0xff; 40], &["header length"]);
    weights_refused(&(1u64 << 40).to_le_bytes(), &["header length", "truncated"]);
    weights_refused(b"\x04\0\0\0\0\0\0\0[1] ", &["not a JSON object"]);
    weights_refused(b"\x04\0\0\0\0\0\0\0nope", &["not JSON"]);
    weights_refused(&one("F32", json!([4]), json!([0, 64])), &["`t`", "shape", "16", "64"]);
    weights_refused(&one("F32", json!([HUGE, 8]), json!([0, 64])), &["`t`", "memory"]);
    weights_refused(&one("F32", json!([-1]), json!([0, 64])), &["`t`", "-1"]);
    weights_refused(&one("F32", json!([1e30]), json!([0, 64])), &["`t`"]);
    weights_refused(&one("F32", json!("x"), json!([0, 64])), &["`t`", "shape"]);
    weights_refused(&one("F32", json!([16]), json!([0])), &["`t`", "data_offsets"]);
    weights_refused(&one("F32", json!([16]), json!([64, 0])), &["`t`", "data_offsets"]);
    weights_refused(&one("F32", json!([16]), json!([HUGE, HUGE + 64])), &["`t`", "outside"]);
    weights_refused(&one("F99", json!([16]), json!([0, 64])), &["`t`", "F99"]);
    weights_refused(&one("F32", json!([8]), json!([0, 32])), &["32", "64"]);
    weights_refused(&one("F32", json!([8]), json!([32, 64])), &["`t`", "hole"]);
    let entry =
        |begin: u64| json!({"dtype": "F32", "shape": [8], "data_offsets": [begin, begin + 32]});
    let overlap = json!({ "a": entry(0), "b": entry(16) });
    weights_refused(&safetensors(&overlap, 48), &["`b`", "overlap"]);
}

#[test]
fn a_safetensors_file_cut_anywhere_is_refused() {
    let whole = std::fs::read(golden("gguf/wide/model.safetensors")).unwrap();
    for length in (0..1400).step_by(11).chain((1400..whole.len()).step_by(4001)) {
        weights_refused(&whole[..length], &[]);
    }
}

#[test]
fn folders_with_the_wrong_files() {
    let index = |map: Value| json!({ "weight_map": map }).to_string();
    let two = index(json!({ "a": "model-1.safetensors", "b": "model-2.safetensors" }));
    let entry = json!({"dtype": "F16", "shape": [1], "data_offsets": [0, 2]});
    let first = safetensors(&json!({ "a": entry }), 2);
    let name = "model.safetensors.index.json";
    let sharded = |index: &str, files: &[(&str, &[u8])], words: &[&str]| {
        let folder = folder_of(&[&[(name, index.as_bytes())], files].concat());
        let line = Checkpoint::open(folder.path()).unwrap_err().to_string();
        assert!(words.iter().all(|word| line.contains(word)), "{words:?}: {line}");
    };
    let one: (&str, &[u8]) = ("model-1.safetensors", &first);
    sharded(&two, &[one], &["model-2.safetensors", "missing"]);
    sharded(&two, &[one, ("model-2.safetensors", &first)], &["`a`", "more than one"]);
    let elsewhere = index(json!({ "a": "../model-1.safetensors" }));
    sharded(&elsewhere, &[one], &["../model-1.safetensors", "no file of this folder"]);
    let promised = index(json!({ "a": "model-1.safetensors", "c": "model-1.safetensors" }));
    sharded(&promised, &[one], &["`c`", "model-1.safetensors"]);
    sharded(&index(json!({})), &[one], &["weight_map", "empty"]);
    sharded("{", &[one], &["JSON", name]);

    let says = |files: &[(&str, &[u8])], words: &[&str]| {
        let folder = folder_of(files);
        let line = Checkpoint::open(folder.path()).unwrap_err().to_string();
        assert!(words.iter().all(|word| line.contains(word)), "{words:?}: {line}");
    };
    says(&[("pytorch_model.bin", b"\x80\x02")], &["pickle", "pytorch_model.bin"]);
    says(&[("consolidated.safetensors", &first)], &["consolidated", "Mistral"]);
    says(&[("model-00001-of-00002.safetensors", &first)], &["index.json is missing"]);
    says(&[], &["model.safetensors is missing"]);
    says(&[("config.json", b"[]")], &["config", "not a JSON object"]);
    says(&[("config.json", b"{\"a\": ")], &["config.json", "JSON"]);
    let foreign = json!({ "quantization_config": {"quant_method": "gptq"} }).to_string();
    says(&[("config.json", foreign.as_bytes())], &["quantization_config", "gptq"]);
    let bad_template = json!({ "chat_template": 7 }).to_string();
    let files: [(&str, &[u8]); 2] =
        [("model.safetensors", &first), ("tokenizer_config.json", bad_template.as_bytes())];
    says(&files, &["chat_template", "tokenizer_config.json"]);

    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nothing-here");
    refused(&nowhere, &["nothing to open"]);
    refused(folder.path(), &["config.json is missing"]);
    for (file, word) in [("weights.pt", "pickle"), ("notes.txt", "neither")] {
        std::fs::write(folder.path().join(file), b"some bytes").unwrap();
        refused(&folder.path().join(file), &[word]);
    }
    std::fs::write(folder.path().join("adapter_config.json"), b"{}").unwrap();
    refused(folder.path(), &["adapter"]);
}

#[test]
fn a_tokenizer_that_is_missing_or_broken_is_named() {
    let empty = safetensors(&json!({}), 0);
    for (tokenizer, words) in [
        (None, ["tokenizer.json", "missing"]),
        (Some("{"), ["tokenizer.json", "line 1"]),
        (Some("{}"), ["tokenizer.json", "cannot be read"]),
    ] {
        let mut files: Vec<(&str, &[u8])> = vec![("model.safetensors", &empty)];
        files.extend(tokenizer.map(|text| ("tokenizer.json", text.as_bytes())));
        let folder = folder_of(&files);
        let opened = Checkpoint::open(folder.path())
            .and_then(|checkpoint| TextTokenizer::from_checkpoint(&checkpoint));
        let line = opened.unwrap_err().to_string();
        assert!(words.iter().all(|word| line.contains(word)), "{line}");
    }
}

#[test]
fn absurd_configs_are_refused_before_they_cost_anything() {
    let config: Value =
        serde_json::from_slice(&std::fs::read(golden("families/qwen3/config.json")).unwrap())
            .unwrap();
    for (field, value) in [
        ("num_attention_heads", json!(0)),
        ("num_hidden_layers", json!(1_000_000_000u64)),
        ("num_hidden_layers", json!(0)),
        ("hidden_size", json!(u64::MAX)),
        ("vocab_size", json!(-3)),
        ("head_dim", json!(0)),
        ("rms_norm_eps", json!("small")),
        ("model_type", json!("mamba")),
    ] {
        let mut absurd = config.clone();
        absurd[field] = value.clone();
        let (result, most) = most_held(|| DecoderSpec::from_config(&absurd).map(|_| ()));
        let line = result.expect_err(&format!("{field} {value} was accepted")).to_string();
        assert!(!line.contains('\n') && (line.contains(field) || line.contains("mamba")), "{line}");
        assert!(most < 1 << 20, "{field}: {most} bytes held");
    }
}

#[test]
fn a_template_that_grows_or_loops_is_stopped_within_bounds() {
    let empty = safetensors(&json!({}), 0);
    let body = "{% for a in range(90) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}";
    for (text, word) in [
        (format!("{{% set ns = namespace(x='grow') %}}{body}"), "text"),
        (
            "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}".into(),
            "steps",
        ),
    ] {
        let folder = folder_of(&[
            ("model.safetensors", empty.as_slice()),
            ("chat_template.jinja", text.as_bytes()),
        ]);
        let checkpoint = Checkpoint::open(folder.path()).unwrap();
        let template = ChatTemplate::from_checkpoint(&checkpoint).unwrap().unwrap();
        let messages = [Message { role: "user", content: "hi" }];
        let (result, most) = most_held(|| template.render(&messages, true));
        let line = result.unwrap_err().to_string();
        assert!(line.contains(word) && !line.contains('\n'), "{line}");
        assert!(most < 100 << 20, "{most} bytes held");
    }
}

// ---- Whatever comes

fn scratch(name: &str, bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

/// Bytes to write over a file: where (as a share of its length) and what.
type Edits = Vec<(prop::sample::Index, Vec<u8>)>;

fn edits() -> impl Strategy<Value = Edits> {
    let interesting = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..9),
        Just(vec![0xff; 8]),
        Just(vec![0; 8]),
        Just(u64::MAX.to_le_bytes().to_vec()),
        Just((1u64 << 62).to_le_bytes().to_vec()),
        any::<u32>().prop_map(|number| number.to_le_bytes().to_vec()),
    ];
    prop::collection::vec((any::<prop::sample::Index>(), interesting), 1..5)
}

fn edited(mut bytes: Vec<u8>, within: usize, edits: &Edits) -> Vec<u8> {
    let within = within.min(bytes.len());
    for (place, new) in edits {
        let at = place.index(within);
        let end = (at + new.len()).min(bytes.len());
        bytes[at..end].copy_from_slice(&new[..end - at]);
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_mutated_gguf_file_never_panics(edits in edits(), whole in any::<bool>()) {
        let bytes = std::fs::read(golden("text_tokenizers/bpe-qwen2.gguf")).unwrap();
        let within = if whole { bytes.len() } else { 500 };
        let (_folder, path) = scratch("mutated.gguf", &edited(bytes, within, &edits));
        let size = std::fs::metadata(&path).unwrap().len() as usize;
        let (_, most) = most_held(|| use_up(&path).ok());
        prop_assert!(most < 200 * size, "{} bytes held for {}", most, size);
    }

    #[test]
    fn a_mutated_llama_gguf_never_panics(edits in edits()) {
        let bytes = std::fs::read(golden("gguf/wide-Q4_0.gguf")).unwrap();
        let (_folder, path) = scratch("mutated.gguf", &edited(bytes, 2000, &edits));
        use_up(&path).ok();
    }

    #[test]
    fn a_mutated_safetensors_file_never_panics(edits in edits()) {
        let bytes = std::fs::read(golden("gguf/wide/model.safetensors")).unwrap();
        let config = std::fs::read(golden("gguf/wide/config.json")).unwrap();
        let (folder, _) = scratch("model.safetensors", &edited(bytes, 1300, &edits));
        std::fs::write(folder.path().join("config.json"), config).unwrap();
        use_up(folder.path()).ok();
    }

    #[test]
    fn a_mutated_config_never_panics(
        field in any::<prop::sample::Index>(),
        value in prop_oneof![
            Just(Value::Null), Just(json!([])), Just(json!({})), Just(json!("x")), Just(json!(true)),
            any::<u64>().prop_map(|number| json!(number)),
            any::<i32>().prop_map(|number| json!(number)),
            any::<f64>().prop_map(|number| json!(number)),
            (0u32..70).prop_map(|number| json!(number)),
        ],
        family in prop::sample::select(vec!["llama-rope-yarn", "gemma3", "phi3-longrope", "gpt2"]),
    ) {
        let file = golden("families").join(family).join("config.json");
        let mut config: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let fields = config.as_object_mut().unwrap();
        let name = fields.keys().nth(field.index(fields.len())).unwrap().clone();
        fields.insert(name, value);
        let (_, most) = most_held(|| DecoderSpec::from_config(&config).ok());
        prop_assert!(most < 64 << 20, "{} bytes held", most);
    }

    #[test]
    fn a_mutated_template_never_panics(edits in edits(), pick in any::<prop::sample::Index>()) {
        let golden: Value =
            serde_json::from_slice(&std::fs::read(golden("templates.json")).unwrap()).unwrap();
        let templates = golden["templates"].as_object().unwrap();
        let text = templates.values().nth(pick.index(templates.len())).unwrap()["text"].as_str();
        let bytes = text.unwrap().as_bytes().to_vec();
        let within = bytes.len();
        let text = String::from_utf8_lossy(&edited(bytes, within, &edits)).into_owned();
        let config = json!({ "chat_template": text, "bos_token": "<s>" }).to_string();
        let empty = safetensors(&json!({}), 0);
        let folder = folder_of(&[
            ("model.safetensors", &empty),
            ("tokenizer_config.json", config.as_bytes()),
        ]);
        let checkpoint = Checkpoint::open(folder.path()).unwrap();
        if let Ok(Some(template)) = ChatTemplate::from_checkpoint(&checkpoint) {
            let messages =
                ["system", "user", "assistant"].map(|role| Message { role, content: "a\u{301} b" });
            for error in [template.render(&messages, true).err(), template.render(&messages[1..], false).err()]
                .into_iter()
                .flatten()
            {
                prop_assert!(!error.to_string().contains('\n'), "{}", error);
            }
        }
    }
}
