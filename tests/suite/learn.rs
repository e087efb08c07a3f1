//! `tiller learn base` from outside: the folder it writes is read by the ordinary loader with the
//! trainer's own numbers, and killing it at any moment leaves a run that can be taken up.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use candle_core::Device;
use tiller::learn::base::corpus::{self, Document};
use tiller::learn::base::export::{self, Precision};
use tiller::learn::base::{BaseArgs, markup, state, vocabulary};
use tiller::learn::network::Network;
use tiller::model::Wanted;
use tiller::model::chat_template::{ChatTemplate, Message};
use tiller::model::checkpoint::Checkpoint;
use tiller::model::decoder::{Decoder, DecoderSpec};
use tiller::model::runner::Runner;
use tiller::model::tokenizer::TextTokenizer;
use tiller::model::weights::WeightForm;

/// How long anything may take on a busy machine before the test calls it stuck.
const STUCK: Duration = Duration::from_secs(120);

fn text() -> String {
    let turns = serde_json::json!({ "messages": [
        { "role": "user", "content": "Which animal sleeps under the tree?" },
        { "role": "assistant", "content": "The fox sleeps under the old tree." },
    ]});
    format!("{turns}\n").repeat(30)
}

fn arguments(folder: &Path) -> BaseArgs {
    BaseArgs {
        hidden: 32,
        layers: 2,
        heads: 4,
        key_heads: Some(2),
        ffn: 48,
        vocab: 300,
        context: 64,
        sequence: 32,
        batch: 2,
        ..BaseArgs::new(vec![folder.join("text.jsonl")], folder.join("out"))
    }
}

#[test]
fn the_written_folder_has_the_trainers_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let documents: Vec<Document> = {
        let path = folder.path().join("text.jsonl");
        std::fs::write(&path, text()).unwrap();
        corpus::read(&[path]).unwrap()
    };
    let tokenizer = vocabulary::train(&documents, 300).unwrap();
    let shape = arguments(folder.path()).shape(tokenizer.get_vocab_size(true));
    // Larger weights than a fresh network's, so that a mistake shows in the logits.
    let network = Network::with(shape, &Device::Cpu, |index, _, count| {
        let draw = |i: u64| 0.3 * tiller::learn::random::normal(5, index, i);
        Ok((0..count as u64).map(draw).collect())
    })
    .unwrap();
    let ids = vocabulary::encode(&tokenizer, &documents[..1]).unwrap().remove(0);
    let wanted = network.logits(&ids).unwrap();
    let largest = wanted.iter().fold(0.0_f32, |a, b| a.max(b.abs()));
    for (precision, tolerance) in [(Precision::F32, 1e-4), (Precision::F16, 1e-3 * largest)] {
        let out = folder.path().join(format!("{precision:?}"));
        std::fs::create_dir(&out).unwrap();
        export::write(&out, &network, &tokenizer, precision).unwrap();
        let checkpoint = Checkpoint::open(&out).unwrap();
        let spec = DecoderSpec::from_config(&checkpoint.config).unwrap();
        let mut decoder =
            Decoder::load(&checkpoint, spec, &Device::Cpu, WeightForm::F32, 64, &mut |_, _| true)
                .unwrap();
        let got = decoder.prefill(&ids, Wanted::All).unwrap();
        assert_eq!(got.logits.len(), wanted.len());
        for (got, wanted) in got.logits.iter().zip(&wanted) {
            assert!((got - wanted).abs() <= tolerance, "{precision:?}: {got} against {wanted}");
        }

        let read = TextTokenizer::from_checkpoint(&checkpoint).unwrap();
        let template = ChatTemplate::from_checkpoint(&checkpoint).unwrap().unwrap();
        let turns = [
            Message { role: "user", content: "Which animal sleeps under the tree?" },
            Message { role: "assistant", content: " The fox sleeps under the old tree.\n" },
        ];
        let rendered = template.render(&turns, false).unwrap().text;
        assert_eq!(rendered, documents[0].text, "the template writes what was trained on");
        assert_eq!(read.encode(&rendered, true).unwrap(), ids);
        assert_eq!(checkpoint.end_of_text_ids, [0, 4]);
        assert_eq!(read.id_of(markup::END_OF_TURN), Some(4));
    }
}

