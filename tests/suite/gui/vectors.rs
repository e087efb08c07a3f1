//! The list of vectors: put on, dialled, turned off, undone, taken off; what is said against one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crossbeam_channel::bounded;
use egui::accesskit::{Role, Toggled};
use egui::{Event, Key, Modifiers, PointerButton, Pos2};
use egui_kittest::kittest::{NodeT, Queryable};
use egui_kittest::{Harness, SnapshotOptions};
use tiller::engine::Recipe;
use tiller::model::toy::ToyOptions;
use tiller::model::vector::file::{self, Precision};
use tiller::model::vector::{Calibration, Facts, SweepPoint, Vector, about};
use tiller::steer::{KvPolicy, Plan, VectorSetting};
use tiller::ui::engine_state::Divergence;
use tiller::ui::vectors::{Known, VectorsState, VectorsView, vectors_ui};

use super::stage::{Setup, Stage};

/// A vector of a domain, made with the toy of this name, calibrated or not.
fn vector(folder: &Path, domain: &str, base: &str, is_calibrated: bool) -> PathBuf {
    let path = folder.join(format!("{domain}.safetensors"));
    let vector = Vector {
        name: format!("{domain} of the toy"),
        base_fingerprint: Some(format!("toy:{base}")),
        base_name: base.into(),
        ..Vector::default()
    };
    let levels = [("avoidance", -0.9), ("generic", 0.1), ("expert", 1.0)];
    let calibration = is_calibrated.then(|| Calibration {
        level_centres: levels.map(|(name, at)| (name.to_owned(), at)).into(),
        safe_range: Some([-1.1, 1.2]),
        sweep: (-6..=6).map(|i| measured(f64::from(i) * 0.25)).collect(),
        leak: [("legal".to_owned(), 0.03), ("financial".to_owned(), -0.14)].into(),
    });
    let facts = Facts { domain: domain.into(), calibration, ..Facts::default() };
    file::write(&path, &vector, &facts, Precision::F32).unwrap();
    path
}

/// Levels follow each other along the strength; half of the answers are at the likeliest one.
fn measured(strength: f64) -> SweepPoint {
    let likeliest = if strength < -0.5 { 0 } else { 1 + usize::from(strength > 0.5) };
    let rate = |level: usize| if level == likeliest { 0.5 } else { 0.25 };
    let rates = ["avoidance", "generic", "expert"].map(str::to_owned).into_iter();
    SweepPoint { strength, rates: rates.zip((0..3).map(rate)).collect(), ..SweepPoint::default() }
}

fn add(stage: &mut Stage, path: &Path) {
    *stage.answer.lock().unwrap() = Some(path.to_path_buf());
    stage.click("Add vector…");
}

fn with_medical(setup: Setup) -> Stage {
    let mut stage = Stage::open(setup);
    let path = vector(stage.path(), "medical", "toy model", true);
    add(&mut stage, &path);
    stage.until("it is on the list", |stage| stage.sees("Remove Medical"));
    stage
}

#[test]
fn a_vector_is_put_on_the_list_dialled_reset_and_taken_off() {
    let mut stage = with_medical(Setup::default());
    assert_eq!(stage.slider("Medical"), 0.0, "off until it is turned up");
    assert!(!stage.sees("Reset Medical"));
    stage.set_slider("Medical", 0.65);
    assert_eq!(stage.slider("Medical"), 0.65);
    stage.click("Reset Medical");
    assert_eq!(stage.slider("Medical"), 0.0);
    stage.set_slider("Medical", -0.5);

    // The same file again is the same vector.
    let path = stage.path().join("medical.safetensors");
    add(&mut stage, &path);
    stage.until("it says so", |stage| stage.shows("“Medical” is on the list already"));
    stage.click("Remove Medical");
    assert!(!stage.sees("Remove Medical"));
    stage.click("Undo");
    stage.until("it is back as it was", |stage| stage.sees("Remove Medical"));
    assert_eq!(stage.slider("Medical"), -0.5);
}

