//! Rewards in the window: an adapter put on and taken off, the ribbon, the plot, what decides.

use tiller::engine::Recipe;
use tiller::model::toy::ToyOptions;
use tiller::steer::Plan;

use super::stage::{Setup, Stage};

fn with_adapter(name: &str) -> Stage {
    // A reply that rewards decide may never come to its end.
    let toy = ToyOptions { context_length: 80, ..ToyOptions::default() };
    let mut stage = Stage::open(Setup { toy, ..Setup::default() });
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
