//! The frame every dialog stands in: dimmed background, title, a way out.

use egui::{Align, Id, Layout, Modal, RichText, Ui, vec2};

use crate::ui::icons::{self, Icon};
use crate::ui::theme::{self, space, tokens};

/// Draws a dialog `width` points wide where there is room; true when it is to close (its button,
/// Esc, a click beside it, or what `inside` says).
pub fn dialog_ui(
    context: &egui::Context,
    title: &str,
    width: f32,
    inside: impl FnOnce(&mut Ui) -> bool,
) -> bool {
    let room = context.content_rect().size() - vec2(48.0, 64.0);
    let modal = Modal::new(Id::unique(("dialog", title)))
        .frame(egui::Frame::popup(&context.global_style()).inner_margin(20))
        .backdrop_color(theme::Tokens::for_dark(is_dark(context)).scrim);
    let response = modal.show(context, |ui| {
        ui.set_width(width.min(room.x));
        ui.set_max_height(room.y);
        let mut closes = false;
        ui.horizontal(|ui| {
            ui.label(RichText::new(title).text_style(theme::title()).color(tokens(ui).text_strong));
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                closes = icons::button(ui, Icon::Close, "Close", "Close (Esc)").clicked();
            });
        });
        ui.add_space(space::S);
        inside(ui) || closes
    });
    response.inner || response.should_close()
}

fn is_dark(context: &egui::Context) -> bool {
    context.theme() == egui::Theme::Dark
}