#[test]
fn vectors_and_adapters_dropped_on_the_window_come_onto_the_list() {
    let mut stage = Stage::new();
    let legal = vector(stage.path(), "legal", "toy model", false);
    let adapter = stage.path().join("calm");
    std::fs::create_dir(&adapter).unwrap();
    std::fs::write(adapter.join("adapter_config.json"), r#"{"peft_type": "LORA"}"#).unwrap();
    stage.drop_files(&[legal, adapter]);
    stage.until("both are on the list", |stage| {
        stage.sees("Remove Legal") && stage.sees("Remove Calm")
    });
    assert_eq!((stage.slider("Legal"), stage.slider("Calm")), (0.0, 0.0));

    // What does not fit stays off the list, and one line says why; the talk goes on.
    let misfit = vector(stage.path(), "misfit", "toy model", false);
    stage.drop_files(&[misfit]);
    stage.until("it is refused", |stage| stage.shows("does not fit this model"));
    assert!(!stage.sees("Remove Misfit"), "{}", stage.text());
    stage.set_slider("Legal", 0.5);
    stage.talk("Still there?");
    assert!(stage.sees("Ready"));
}

#[test]
fn vectors_that_came_with_the_model_are_listed_and_stay_on_the_list() {
    let setup = Setup::without_model();
    let folder = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let model = folder.path().join("bundled");
    std::fs::create_dir_all(model.join("vectors")).unwrap();
    vector(&model.join("vectors"), "medical", "bundled", true);
    vector(&model.join("vectors"), "legal", "bundled", false);
    let mut stage = Stage::reopen(setup, folder);
    assert!(!stage.shows("Medical"));
    stage.drop_files(std::slice::from_ref(&model));
    stage.until("they are listed", |stage| stage.sees("Legal") && stage.sees("Medical"));
    assert_eq!((stage.slider("Legal"), stage.slider("Medical")), (0.0, 0.0));
    assert!(!stage.sees("Remove Medical") && !stage.shows("Made with"), "{}", stage.text());
    stage.set_slider("Medical", 0.75);
    stage.talk("What helps?");
    let path = model.join("vectors/medical.safetensors");
    stage.drop_files(&[path]);
    stage.until("it says so", |stage| stage.shows("“Medical” is on the list already"));

    let folder = stage.close();
    let database = rusqlite::Connection::open(folder.path().join("tiller.db")).unwrap();
    let sql = "SELECT recipe FROM node WHERE role = 'assistant'";
    let recipe: String = database.query_row(sql, [], |row| row.get(0)).unwrap();
    let recipe: Recipe = serde_json::from_str(&recipe).unwrap();
    let names: Vec<_> = recipe.vectors.iter().map(|vector| vector.name.as_str()).collect();
    assert_eq!(names, ["medical"], "the reply was steered by it alone");
}

#[test]
fn levels_are_chosen_for_several_domains_and_the_sliders_follow() {
    let mut stage = with_medical(Setup::default());
    assert!(!stage.sees("Levels"), "one vector is a slider");
    let legal = vector(stage.path(), "legal", "toy model", true);
    add(&mut stage, &legal);
    stage.until("it is on the list", |stage| stage.sees("Remove Legal"));
    stage.set_slider("Legal", 0.25);
    stage.click("Levels");
    assert!(!stage.sees("Set sliders"), "nothing is wanted yet");
    stage.harness.get_by_role_and_label(Role::ComboBox, "Medical").click();
    stage.settle();
    stage.click("avoidance");
    stage.click("Set sliders");
    let medical = stage.slider("Medical");
    assert!((-1.1..=-0.5).contains(&medical), "where avoidance is likeliest: {medical}");
    assert_eq!(stage.slider("Legal"), 0.25, "as it was");
    assert!(stage.shows("Expected in the worst domain: 50 %"), "{}", stage.text());
}

#[test]
fn changes_of_dials_can_be_undone_and_done_again() {
    let mut stage = with_medical(Setup::default());
    let pause = |stage: &mut Stage| stage.harness.run_steps(30);
    pause(&mut stage);
    stage.set_slider("Medical", 0.5);
    stage.set_slider("Medical", 0.8);
    pause(&mut stage);
    stage.set_slider("Temperature", 1.5);
    let undo = Modifiers::COMMAND | Modifiers::ALT;
    stage.press(undo, Key::Z);
    assert_eq!((stage.slider("Temperature"), stage.slider("Medical")), (0.0, 0.8));
    stage.press(undo, Key::Z);
    assert_eq!(stage.slider("Medical"), 0.0, "a drag is one change");
    stage.press(undo | Modifiers::SHIFT, Key::Z);
    stage.press(undo | Modifiers::SHIFT, Key::Z);
    assert_eq!((stage.slider("Temperature"), stage.slider("Medical")), (1.5, 0.8));
}

#[test]
fn all_can_be_turned_off_and_on_again() {
    let mut stage = with_medical(Setup::default());
    let legal = vector(stage.path(), "legal", "toy model", false);
    add(&mut stage, &legal);
    stage.until("both are there", |stage| stage.sees("Remove Legal"));
    let is_on = |stage: &Stage| {
        let switch = stage.harness.get_by_role_and_label(Role::CheckBox, "All vectors on");
        switch.accesskit_node().toggled() == Some(Toggled::True)
    };
    assert!(!is_on(&stage));
    stage.set_slider("Medical", 0.5);
    stage.set_slider("Legal", -1.0);
    assert!(is_on(&stage));
    stage.click("All vectors on");
    assert_eq!((stage.slider("Medical"), stage.slider("Legal")), (0.0, 0.0));
    stage.click("All vectors on");
    assert_eq!((stage.slider("Medical"), stage.slider("Legal")), (0.5, -1.0));
}

#[test]
fn a_drag_that_ends_near_the_middle_ends_in_it() {
    let mut stage = with_medical(Setup::default());
    let rail = stage.harness.get_by_role_and_label(Role::Slider, "Medical").rect();
    let at = |strength: f32| {
        let ends = rail.x_range().shrink(rail.height() / 2.5);
        Pos2::new(egui::lerp(ends.min..=ends.max, (strength + 1.5) / 3.0), rail.center().y)
    };
    let mut drag = |from: f32, to: f32| {
        let button = |pos, pressed| Event::PointerButton {
            pos,
            button: PointerButton::Primary,
            pressed,
            modifiers: Modifiers::NONE,
        };
        for event in [
            Event::PointerMoved(at(from)),
            button(at(from), true),
            Event::PointerMoved(at(to)),
            button(at(to), false),
        ] {
            stage.harness.event(event);
            stage.harness.step();
        }
        stage.settle();
        stage.slider("Medical")
    };
    assert_eq!(drag(0.0, 1.0), 1.0);
    assert_eq!(drag(1.0, 0.06), 0.0, "held by the detent");
    assert_eq!(drag(0.0, -0.2), -0.2);
    assert_eq!(drag(-0.2, 3.0), 1.2, "not beyond where language holds");
}

#[test]
fn a_drag_while_a_reply_is_written_is_previewed_and_then_made_exact() {
    let (pass, gate) = bounded(64);
    let toy = ToyOptions { gate: Some(gate), sentence: "a ".repeat(200), ..Default::default() };
    let mut stage = with_medical(Setup { toy, ..Setup::default() });
    stage.type_into("Message", "Go on");
    stage.press(Modifiers::NONE, Key::Enter);
    let tokens = |stage: &mut Stage, count: usize| {
        for _ in 0..count {
            pass.send(()).unwrap();
        }
        stage.until("the passes are made", |_| pass.is_empty());
    };
    tokens(&mut stage, 6);
    let rail = stage.harness.get_by_role_and_label(Role::Slider, "Medical").rect();
    let at = |share: f32| {
        Pos2::new(egui::lerp(rail.x_range().min..=rail.x_range().max, share), rail.center().y)
    };
    let button = |pos, pressed| Event::PointerButton {
        pos,
        button: PointerButton::Primary,
        pressed,
        modifiers: Modifiers::NONE,
    };
    for event in [
        Event::PointerMoved(at(0.5)),
        button(at(0.5), true),
        Event::PointerMoved(at(0.7)),
        Event::PointerMoved(at(0.8)),
    ] {
        stage.harness.event(event);
        stage.harness.step();
    }
    let strength = stage.slider("Medical");
    assert!(strength > 0.5, "{strength}");
    tokens(&mut stage, 6);
    stage.harness.event(button(at(0.8), false));
    stage.settle();
    tokens(&mut stage, 6);
    drop(pass);
    stage.until("it is written", |stage| !stage.harness.state().is_replying());
    assert!(stage.shows("read again"), "{}", stage.text());
    let folder = stage.close();
    let database = rusqlite::Connection::open(folder.path().join("tiller.db")).unwrap();
    let sql = "SELECT recipe FROM node WHERE role = 'assistant'";
    let recipe: String = database.query_row(sql, [], |row| row.get(0)).unwrap();
    let recipe: Recipe = serde_json::from_str(&recipe).unwrap();
    let plans: Vec<Plan> =
        recipe.plan_changes.iter().map(|(_, plan)| toml::from_str(plan).unwrap()).collect();
    let (last, previews) = plans.split_last().expect("the drag was taken up");
    assert!(!previews.is_empty(), "on the way too");
    assert!(previews.iter().all(|plan| plan.kv_policy == Some(KvPolicy::Keep)));
    assert_eq!(last.kv_policy, None, "the person's own policy when the hand lets go");
    assert_eq!(f64::from(last.vectors[0].strength), f64::from(strength as f32));
}

#[test]
fn what_speaks_against_a_vector_is_said_beside_it() {
    let mut stage = with_medical(Setup::default());
    stage.click("Leaks between domains");
    assert!(stage.shows("−14") && stage.shows("+3"), "{}", stage.text());
    stage.click("Leaks between domains");
    assert!(!stage.shows("−14"));
    stage.set_slider("Medical", 1.2);
    assert!(!stage.shows("where it was measured"));
    stage.set_slider("Medical", 1.3);
    assert_eq!(stage.slider("Medical"), 1.2, "held where language holds");
    stage.click("Vector menu");
    stage.click("Go beyond the measured range");
    stage.set_slider("Medical", 1.3);
    assert!(stage.shows("Beyond −1.10 to +1.20"), "{}", stage.text());
    stage.set_slider("Medical", -1.1);
    assert!(!stage.shows("Beyond −1.10"), "the zone begins behind it");
    stage.set_slider("Medical", -1.2);
    assert!(stage.shows("Beyond −1.10 to +1.20"), "below 0 too: {}", stage.text());

    let other = vector(stage.path(), "legal", "another toy", false);
    add(&mut stage, &other);
    stage.until("it says so", |stage| {
        stage.shows("Made with another toy; the model loaded is toy model")
    });
    stage.click("Use it anyway");
    assert!(!stage.shows("Made with another toy"));
    stage.set_slider("Legal", 1.1);
    assert!(stage.shows("nothing was measured"));

    // What is no vector does not come onto the list.
    let text = stage.path().join("notes.safetensors");
    std::fs::write(&text, "not tensors at all").unwrap();
    add(&mut stage, &text);
    stage.until("the error names the file", |stage| stage.shows("notes.safetensors"));
    assert!(!stage.sees("Remove notes"));
}

#[test]
fn a_model_is_mixed_in_and_the_distance_from_the_base_is_measured_on_demand() {
    let mut stage = Stage::new();
    stage.click("Vector menu");
    stage.click("Mix with an aligned model");
    *stage.answer.lock().unwrap() = Some(PathBuf::from("other toy"));
    stage.click("Another model…");
    stage.until("it is in memory", |stage| stage.shows("two passes for every token"));
    assert_eq!(stage.slider("Mixed with other toy"), 0.0);
    stage.set_slider("Mixed with other toy", 0.5);
    stage.click("Vector menu");
    stage.click("Measure distance from the base");
    assert!(stage.shows("Takes a second pass"), "said before it is paid");
    stage.talk("How far?");
    stage.until("it was measured", |stage| stage.shows("nats per token over"));
    assert!(stage.shows("0.000 nats per token"), "all toys are one: {}", stage.text());
    stage.click("Remove mixture");
    assert!(!stage.sees("Remove mixture"));
    stage.press(Modifiers::COMMAND | Modifiers::ALT, Key::Z);
    assert_eq!(stage.slider("Mixed with other toy"), 0.5, "the dial comes back with undo");
    stage.until("and says how", |stage| stage.shows("Loaded with the next reply"));

    // One that cannot be loaded is refused beside its slider, and the talk goes on.
    stage.click("Remove mixture");
    stage.click("Vector menu");
    stage.click("Mix with an aligned model");
    *stage.answer.lock().unwrap() = Some(PathBuf::from("broken toy"));
    stage.click("Another model…");
    stage.until("it is refused", |stage| stage.shows("this toy is broken"));
    stage.talk("Still there?");
    assert!(stage.sees("Ready"));
}

#[test]
fn a_vector_is_made_in_a_dialog_and_comes_onto_the_list() {
    let mut stage = Stage::new();
    stage.palette("Make vector…");
    stage.until("the loaded model is the base", |stage| stage.shows("toy model"));
    assert!(stage.shows("Name the aligned model"), "{}", stage.text());
    // A base that is no checkpoint is said in one line.
    stage.type_into("Aligned model", "nowhere");
    stage.type_into("Vector name", "Calm");
    assert!(stage.shows("Calm.safetensors"), "where it will lie");
    stage.click("Make the vector");
    stage.until("it is refused", |stage| stage.shows("there is nothing to open"));

    let (_folder, small) = crate::small_model::model();
    stage.retype("Base model", &small.display().to_string());
    let aligned = small.with_file_name("aligned");
    std::fs::create_dir(&aligned).unwrap();
    for entry in std::fs::read_dir(&small).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, aligned.join(path.file_name().unwrap())).unwrap();
    }
    stage.retype("Aligned model", &aligned.display().to_string());
    stage.click("Make the vector");
    stage.until("the same model is no difference", |stage| stage.shows("weights are the same"));
    // One value of one norm makes another model of it.
    let weights = aligned.join("model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    let last = bytes.len() - 2;
    bytes[last] ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    stage.click("Make the vector");
    stage.until("it is made and listed", |stage| stage.sees("Remove Calm"));
    assert!(!stage.sees("Make the vector"), "the dialog is closed");
    assert!(stage.shows("Made with small"), "and says that it is another model's");
    assert!(stage.path().join("vectors/Calm.safetensors").is_file());
}