/// A run of the micro model, not yet started.
fn training(folder: &Path, resume: bool, steps: u64) -> Command {
    let out = folder.join("out");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tiller"));
    command.args(["learn", "base", "--text"]).arg(folder.join("text.jsonl"));
    command.arg("--out").arg(&out).args(["--steps", &steps.to_string()]);
    for (name, value) in [
        ("--hidden", 32),
        ("--layers", 2),
        ("--heads", 4),
        ("--key-heads", 2),
        ("--ffn", 48),
        ("--vocab", 300),
        ("--context", 64),
        ("--sequence", 32),
        ("--batch", 2),
    ] {
        command.args([name, &value.to_string()]);
    }
    if resume {
        command.arg("--resume");
    }
    command.env("RAYON_NUM_THREADS", "1").stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// A run that saves after every step.
fn start(folder: &Path, resume: bool, steps: u64) -> Child {
    training(folder, resume, steps).args(["--save-every", "0"]).spawn().unwrap()
}

#[test]
fn killing_a_run_while_it_saves_leaves_it_whole() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("text.jsonl"), text()).unwrap();
    let saved = folder.path().join("out").join("training.safetensors");
    let mut last = 0;
    // It saves after every step, so that most kills hit a save.
    for round in 0..8_u64 {
        let mut child = start(folder.path(), round > 0, 1_000_000);
        let begun = Instant::now();
        let stamp = || std::fs::metadata(&saved).and_then(|m| m.modified()).ok();
        let before = stamp();
        let mut changes = 0;
        let mut seen = before;
        // A different number of saves each round, so that the kills fall at different moments.
        while changes <= round {
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
        let (_, _, position) = state::load(&saved, &Device::Cpu).unwrap();
        assert!(position.steps > last, "round {round} went on from step {last}");
        last = position.steps;
    }
    let mut child = start(folder.path(), true, last + 2);
    assert!(child.wait().unwrap().success());
    let checkpoint = Checkpoint::open(&folder.path().join("out")).unwrap();
    assert!(DecoderSpec::from_config(&checkpoint.config).is_ok());
    let left = std::fs::read_dir(folder.path().join("out")).unwrap();
    let mut left: Vec<_> = left.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    assert_eq!(
        left,
        [
            "config.json",
            "generation_config.json",
            "model.safetensors",
            "tokenizer.json",
            "tokenizer_config.json"
        ],
        "neither a state nor half-written saves stay behind"
    );
}

#[cfg(unix)]
#[test]
fn an_interrupt_saves_and_says_how_to_go_on() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("text.jsonl"), text()).unwrap();
    let mut command = training(folder.path(), false, 1_000_000);
    // Saves only at the end, so that what is there came from the interrupt.
    command.args(["--save-every", "100000"]).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("step ") {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "it ended before the first step");
    }
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(rest.contains("--resume"), "{rest}");
    let saved = folder.path().join("out").join("training.safetensors");
    assert!(state::load(&saved, &Device::Cpu).unwrap().2.steps > 0);
}

/// Bytes of every file of a folder and the folders in it.
fn bytes_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| match path.is_dir() {
            true => bytes_below(&path),
            false => path.metadata().unwrap().len(),
        })
        .sum()
}

#[test]
fn the_starter_is_small_and_answers_in_words() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/starter");
    assert!(bytes_below(&folder) < 30_000_000, "the pack is too large");
    for (model, most) in [(folder.clone(), 8_000_000), (folder.join("guide"), 1_500_000)] {
        let checkpoint = Checkpoint::open(&model).unwrap();
        let count = |t: &tiller::model::checkpoint::StoredTensor| t.shape.iter().product::<usize>();
        let parameters: usize = checkpoint.tensors.values().map(count).sum();
        assert!(parameters <= most, "{}: {parameters} parameters", model.display());
    }
    let tokenizer = |model: &Path| std::fs::read(model.join("tokenizer.json")).unwrap();
    assert_eq!(tokenizer(&folder), tokenizer(&folder.join("guide")));

    for (prompt, about) in [
        ("Hello", "!"),
        ("What can you do?", "stor"),
        ("Why is the sky blue?", "scatters"),
        ("Tell me a short story", "."),
    ] {
        let mut say = Command::new(env!("CARGO_BIN_EXE_tiller"));
        say.args(["say", prompt, "--temperature", "0", "--json", "--model"]).arg(&folder);
        let output = say.stderr(Stdio::null()).output().unwrap();
        let lines: Vec<serde_json::Value> = String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let (last, tokens) = lines.split_last().unwrap();
        let reply: String = tokens.iter().filter_map(|t| t["text"].as_str()).collect();
        assert!(reply.split_whitespace().count() >= 5, "{prompt}: {reply}");
        assert!(reply.contains(about), "{prompt}: {reply}");
        assert!(last.to_string().contains("end-of-text"), "{prompt}: {last}");
    }
}
