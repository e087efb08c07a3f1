//! What is shown while a file is held over the window.

use egui::{Align2, Context, Id, LayerId, Order};

use super::theme::{RADIUS_CARD, Tokens, space};

/// Says what dropping will do.
pub fn drop_ui(context: &Context) {
    if context.input(|input| input.raw.hovered_files.is_empty()) {
        return;
    }
    let colors = Tokens::for_dark(context.theme() == egui::Theme::Dark);
    let layer = LayerId::new(Order::Foreground, Id::unique("drop"));
    let painter = context.layer_painter(layer);
    let window = context.content_rect();
    painter.rect_filled(window, 0.0, colors.scrim);
    let card = egui::Rect::from_center_size(window.center(), egui::vec2(520.0, 96.0));
    let radius = f32::from(RADIUS_CARD);
    painter.rect_filled(card, radius, colors.raised);
    let edge = egui::Stroke::new(2.0, colors.accent);
    let inside = card.shrink(space::S);
    painter.rect_stroke(inside, radius - 4.0, edge, egui::StrokeKind::Inside);
    let font = egui::FontId::proportional(16.0);
    let text = "Drop documents, a model, a vector or a reward adapter";
    painter.text(card.center(), Align2::CENTER_CENTER, text, font, colors.text_strong);
}