#[test]
fn vectors_belong_to_the_conversation_and_a_lost_file_is_named() {
    let mut stage = with_medical(Setup::default());
    stage.talk("First");
    stage.set_slider("Medical", 0.75);
    let folder = stage.close();
    let mut again = Stage::reopen(Setup::default(), folder);
    again.until("it is in the list", |stage| stage.sees("First"));
    assert!(!again.sees("Remove Medical"));
    again.click("First");
    again.until("its vector is back", |stage| stage.sees("Remove Medical"));
    assert_eq!(again.slider("Medical"), 0.75);

    let folder = again.close();
    std::fs::remove_file(folder.path().join("medical.safetensors")).unwrap();
    let mut lost = Stage::reopen(Setup::default(), folder);
    lost.until("it is in the list", |stage| stage.sees("First"));
    lost.click("First");
    // Called by its file's name, since nothing else is known of it.
    lost.until("its row says why", |stage| {
        stage.sees("Remove medical") && stage.shows("medical.safetensors:")
    });
}

#[test]
fn presets_hold_vectors_and_those_of_the_program_leave_them_alone() {
    let mut stage = with_medical(Setup { size: [1200.0, 1200.0], ..Setup::default() });
    stage.set_slider("Medical", 0.5);
    assert_eq!(stage.preset(), "Greedy", "sampling is as it was");
    stage.click("Preset menu");
    stage.click("Save as preset");
    stage.type_into("Preset name", "Doctor");
    stage.click("Save preset");
    stage.until("it is saved", |stage| stage.shows("Doctor"));
    stage.set_slider("Medical", -1.0);
    stage.choose_preset("Precise");
    assert_eq!(stage.slider("Medical"), -1.0);
    stage.choose_preset("Doctor");
    assert_eq!((stage.slider("Medical"), stage.slider("Temperature")), (0.5, 0.0));
}

