//! What the tints mean, and the choices of how to draw them.

use egui::{
    Align, CornerRadius, Layout, Rect, RichText, Role, Sense, Stroke, Ui, WidgetInfo, pos2, vec2,
};

use super::TokenOptions;
use super::scale::{Tint, underline};
use crate::ui::transcript::look::Look;

/// Draw the legend; it changes `options`.
pub fn legend_ui(ui: &mut Ui, look: &Look, options: &mut TokenOptions) {
    let layout = Layout::left_to_right(Align::Center).with_main_wrap(true);
    ui.allocate_ui_with_layout(vec2(ui.available_width(), 24.0), layout, |ui| {
        ui.spacing_mut().item_spacing = vec2(6.0, 4.0);
        for (tint, name) in [(Tint::Probability, "Probability"), (Tint::Entropy, "Entropy")] {
            let text = RichText::new(name).font(look.small.clone());
            if ui.selectable_label(options.tint == tint, text).clicked() {
                options.tint = tint;
            }
        }
        let numbers = RichText::new("Numbers").font(look.small.clone());
        ui.checkbox(&mut options.numbers, numbers).on_hover_text("Percentages beside the tokens");
        ui.add_space(8.0);
        let ramp = options.tint.ramp(&look.tokens);
        for (level, label) in options.tint.labels().into_iter().enumerate() {
            step_ui(ui, look, ramp[level], level, label);
        }
    });
    ui.add_space(8.0);
}

/// A swatch and what it stands for; the two never part when the legend wraps.
fn step_ui(ui: &mut Ui, look: &Look, color: egui::Color32, level: usize, label: &str) {
    let text = ui.fonts_mut(|fonts| {
        fonts.layout_no_wrap(label.to_owned(), look.small.clone(), look.tokens.text_weak)
    });
    let size = vec2(30.0 + text.size().x, 18.0);
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, label));
    let center = rect.left_center() + vec2(10.0, 0.0);
    let plate = Rect::from_center_size(center, vec2(20.0, 14.0));
    let stroke = Stroke::new(1.0, look.tokens.line);
    let painter = ui.painter();
    painter.rect(plate, CornerRadius::same(3), color, stroke, egui::StrokeKind::Inside);
    underline(painter, plate, level, look.tokens.text_weak);
    let place = pos2(plate.right() + 5.0, rect.center().y - text.size().y / 2.0);
    painter.galley(place, text, look.tokens.text_weak);
}
