//! Rewards in the window: an adapter put on and taken off, the ribbon, the plot, what decides.

use std::path::Path;
use std::sync::Arc;

use egui_kittest::SnapshotOptions;
use tiller::engine::Recipe;
use tiller::model::reward::{Adapter, file};
use tiller::model::toy::ToyOptions;
use tiller::session::{Settings, Theme};
use tiller::steer::Plan;

use super::stage::{Setup, Stage};

fn with_adapter(name: &str) -> Stage {
    with_adapter_in(name, Setup::default())
}

fn with_adapter_in(name: &str, setup: Setup) -> Stage {
    // A reply that rewards decide may never come to its end.
    let toy = ToyOptions { context_length: 80, ..ToyOptions::default() };
    let mut stage = Stage::open(Setup { toy, ..setup });
    *stage.answer.lock().unwrap() = Some(name.into());
    stage.click("Add reward adapter…");
    stage
}

#[test]
fn a_ribbon_and_a_plot_follow_the_reply() {
    let mut stage = with_adapter("civil");
    stage.until("it is shown", |stage| stage.sees("Remove reward adapter"));
    assert!(stage.shows("Strength: off"), "nothing decides unasked");
    stage.talk("Hello");
    assert!(stage.shows("The wind turns, and a hand holds the tiller"), "{}", stage.text());
    assert!(stage.shows("Predicted reward, "), "{}", stage.text());
    assert!(stage.shows("Plot of rewards; version 1: "), "{}", stage.text());

    // Another version is another line.
    stage.palette("Regenerate");
    stage.until("it is written", |stage| !stage.harness.state().is_replying());
    stage.until("both are drawn", |stage| stage.shows("version 2: "));
    assert!(stage.shows("version 1: "));

    assert!(stage.sees("Compare with a reward model…") && !stage.sees("Remove reward model"));

    stage.click("Remove reward adapter");
    assert!(stage.sees("Add reward adapter…"));
    assert!(stage.shows("Predicted reward, "), "what was predicted stays with the reply");
}

#[test]
fn strength_decides_and_is_part_of_the_recipe() {
    let mut stage = with_adapter("civil");
    stage.until("it is shown", |stage| stage.sees("Remove reward adapter"));
    stage.set_slider("Reward strength", 8.0);
    assert!(stage.shows("Strength: 8.00 logits per deviation"));
    assert!(stage.sees("Only when unsure"));
    stage.talk("Hello");
    assert!(!stage.shows("The wind turns, and a hand holds the tiller"), "{}", stage.text());
    assert!(stage.shows("Predicted reward, "));
    let folder = stage.close();
    let database = rusqlite::Connection::open(folder.path().join("tiller.db")).unwrap();
    let sql = "SELECT recipe FROM node WHERE role = 'assistant'";
    let recipe: String = database.query_row(sql, [], |row| row.get(0)).unwrap();
    let recipe: Recipe = serde_json::from_str(&recipe).unwrap();
    assert_eq!(recipe.reward.unwrap().name, "civil");
    let plan: Plan = toml::from_str(&recipe.plan).unwrap();
    assert_eq!(plan.reward.unwrap().strength, 8.0);
}

#[test]
fn an_adapter_of_another_model_is_refused_and_one_without_a_unit_only_shows() {
    let mut stage = with_adapter("stranger");
    stage.until("it says so", |stage| stage.shows("made with another model"));
    assert!(stage.sees("Add reward adapter…"));
    *stage.answer.lock().unwrap() = Some("loose".into());
    stage.click("Add reward adapter…");
    stage.until("it is shown", |stage| stage.sees("Remove reward adapter"));
    assert!(stage.shows("no measured deviation"), "{}", stage.text());
}

/// A file that says it is an adapter; the toy looks no further than its name.
fn adapter(folder: &Path, name: &str) -> std::path::PathBuf {
    std::fs::create_dir_all(folder).unwrap();
    let path = folder.join(name).with_extension("safetensors");
    file::write(&path, &Adapter::default()).unwrap();
    path
}

#[test]
fn an_adapter_that_came_with_the_model_is_listed_and_shown_by_one_click() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let model = folder.path().join("bundled");
    adapter(&model.join("rewards"), "civil");
    adapter(&model.join("rewards"), "stranger");
    let mut stage = Stage::reopen(Setup::without_model(), folder);
    assert!(!stage.shows("Show rewards of"));
    stage.drop_files(&[model]);
    stage.until("they are listed", |stage| {
        stage.sees("Show rewards of civil") && stage.shows("Show rewards of stranger")
    });
    assert!(!stage.sees("Remove reward adapter"), "nothing is shown unasked");
    stage.click("Show rewards of stranger");
    assert!(!stage.sees("Remove reward adapter"), "it was made with another model");
    stage.click("Show rewards of civil");
    assert!(stage.sees("Remove reward adapter") && stage.sees("civil"), "{}", stage.text());
    stage.talk("Hello");
    assert!(stage.shows("Predicted reward, "), "{}", stage.text());
    stage.click("Remove reward adapter");
    assert!(stage.sees("Show rewards of civil"));
}

