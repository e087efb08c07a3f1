//! LoRA adapters as PEFT writes them, through the window's dialog and dropped on it, over a real model:
//! what is taken acts, what is refused is refused by file and key, and the talk goes on.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use serde_json::{Value, json};
use tiller::engine::Recipe;

use super::stage::{Setup, Stage};
use crate::small_model::model;

/// Made by PEFT for the model of these tests.
fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/peft/factors-on-qwen")
}

const A: &str = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";

type Tensors = HashMap<String, Tensor>;

/// A copy of that adapter, changed.
fn adapter(
    stage: &Stage,
    name: &str,
    config: impl FnOnce(&mut Value),
    tensors: impl FnOnce(&mut Tensors),
) -> PathBuf {
    let folder = stage.path().join(name);
    std::fs::create_dir(&folder).unwrap();
    let text = std::fs::read(golden().join("adapter_config.json")).unwrap();
    let mut read: Value = serde_json::from_slice(&text).unwrap();
    config(&mut read);
    std::fs::write(folder.join("adapter_config.json"), read.to_string()).unwrap();
    let file = "adapter_model.safetensors";
    let mut all = candle_core::safetensors::load(golden().join(file), &Device::Cpu).unwrap();
    tensors(&mut all);
    candle_core::safetensors::save(&all, folder.join(file)).unwrap();
    folder
}

fn open() -> (tempfile::TempDir, Stage) {
    let (home, folder) = model();
    (home, Stage::open(Setup { checkpoint: Some(folder), ..Setup::default() }))
}

#[test]
fn an_adapter_is_chosen_in_the_dialog_dialled_and_acts() {
    let (_home, mut stage) = open();
    let folder = adapter(&stage, "calm", |_| (), |_| ());
    *stage.answer.lock().unwrap() = Some(folder.join("adapter_config.json"));
    stage.click("Add vector…");
    stage.until("it is on the list", |stage| stage.sees("Remove Calm"));
    assert_eq!(stage.slider("Calm"), 0.0, "off until it is turned up");
    stage.click("Vector menu");
    stage.click("Measure distance from the base");
    stage.set_slider("Longest reply", 12.0);
    stage.talk("Hello");
    stage.set_slider("Calm", 1.0);
    stage.talk("Hello");
    stage.until("it acts, and how far is measured", |stage| {
        stage.shows("nats per token over") && !stage.shows("0.000 nats per token")
    });

    let folder = stage.close();
    let database = rusqlite::Connection::open(folder.path().join("tiller.db")).unwrap();
    let sql = "SELECT recipe FROM node WHERE role = 'assistant' ORDER BY id";
    let mut rows = database.prepare(sql).unwrap();
    let recipes: Vec<Recipe> = rows
        .query_map([], |row| row.get::<_, String>(0))
        .unwrap()
        .map(|recipe| serde_json::from_str(&recipe.unwrap()).unwrap())
        .collect();
    let vectors: Vec<usize> = recipes.iter().map(|recipe| recipe.vectors.len()).collect();
    assert_eq!(vectors, [0, 1]);
    assert!(recipes[1].vectors[0].path.ends_with("calm"), "{:?}", recipes[1].vectors);
}

/// `tiller vector merge` from the window: the model as it is dialled, written beside the others.
#[test]
fn the_model_as_it_is_dialled_is_written_and_opened() {
    let (home, mut stage) = open();
    let folder = adapter(&stage, "calm", |_| (), |_| ());
    stage.drop_files(std::slice::from_ref(&folder));
    stage.until("it is on the list", |stage| stage.sees("Remove Calm"));
    stage.palette("Make vector…");
    stage.click("Merged model");
    assert!(stage.shows("No vector is dialled"), "{}", stage.text());
    stage.press(egui::Modifiers::NONE, egui::Key::Escape);
    stage.set_slider("Calm", 0.5);
    stage.palette("Make vector…");
    stage.type_into("Model name", "small and calm");
    stage.click("Write the model");
    stage.until("it is written", |stage| stage.sees("Open it"));
    let written = stage.path().join("models/small and calm");
    let both = |path: &Path| std::fs::read(path.join("model.safetensors")).unwrap();
    assert!(both(&written) != both(&home.path().join("small")), "the vector is in it");
    assert!(written.join("tokenizer.json").is_file());
    stage.click("Open it");
    stage.until("it is the model now", |stage| stage.sees("small and calm") && stage.sees("Ready"));
    stage.set_slider("Longest reply", 4.0);
    stage.talk("Hello");
    assert!(stage.sees("Ready"));
}

#[test]
fn what_is_no_adapter_for_this_model_is_refused_by_file_and_key_and_the_talk_goes_on() {
    let (_home, mut stage) = open();
    stage.set_slider("Longest reply", 6.0);
    let zeros = |rows, columns| Tensor::zeros((rows, columns), DType::F32, &Device::Cpu).unwrap();
    let with = |stage: &Stage, name: &str, tensor: Tensor| {
        adapter(stage, name, |_| (), |all| drop(all.insert(A.into(), tensor)))
    };
    let columns = {
        let file = golden().join("adapter_model.safetensors");
        candle_core::safetensors::load(file, &Device::Cpu).unwrap()[A].dim(1).unwrap()
    };
    let nan = Tensor::full(f32::NAN, (4, columns), &Device::Cpu).unwrap();
    let refused: [(PathBuf, &[&str]); 7] = [
        (
            adapter(&stage, "pissa", |config| config["init_lora_weights"] = json!("pissa"), |_| ()),
            &["init_lora_weights", "pissa"],
        ),
        (
            adapter(&stage, "dora", |config| config["use_dora"] = json!(true), |_| ()),
            &["use_dora", "dora"],
        ),
        (
            adapter(&stage, "half", |_| (), |all| drop(all.remove(A))),
            &["half", "q_proj.lora_A.weight"],
        ),
        (with(&stage, "misfit", zeros(4, columns + 1)), &["misfit", "q_proj.weight"]),
        (with(&stage, "nowhere-finite", nan), &["nowhere-finite", A, "not finite"]),
        (
            adapter(
                &stage,
                "elsewhere",
                |_| (),
                |all| {
                    let other = A.replace("layers.0", "layers.40");
                    for part in ["lora_A", "lora_B"] {
                        all.insert(other.replace("lora_A", part), zeros(4, 4));
                    }
                },
            ),
            &["elsewhere", "layers.40"],
        ),
        (
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/peft/transposed"),
            &["transposed", "transformer.h.0"],
        ),
    ];
    for (number, (folder, words)) in refused.iter().enumerate() {
        if number % 2 == 0 {
            stage.drop_files(std::slice::from_ref(folder));
        } else {
            *stage.answer.lock().unwrap() = Some(folder.join("adapter_model.safetensors"));
            stage.click("Add vector…");
        }
        stage.until(&format!("{words:?} is said"), |stage| {
            words.iter().all(|word| stage.shows(word))
        });
        assert!(!stage.shows("Remove "), "{} came onto the list", folder.display());
    }
    stage.talk("Still there?");
    assert!(stage.sees("Ready"));
}
