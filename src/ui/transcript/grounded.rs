//! The line under a reply that documents moved: how many of its tokens, by which files. A click
//! shows the tokens, the first of them with its passages.

use egui::{Label, RichText, Sense, Ui};

use super::look::Look;
use super::message::Entry;
use crate::session::{TokenReferences, Weighed};
use crate::ui::Command;
use crate::ui::words::plural;

/// Files named.
const NAMED: usize = 2;

/// Draws it, if any token was moved.
pub fn grounded_ui(ui: &mut Ui, entry: &Entry<'_>, look: &Look, commands: &mut Vec<Command>) {
    let Some(first) = entry.references.iter().find(|told| told.is_moved()) else { return };
    ui.add_space(6.0);
    let text = RichText::new(sentence(entry.references)).font(look.small.clone());
    let label = Label::new(text.color(look.tokens.text_weak)).sense(Sense::click());
    let response = ui.add(label).on_hover_text("Show the tokens and their passages");
    if response.on_hover_cursor(egui::CursorIcon::PointingHand).clicked() {
        commands.push(Command::GoToToken { node: entry.id, token: first.token });
    }
}

fn sentence(references: &[TokenReferences]) -> String {
    let weighed = Weighed::of(references);
    let names: Vec<String> = weighed
        .files
        .iter()
        .filter_map(|(file, _)| Some(file.file_name()?.to_string_lossy().into_owned()))
        .collect();
    let mut by = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(" and ");
    if by.is_empty() {
        by = "documents".into();
    }
    if names.len() > NAMED {
        by += &format!(" and {} more", names.len() - NAMED);
    }
    format!(
        "{} of {} moved by {by}",
        weighed.moved,
        plural(weighed.tokens as u64, "token", "tokens")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::PassageShare;

    #[test]
    fn files_are_named_by_weight_and_the_rest_counted() {
        let token = |file: &str, after| TokenReferences {
            before: 0.1,
            after,
            passages: vec![PassageShare {
                file: file.into(),
                share: after,
                agrees: true,
                ..PassageShare::default()
            }],
            ..TokenReferences::default()
        };
        let all = [token("/a/b.txt", 0.5), token("/a/c.txt", 0.9), token("d.txt", 0.4)];
        assert_eq!(sentence(&all), "3 of 3 tokens moved by c.txt and b.txt and 1 more");
        assert_eq!(sentence(&all[..1]), "1 of 1 token moved by b.txt");
    }
}
