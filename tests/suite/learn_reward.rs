//! `tiller learn reward` from outside: killing a run at any moment and filling the disk under it leave
//! the last good state. The same learning beside a running engine.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use candle_core::Device;
use tiller::engine::judging::Judging;
use tiller::engine::making::{Lessons, MadeFrom, Making};
use tiller::engine::{Engine, EngineHandle, Event, Prompt, Request, Turn};
use tiller::learn::network::{Network, NetworkShape};
use tiller::learn::random;
use tiller::model::reward::file;
use tiller::model::{FileKind, LoadOptions};
use tiller::session::{NodeId, Role};

use crate::learn_vector::base_stage;

/// How long anything may take on a busy machine before the test calls it stuck.
const STUCK: Duration = Duration::from_secs(120);

/// A base folder and pairs for it.
pub fn reward_stage(folder: &Path) {
    stage_of(folder, |shape| Network::fresh(shape, 3, &Device::Cpu).unwrap());
}

/// The same with a base of larger weights, which says something else at every step.
fn lively_stage(folder: &Path) {
    stage_of(folder, |shape| {
        let network = Network::with(shape, &Device::Cpu, |index, name, count| {
            let (mean, spread) = if name.ends_with("norm") { (1.0, 0.1) } else { (0.0, 0.3) };
            let value = |at: u64| mean + spread * random::normal(5, index, at);
            Ok((0..count as u64).map(value).collect())
        });
        network.unwrap()
    });
}

fn stage_of(folder: &Path, network: impl FnOnce(NetworkShape) -> Network) {
    base_stage(folder, network);
    let lines: String = (0..60)
        .map(|number| {
            let asked = ["Which animal sleeps?", "Who is under the tree?"][number % 2];
            let where_ = ["", " under the tree", " under the old tree"][number % 3];
            let pair = serde_json::json!({ "prompt": asked,
                "chosen": format!("The fox sleeps{where_}."),
                "rejected": format!("The tree sleeps{where_}.") });
            format!("{pair}\n")
        })
        .collect();
    std::fs::write(folder.join("pairs.jsonl"), lines).unwrap();
}

/// A run over those pairs that saves after every step.
pub fn learn(folder: &Path, out: &str, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tiller"));
    command.args([
        "learn",
        "reward",
        "--batch",
        "8",
        "--save-every",
        "0",
        "--learning-rate",
        "1e-2",
    ]);
    for (name, file) in [("--base", "base"), ("--pairs", "pairs.jsonl"), ("--out", out)] {
        command.arg(name).arg(folder.join(file));
    }
    command.args(more).env("RAYON_NUM_THREADS", "1").stdout(Stdio::null()).stderr(Stdio::null());
    command
}

pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn killing_a_reward_run_while_it_saves_leaves_it_whole() {
    let folder = tempfile::tempdir().unwrap();
    reward_stage(folder.path());
    let saved = folder.path().join("fox.safetensors.training");
    // The length is part of the run: the same for every sitting, and too long for any.
    for round in 0..3_u64 {
        let mut more = vec!["--epochs", "20000"];
        if round > 0 {
            more.push("--resume");
        }
        let mut child = learn(folder.path(), "fox.safetensors", &more).spawn().unwrap();
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
    // Without --resume nothing is overwritten; another length is another run, and is said to be.
    let again =
        learn(folder.path(), "fox.safetensors", &[]).stderr(Stdio::piped()).output().unwrap();
    assert!(!again.status.success() && said(&again).contains("--resume"), "{}", said(&again));
    let other = learn(folder.path(), "fox.safetensors", &["--resume"]);
    let other = { other }.stderr(Stdio::piped()).output().unwrap();
    assert!(!other.status.success() && said(&other).contains("the length"), "{}", said(&other));
    std::fs::remove_file(&saved).unwrap();
    assert!(learn(folder.path(), "fox.safetensors", &[]).status().unwrap().success());
    assert_eq!(names(folder.path()), ["base", "fox.safetensors", "pairs.jsonl"]);
}

/// A limit on the size of files stands in for a full disk: writing fails in the middle.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_the_last_good_state() {
    let folder = tempfile::tempdir().unwrap();
    reward_stage(folder.path());
    let cancelled = folder.path().join("fox.safetensors.training");
    let mut child =
        learn(folder.path(), "fox.safetensors", &["--epochs", "20000"]).spawn().unwrap();
    let begun = Instant::now();
    while !cancelled.exists() {
        assert!(begun.elapsed() < STUCK, "nothing was saved");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let good = std::fs::read(&cancelled).unwrap();
    // Blocks of 512 or 1024 bytes, as the shell has it: less than the state in either case.
    let resumed = learn(folder.path(), "fox.safetensors", &["--epochs", "20000", "--resume"]);
    let mut words = vec![resumed.get_program().to_owned()];
    words.extend(resumed.get_args().map(ToOwned::to_owned));
    let log = folder.path().join("log");
    let mut child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 16; exec \"$@\"", "sh"])
        .args(&words)
        .env("RAYON_NUM_THREADS", "1")
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while !std::fs::read_to_string(&log).unwrap().contains("the state was not saved") {
        assert!(begun.elapsed() < STUCK, "{}", std::fs::read_to_string(&log).unwrap());
        assert!(child.try_wait().unwrap().is_none(), "{}", std::fs::read_to_string(&log).unwrap());
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(std::fs::read(&cancelled).unwrap() == good, "the last good state was touched");
}

