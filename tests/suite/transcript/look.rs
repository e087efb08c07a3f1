//! Pictures of the demo conversations.

use tiller::ui::transcript::Tint;

use super::*;

/// Writes pictures of the demo conversations into the folder `TILLER_PICTURES`, to be looked at.
#[test]
fn pictures_can_be_taken() {
    let Some(folder) = std::env::var_os("TILLER_PICTURES") else { return };
    let folder = std::path::PathBuf::from(folder);
    let question = demo::node(1, Role::User, "How does a tiller work?\nIn short, please.");
    for theme in [egui::Theme::Light, egui::Theme::Dark] {
        for (width, height) in [(1100.0, 1500.0), (420.0, 1900.0)] {
            let nodes = vec![
                question.clone(),
                demo::node(2, Role::Assistant, demo::MARKDOWN),
                demo::node(3, Role::User, "Tell me about ferries."),
                demo::traced_reply(4),
            ];
            let mut harness = window(Desk::with(nodes), [width, height], theme);
            harness.run();
            save(&mut harness, &folder, &format!("markdown-{theme:?}-{width}"));
        }
        for (width, height) in [(1000.0, 760.0), (420.0, 900.0)] {
            let nodes = vec![question.clone(), demo::traced_reply(4)];
            let mut harness = window(Desk::with(nodes), [width, height], theme);
            harness.run();
            harness.get_by_label("Show tokens").click();
            harness.run();
            harness.get_by_label("token 8 ‘dawn’, 0.4 %").hover();
            harness.run();
            save(&mut harness, &folder, &format!("tokens-hover-{theme:?}-{width}"));
            harness.get_by_label("token 3 ‘ferry’, 34 %").click();
            harness.run();
            harness.state_mut().state.set_token_options(Tint::Entropy, true);
            harness.run();
            save(&mut harness, &folder, &format!("tokens-pinned-{theme:?}-{width}"));
        }
    }
}

fn save(harness: &mut Harness<'static, Desk>, folder: &std::path::Path, name: &str) {
    let image = harness.render().expect("renders");
    image.save(folder.join(format!("{}.png", name.to_lowercase()))).expect("saves");
}