#[test]
fn an_adapter_dropped_on_the_window_shows_its_rewards() {
    let mut stage = Stage::new();
    let civil = adapter(stage.path(), "civil");
    let stranger = adapter(stage.path(), "stranger");
    stage.drop_files(&[stranger]);
    stage.until("it is refused", |stage| stage.shows("made with another model"));
    assert!(stage.sees("Add reward adapter…") && stage.sees("Ready"));
    stage.drop_files(&[civil]);
    stage.until("it is shown", |stage| stage.sees("Remove reward adapter"));
    assert!(stage.sees("civil") && stage.shows("Strength: off"), "{}", stage.text());
}

#[test]
fn rewards_are_learnt_in_a_dialog_that_measures_the_time_first() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    crate::learn_reward::reward_stage(folder.path());
    let mut stage = Stage::reopen(Setup::without_model(), Arc::clone(&folder));
    assert!(!stage.sees("Learn rewards…"), "there is no model to learn for");
    stage.drop_files(&[folder.path().join("base")]);
    stage.until("the model is there", |stage| stage.sees("Learn rewards…"));
    stage.click("Learn rewards…");
    assert!(stage.shows("An adapter for base") && stage.shows("Name the file of pairs"));
    stage.type_into("Preference pairs", "nowhere.jsonl");
    stage.type_into("Adapter name", "fox");
    stage.click("Measure the time");
    stage.until("it is refused", |stage| stage.shows("nowhere.jsonl: "));
    let pairs = folder.path().join("pairs.jsonl").display().to_string();
    stage.retype("Preference pairs", &pairs);
    assert!(stage.shows("rewards/fox.safetensors"), "where it will lie: {}", stage.text());
    stage.click("Measure the time");
    stage.until("it is measured", |stage| stage.shows("It takes about "));
    stage.click("Stop when it gets no better");
    assert!(!stage.shows("It takes about "), "that was measured for another run");
    stage.click("Learn the rewards");
    stage.until("its rewards are shown", |stage| stage.sees("Remove reward adapter"));
    assert!(!stage.sees("Learn the rewards"), "the dialog is closed");
    assert!(folder.path().join("rewards/fox.safetensors").is_file());
    stage.talk("Which animal sleeps?");
    assert!(stage.shows("Predicted reward, "), "{}", stage.text());
}

#[test]
fn a_reward_model_dropped_on_the_window_is_known_for_one_and_judges_what_it_can_read() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    crate::learn_reward::reward_stage(folder.path());
    let mut learning = crate::learn_reward::learn(folder.path(), "judge", &["--separate"]);
    assert!(learning.status().unwrap().success());
    let mut stage = Stage::reopen(Setup::default(), Arc::clone(&folder));
    assert!(!stage.sees("Compare with a reward model…"), "there is nothing to compare");
    stage.drop_files(&[folder.path().join("judge")]);
    stage.until("it is there", |stage| stage.sees("Remove reward model"));
    assert!(stage.shows("Judged by judge, loosely dashed"), "{}", stage.text());
    // The toy takes no judge beside it: it says so at the first reply, and the reply stays.
    stage.talk("Which animal sleeps?");
    stage.until("it is refused", |stage| stage.shows("no reward model can stand beside"));
    assert!(!stage.sees("Remove reward model"));
    assert!(stage.shows("The wind turns, and a hand holds the tiller"), "{}", stage.text());
}

#[test]
fn heads_over_the_vocabulary_have_dials_of_their_own() {
    let mut stage = with_adapter("civil");
    stage.until("it is shown", |stage| stage.sees("Remove reward adapter"));
    assert!(!stage.sees("Detox") && !stage.shows("Draft "), "it has none");
    stage.click("Remove reward adapter");
    *stage.answer.lock().unwrap() = Some("speaking".into());
    stage.click("Add reward adapter…");
    stage.until("it is shown", |stage| stage.sees("Detox") && stage.sees("Draft 2 tokens ahead"));
    assert!(stage.shows("Detox: off"));
    stage.set_slider("Detox", 2.0);
    assert!(stage.shows("Detox: 2.00 times expert less anti-expert"), "{}", stage.text());
    stage.set_slider("Detox", 0.0);
    stage.click("Draft 2 tokens ahead");
    stage.set_slider("Reward strength", 1.0);
    stage.settle();
    assert!(stage.sees("Draft 2 tokens ahead"), "it stays in sight: {}", stage.text());
}

fn picture(name: &str, theme: Theme) {
    let settings =
        Settings { default_preset: "Greedy".into(), theme, sidebar: false, ..Settings::default() };
    let setup = Setup { size: [820.0, 1000.0], settings, ..Setup::default() };
    let mut stage = with_adapter_in("civil", setup);
    stage.until("it is shown", |stage| stage.sees("Remove reward adapter"));
    stage.set_slider("Reward strength", 0.5);
    stage.talk("Where to?");
    assert_eq!(stage.harness.unnamed_widgets(), Vec::<String>::new());
    stage.harness.remove_cursor();
    stage.harness.run_steps(20);
    // The toy's speed differs from run to run.
    let figures = egui::Rect::from_min_max(egui::pos2(70.0, 971.0), egui::pos2(580.0, 1000.0));
    stage.harness.mask(figures);
    let options = SnapshotOptions::new().max_failed_pixels(10);
    stage.harness.snapshot_options(name, &options);
}

#[test]
fn light() {
    picture("reward_light", Theme::Light);
}

#[test]
fn dark() {
    picture("reward_dark", Theme::Dark);
}
