//! `tiller vector`, through the program itself.

use std::process::{Command, Output, Stdio};

use safetensors::SafeTensors;

use super::{changed, golden};

fn tiller(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tiller"))
        .arg("vector")
        .args(args)
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[track_caller]
fn done(args: &[&str]) -> String {
    let output = tiller(args);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{args:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn complaint(args: &[&str], code: i32) -> String {
    let output = tiller(args);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("tiller: "), "{said}");
    said
}

#[test]
fn extract_info_and_merge_go_round() {
    let home = tempfile::tempdir().unwrap();
    let aligned = changed("llama-sharded", None, super::trained);
    let base = golden("families/llama-sharded");
    let (base, aligned_path) = (base.to_str().unwrap(), aligned.path().to_str().unwrap());
    let path = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let (full, small, merged) = (path("full.safetensors"), path("small.safetensors"), path("m"));
    let said =
        done(&["extract", "--base", base, "--aligned", aligned_path, "--full", "--out", &full]);
    assert!(said.contains("tensors differ") && said.contains("full.safetensors"), "{said}");
    let ranked =
        ["extract", "--base", base, "--aligned", aligned_path, "--rank", "3", "--out", &small];
    let said = done(&[&ranked[..], &["--precision", "f16", "--domain", "medical"]].concat());
    assert!(said.contains("least kept"), "{said}");
    let said = done(&["info", &small]);
    for word in ["medical", "low-rank", "rank 3", "keeps", "llama-sharded", "norm "] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let vector = format!("{full}:1");
    done(&["merge", "--base", base, "--vector", &vector, "--out", &merged]);
    let shard = "model-00001-of-00003.safetensors";
    let bytes = [aligned.path().join(shard), home.path().join("m").join(shard)]
        .map(|path| std::fs::read(path).unwrap());
    let [wanted, found] =
        [&bytes[0], &bytes[1]].map(|bytes| SafeTensors::deserialize(bytes).unwrap());
    for (name, view) in wanted.tensors() {
        // A sum cannot say minus zero in bf16.
        let plain = |bytes: &[u8]| {
            bytes
                .chunks(2)
                .map(|b| if b == [0, 128] { [0; 2] } else { [b[0], b[1]] })
                .collect::<Vec<_>>()
        };
        assert!(plain(view.data()) == plain(found.tensor(&name).unwrap().data()), "{name}");
    }

    let other = golden("families/llama");
    let line = complaint(
        &["merge", "--base", other.to_str().unwrap(), "--vector", &full, "--out", &path("n")],
        1,
    );
    assert!(
        line.contains("full.safetensors") && line.contains("made with llama-sharded"),
        "{line}"
    );
    let line = complaint(
        &["merge", "--base", base, "--vector", &format!("{full}:9"), "--out", &path("n")],
        2,
    );
    assert!(line.contains("strength of 9"), "{line}");
    complaint(
        &["extract", "--base", base, "--aligned", aligned_path, "--rank", "0", "--out", &small],
        2,
    );
    let line = complaint(&["info", base], 1);
    assert!(line.contains("adapter_config.json"), "{line}");
    let line = complaint(&["info", &format!("{base}/model-00001-of-00003.safetensors")], 1);
    assert!(line.contains("no alignment vector"), "{line}");
}

#[test]
fn import_writes_down_the_base() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("legal.safetensors");
    let (base, adapter) = (golden("families/llama"), golden("peft/saved"));
    let (base, adapter, file) =
        (base.to_str().unwrap(), adapter.to_str().unwrap(), out.to_str().unwrap());
    let said = done(&["import", adapter, "--out", file]);
    assert!(said.contains("--base"), "{said}");
    assert!(done(&["info", file]).contains("saved whole"));
    done(&["import", adapter, "--base", base, "--out", file, "--domain", "legal"]);
    let said = done(&["info", file]);
    for word in ["legal", "lora", "Base fingerprint", "full"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let folder = home.path().join("apart");
    let plain = golden("peft/plain");
    let folder = folder.to_str().unwrap();
    done(&["share", file, plain.to_str().unwrap(), "--out", folder]);
    assert!(done(&["info", &format!("{folder}/shared.safetensors")]).contains("the mean of"));
    assert!(done(&["info", &format!("{folder}/plain-apart.safetensors")]).contains("without what"));
    let left = home.path().join("left.safetensors");
    let left = left.to_str().unwrap();
    done(&["orthogonalise", file, "--against", plain.to_str().unwrap(), "--out", left]);
    assert!(done(&["info", left]).contains("without its component"));
    let baked = home.path().join("baked.safetensors");
    let baked = baked.to_str().unwrap();
    done(&["ties", file, plain.to_str().unwrap(), "--density", "0.5", "--out", baked]);
    assert!(done(&["info", baked]).contains("TIES at density 0.5"));
    done(&["dare", file, "--drop", "0.5", "--out", baked]);
    assert!(done(&["info", baked]).contains("DARE of legal"));
    let line = complaint(&["dare", file, "--drop", "1", "--out", baked], 1);
    assert!(line.contains("legal.safetensors"), "{line}");
}
