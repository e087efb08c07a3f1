//! Documents in the window: dropped, built, switched, weighed, and what they did to a reply.

use std::path::{Path, PathBuf};

use crossbeam_channel::bounded;
use egui::accesskit::{Role, Toggled};
use egui::{Key, Modifiers};
use egui_kittest::SnapshotOptions;
use egui_kittest::kittest::{NodeT, Queryable};
use tiller::model::toy::{SENTENCE, ToyOptions};
use tiller::session::{Settings, Theme};
use tiller::steer::datastore::Manifest;

use super::stage::{Setup, Stage};

const PAIRS: &str = r#"{"question": "When?", "answer": "At eight, from the harbour."}
{"question": "Where to?", "answer": "North, with the wind."}"#;
const STORED: &str = "North, with the wind.";

/// High enough that the whole panel is in sight.
fn tall() -> Setup {
    Setup { size: [1200.0, 1300.0], ..Setup::default() }
}

fn file(stage: &Stage, name: &str, text: &str) -> PathBuf {
    let path = stage.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// A window with the pairs dropped on it and their store on.
fn grounded(setup: Setup) -> Stage {
    let mut stage = Stage::open(setup);
    let pairs = file(&stage, "pairs.jsonl", PAIRS);
    stage.drop_files(&[pairs]);
    stage.until("the store is built", |stage| stage.shows("“Documents” now grounds replies"));
    stage
}

fn is_on(stage: &Stage, name: &str) -> bool {
    let switch = stage.harness.get_by_role_and_label(Role::CheckBox, name);
    switch.accesskit_node().toggled() == Some(Toggled::True)
}

fn switch(stage: &mut Stage, name: &str) {
    stage.harness.get_by_role_and_label(Role::CheckBox, name).click();
    stage.settle();
}

fn manifest(folder: &Path) -> Manifest {
    Manifest::read(folder).unwrap().expect("a store is there")
}

#[test]
fn a_dropped_document_grounds_the_reply_and_every_moved_token_shows_its_passage() {
    let mut stage = grounded(tall());
    assert!(is_on(&stage, "Documents"), "on at once");
    assert!(stage.shows("1 file, "), "{}", stage.text());
    stage.set_slider("Weight of Documents", 1.0);
    stage.talk("Where to?");
    assert!(stage.shows(STORED), "{}", stage.text());
    assert!(stage.shows("tokens, mostly pairs.jsonl"), "{}", stage.text());
    let line = stage.harness.get_by_label_contains("tokens moved by pairs.jsonl");
    line.click();
    stage.settle();
    stage.until("its tokens are shown", |stage| stage.shows(", moved by documents"));
    // The first of them is pinned, with what stood behind it.
    assert!(stage.shows("Documents: from "), "{}", stage.text());
    assert!(stage.shows("pairs.jsonl, line 2: "), "{}", stage.text());
    stage.harness.query_all_by_label("Show").next().expect("a way to the passage").click();
    stage.until("the passage is read", |stage| stage.shows("Open the file"));
    stage.until("the page is there", |stage| stage.shows("At eight, from the harbour."));
    std::fs::remove_file(stage.path().join("pairs.jsonl")).unwrap();
    stage.click("Open the file");
    assert!(stage.shows("the file is not there any more"), "{}", stage.text());
    stage.click("Close");

    // Off is the plain model, and nothing is said about documents then.
    switch(&mut stage, "Documents");
    assert!(!is_on(&stage, "Documents"));
    stage.talk("Where to?");
    assert!(stage.shows(SENTENCE), "{}", stage.text());
    assert!(!stage.shows("Last reply: the documents"));
    // Still there after a restart, and the first reply still says what moved it.
    let folder = stage.close();
    let mut again = Stage::reopen(tall(), folder);
    again.until("the store is listed", |stage| stage.shows("1 file, "));
    again.click("Where to?");
    again.until("the reply is back", |stage| stage.shows("tokens moved by pairs.jsonl"));
}

#[test]
fn a_reply_that_documents_did_not_move_says_so() {
    let mut stage = grounded(tall());
    stage.set_slider("Weight of Documents", 0.05);
    stage.talk("And something else?");
    assert!(stage.shows("Last reply: the documents moved"), "{}", stage.text());
}

#[test]
fn stores_are_renamed_revealed_and_come_back_from_the_trash() {
    let mut stage = grounded(tall());
    let folder = stage.path().join("stores/Documents");
    stage.click("Rename Documents");
    stage.retype("Name of the store", "Ferry");
    stage.press(Modifiers::NONE, Key::Enter);
    stage.until("it is called so", |stage| stage.sees("Rename Ferry"));
    stage.until("on disk too", |_| manifest(&folder).name == "Ferry");
    // Escape leaves the name.
    stage.click("Rename Ferry");
    stage.retype("Name of the store", "Boat");
    stage.press(Modifiers::NONE, Key::Escape);
    assert!(stage.sees("Rename Ferry"), "{}", stage.text());

    stage.set_slider("Weight of Ferry", 0.9);
    stage.click("Delete Ferry");
    assert!(!folder.exists() && !stage.sees("Rename Ferry"), "{}", stage.text());
    stage.talk("Where to?");
    assert!(stage.shows(SENTENCE), "gone from replies at once");
    stage.click("Undo");
    stage.until("it is back", |stage| stage.sees("Rename Ferry"));
    assert_eq!(stage.slider("Weight of Ferry"), 0.9, "as it was");
    assert!(folder.join("store.json").is_file());

    std::fs::rename(&folder, folder.with_file_name("elsewhere")).unwrap();
    stage.click("Reveal Ferry");
    assert!(stage.shows("there is no such folder"), "{}", stage.text());
}

#[test]
fn a_bad_document_is_a_row_with_its_reason_and_is_taken_out() {
    let mut stage = grounded(tall());
    let bad = file(&stage, "bad.pdf", "no pdf");
    *stage.answer.lock().unwrap() = Some(bad);
    stage.click("Add document…");
    stage.until("it is said", |stage| stage.shows("1 document of “Documents” could not be read"));
    let line = stage.harness.get_by_label_contains(", 1 not read");
    line.click();
    stage.settle();
    assert!(stage.shows("bad.pdf: "), "{}", stage.text());
    assert!(stage.shows("pairs.jsonl: "), "the good one is there beside it");
    stage.click("Take bad.pdf out");
    stage.until("it is gone", |stage| !stage.shows("bad.pdf: "));
    assert!(stage.shows("pairs.jsonl: "));
    assert_eq!(manifest(&stage.path().join("stores/Documents")).sources.len(), 1);
}

#[test]
fn a_build_is_held_goes_on_is_stopped_and_taken_up_again() {
    let (pass, gate) = bounded(1024);
    let toy = ToyOptions { gate: Some(gate), ..ToyOptions::default() };
    let mut stage = Stage::open(Setup { toy, ..tall() });
    let long = file(&stage, "long.txt", &"The boat holds north. ".repeat(2000));
    stage.drop_files(&[long]);
    let feed = |count: usize| (0..count).for_each(|_| pass.send(()).unwrap());
    feed(2);
    stage.until("it is under way", |stage| stage.shows("long.txt, 1 of 1: "));
    stage.click("Pause building");
    assert!(stage.shows("Paused"), "{}", stage.text());
    // One pass may be under way; no other begins, however many could.
    feed(40);
    let left = |most: usize| pass.len() >= most;
    stage.until("nothing goes on", |_| left(39));
    stage.harness.run_steps(10);
    assert!(left(39), "{} of 40 are left", pass.len());
    stage.click("Go on building");
    stage.until("it goes on", |_| pass.len() < 30);
    stage.click("Stop building");
    feed(2);
    stage.until("it is stopped", |stage| stage.shows("1 file waiting"));
    assert!(!stage.shows("now grounds replies"), "there is nothing to ground them in yet");
    drop(pass);
    stage.click("Go on building Documents");
    stage.until("it is whole", |stage| stage.shows("“Documents” now grounds replies"));
    assert!(!stage.shows("waiting"), "{}", stage.text());
}

#[test]
fn a_store_of_another_model_cannot_be_switched_on_and_says_why() {
    let mut stage = grounded(tall());
    switch(&mut stage, "Documents");
    let folder = stage.close();
    let other = Setup { model: Some("other toy"), ..tall() };
    let mut stage = Stage::reopen(other, folder);
    stage.until("it is listed", |stage| stage.shows("1 file, "));
    assert!(stage.shows("toy model") && stage.shows("other toy"), "{}", stage.text());
    switch(&mut stage, "Documents");
    assert!(!is_on(&stage, "Documents"));
    // A new document makes a store of its own beside it.
    let pairs = file(&stage, "pairs.jsonl", PAIRS);
    stage.drop_files(&[pairs]);
    stage.until("it is built", |stage| stage.shows("“Documents 2” now grounds replies"));
}

#[test]
fn a_store_that_lost_a_file_says_so_and_is_made_whole() {
    let mut stage = grounded(tall());
    let other = file(&stage, "other.txt", "The boat holds north. A hand turns slowly.");
    stage.drop_files(&[other]);
    stage.until("it is there too", |stage| stage.shows("2 files, ") && !stage.shows("waiting"));
    let folder = stage.close();
    let store = folder.path().join("stores/Documents");
    let held = manifest(&store);
    std::fs::remove_file(Manifest::file_of(&store, &held.sources[0])).unwrap();
    let mut again = Stage::reopen(tall(), folder);
    again.until("it is said", |stage| stage.shows("1 file waiting"));
    again.click("Go on building Documents");
    let file = Manifest::file_of(&store, &held.sources[0]);
    again.until("it is whole", |stage| file.is_file() && !stage.sees("Stop building"));
    assert!(!again.shows("waiting"), "{}", again.text());
    assert_eq!(manifest(&store).entries(), held.entries());
}

#[test]
fn documents_need_a_model() {
    let mut stage = Stage::open(Setup::without_model());
    let pairs = file(&stage, "pairs.jsonl", PAIRS);
    stage.drop_files(&[pairs]);
    stage.until("it is said", |stage| stage.shows("Load a model first"));
    assert!(!stage.path().join("stores").exists());
}

fn shot(stage: &mut Stage, name: &str, size: [f32; 2]) {
    stage.harness.remove_cursor();
    stage.harness.run_steps(20);
    let bottom = egui::Rect::from_min_max(
        egui::pos2(70.0, size[1] - 29.0),
        egui::pos2(size[0] - 240.0, size[1]),
    );
    // The toy's speed differs from run to run.
    stage.harness.mask(bottom);
    stage.harness.snapshot_options(name, &SnapshotOptions::new().max_failed_pixels(10));
}

fn picture(name: &str, theme: Theme) {
    let settings =
        Settings { default_preset: "Greedy".into(), theme, sidebar: false, ..Settings::default() };
    let size = [980.0, 1000.0];
    let mut stage = grounded(Setup { size, settings, ..Setup::default() });
    let bad = file(&stage, "scan.pdf", "no pdf");
    stage.drop_files(&[bad]);
    stage.until("it is said", |stage| stage.shows("could not be read"));
    stage.set_slider("Weight of Documents", 1.0);
    stage.harness.get_by_label_contains(", 1 not read").click();
    stage.talk("Where to?");
    while stage.harness.query_all_by_label("Dismiss").next().is_some() {
        stage.harness.query_all_by_label("Dismiss").next().expect("one is there").click();
        stage.settle();
    }
    stage.harness.get_by_label_contains("tokens moved by pairs.jsonl").click();
    stage.settle();
    stage.until("its tokens are shown", |stage| stage.shows(", moved by documents"));
    assert_eq!(stage.harness.unnamed_widgets(), Vec::<String>::new());
    shot(&mut stage, name, size);
}

#[test]
fn light() {
    picture("stores_light", Theme::Light);
}

#[test]
fn dark() {
    picture("stores_dark", Theme::Dark);
}

#[test]
fn the_target_for_what_is_dropped() {
    let size = [760.0, 560.0];
    let settings = Settings {
        default_preset: "Greedy".into(),
        theme: Theme::Dark,
        sidebar: false,
        ..Settings::default()
    };
    let mut stage = Stage::open(Setup { size, settings, ..Setup::default() });
    stage.harness.input_mut().hovered_files.push(egui::HoveredFile::default());
    shot(&mut stage, "drop_dark", size);
}

/// A passage in the reader, with more before and after it than fits.
fn reader(name: &str, theme: Theme) {
    let settings =
        Settings { default_preset: "Greedy".into(), theme, sidebar: false, ..Settings::default() };
    let size = [980.0, 760.0];
    let mut stage = Stage::open(Setup { size, settings, ..Setup::default() });
    // A long question is no entry, and stands in the text all the same.
    let long = |from: usize| -> String {
        let lines: Vec<String> =
            (from..from + 20).map(|at| format!("Stone {at} stands in the sea.")).collect();
        format!("{{\"question\": \"{}\", \"answer\": \"A stone.\"}}\n", lines.join("\\n"))
    };
    let pairs = file(&stage, "pairs.jsonl", &format!("{}{PAIRS}\n{}", long(1), long(21)));
    stage.drop_files(&[pairs]);
    stage.until("the store is built", |stage| stage.shows("“Documents” now grounds replies"));
    stage.set_slider("Weight of Documents", 1.0);
    stage.talk("Where to?");
    assert!(stage.shows(STORED), "{}", stage.text());
    while stage.harness.query_all_by_label("Dismiss").next().is_some() {
        stage.harness.query_all_by_label("Dismiss").next().expect("one is there").click();
        stage.settle();
    }
    stage.harness.get_by_label_contains("tokens moved by pairs.jsonl").click();
    stage.settle();
    stage.until("its tokens are shown", |stage| stage.shows(", moved by documents"));
    stage.harness.query_all_by_label("Show").next().expect("a way to the passage").click();
    stage.until("the page is there", |stage| stage.shows("Stone 40 stands in the sea."));
    // The dialog grows with the page and is put in the middle a frame later.
    stage.settle();
    assert!(stage.shows("pairs.jsonl, line 3"), "the place is its title: {}", stage.text());
    // The text is scrolled: its beginning lies above what is to be seen.
    let whole = stage.harness.query_all_by_label_contains("Stone 40 stands in the sea.");
    let places = whole.map(|node| node.rect());
    let text = places.max_by(|a, b| a.height().total_cmp(&b.height())).expect("it is there");
    let button = stage.harness.get_by_label("Open the file").rect();
    assert!(text.top() < 0.0 && text.bottom() > button.bottom(), "{text:?}");
    stage.harness.remove_cursor();
    stage.harness.run_steps(20);
    // Where the files of a test lie differs from run to run, and so does the toy's speed.
    let row = stage.harness.get_by_label("Open the file").rect();
    let path = egui::Rect::from_min_max(
        egui::pos2(0.0, row.top()),
        egui::pos2(row.left() - 4.0, row.bottom()),
    );
    stage.harness.mask(path);
    let bottom =
        egui::Rect::from_min_size(egui::pos2(0.0, size[1] - 29.0), egui::vec2(size[0], 29.0));
    stage.harness.mask(bottom);
    stage.harness.snapshot_options(name, &SnapshotOptions::new().max_failed_pixels(10));
}

#[test]
fn the_reader_light() {
    reader("passage_light", Theme::Light);
}

#[test]
fn the_reader_dark() {
    reader("passage_dark", Theme::Dark);
}
