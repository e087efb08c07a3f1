//! The path that is shown, as Markdown for people.

use std::fmt::Write;

use crate::session::conversation::Conversation;
use crate::session::tree::{Node, NodeState, Role};

/// The conversation as Markdown: its title, its system prompt, then the messages that are shown.
pub fn markdown(conversation: &Conversation) -> String {
    let mut text = String::new();
    let title = conversation.summary.title.trim();
    let title = if title.is_empty() { "Conversation" } else { title };
    writeln!(text, "# {title}").ok();
    if let Some(prompt) = conversation.system_prompt.as_deref().filter(|text| !text.is_empty()) {
        section(&mut text, "System", prompt);
    }
    for node in conversation.tree.active_path() {
        section(&mut text, &speaker(node), &node.content);
        if node.state != NodeState::Finished {
            text.push_str("\n*(not finished)*\n");
        }
    }
    text
}

fn section(text: &mut String, heading: &str, content: &str) {
    write!(text, "\n## {heading}\n\n{}\n", content.trim_end()).ok();
}

/// Who speaks, by the model's name where the recipe says it.
fn speaker(node: &Node) -> String {
    match node.role {
        Role::System => "System".into(),
        Role::User => "You".into(),
        Role::Assistant => {
            let recipe = node.recipe.as_deref().unwrap_or_default();
            let recipe: serde_json::Value = serde_json::from_str(recipe).unwrap_or_default();
            let name = recipe.get("model_name").and_then(|name| name.as_str()).unwrap_or_default();
            if name.is_empty() { "Assistant".into() } else { name.to_owned() }
        }
    }
}
