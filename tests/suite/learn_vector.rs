//! `tiller learn vector` from outside: killing it at any moment leaves a run that is whole.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use candle_core::Device;
use tiller::learn::base::corpus::Document;
use tiller::learn::base::export::{self, Precision};
use tiller::learn::base::{BaseArgs, vocabulary};
use tiller::learn::network::{Network, NetworkShape};

/// How long anything may take on a busy machine before the test calls it stuck.
const STUCK: Duration = Duration::from_secs(120);

/// A base folder with weights enough to be trained on, and pairs for it.
pub fn vector_stage(folder: &Path) {
    base_stage(folder, |shape| Network::fresh(shape, 3, &Device::Cpu).unwrap());
    let pair = serde_json::json!({ "prompt": "Which animal sleeps?", "chosen": "The fox sleeps.",
        "rejected": "The tree sleeps." });
    std::fs::write(folder.join("pairs.jsonl"), format!("{pair}\n").repeat(60)).unwrap();
}

/// The base folder alone, with this network of it.
pub fn base_stage(folder: &Path, network: impl FnOnce(NetworkShape) -> Network) {
    let text = "Which animal sleeps under the tree? The fox sleeps under the old tree.".repeat(9);
    let tokenizer = vocabulary::train(&[Document { text }], 300).unwrap();
    let sizes = BaseArgs {
        hidden: 32,
        layers: 2,
        heads: 4,
        key_heads: Some(2),
        ffn: 48,
        context: 64,
        ..BaseArgs::new(Vec::new(), folder.join("base"))
    };
    let shape = sizes.shape(tokenizer.get_vocab_size(true));
    std::fs::create_dir(folder.join("base")).unwrap();
    export::write(&folder.join("base"), &network(shape), &tokenizer, Precision::F16).unwrap();
}

/// A run over those pairs that saves after every step.
fn learn_vector(folder: &Path, epochs: u64, resume: bool) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tiller"));
    command.args(["learn", "vector", "--rank", "2", "--batch", "8", "--save-every", "0"]);
    command.args(["--epochs", &epochs.to_string(), "--learning-rate", "1e-3"]);
    for (name, file) in
        [("--base", "base"), ("--pairs", "pairs.jsonl"), ("--out", "fox.safetensors")]
    {
        command.arg(name).arg(folder.join(file));
    }
    if resume {
        command.arg("--resume");
    }
    command.env("RAYON_NUM_THREADS", "1").stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[test]
fn killing_a_vector_run_while_it_saves_leaves_it_whole() {
    let folder = tempfile::tempdir().unwrap();
    vector_stage(folder.path());
    let saved = folder.path().join("fox.safetensors.training");
    // The length is part of the run: the same for every sitting, and too long for any.
    for round in 0..4_u64 {
        let mut child = learn_vector(folder.path(), 20_000, round > 0).spawn().unwrap();
        let begun = Instant::now();
        let stamp = || std::fs::metadata(&saved).and_then(|m| m.modified()).ok();
        let (mut seen, mut changes) = (stamp(), 0);
        while changes <= round + 1 {
            assert!(begun.elapsed() < STUCK, "nothing was saved");
            assert!(child.try_wait().unwrap().is_none(), "the run ended by itself");
            let now = stamp();
            if now.is_some() && now != seen {
                seen = now;
                changes += 1;
            }
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let bytes = std::fs::read(&saved).unwrap();
        assert!(safetensors::SafeTensors::deserialize(&bytes).is_ok(), "round {round}");
    }
    // Another length is another run, and is said to be.
    let output = learn_vector(folder.path(), 1, true).stderr(Stdio::piped()).output().unwrap();
    let line = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && line.contains("the length"), "{line}");
    std::fs::remove_file(&saved).unwrap();
    assert!(learn_vector(folder.path(), 1, false).status().unwrap().success());
    let mut left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["base", "fox.safetensors", "pairs.jsonl"]);
    assert!(tiller::model::vector::is_vector(&folder.path().join("fox.safetensors")));
}
