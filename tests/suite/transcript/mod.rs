//! The middle of the window, used through its accessibility tree.

mod actions;
mod composer;
mod demo;
mod list;
mod look;
mod markdown;
mod tokens;

use egui::accesskit;
use egui_kittest::{Harness, kittest::Queryable as _};
use tiller::session::{ConversationId, Node, NodeId, Role, TokenTrace};
use tiller::ui::Command;
use tiller::ui::transcript::{
    ComposerView, EmptyContent, MessageView, StreamingReply, TranscriptState, TranscriptView,
    Versions, conversation_ui,
};

/// A window with a conversation in it.
#[derive(Default)]
struct Desk {
    nodes: Vec<Node>,
    versions: Vec<(NodeId, Vec<NodeId>, usize)>,
    streaming: Option<(String, Vec<TokenTrace>)>,
    draft: String,
    blocked: bool,
    state: TranscriptState,
    commands: Vec<Command>,
}

const STREAMING: NodeId = NodeId(9_999);

impl Desk {
    fn with(nodes: Vec<Node>) -> Self {
        Self { nodes, ..Self::default() }
    }

    fn ui(&mut self, ui: &mut egui::Ui) {
        let messages: Vec<MessageView<'_>> = self
            .nodes
            .iter()
            .map(|node| {
                let versions = self.versions.iter().find(|(id, ..)| *id == node.id);
                let versions = versions
                    .map(|(_, ids, index)| Versions { ids, index: *index })
                    .unwrap_or_default();
                MessageView { node, versions, references: &[] }
            })
            .collect();
        let view = TranscriptView {
            conversation: ConversationId(1),
            messages: &messages,
            streaming: self.streaming.as_ref().map(|(text, tokens)| StreamingReply {
                node: STREAMING,
                versions: Versions::default(),
                text,
                tokens,
                references: &[],
                prefill: None,
            }),
            model_name: Some("Starter"),
            empty: EmptyContent {
                title: "Starter is ready",
                hint: "Ask it anything",
                suggestions: &["Tell me about ferries", "Write a haiku"],
                models: &[],
            },
        };
        let composer = ComposerView {
            streaming: self.streaming.is_some(),
            can_send: !self.blocked,
            blocked: self.blocked.then_some("Load a model first"),
            draft_tokens: Some(self.draft.split_whitespace().count()),
            model_name: Some("Starter"),
        };
        conversation_ui(ui, &view, &composer, &mut self.draft, &mut self.state, &mut self.commands);
    }
}

fn window(desk: Desk, size: [f32; 2], theme: egui::Theme) -> Harness<'static, Desk> {
    Harness::builder()
        .with_size(size)
        .with_theme(theme)
        .with_max_steps(60)
        .allow_missing_glyphs()
        .with_context_setup(tiller::ui::theme::install)
        .wgpu()
        .build_ui_state(|ui, desk: &mut Desk| desk.ui(ui), desk)
}

fn open(desk: Desk) -> Harness<'static, Desk> {
    let mut harness = window(desk, [900.0, 700.0], egui::Theme::Light);
    harness.run();
    harness
}

#[test]
fn copy_code_gives_the_exact_code() {
    let code = "fn main() {\n    println!(\"a\\tb\");\n}\n\n// end";
    let text = format!("Look:\n\n```rust\n{code}\n```\n\nThat is all.");
    let mut harness = open(Desk::with(vec![demo::node(1, Role::Assistant, &text)]));
    harness.get_by_role_and_label(accesskit::Role::Button, "Copy code").click();
    harness.run();
    assert_eq!(harness.state().commands, [Command::CopyText(code.to_owned())]);
}
