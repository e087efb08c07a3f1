//! The headless verbs, through the program itself, over a golden checkpoint with a tokenizer.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use candle_core::{Device, Tensor};
use serde_json::Value;
use tempfile::TempDir;
use tiller::engine::{Recipe, ReplyTimings, StopReason};
use tiller::model::load::Checkpoints;
use tiller::model::{LoadOptions, Loader, Wanted};
use tiller::session::TokenTrace;
use tiller::steer::Plan;

use super::small_model::{id_of, model};

fn tiller(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tiller"));
    command.args(args);
    for variable in ["DISPLAY", "WAYLAND_DISPLAY", "RUST_LOG"] {
        command.env_remove(variable);
    }
    command
}

fn run(args: &[&str]) -> Output {
    tiller(args).stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The one line an unhappy end leaves on standard error.
fn complaint(output: &Output, code: i32) -> String {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    let lines: Vec<&str> = said.lines().filter(|line| line.starts_with("tiller: ")).collect();
    assert_eq!(lines.len(), 1, "{said}");
    assert_eq!(said.lines().last(), Some(lines[0]), "{said}");
    lines[0].to_owned()
}

#[test]
fn say_streams_a_reply_and_the_seed_decides_it() {
    let (_home, folder) = model();
    let folder = folder.to_str().unwrap();
    let say = |seed: &str| {
        run(&["say", "Hello", "--model", folder, "--max-tokens", "12", "--seed", seed])
    };
    let first = say("1");
    assert!(first.status.success(), "{}", text(&first.stderr));
    let reply = text(&first.stdout);
    assert!(reply.ends_with('\n') && reply.trim_end_matches('\n').len() <= 12, "{reply:?}");
    assert_eq!(text(&say("1").stdout), reply);
    assert_ne!(text(&say("2").stdout), reply);
    let said = text(&first.stderr);
    assert!(said.contains("small: CPU") && said.contains("weights "), "{said}");
    assert!(said.contains("tokens"), "{said}");
}

#[test]
fn say_json_gives_every_token_and_a_recipe_that_holds() {
    let (home, folder) = model();
    let plan = home.path().join("plan.toml");
    std::fs::write(&plan, "seed = 5\nmax-tokens = 9\n[sampling]\ntop-k = 20\n").unwrap();
    let (folder, plan) = (folder.to_str().unwrap(), plan.to_str().unwrap());
    let output = run(&["say", "Hi", "--json", "--model", folder, "--plan", plan]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let out = text(&output.stdout);
    let lines: Vec<&str> = out.lines().collect();
    let (last, tokens) = lines.split_last().unwrap();
    let traces: Vec<TokenTrace> =
        tokens.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    for trace in &traces {
        assert_eq!(trace.alternatives.len(), 10);
        assert!(trace.logprob <= 0.0 && trace.entropy > 0.0);
    }
    let last: Value = serde_json::from_str(last).unwrap();
    let recipe: Recipe = serde_json::from_value(last["recipe"].clone()).unwrap();
    let timings: ReplyTimings = serde_json::from_value(last["timings"].clone()).unwrap();
    let stop: StopReason = serde_json::from_value(last["stop"].clone()).unwrap();
    assert_eq!(timings.reply_tokens, traces.len());
    assert!(matches!(stop, StopReason::MaxTokens | StopReason::EndOfText), "{stop:?}");
    let plan: Plan = toml::from_str(&recipe.plan).unwrap();
    assert_eq!((plan.seed, plan.max_tokens, plan.sampling.top_k), (5, Some(9), 20));
    assert!(!recipe.model_fingerprint.is_empty() && !recipe.template_fingerprint.is_empty());
    assert!(recipe.device.starts_with("CPU"), "{}", recipe.device);

    let joined: String = traces.iter().map(|trace| trace.text.as_str()).collect();
    let plain = run(&["say", "Hi", "--model", folder, "--seed", "5", "--plan", plan_of(&home)]);
    assert_eq!(text(&plain.stdout), joined + "\n", "as text it is the same reply");
}

fn plan_of(home: &TempDir) -> &'static str {
    Box::leak(home.path().join("plan.toml").to_str().unwrap().to_owned().into_boxed_str())
}

#[test]
fn say_reads_standard_input_and_raw_leaves_the_template_out() {
    let (_home, folder) = model();
    let folder = folder.to_str().unwrap();
    let count = |args: &[&str], input: &str| {
        let all = [&["say", "-", "--json", "--max-tokens", "1", "--model", folder], args].concat();
        let mut child = tiller(&all)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let last: Value =
            serde_json::from_str(text(&output.stdout).lines().last().unwrap()).unwrap();
        last["timings"]["prompt_tokens"].as_u64().unwrap()
    };
    assert_eq!(count(&["--raw"], "abcde\n"), 5);
    let chat = "user: abcde".len() + 1 + "assistant: ".len();
    assert_eq!(count(&[], "abcde"), chat as u64);
    let system = "system: be brief".len() + 1;
    assert_eq!(count(&["--system", "be brief"], "abcde"), (chat + system) as u64);
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let (_home, folder) = model();
    let args =
        ["say", "Hello", "--json", "--max-tokens", "80", "--model", folder.to_str().unwrap()];
    let mut child = tiller(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    drop(reader);
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{said}");
    assert!(!said.contains("tiller:"), "{said}");
}

#[test]
#[cfg(unix)]
fn ctrl_c_ends_a_reply_cleanly() {
    let (_home, folder) = model();
    let plan = folder.join("plan.toml");
    // Nothing but the context ends it, and that is far away.
    std::fs::write(&plan, "[sampling]\nlogit-bias = { \"2\" = -inf }\n").unwrap();
    let args = ["say", "Hello", "--json", "--context", "100000"];
    let mut child = tiller(&args)
        .args(["--plan".as_ref(), plan.as_os_str(), "--model".as_ref(), folder.as_os_str()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let mut rest = String::new();
    reader.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let last: Value = serde_json::from_str(rest.lines().last().unwrap()).unwrap();
    assert_eq!(last["stop"], "stopped");
}

#[test]
fn probe_writes_what_the_runner_gives() {
    let (home, folder) = model();
    let out = home.path().join("numbers.safetensors");
    let ids: Vec<u32> = (0..200).map(|i| (i * 7) % 96).collect();
    let listed = ids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    let (folder_text, out_text) = (folder.to_str().unwrap(), out.to_str().unwrap());
    let output = run(&[
        "probe",
        "--model",
        folder_text,
        "--context",
        "256",
        "--ids",
        &listed,
        "--out",
        out_text,
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));

    let options = LoadOptions { context_length: Some(256), ..LoadOptions::default() };
    let mut model = Checkpoints.load(&folder, &options, &mut |_, _| true).unwrap();
    let (mut logits, mut hidden) = (Vec::new(), Vec::new());
    for chunk in ids.chunks(128) {
        let step = model.runner.prefill(chunk, Wanted::All).unwrap();
        logits.extend(step.logits);
        hidden.extend(step.hidden);
    }
    let file = candle_core::safetensors::load(&out, &Device::Cpu).unwrap();
    let flat = |name: &str| file[name].flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(file["ids"].to_vec1::<u32>().unwrap(), ids);
    assert_eq!(file["logits"].dims(), [200, model.runner.vocab_size()]);
    assert_eq!(file["hidden"].dims(), [200, model.runner.hidden_size()]);
    assert_eq!(flat("logits"), logits);
    assert_eq!(flat("hidden"), hidden);
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 2, "no temporary file stays");

    let words = home.path().join("words.safetensors");
    let words = words.to_str().unwrap();
    let output = run(&["probe", "--model", folder_text, "--text", "ab", "--out", words]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let ids: Tensor = candle_core::safetensors::load(words, &Device::Cpu).unwrap()["ids"].clone();
    assert_eq!(ids.to_vec1::<u32>().unwrap(), [id_of('a'), id_of('b')]);
}

#[test]
fn inspect_tells_what_it_is_or_why_not() {
    let (home, folder) = model();
    let output = run(&["inspect", folder.to_str().unwrap(), "--tensors"]);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    for part in ["qwen2", "Parameters", "Memory, weights f32", "q8_0", "tokenizer_config.json"] {
        assert!(said.contains(part), "no {part} in {said}");
    }
    assert!(said.contains("model.layers.1.mlp.down_proj.weight  "), "{said}");
    assert!(!said.contains("System prompt"), "{said}");

    let template = folder.join("tokenizer_config.json");
    let known = std::fs::read_to_string(&template).unwrap();
    let refuses = "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}";
    let refusing = known.replacen("{% for", &format!("{refuses}{{% for"), 1);
    std::fs::write(&template, refusing).unwrap();
    let said = text(&run(&["inspect", folder.to_str().unwrap()]).stdout);
    assert!(said.contains("System prompt") && said.contains("before the first message"), "{said}");

    let config = folder.join("config.json");
    let known = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, known.replace("\"qwen2\"", "\"zebra\"")).unwrap();
    let refused = complaint(&run(&["inspect", folder.to_str().unwrap()]), 1);
    assert!(refused.contains("zebra") && refused.contains("gemma2"), "{refused}");
    let nothing = home.path().join("nothing");
    assert!(complaint(&run(&["inspect", nothing.to_str().unwrap()]), 1).contains("nothing"));
}

#[test]
fn doctor_reports_devices_folders_and_models() {
    let (home, folder) = model();
    let hub = home.path().join("hub/models--org--thing/snapshots/abc");
    std::fs::create_dir_all(&hub).unwrap();
    std::fs::write(hub.join("config.json"), r#"{"model_type":"whisper"}"#).unwrap();
    std::fs::write(hub.join("model.safetensors"), [0; 8]).unwrap();
    let rewards = folder.join("rewards");
    std::fs::create_dir(&rewards).unwrap();
    super::reward::adapter(&folder, &rewards);
    let output = tiller(&["doctor"])
        .env("HOME", home.path())
        .env("TILLER_DATA_DIR", home.path().join("data"))
        .env("HF_HUB_CACHE", home.path().join("hub"))
        .env("TILLER_STARTER", &folder)
        .output()
        .unwrap();
    let said = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    for part in ["CPU", "cuda", "bundled", "rewards of civil  ", "whisper", "Passed over"] {
        assert!(said.contains(part), "no {part} in {said}");
    }
    assert!(said.contains(home.path().join("data").to_str().unwrap()), "{said}");
}

#[test]
fn a_wrong_command_line_is_code_2_and_one_line() {
    let (home, folder) = model();
    let folder = folder.to_str().unwrap();
    for args in [
        &["sing"][..],
        &["say"],
        &["say", "x", "--seed", "many"],
        &["say", "x", "--raw", "--system", "s"],
        &["probe", "--model", folder, "--out", "x"],
        &["probe", "--model", folder, "--out", "x", "--ids", "1", "--text", "t"],
        &["probe", "--model", folder, "--out", "x", "--text", ""],
        &["inspect"],
    ] {
        let said = complaint(&run(args), 2);
        assert!(said.len() < 400, "{args:?}: {said}");
    }
    let plan = home.path().join("bad.toml");
    std::fs::write(&plan, "seed = 1\ntemperatur = 2\n").unwrap();
    let said =
        complaint(&run(&["say", "x", "--model", folder, "--plan", plan.to_str().unwrap()]), 2);
    assert!(said.contains("line 2") && said.contains("temperatur"), "{said}");
    let help = run(&["--help"]);
    assert!(help.status.success() && text(&help.stdout).contains("say"));
}

#[test]
fn anything_else_that_fails_is_code_1_and_one_line() {
    let (home, folder) = model();
    let path = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let good = folder.to_str().unwrap();
    std::fs::write(path("broken.gguf"), b"GGUF\x03\x00\x00\x00trash").unwrap();
    std::fs::write(path("model.bin"), b"pickle").unwrap();
    let weights = folder.join("model.safetensors");
    let whole = std::fs::read(&weights).unwrap();
    for (model, hint) in
        [("missing", "missing"), ("broken.gguf", "broken.gguf"), ("model.bin", "pickle")]
    {
        let said = complaint(&run(&["say", "x", "--model", &path(model)]), 1);
        assert!(said.contains(hint), "{said}");
    }
    let said = complaint(&run(&["say", "x", "--model", good, "--device", "abacus"]), 1);
    assert!(said.contains("abacus"), "{said}");
    let said = complaint(&run(&["say", "x", "--model", good, "--weights", "q1"]), 1);
    assert!(said.contains("q1"), "{said}");
    let said = complaint(&run(&["say", "x", "--model", good, "--temperature=-1"]), 1);
    assert!(said.contains("temperature"), "{said}");
    let long = "a".repeat(300);
    let said = complaint(&run(&["say", &long, "--model", good, "--context", "64"]), 1);
    assert!(said.contains("more than the context of 64"), "{said}");
    let out = path("no/such/folder/x.safetensors");
    let said = complaint(&run(&["probe", "--model", good, "--ids", "1", "--out", &out]), 1);
    assert!(said.contains("x.safetensors"), "{said}");
    let out = path("x.safetensors");
    let said = complaint(&run(&["probe", "--model", good, "--ids", "999", "--out", &out]), 1);
    assert!(said.contains("999") && !Path::new(&out).exists(), "{said}");
    std::fs::write(&weights, &whole[..whole.len() / 2]).unwrap();
    let said = complaint(&run(&["say", "x", "--model", good]), 1);
    assert!(said.contains("model.safetensors"), "{said}");
    let said = complaint(&run(&[]), 1);
    assert!(cfg!(target_os = "macos") || said.contains("tiller say"), "{said}");
}

/// A vector on disk for the small model: the final norm's weights, all a little larger.
fn norm_vector(folder: &Path, name: &str) -> std::path::PathBuf {
    use tiller::model::vector::file::{Precision, write};
    use tiller::model::vector::{Facts, Part, Vector};
    let part = Part::Full { shape: vec![48], values: vec![0.5; 48] };
    let parts = [("model.norm.weight".to_owned(), part)].into();
    let path = folder.join(name);
    let vector = Vector { name: name.into(), parts, ..Vector::default() };
    write(&path, &vector, &Facts::default(), Precision::F32).unwrap();
    path
}

#[test]
fn probe_and_say_take_vectors_at_strengths() {
    let (home, folder) = model();
    let folder = folder.to_str().unwrap();
    let path = norm_vector(home.path(), "larger: norm.safetensors");
    let vector = path.to_str().unwrap();
    let out = home.path().join("out.safetensors");
    let logits = |extra: &[&str]| -> Vec<f32> {
        let base = ["probe", "--ids", "5,6,7", "--out", out.to_str().unwrap(), "--model", folder];
        let output = run(&[&base, extra].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let written = candle_core::safetensors::load(&out, &Device::Cpu).unwrap();
        written["logits"].flatten_all().unwrap().to_vec1().unwrap()
    };
    let plain = logits(&[]);
    let at = |strength: &str| logits(&["--vector", &format!("{vector}:{strength}")]);
    assert_eq!(at("0"), plain);
    let whole = logits(&["--vector", vector]);
    assert_eq!(whole, at("1"));
    // Twice the half is the whole, whichever way it is said.
    let half = format!("{vector}:0.5");
    assert_eq!(logits(&["--vector", &half, "--vector", &half]), whole);
    let plan = home.path().join("vectors.toml");
    std::fs::write(&plan, format!("[[vectors]]\npath = '{vector}'\nstrength = 1.0\n")).unwrap();
    assert_eq!(logits(&["--plan", plan.to_str().unwrap()]), whole);
    let moved = plain.iter().zip(&whole).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(moved > 0.01, "{moved}");

    let say = |extra: &[&str]| {
        let base = ["say", "Hi", "--json", "--max-tokens", "3", "--model", folder];
        let output = run(&[&base, extra].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let out = text(&output.stdout);
        let last: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
        serde_json::from_value::<Recipe>(last["recipe"].clone()).unwrap()
    };
    assert!(say(&[]).vectors.is_empty());
    let recipe = say(&["--vector", &format!("{vector}:-0.5")]);
    assert_eq!((recipe.vectors.len(), recipe.vectors[0].path.as_path()), (1, path.as_path()));
    let plan: Plan = toml::from_str(&recipe.plan).unwrap();
    assert_eq!(plan.vectors[0].strength, -0.5);
}

/// The plan's mixture is in the numbers; what acts on a reply alone is refused rather than left out.
#[test]
fn probe_mixes_the_logits_of_two_models_as_its_plan_says() {
    use tiller::model::checkpoint::Checkpoint;
    use tiller::model::vector::merge::{Share, merge};
    let (home, folder) = model();
    let vector = norm_vector(home.path(), "norm.safetensors");
    let base = Checkpoint::open(&folder).unwrap();
    let aligned = home.path().join("aligned");
    let share = Share::open(&vector, 1.0, &base, true).unwrap();
    merge(&base, &[share], &aligned, &mut |_, _| true).unwrap();
    let (plan, out) = (home.path().join("plan.toml"), home.path().join("out.safetensors"));
    let probe = |model: &std::path::Path, toml: &str| {
        std::fs::write(&plan, toml).unwrap();
        let (plan, out) = (plan.to_str().unwrap(), out.to_str().unwrap());
        let model = model.to_str().unwrap();
        run(&["probe", "--ids", "5,6,7", "--out", out, "--model", model, "--plan", plan])
    };
    let logits = |model: &std::path::Path, toml: &str| -> Vec<f32> {
        let output = probe(model, toml);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let written = candle_core::safetensors::load(&out, &Device::Cpu).unwrap();
        written["logits"].flatten_all().unwrap().to_vec1().unwrap()
    };
    let mixture = |strength: &str| {
        format!("[mixture]\naligned = '{}'\nstrength = {strength}\n", aligned.display())
    };
    let (one, other) = (logits(&folder, ""), logits(&aligned, ""));
    assert_ne!(one, other);
    assert_eq!(logits(&folder, &mixture("0.0")), one);
    assert_eq!(logits(&folder, &mixture("1.0")), other);
    for ((mixed, one), other) in logits(&folder, &mixture("-0.5")).iter().zip(&one).zip(&other) {
        assert!((mixed - (1.5 * one - 0.5 * other)).abs() < 1e-5);
    }
    // At 0 the other model is not even looked for; else it is named.
    let absent = "[mixture]\naligned = '/nowhere/calm'\nstrength = ";
    assert_eq!(logits(&folder, &format!("{absent}0.0")), one);
    let said = complaint(&probe(&folder, &format!("{absent}0.5")), 1);
    assert!(said.contains("/nowhere/calm"), "{said}");
    let said = complaint(&probe(&folder, "[[stores]]\npath = 's'\nlambda = 0.5\n"), 1);
    assert!(said.contains("[[stores]]") && said.contains("plan.toml"), "{said}");
}

#[test]
fn a_wrong_vector_is_a_line_that_names_it() {
    let (home, folder) = model();
    let folder = folder.to_str().unwrap();
    let path = norm_vector(home.path(), "v.safetensors");
    let vector = path.to_str().unwrap();
    let say = |vector: &str| run(&["say", "Hi", "--model", folder, "--vector", vector]);
    let said = complaint(&say(&format!("{vector}:7")), 2);
    assert!(said.contains("strength of 7") && said.contains("v.safetensors"), "{said}");
    let said = complaint(&say("/nowhere/calm.safetensors:0.5"), 1);
    assert!(said.contains("/nowhere/calm.safetensors") && !said.contains(":0.5"), "{said}");
    let torn = home.path().join("torn.safetensors");
    std::fs::write(&torn, b"{}").unwrap();
    let said = complaint(&say(torn.to_str().unwrap()), 1);
    assert!(said.contains("torn.safetensors"), "{said}");
    let plan = home.path().join("plan.toml");
    std::fs::write(&plan, "[[vectors]]\npath = 'v'\nstrength = 99\n").unwrap();
    let output = run(&["say", "Hi", "--model", folder, "--plan", plan.to_str().unwrap()]);
    let said = complaint(&output, 2);
    assert!(said.contains("plan.toml") && said.contains("99"), "{said}");
}
