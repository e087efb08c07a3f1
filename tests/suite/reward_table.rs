//! `tiller eval reward` from outside: the table is printed with its bars, and one that trains what it
//! needs goes on where it was stopped.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::learn_reward::{learn, names, reward_stage, said};

#[test]
fn the_table_is_printed_with_its_bars() {
    let folder = tempfile::tempdir().unwrap();
    reward_stage(folder.path());
    let run = |out: &str, more: &[&str]| {
        let output = learn(folder.path(), out, more).stderr(Stdio::piped()).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
    };
    run("mirror.safetensors", &["--epochs", "3", "--prefixes", "2", "--one-in", "2"]);
    run("random.safetensors", &["--epochs", "1", "--initialisation", "random", "--one-in", "2"]);
    run("half.safetensors", &["--epochs", "1", "--last-half", "--insertion", "attention"]);
    run("judge", &["--epochs", "2", "--separate"]);
    let path = |name: &str| -> PathBuf { folder.path().join(name) };
    let output = Command::new(env!("CARGO_BIN_EXE_tiller"))
        .args(["eval", "reward", "--prompts", "2", "--tokens", "6", "--candidates", "4"])
        .arg("--base")
        .arg(path("base"))
        .arg("--adapter")
        .arg(path("mirror.safetensors"))
        .arg("--separate")
        .arg(path("judge"))
        .arg("--others")
        .args([path("random.safetensors"), path("half.safetensors")])
        .arg("--pairs")
        .arg(path("pairs.jsonl"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for line in [
        "mirror, attention and MLP, width",
        "random, attention and MLP, width",
        "attention only, from layer 1",
        "a model of its own",
        "greedy over candidate rows",
        "separate model, strength 2",
        "adapter, strength 1",
        "within 2 points of the separate model",
        "mirror initialisation at least as good as random",
        "of the extra space saved on this base",
    ] {
        assert!(text.contains(line), "{line} is missing in:\n{text}");
    }
    // Where nothing was rewarded, nothing was changed.
    assert!(text.contains("holds  at strength 0 the replies are the plain ones"), "{text}");
}

#[test]
fn a_table_that_trains_what_it_needs_is_taken_up_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    reward_stage(folder.path());
    let shipped = ["--epochs", "1", "--prefixes", "2", "--one-in", "2"];
    assert!(learn(folder.path(), "fox.safetensors", &shipped).status().unwrap().success());
    let small = "--steps 2 --batch 4 --separate-steps 2 --most 8 --prompts 1 --tokens 3 \
                 --candidates 3 --strengths 1 --shape tiny";
    let table = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tiller"));
        command.args(["eval", "reward"]).args(small.split_whitespace());
        for (name, file) in [
            ("--base", "base"),
            ("--adapter", "fox.safetensors"),
            ("--learn", "table"),
            ("--training", "pairs.jsonl"),
            ("--pairs", "pairs.jsonl"),
            ("--broken", "pairs.jsonl"),
            ("--realistic", "table"),
        ] {
            command.arg(name).arg(folder.path().join(file));
        }
        let output = command.env("RAYON_NUM_THREADS", "1").output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let first = table();
    for begin in ["mirror", "random", "zero"] {
        for place in
            ["attention and MLP", "attention only", "MLP only", "attention and MLP, from layer 1"]
        {
            let row = format!("{begin}, {place}, width");
            let is_row = |line: &&str| line.starts_with(&row) && line.contains("2 steps of 4");
            let found = first.lines().filter(is_row).count();
            assert_eq!(found, 1, "{row}: {first}");
        }
    }
    for line in [
        "training a reward model of its own on 8 pairs, 2 steps of 4",
        "at the faulty token",
        "space saved",
        "2 steps of 4",
        "mirror initialisation at least as good as random after 2 steps",
        "rewards shown cost at most 20 % a token on this base",
        "of the extra time saved at a tiny shape",
    ] {
        assert!(first.contains(line), "{line} is missing in:\n{first}");
    }
    assert!(!names(&folder.path().join("table")).iter().any(|name| name.contains("activations")));
    // Again nothing is trained or measured: the very same rows, times included.
    let again = table();
    let rows = |text: &str| -> Vec<String> {
        let is_row = |line: &&str| !line.starts_with("  ") && !line.starts_with("training ");
        text.lines().filter(is_row).map(str::to_owned).collect()
    };
    assert_eq!(rows(&again), rows(&first));
    assert!(!again.contains("numbers to train") && again.lines().count() < first.lines().count());
}
