//! Pictures of the demo conversations.

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
            let image = harness.render().expect("renders");
            let name = format!("{theme:?}-{width}.png").to_lowercase();
            image.save(folder.join(name)).expect("saves");
        }
    }
}
