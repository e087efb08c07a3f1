//! What stands in a conversation without messages.

use egui::{Align, Button, Layout, RichText, Ui, UiBuilder};

use super::look::Look;
use super::view::EmptyContent;
use crate::ui::Command;
use crate::ui::theme::READING_WIDTH;

/// Draw the content in the middle of `ui`.
pub fn empty_ui(ui: &mut Ui, content: &EmptyContent<'_>, commands: &mut Vec<Command>) {
    let look = Look::of(ui);
    let area = ui.available_rect_before_wrap();
    let side = ((area.width() - READING_WIDTH) / 2.0).max(20.0);
    let area = area.shrink2(egui::vec2(side, 0.0));
    let builder = UiBuilder::new().max_rect(area).layout(Layout::top_down(Align::Center));
    ui.scope_builder(builder, |ui| {
        ui.add_space((area.height() * 0.3).max(16.0));
        let heading = look.heading(1);
        ui.label(
            RichText::new(content.title)
                .font(heading.strong.clone())
                .color(look.tokens.text_strong),
        );
        ui.add_space(6.0);
        ui.label(RichText::new(content.hint).font(look.body.clone()).color(look.tokens.text_weak));
        ui.add_space(20.0);
        ui.spacing_mut().item_spacing.y = 8.0;
        for (name, path) in content.models {
            if choice(ui, name, &look) {
                commands.push(Command::OpenModel(path.to_path_buf()));
            }
        }
        for suggestion in content.suggestions {
            if choice(ui, suggestion, &look) {
                commands.push(Command::UsePrompt((*suggestion).to_owned()));
            }
        }
    });
    ui.advance_cursor_after_rect(area);
}

fn choice(ui: &mut Ui, text: &str, look: &Look) -> bool {
    let label = RichText::new(text).font(look.body.clone()).color(look.tokens.text);
    let button = Button::new(label)
        .fill(look.tokens.surface)
        .corner_radius(10.0)
        .min_size(egui::vec2(0.0, 36.0))
        .wrap();
    ui.add(button).clicked()
}
