//! The window's own buttons and sliders, so that all of them look alike.

use egui::{Align2, FontId, Response, Sense, Stroke, Ui, vec2};

use super::icons::Icon;
use super::theme::{self, Tokens, space, tokens};

/// How much a button stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    Quiet,
    /// The one thing to do here.
    Primary,
}

/// A button over the whole width, its text in the middle, with an icon before it if there is one.
pub fn wide_button(ui: &mut Ui, icon: Option<Icon>, text: &str, weight: Weight) -> Response {
    let size = vec2(ui.available_width(), 34.0);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    let is_enabled = ui.is_enabled();
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, is_enabled, text));
    if !ui.is_rect_visible(rect) {
        return response;
    }
    let colors = tokens(ui);
    let is_down = response.is_pointer_button_down_on();
    let (fill, ink) = match weight {
        Weight::Quiet if is_down => (colors.control_pressed, colors.text_strong),
        Weight::Quiet if response.hovered() => (colors.control_hovered, colors.text_strong),
        Weight::Quiet => (colors.control, colors.text),
        Weight::Primary if response.hovered() => (colors.accent_hovered, colors.on_accent),
        Weight::Primary => (colors.accent, colors.on_accent),
    };
    let radius = f32::from(theme::RADIUS);
    ui.painter().rect_filled(rect, radius, fill);
    if response.has_focus() {
        let stroke = Stroke::new(1.5, colors.accent);
        let rect = rect.expand(1.5);
        ui.painter().rect_stroke(rect, radius, stroke, egui::StrokeKind::Outside);
    }
    let font = theme::strong_font(ui, 13.5);
    let galley = ui.painter().layout_no_wrap(text.to_owned(), font, ink);
    let icon_width = if icon.is_some() { 16.0 + 6.0 } else { 0.0 };
    let left = rect.center().x - (galley.size().x + icon_width) / 2.0;
    if let Some(icon) = icon {
        let square =
            egui::Rect::from_center_size(egui::pos2(left + 8.0, rect.center().y), vec2(16.0, 16.0));
        icon.paint(ui.painter(), square, ink);
    }
    let top = rect.center().y - galley.size().y / 2.0;
    ui.painter().galley(egui::pos2(left + icon_width, top), galley, ink);
    response
}

/// A slider over the whole width, thin and quiet, its filled part in the accent colour.
pub fn slider(ui: &mut Ui, slider: egui::Slider<'_>) -> Response {
    ui.scope(|ui| {
        let colors = tokens(ui);
        let width = ui.available_width();
        let spacing = ui.spacing_mut();
        spacing.slider_width = width;
        spacing.interact_size.y = 18.0;
        let visuals = ui.visuals_mut();
        visuals.selection.bg_fill = colors.accent;
        for widget in [
            &mut visuals.widgets.inactive,
            &mut visuals.widgets.hovered,
            &mut visuals.widgets.active,
        ] {
            widget.fg_stroke = Stroke::new(1.5, colors.accent);
        }
        visuals.widgets.inactive.bg_fill = colors.control_pressed;
        // The handle is filled with the same colour as the rail otherwise.
        ui.add(slider)
    })
    .inner
}

/// Draws radio buttons and checkboxes with an edge that can be seen at rest.
pub fn outlined<R>(ui: &mut Ui, add: impl FnOnce(&mut Ui) -> R) -> R {
    ui.scope(|ui| {
        let colors = tokens(ui);
        let widgets = &mut ui.visuals_mut().widgets;
        widgets.inactive.bg_fill = colors.sunken;
        widgets.inactive.bg_stroke = Stroke::new(1.0, colors.text_faint);
        widgets.hovered.bg_stroke = Stroke::new(1.0, colors.accent);
        for widget in [&mut widgets.inactive, &mut widgets.hovered, &mut widgets.active] {
            widget.fg_stroke.color = colors.accent;
        }
        ui.visuals_mut().override_text_color = Some(colors.text);
        add(ui)
    })
    .inner
}

/// A line that opens and closes what is below it.
pub fn disclosure(ui: &mut Ui, is_open: bool, text: &str) -> Response {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 28.0), Sense::click());
    response.widget_info(|| {
        let mut info = egui::WidgetInfo::labeled(egui::Role::Button, true, text);
        info.selected = Some(is_open);
        info
    });
    let colors = tokens(ui);
    let is_lit = response.hovered() || response.has_focus();
    let color = if is_lit { colors.text } else { colors.text_weak };
    let arrow = if is_open { Icon::ChevronDown } else { Icon::ChevronRight };
    let square = egui::Rect::from_min_size(rect.left_center() - vec2(1.0, 7.0), vec2(14.0, 14.0));
    arrow.paint(ui.painter(), square, color);
    ui.painter().text(
        rect.left_center() + vec2(20.0, 0.0),
        Align2::LEFT_CENTER,
        text,
        FontId::proportional(14.0),
        color,
    );
    response
}

/// A plot that stands still: it has an axis of values, and no hand moves it.
pub fn still_plot<'a>(name: &str, height: f32) -> egui_plot::Plot<'a> {
    egui_plot::Plot::new(name)
        .height(height)
        .allow_drag(false)
        .allow_zoom(false)
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .allow_double_click_reset(false)
        .show_axes([false, true])
        .show_grid([false, true])
        .show_background(false)
}

/// The heading of a part of a panel.
pub fn section(ui: &mut Ui, text: &str) {
    ui.add_space(space::M);
    let color = tokens(ui).text_strong;
    ui.label(egui::RichText::new(text).text_style(theme::section()).color(color));
}

/// The fill behind a row of a list.
pub fn row_fill(ui: &Ui, is_selected: bool, is_hovered: bool) -> egui::Color32 {
    let colors = tokens(ui);
    match (is_selected, is_hovered) {
        (true, _) => colors.accent_soft,
        (false, true) => colors.control,
        (false, false) => Tokens::CLEAR,
    }
}