/// How it ended, and what was told on the way.
fn answered(engine: &EngineHandle) -> (Event, Vec<String>, Vec<f64>) {
    let (mut told, mut checks) = (Vec::new(), Vec::new());
    loop {
        match engine.recv_timeout(STUCK).expect("the engine tells something") {
            Event::MakingProgress(progress) => {
                checks.extend(progress.check.map(|check| check.right));
                told.push(progress.words);
            }
            event => return (event, told, checks),
        }
    }
}

#[test]
fn rewards_are_measured_learnt_cancelled_and_taken_up_beside_the_engine() {
    let folder = tempfile::tempdir().unwrap();
    reward_stage(folder.path());
    let out = folder.path().join("fox.safetensors");
    let lessons = Lessons {
        data: folder.path().join("pairs.jsonl"),
        rated: false,
        unfinished: true,
        stops_early: false,
        epochs: 6,
        device: "cpu".into(),
        weights: String::new(),
        rounded_to: String::new(),
    };
    let making = |lessons: &Lessons| {
        let (name, domain) = ("fox".to_owned(), String::new());
        let (base, from) = (folder.path().join("base"), MadeFrom::Lessons(lessons.clone()));
        Box::new(Making { name, domain, base, from, out: out.clone() })
    };
    let engine = Engine::start(|| {}).unwrap();
    engine.send(Request::EstimateMaking(making(&lessons))).unwrap();
    let Event::MakingEstimated { words } = answered(&engine).0 else { panic!("no estimate") };
    assert!(words.starts_with("about ") && words.contains("lessons took"), "{words}");
    assert_eq!(names(folder.path()), ["base", "pairs.jsonl"]);

    engine.send(Request::Make(making(&lessons))).unwrap();
    engine.cancel_making();
    let (ended, ..) = answered(&engine);
    assert!(matches!(ended, Event::MakingFailed { cancelled: true, .. }), "{ended:?}");
    assert!(!out.exists());
    engine.send(Request::Make(making(&lessons))).unwrap();
    let (ended, told, checks) = answered(&engine);
    assert!(
        matches!(&ended, Event::Made { path, kind: FileKind::Reward } if *path == out),
        "{ended:?}"
    );
    // Between two checks a quick run may tell of no step of its own.
    assert!(told.iter().any(|words| words.to_lowercase().contains("step ")), "{told:?}");
    assert!(checks.len() > 1 && checks.last() >= checks.first(), "{checks:?}");
    let facts = file::read_facts(&out).unwrap();
    assert_eq!((facts.name.as_str(), facts.base.rounded_to.as_str()), ("fox", ""));
    assert_eq!(facts.training.unwrap().objective, "pairwise on prefixes, faults");

    // What is there is not written over.
    engine.send(Request::Make(making(&lessons))).unwrap();
    let Event::MakingFailed { message, .. } = answered(&engine).0 else { panic!("written over") };
    assert!(message.contains("a file of this name") && message.contains("fox.saf"), "{message}");
    // A model that runs on rounded weights has its adapter learnt beside those.
    let other = Lessons { rounded_to: "bf16".into(), ..lessons };
    engine.send(Request::EstimateMaking(making(&other))).unwrap();
    let (ended, ..) = answered(&engine);
    assert!(matches!(ended, Event::MakingEstimated { .. }), "{ended:?}");
}

/// The tokens of a greedy reply as `say --json` prints them, and what it says of drafts.
fn said_greedily(folder: &Path, more: &[&str]) -> (Vec<(u64, String)>, [u64; 2]) {
    let lines = said_json(folder, more);
    let (last, tokens) = lines.split_last().unwrap();
    let token = |line: &serde_json::Value| {
        (line["id"].as_u64().unwrap(), line["text"].as_str().unwrap().to_owned())
    };
    let drafting = &last["timings"]["drafting"];
    let count = |name: &str| drafting[name].as_u64().unwrap_or_default();
    (tokens.iter().map(token).collect(), [count("drafted"), count("accepted")])
}

