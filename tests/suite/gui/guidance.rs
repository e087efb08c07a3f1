//! Guidance in the window: guides and a scorer, a search, its tree, and going on from a candidate.

use std::path::Path;

use egui::accesskit::Role;
use egui_kittest::kittest::{NodeT, Queryable};

use super::stage::{Setup, Stage};

fn answer(stage: &Stage, path: &Path) {
    *stage.answer.lock().unwrap() = Some(path.to_path_buf());
}

/// Chooses an entry of a list that opens.
fn pick(stage: &mut Stage, list: &str, entry: &str) {
    stage.harness.get_by_role_and_label(Role::ComboBox, list).click();
    stage.settle();
    stage.harness.query_all_by_label(entry).last().expect("in the open list").click();
    stage.settle();
}

/// Something on screen has this in its name.
fn sees_part(stage: &Stage, part: &str) -> bool {
    stage.harness.query_all_by_label_contains(part).next().is_some()
}

/// A window with a guide, a scorer and IVG. All of the right panel is in sight.
fn guided() -> Stage {
    let mut stage = Stage::open(Setup { size: [1500.0, 1900.0], ..Setup::default() });
    answer(&stage, Path::new("guide-tuned"));
    stage.click("Add tuned guide…");
    stage.until("it is on the list", |stage| stage.sees("Remove guide guide-tuned"));
    assert_eq!(stage.slider("Strength of guide-tuned"), 0.0, "off until it is turned up");
    answer(&stage, Path::new("prefixes"));
    pick(&mut stage, "Scorer", "Prefix scorer…");
    stage.until("it is chosen", |stage| stage.shows("prefixes"));
    pick(&mut stage, "Guidance method", "Guides and search (IVG)");
    assert_eq!(stage.slider("Strength of guide-tuned"), 1.0);
    stage
}

#[test]
fn a_search_shows_its_tree_and_goes_on_from_any_candidate() {
    let mut stage = guided();
    assert!(stage.shows("16 rows for every token"), "{}", stage.text());
    stage.talk("Where to?");
    assert!(sees_part(&stage, "Candidate 0, "), "{}", stage.text());
    assert!(sees_part(&stage, "kept as number 1"));

    let svg = stage.path().join("tree.svg");
    answer(&stage, &svg);
    stage.click("Export as SVG…");
    stage.until("it was written", |_| svg.exists());
    assert!(std::fs::read_to_string(&svg).unwrap().starts_with("<svg"));
    let json = stage.path().join("tree.json");
    answer(&stage, &json);
    stage.click("Export as JSON…");
    stage.until("it was written", |_| json.exists());
    assert!(std::fs::read_to_string(&json).unwrap().contains("tiller-search"));

    let png = stage.path().join("tree.png");
    answer(&stage, &png);
    stage.click("Export as PNG…");
    stage.until("it was written", |_| png.exists());
    assert!(std::fs::read(&png).unwrap().starts_with(b"\x89PNG"));

    // A candidate that was pruned is not lost.
    stage.harness.query_all_by_label_contains(", pruned, ").next().unwrap().click();
    stage.settle();
    stage.until("another version was made", |stage| {
        stage.sees("Ready") && !stage.harness.state().is_replying()
    });
    assert!(
        stage.shows("2 / 2") || stage.shows("2/2") || stage.shows("2 of 2"),
        "{}",
        stage.text()
    );

    stage.click("Hide tree");
    assert!(!stage.sees("Hide tree"));
    stage.click("Show candidate tree");
    assert!(stage.sees("Hide tree"));
}

#[test]
fn a_tree_is_there_after_a_restart_and_goes_on_from_its_candidates() {
    let mut stage = guided();
    stage.talk("Where to?");
    let names = |stage: &Stage| -> Vec<String> {
        let nodes = stage.harness.query_all_by_label_contains("Candidate ");
        nodes.filter_map(|node| node.accesskit_node().label()).collect()
    };
    let before = names(&stage);
    assert!(before.len() > 16, "{before:?}");
    let folder = stage.close();
    let mut again = Stage::reopen(Setup { size: [1500.0, 1900.0], ..Setup::default() }, folder);
    again.until("it is in the list", |stage| stage.sees("Where to?"));
    again.click("Where to?");
    again.until("the tree is there", |stage| sees_part(stage, "Candidate 0, "));
    assert_eq!(names(&again), before);
    again.harness.query_all_by_label_contains(", pruned, ").next().unwrap().click();
    again.settle();
    again.until("another version was made", |stage| {
        stage.sees("Ready") && !stage.harness.state().is_replying()
    });
    assert!(again.shows("2 / 2") || again.shows("2/2") || again.shows("2 of 2"));
}

#[test]
fn the_unsteered_reply_stands_beside_as_another_version() {
    let mut stage = guided();
    stage.talk("Where to?");
    stage.click("Reply without steering");
    stage.until("it was made", |stage| stage.sees("Ready") && !stage.harness.state().is_replying());
    assert!(stage.shows("2 / 2"), "{}", stage.text());
    assert!(!sees_part(&stage, "Candidate 0, "), "it was no search");
    assert!(!stage.sees("Reply without steering"), "nothing steered it");
    stage.click("Previous version");
    stage.until("the tree is there", |stage| sees_part(stage, "Candidate 0, "));
}

#[test]
fn what_a_method_lacks_is_said_and_off_is_off() {
    let mut stage = Stage::open(Setup { size: [1500.0, 1900.0], ..Setup::default() });
    pick(&mut stage, "Guidance method", "Chunk search (CBS)");
    assert!(stage.shows("Choose a scorer, or add guides"), "{}", stage.text());
    pick(&mut stage, "Guidance method", "Off");
    stage.talk("Hi");
    assert!(!sees_part(&stage, "Candidate 0, "));
}
