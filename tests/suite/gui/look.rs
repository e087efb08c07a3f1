//! A few small pictures, light and dark, and that every control has a name.

use egui_kittest::SnapshotOptions;
use tiller::session::{Settings, Theme};

use super::stage::{Setup, Stage};

fn picture(name: &str, theme: Theme, talk: bool) {
    let settings =
        Settings { default_preset: "Greedy".into(), theme, sidebar: false, ..Settings::default() };
    let mut stage = Stage::open(Setup { size: [760.0, 560.0], settings, ..Setup::default() });
    if talk {
        stage.talk("Where to?");
    }
    stage.harness.remove_cursor();
    stage.harness.run_steps(20);
    // The toy's speed differs from run to run.
    let figures = egui::Rect::from_min_max(egui::pos2(70.0, 531.0), egui::pos2(520.0, 560.0));
    stage.harness.mask(figures);
    let options = SnapshotOptions::new().max_failed_pixels(10);
    stage.harness.snapshot_options(name, &options);
}

#[test]
fn light() {
    picture("window_light", Theme::Light, false);
}

#[test]
fn dark() {
    picture("window_dark", Theme::Dark, true);
}

#[test]
fn every_control_has_a_name() {
    let mut stage = Stage::new();
    stage.talk("Names");
    stage.click("Penalties, seed and stop strings");
    stage.click("More about the model");
    stage.settle();
    assert_eq!(stage.harness.unnamed_widgets(), Vec::<String>::new());
    for action in ["Settings", "Keyboard shortcuts", "Choose a model"] {
        stage.palette(action);
        stage.settle();
        assert_eq!(stage.harness.unnamed_widgets(), Vec::<String>::new(), "{action}");
        stage.click("Close");
    }
}
