//! A code block: its language, a copy button, and lines that scroll instead of wrapping.

use egui::text::{LayoutJob, TextFormat};
use egui::{Align, CornerRadius, Frame, Layout, Margin, RichText, ScrollArea, Stroke, Ui};

use super::super::look::Look;
use super::super::selectable;
use super::highlight::{Kind, stretches};
use crate::ui::Command;
use crate::ui::icons::Icon;
use crate::ui::transcript::buttons;

/// Draw a code block.
pub fn code_ui(ui: &mut Ui, language: &str, text: &str, look: &Look, commands: &mut Vec<Command>) {
    let tokens = &look.tokens;
    let frame = Frame::new()
        .fill(tokens.code_surface)
        .stroke(Stroke::new(1.0, tokens.line))
        .corner_radius(CornerRadius::same(8));
    frame.show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        ui.set_min_width(ui.available_width());
        header_ui(ui, language, text, look, commands);
        ScrollArea::horizontal().id_salt("code").show(ui, |ui| {
            let margin = Margin { left: 14, right: 14, top: 2, bottom: 12 };
            Frame::new().inner_margin(margin).show(ui, |ui| {
                let galley = selectable::layout(ui, job(language, text, look));
                selectable::galley_ui(ui, galley);
            });
        });
    });
}

fn header_ui(ui: &mut Ui, language: &str, text: &str, look: &Look, commands: &mut Vec<Command>) {
    let margin = Margin { left: 14, right: 6, top: 4, bottom: 2 };
    Frame::new().inner_margin(margin).show(ui, |ui| {
        ui.horizontal(|ui| {
            let label = RichText::new(if language.is_empty() { "text" } else { language })
                .font(look.small.clone())
                .color(look.tokens.text_weak);
            ui.label(label);
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if buttons::small(ui, Icon::Copy, "Copy code").clicked() {
                    commands.push(Command::CopyText(text.to_owned()));
                }
            });
        });
    });
}

fn job(language: &str, text: &str, look: &Look) -> LayoutJob {
    let tokens = &look.tokens;
    let mut job = LayoutJob::default();
    job.wrap.max_width = f32::INFINITY;
    for (range, kind) in stretches(text, &language.to_ascii_lowercase()) {
        let format = TextFormat {
            font_id: look.code.clone(),
            color: match kind {
                Kind::Plain => tokens.text,
                Kind::Keyword => tokens.code_keyword,
                Kind::Text => tokens.code_string,
                Kind::Number => tokens.code_number,
                Kind::Comment => tokens.code_comment,
            },
            italics: kind == Kind::Comment,
            line_height: Some((look.code.size * 1.45).round()),
            ..TextFormat::default()
        };
        job.append(&text[range], 0.0, format);
    }
    job
}
