//! One line of the left panel: title, where a search matched, and what can be done with it.

use std::ops::Range;

use egui::text::{LayoutJob, TextFormat};
use egui::{Align, FontId, Id, Key, Layout, Rect, Sense, Stroke, Ui, UiBuilder, vec2};

use super::{ConversationsState, ConversationsView, Renaming};
use crate::session::ConversationSummary;
use crate::ui::action::Action;
use crate::ui::command::Command;
use crate::ui::icons::{self, Icon};
use crate::ui::theme::{self, Tokens, tokens};

/// Where a search matched, in bytes.
pub type Marks = Vec<Range<usize>>;

/// A conversation as one line, or two with a snippet.
pub struct Row<'a> {
    pub conversation: &'a ConversationSummary,
    pub title_marks: &'a [Range<usize>],
    pub snippet: Option<(&'a str, &'a [Range<usize>])>,
}

/// What a conversation without a title is called.
pub fn title_of(conversation: &ConversationSummary) -> &str {
    if conversation.title.is_empty() { "New conversation" } else { &conversation.title }
}

/// Draws it; a click opens, F2 renames, the menu has the rest.
pub fn row_ui(
    ui: &mut Ui,
    view: &ConversationsView<'_>,
    row: &Row<'_>,
    state: &mut ConversationsState,
    commands: &mut Vec<Command>,
) {
    let id = row.conversation.id;
    let rect = ui.max_rect();
    if state.renaming.as_ref().is_some_and(|renaming| renaming.id == id) {
        rename_ui(ui, rect, state, commands);
        return;
    }
    let is_open = view.open == Some(id);
    let title = title_of(row.conversation);
    let response = ui.interact(rect, Id::unique(("conversation", id)), Sense::click());
    response.widget_info(|| egui::WidgetInfo::selected(egui::Role::Button, true, is_open, title));
    let shows_buttons =
        is_open || response.has_focus() || ui.rect_contains_pointer(rect) || ui.is_sizing_pass();
    background_ui(ui, rect, is_open, &response);
    let buttons = if shows_buttons { 56.0 } else { 0.0 };
    text_ui(ui, rect, row, title, buttons, view.writing == Some(id));
    if shows_buttons {
        let place = Rect::from_min_max(
            egui::pos2(rect.right() - buttons - 4.0, rect.top() + 3.0),
            egui::pos2(rect.right() - 4.0, rect.top() + 31.0),
        );
        let layout = Layout::right_to_left(Align::Center);
        let mut side = ui.new_child(UiBuilder::new().max_rect(place).layout(layout));
        side.spacing_mut().item_spacing.x = 0.0;
        let name = format!("Move “{title}” to trash");
        if icons::button(&mut side, Icon::Trash, &name, "Move to trash, can be undone").clicked() {
            commands.push(Command::TrashConversation(id));
        }
        let name = format!("Rename “{title}”");
        if icons::button(&mut side, Icon::Pencil, &name, "Rename").clicked() {
            start_renaming(state, row.conversation);
        }
    }
    if response.clicked() {
        commands.push(Command::OpenConversation(id));
    }
    if response.double_clicked() {
        start_renaming(state, row.conversation);
    }
    response.context_menu(|ui| {
        if ui.button(Action::RenameConversation.label()).clicked() {
            start_renaming(state, row.conversation);
        }
        if ui.button(Action::TrashConversation.label()).clicked() {
            commands.push(Command::TrashConversation(id));
        }
    });
}

/// Puts the title into a field.
pub fn start_renaming(state: &mut ConversationsState, conversation: &ConversationSummary) {
    state.renaming =
        Some(Renaming { id: conversation.id, title: conversation.title.clone(), has_focus: false });
}

/// A line of the trash, with the way back and the way out.
pub fn trash_row_ui(ui: &mut Ui, conversation: &ConversationSummary, commands: &mut Vec<Command>) {
    let rect = ui.max_rect();
    let title = title_of(conversation);
    let row = Row { conversation, title_marks: &[], snippet: None };
    text_ui(ui, rect, &row, title, 34.0, false);
    let place = Rect::from_min_max(
        egui::pos2(rect.right() - 34.0, rect.top() + 3.0),
        egui::pos2(rect.right() - 4.0, rect.top() + 31.0),
    );
    let layout = Layout::right_to_left(Align::Center);
    let mut side = ui.new_child(UiBuilder::new().max_rect(place).layout(layout));
    let name = format!("Restore “{title}”");
    if icons::button(&mut side, Icon::Undo, &name, "Restore").clicked() {
        commands.push(Command::RestoreConversation(conversation.id));
    }
}