/// Every line of it.
fn said_json(folder: &Path, more: &[&str]) -> Vec<serde_json::Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_tiller"))
        .args(["say", "Which animal sleeps?", "--json", "--plan"])
        .arg(folder.join("plan.toml"))
        .arg("--model")
        .arg(folder.join("base"))
        .args(more)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn trained_drafts_leave_greedy_text_as_it_is_and_are_often_right() {
    let folder = tempfile::tempdir().unwrap();
    lively_stage(folder.path());
    let heads = ["--experts", "--drafts", "2", "--one-in", "2", "--epochs", "40"];
    let mut learning = learn(folder.path(), "fox.safetensors", &heads);
    let output = learning.stderr(Stdio::piped()).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("% of drafts right"), "{}", said(&output));
    let plan = "max-tokens = 40\n\n[sampling]\ntemperature = 0.0\n";
    std::fs::write(folder.path().join("plan.toml"), plan).unwrap();
    let adapter = folder.path().join("fox.safetensors").display().to_string();
    let (plain, none) = said_greedily(folder.path(), &[]);
    assert!(plain.len() > 10 && none == [0, 0], "{plain:?}");
    let first = plain[0].0;
    assert!(plain.iter().any(|(id, _)| *id != first), "it says something: {plain:?}");
    let (drafted, counts) = said_greedily(folder.path(), &["--reward", &adapter, "--speculate"]);
    assert_eq!(drafted, plain, "{counts:?}");
    let [tried, accepted] = counts;
    assert!(4 * accepted > tried && tried > 0, "{counts:?}");
    // The expert and anti-expert heads that were trained beside them are there to detoxify by.
    let detoxed = ["--reward", &adapter, "--reward-strength", "0", "--detox", "2"];
    let (steered, _) = said_greedily(folder.path(), &detoxed);
    assert!(!steered.is_empty());
}

#[test]
fn a_separate_reward_model_decides_as_an_adapter_does() {
    let folder = tempfile::tempdir().unwrap();
    lively_stage(folder.path());
    let learnt = learn(folder.path(), "judge", &["--separate", "--epochs", "2"]).status().unwrap();
    assert!(learnt.success());
    let plan = "max-tokens = 12\n\n[sampling]\ntemperature = 0.0\n";
    std::fs::write(folder.path().join("plan.toml"), plan).unwrap();
    let judge = folder.path().join("judge").display().to_string();
    let with = |strength: &str| {
        said_greedily(folder.path(), &["--reward", &judge, "--reward-strength", strength]).0
    };
    let (plain, _) = said_greedily(folder.path(), &[]);
    assert_eq!(with("0"), plain, "shown, it decides nothing");
    let steered = with("1000");
    assert_ne!(steered, plain);
    assert_eq!(with("1000"), steered);
    // It reads what is there already, too: the scores behind every token of a reply.
    let engine = Engine::start(|| {}).unwrap();
    let base = folder.path().join("base");
    engine.send(Request::Load { path: base.clone(), options: LoadOptions::default() }).unwrap();
    let ended = |engine: &EngineHandle| loop {
        match engine.recv_timeout(STUCK).expect("the engine tells something") {
            Event::Judged { outcome, .. } => return outcome,
            Event::LoadFailed { message, .. } => panic!("{message}"),
            _ => {}
        }
    };
    while !matches!(engine.recv_timeout(STUCK), Some(Event::Loaded(_))) {}
    let turns = vec![Turn { role: Role::User, content: "Which animal sleeps?".into() }];
    let judging = Judging {
        path: folder.path().join("judge"),
        node: NodeId::fresh(),
        prompt: Prompt::Chat(turns),
        tokens: plain.iter().map(|(id, _)| *id as u32).collect(),
    };
    engine.send(Request::Judge(Box::new(judging.clone()))).unwrap();
    let judged = ended(&engine).unwrap();
    assert_eq!((judged.name.as_str(), judged.rewards.len()), ("judge", plain.len()));
    let shown = said_json(folder.path(), &["--reward", &judge, "--reward-strength", "0"]);
    let told: Vec<f64> = shown.iter().filter_map(|line| line["reward"].as_f64()).collect();
    assert!(told.len() + 1 >= plain.len(), "{told:?}");
    for (told, read) in told.iter().zip(&judged.rewards) {
        assert!((told - f64::from(*read)).abs() < 1e-4, "{told} while speaking, {read} behind it");
    }
    let none = Judging { path: base, ..judging.clone() };
    engine.send(Request::Judge(Box::new(none))).unwrap();
    assert!(ended(&engine).unwrap_err().contains("no head that gives a score"));
    engine.send(Request::DropJudge).unwrap();
    engine.send(Request::Judge(Box::new(judging))).unwrap();
    assert_eq!(ended(&engine).unwrap(), judged);
    // A language model is no judge, and says so.
    let base = folder.path().join("base").display().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_tiller"))
        .args(["say", "Who?", "--model", &base, "--reward", &base])
        .output()
        .unwrap();
    assert!(!output.status.success() && said(&output).contains("no head"), "{}", said(&output));
    // Neither can it draft.
    let output = Command::new(env!("CARGO_BIN_EXE_tiller"))
        .args(["say", "Who?", "--model", &base, "--reward", &judge, "--speculate"])
        .output()
        .unwrap();
    assert!(!output.status.success() && said(&output).contains("no heads"), "{}", said(&output));
}
