//! The window's size and the widths of its panels last from one start to the next.

use egui::{Event, Modifiers, PointerButton, Pos2, Rect, pos2, vec2};
use egui_kittest::kittest::Queryable;
use tiller::session::{Settings, WindowPlace, settings};

use super::stage::{Setup, Stage};

fn kept(stage: &Stage) -> WindowPlace {
    settings::load(&stage.path().join("settings.toml")).settings.window
}

/// Drags with the mouse from here to there.
fn drag(stage: &mut Stage, from: Pos2, to: Pos2) {
    let button = |pos, pressed| Event::PointerButton {
        pos,
        button: PointerButton::Primary,
        pressed,
        modifiers: Modifiers::NONE,
    };
    for event in [
        Event::PointerMoved(from),
        button(from, true),
        Event::PointerMoved(from.lerp(to, 0.5)),
        Event::PointerMoved(to),
        button(to, false),
    ] {
        stage.harness.event(event);
        stage.harness.step();
    }
    stage.settle();
}

#[test]
fn panel_widths_last() {
    let mut stage = Stage::new();
    let model = |stage: &Stage| stage.harness.get_by_label("Choose a model…").rect().left();
    let before = model(&stage);
    drag(&mut stage, pos2(249.5, 500.0), pos2(330.0, 500.0));
    drag(&mut stage, pos2(890.5, 500.0), pos2(850.0, 500.0));
    let moved = model(&stage);
    assert!(before - moved > 30.0, "the right panel is wider: {before} {moved}");
    stage.until("it is kept", |stage| {
        kept(stage).sidebar_width > 320 && kept(stage).side_panel_width > 340
    });
    let settings = settings::load(&stage.path().join("settings.toml")).settings;
    let folder = stage.close();
    let again = Stage::reopen(Setup { settings, ..Setup::default() }, folder);
    let there = again.harness.get_by_label("Choose a model…").rect().left();
    assert!((there - moved).abs() < 1.5, "{there} {moved}");
}

#[test]
fn size_and_position_are_kept_when_the_window_has_come_to_rest() {
    let mut stage = Stage::new();
    let inside = Rect::from_min_size(pos2(40.0, 60.0), vec2(1000.0, 700.0));
    let viewport = |stage: &mut Stage, minimized, inside: Rect| {
        let viewports = &mut stage.harness.input_mut().viewports;
        let viewport = viewports.get_mut(&egui::ViewportId::ROOT).expect("there is one");
        viewport.inner_rect = Some(inside);
        viewport.outer_rect = Some(inside);
        viewport.minimized = Some(minimized);
    };
    viewport(&mut stage, false, inside);
    stage.until("it is kept", |stage| {
        let kept = kept(stage);
        kept.size == [1000, 700] && kept.position == Some([40, 60])
    });
    // Where a minimised window is said to be is nowhere to open it again.
    viewport(&mut stage, true, inside.translate(vec2(-32_000.0, -32_000.0)));
    stage.harness.run_steps(20);
    let folder = stage.close();
    let file = folder.path().join("settings.toml");
    assert_eq!(settings::load(&file).settings.window.position, Some([40, 60]));
    // Closed at once after a change: nothing waited for is lost.
    let settings = Settings { zoom: 2.0, ..settings::load(&file).settings };
    let mut again = Stage::reopen(Setup { settings, ..Setup::default() }, folder);
    viewport(&mut again, false, Rect::from_min_size(pos2(10.0, 20.0), vec2(500.0, 350.0)));
    again.harness.step();
    let folder = again.close();
    let window = settings::load(&folder.path().join("settings.toml")).settings.window;
    assert_eq!((window.size, window.position), ([1000, 700], Some([20, 40])), "zoom taken out");
}