fn rename_ui(ui: &mut Ui, rect: Rect, state: &mut ConversationsState, commands: &mut Vec<Command>) {
    let Some(renaming) = &mut state.renaming else { return };
    let field = egui::TextEdit::singleline(&mut renaming.title)
        .id_salt("rename")
        .margin(egui::Margin::symmetric(8, 5));
    let response = ui.place(rect.shrink2(vec2(2.0, 2.0)), field);
    let response = response.accessible_name("Conversation title");
    if !renaming.has_focus {
        renaming.has_focus = true;
        response.request_focus();
    }
    let pressed = |key| ui.input(|input| input.key_pressed(key));
    if pressed(Key::Escape) {
        state.renaming = None;
    } else if response.lost_focus() || pressed(Key::Enter) {
        commands.push(Command::RenameConversation {
            id: renaming.id,
            title: renaming.title.trim().to_owned(),
        });
        state.renaming = None;
    }
}

fn background_ui(ui: &Ui, rect: Rect, is_open: bool, response: &egui::Response) {
    let colors = tokens(ui);
    let radius = f32::from(theme::RADIUS);
    let fill = if is_open {
        colors.accent_soft
    } else if response.hovered() {
        colors.control
    } else {
        Tokens::CLEAR
    };
    let inner = rect.shrink2(vec2(0.0, 1.0));
    ui.painter().rect_filled(inner, radius, fill);
    if is_open {
        // The bar tells the open one from a merely hovered one without its colour.
        let bar = Rect::from_min_size(
            inner.left_top() + vec2(0.0, 7.0),
            vec2(3.0, inner.height() - 14.0),
        );
        ui.painter().rect_filled(bar, 1.5, colors.accent);
    }
    if response.has_focus() {
        let stroke = Stroke::new(1.5, colors.accent);
        ui.painter().rect_stroke(inner, radius, stroke, egui::StrokeKind::Inside);
    }
}

fn text_ui(ui: &Ui, rect: Rect, row: &Row<'_>, title: &str, buttons: f32, is_writing: bool) {
    let colors = tokens(ui);
    let left = rect.left() + 12.0;
    let width = (rect.right() - left - buttons - 8.0).max(24.0);
    let text = if is_writing { format!("{title} …") } else { title.to_owned() };
    let job = marked(&text, row.title_marks, 14.0, colors.text, colors, width);
    let galley = ui.fonts_mut(|fonts| fonts.layout_job(job));
    let line = Rect::from_min_size(rect.left_top(), vec2(rect.width(), 34.0));
    let top = line.center().y - galley.size().y / 2.0;
    ui.painter().galley(egui::pos2(left, top), galley, colors.text);
    if let Some((snippet, marks)) = row.snippet {
        let width = (rect.right() - left - 8.0).max(24.0);
        let job = marked(snippet, marks, 12.5, colors.text_weak, colors, width);
        let galley = ui.fonts_mut(|fonts| fonts.layout_job(job));
        ui.painter().galley(egui::pos2(left, rect.top() + 31.0), galley, colors.text_weak);
    }
}

/// One line, cut with an ellipsis where it does not fit, matches underlined and filled.
fn marked(
    text: &str,
    marks: &[Range<usize>],
    size: f32,
    color: egui::Color32,
    colors: &Tokens,
    width: f32,
) -> LayoutJob {
    let wrap = egui::text::TextWrapping::truncate_at_width(width);
    let mut job = LayoutJob { wrap, ..LayoutJob::default() };
    let plain = TextFormat::simple(FontId::proportional(size), color);
    let found = TextFormat {
        background: colors.accent_soft,
        underline: Stroke::new(1.0, colors.accent),
        ..TextFormat::simple(FontId::proportional(size), colors.text_strong)
    };
    let mut at = 0;
    for mark in marks {
        let (Some(before), Some(inside)) =
            (text.get(at..mark.start), text.get(mark.start..mark.end))
        else {
            continue;
        };
        job.append(before, 0.0, plain.clone());
        job.append(inside, 0.0, found.clone());
        at = mark.end;
    }
    job.append(text.get(at..).unwrap_or_default(), 0.0, plain);
    job
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_that_do_not_fit_the_text_are_passed_over() {
        let colors = Tokens::for_dark(false);
        let job = |marks: &[(usize, usize)]| {
            let marks: Marks = marks.iter().map(|&(start, end)| start..end).collect();
            marked("größer", &marks, 14.0, colors.text, colors, 100.0)
        };
        assert_eq!(job(&[(0, 2), (4, 20)]).text, "größer");
        // Byte 3 lies inside the ö.
        assert_eq!(job(&[(3, 4)]).text, "größer");
        assert_eq!(job(&[(0, 2)]).sections.len(), 3, "an empty piece before, the match, the rest");
    }
}
