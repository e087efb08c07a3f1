//! Guidance in the window: guides and a scorer, a search, its tree, and going on from a candidate.

use std::path::Path;

use egui::accesskit::Role;
use egui_kittest::kittest::{NodeT, Queryable};

use tiller::model::toy::ToyOptions;
use tiller::model::value::{HeadFacts, ValueHead};
use tiller::model::vector::file::Precision;
use tiller::model::vector::{Facts, Vector};
use tiller::model::{value, vector};

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

/// A model's folder with a guide, a vector that tunes it, and two scorers; the toy looks no further
/// than their names.
fn model_with_guide() -> (tempfile::TempDir, &'static str) {
    let home = tempfile::tempdir().unwrap();
    let model = home.path().join("toy model");
    let (vectors, scorers) = (model.join("guide/vectors"), model.join("scorers"));
    for folder in [&vectors, &scorers] {
        std::fs::create_dir_all(folder).unwrap();
    }
    std::fs::write(model.join("guide/config.json"), "{}").unwrap();
    let (path, facts) = (vectors.join("calm.safetensors"), Facts::default());
    vector::file::write(&path, &Vector::default(), &facts, Precision::F32).unwrap();
    for name in ["calm", "bold"] {
        let path = scorers.join(name).with_extension("safetensors");
        value::write(&path, &ValueHead::scalar(vec![1.0]), &HeadFacts::default()).unwrap();
    }
    let path: &'static str = model.to_str().unwrap().to_owned().leak();
    (home, path)
}

#[test]
fn a_guide_that_came_with_the_model_takes_one_click_and_has_its_scorer() {
    let (_home, model) = model_with_guide();
    let size = [1500.0, 1900.0];
    // Guided by its letters, the toy never comes to its end.
    let toy = ToyOptions { context_length: 80, ..ToyOptions::default() };
    let mut stage = Stage::open(Setup { size, toy, model: Some(model), ..Setup::default() });
    stage.until("it is offered", |stage| stage.sees("Guide by calm"));
    assert!(!stage.sees("Remove guide calm"), "nothing changes unasked");
    stage.click("Guide by calm");
    assert_eq!(stage.slider("Strength of calm"), 1.0);
    assert!(!stage.sees("Guide by calm"), "it is on the list");
    assert!(stage.shows("Guides (EFT)"), "{}", stage.text());

    // Its scorer is at hand, and the other one in the list.
    pick(&mut stage, "Guidance method", "Guides and search (IVG)");
    assert!(!stage.shows("Choose a prefix scorer"), "{}", stage.text());
    pick(&mut stage, "Scorer", "bold");
    stage.talk("Where to?");
    // The newest ranking is in sight, not the first.
    assert!(sees_part(&stage, "kept as number 1"), "{}", stage.text());

    stage.click("Remove guide calm");
    assert!(stage.sees("Guide by calm"), "it can be taken again");
}
