//! `tiller eval guidance` from its first line to its bars, at the smallest size, and once more from
//! the replies it kept.

use std::path::{Path, PathBuf};
use std::process::Command;

use tiller::model::checkpoint::Checkpoint;
use tiller::model::value::{self, HeadFacts, ValueHead};
use tiller::model::vector::file::{self, Precision};
use tiller::model::vector::{Facts, Part, Vector};

fn starter(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/starter").join(folder)
}

/// A vector that moves the guide, if to nowhere in particular.
fn write_vector(path: &Path) {
    let guide = Checkpoint::open(&starter("guide")).unwrap();
    let name = "model.layers.0.self_attn.v_proj.weight";
    let shape = guide.tensors[name].shape.clone();
    let values = (0..shape.iter().product::<usize>()).map(|at| (at % 7) as f32 * 0.05 - 0.15);
    let part = Part::Full { values: values.collect(), shape };
    let vector = Vector {
        name: "anywhere".into(),
        base_fingerprint: Some(guide.fingerprint()),
        base_name: guide.name.clone(),
        parts: [(name.to_owned(), part)].into(),
    };
    file::write(path, &vector, &Facts::default(), Precision::F32).unwrap();
}

/// A head on the base, as good as any.
fn write_scorer(path: &Path) {
    let base = Checkpoint::open(&starter("")).unwrap();
    let width = base.config["hidden_size"].as_u64().unwrap();
    let weight = (0..width).map(|at| (at % 5) as f32 - 2.0).collect();
    let facts = HeadFacts {
        trunk_name: base.name.clone(),
        trunk_fingerprint: base.fingerprint(),
        trunk_path: starter(""),
        how_made: "by hand".into(),
        ..HeadFacts::default()
    };
    value::write(path, &ValueHead::scalar(weight), &facts).unwrap();
}

#[test]
fn rows_come_as_they_are_measured_and_kept_replies_are_taken_up() {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name);
    let (vector, scorer, replies) =
        (path("v.safetensors"), path("s.safetensors"), path("replies.jsonl"));
    write_vector(&vector);
    write_scorer(&scorer);
    let run = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tiller"));
        command.current_dir(env!("CARGO_MANIFEST_DIR")).args(["eval", "guidance"]);
        command.arg("--vector").arg(&vector).arg("--scorer").arg(&scorer);
        command.arg("--replies").arg(&replies).args(["--prompts", "2", "--seeds", "1"]);
        command.args(["--tokens", "5", "--beam-width", "2", "--successors", "2"]);
        command.args(["--chunk-length", "2", "--args-candidates", "2"]).args(more);
        command.output().unwrap()
    };
    let table = |output: &std::process::Output| -> Vec<String> {
        let said = String::from_utf8(output.stdout.clone()).unwrap();
        let rows = said.lines().skip_while(|line| !line.starts_with("system"));
        rows.map(str::to_owned).collect()
    };
    let first = run(&["--workers", "2", "--systems", "base", "eft", "ivg"]);
    let complaint = String::from_utf8_lossy(&first.stderr).into_owned();
    let rows = table(&first);
    let names: Vec<&str> = rows.iter().filter_map(|row| row.split("  ").next()).collect();
    assert_eq!(names[..4], ["system", "base", "EFT", "IVG"], "{rows:?} {complaint}");
    assert!(rows[1].contains("inf") || rows[1].contains('±'), "an interval: {}", rows[1]);
    let kept = std::fs::read_to_string(&replies).unwrap();
    assert_eq!(kept.lines().count(), 1 + 3 * 2, "{kept}");

    // Nothing is said again, so every figure is the same; another system is added.
    let again = run(&["--systems", "base", "eft", "ivg", "cbs-explicit"]);
    let said = String::from_utf8_lossy(&again.stdout).into_owned();
    assert!(said.contains("6 replies taken up"), "{said}");
    assert_eq!(table(&again)[..4], rows[..4]);
    assert!(table(&again)[4].starts_with("CBS, explicit"), "{said}");

    let other = run(&["--systems", "base", "--beta", "0.5"]);
    let complaint = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(complaint.contains("other models or settings"), "{complaint}");
    assert_eq!(complaint.lines().filter(|line| line.starts_with("tiller: ")).count(), 1);
}