#[test]
fn the_policy_in_force_is_said() {
    let mut stage = with_medical(Setup::default());
    stage.until("nothing was read yet", |stage| stage.shows("Takes effect at once"));
    stage.talk("Something to read");
    stage.until("the history is counted", |stage| stage.shows("are read again before the next"));
    stage.harness.get_by_role_and_label(Role::ComboBox, "When a strength changes").click();
    stage.settle();
    stage.click("Keep what was read");
    assert!(stage.shows("what was read before stays as it was read"), "{}", stage.text());
}

/// The list by itself, over plain values.
fn picture(name: &str, theme: egui::Theme) {
    let folder = tempfile::tempdir().unwrap();
    let known: BTreeMap<_, _> = [("medical", true), ("legal", false)]
        .map(|(domain, is_calibrated)| {
            let path = vector(folder.path(), domain, "toy model", is_calibrated);
            (PathBuf::from(domain), Known::About(Box::new(about(&path).unwrap())))
        })
        .into_iter()
        .chain([("lost".into(), Known::Refused("lost.safetensors: cannot be read".into()))])
        .collect();
    let settings = [("medical", 0.8), ("legal", -1.25), ("lost", 0.0)];
    let plan = Plan {
        vectors: settings.map(|(path, strength)| VectorSetting::new(path, strength)).to_vec(),
        ..Plan::default()
    };
    let mut state = VectorsState::default();
    let divergence = Divergence { tokens: (0..40).map(|at| (at * 7 % 11) as f32 / 8.0).collect() };
    let mut harness = Harness::builder()
        .with_size([310.0, 620.0])
        .with_theme(theme)
        .with_context_setup(tiller::ui::theme::install)
        .wgpu()
        .build_ui(|ui| {
            let panel = tiller::ui::theme::tokens(ui).panel;
            egui::Frame::new().fill(panel).inner_margin(14).show(ui, |ui| {
                let view = VectorsView {
                    plan: &plan,
                    known: &known,
                    model: None,
                    history_tokens: 312,
                    last_change: None,
                    conversation: 1,
                    aligned: None,
                    found: &[],
                    measures: true,
                    divergence: &divergence,
                    making: None,
                };
                vectors_ui(ui, &view, &mut state, &mut Vec::new());
                ui.expand_to_include_rect(ui.max_rect());
            });
        });
    harness.run();
    let options = SnapshotOptions::new().max_failed_pixels(10);
    harness.snapshot_options(name, &options);
}

#[test]
fn light() {
    picture("vectors_light", egui::Theme::Light);
}

#[test]
fn dark() {
    picture("vectors_dark", egui::Theme::Dark);
}
