//! Pictures of the demo conversations.

use super::*;

/// A few pixels may differ between drivers, a real change differs in hundreds.
fn options() -> egui_kittest::SnapshotOptions {
    egui_kittest::SnapshotOptions::new().max_failed_pixels(10)
}

#[test]
fn markdown_looks_as_it_did() {
    let text = "### Steps\n\n1. Look *ahead*\n2. **Push** `gently`\n\n> Wait\n\n\
                ```rust\nlet gain = 1.5; // from trials\n```\n\n| a | b |\n|---|--:|\n| c | 1 |";
    let mut results = egui_kittest::SnapshotResults::new();
    for theme in [egui::Theme::Light, egui::Theme::Dark] {
        let nodes = vec![
            demo::node(1, Role::User, "How does a tiller work?"),
            demo::node(2, Role::Assistant, text),
        ];
        let mut harness = window(Desk::with(nodes), [420.0, 640.0], theme);
        harness.run();
        let name = format!("transcript_markdown_{theme:?}").to_lowercase();
        harness.snapshot_options(name, &options());
        results.extend(harness.take_snapshot_results());
    }
}

#[test]
fn tokens_look_as_they_did() {
    let mut reply = demo::traced_reply(4);
    // No bundled font has the Chinese character.
    reply.tokens.truncate(18);
    reply.content = reply.tokens.iter().map(|token| token.text.as_str()).collect();
    let mut harness = window(Desk::with(vec![reply]), [420.0, 560.0], egui::Theme::Light);
    harness.run();
    harness.get_by_label("Show tokens").click();
    harness.run();
    harness.get_by_label("token 4 ‘crosses’, 3.0 %").click();
    harness.run();
    harness.remove_cursor();
    harness.run();
    harness.snapshot_options("transcript_tokens_light", &options());
}
