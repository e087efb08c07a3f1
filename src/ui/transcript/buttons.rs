//! The transcript's own buttons: small ones in a row, the round one of the composer, and the pill
//! that floats over the list.

use egui::{Pos2, Rect, Response, Role, Sense, Stroke, Ui, Vec2, WidgetInfo, pos2, vec2};

use crate::ui::icons::{self, Icon};
use crate::ui::theme;

/// Width and height of a small button, in points.
pub const SMALL: f32 = 26.0;

/// A small button with an icon; `name` is its tooltip and what a screen reader says.
pub fn small(ui: &mut Ui, icon: Icon, name: &str) -> Response {
    icons::button_sized(ui, icon, name, name, SMALL, None)
}

/// A small button that shows whether what it opens is open.
pub fn toggle(ui: &mut Ui, icon: Icon, name: &str, on: bool) -> Response {
    let color = on.then(|| theme::tokens(ui).accent);
    icons::button_sized(ui, icon, name, name, SMALL, color)
}

/// The primary round button of the composer.
pub fn round(ui: &mut Ui, icon: Icon, name: &str, enabled: bool) -> Response {
    let diameter = 32.0;
    let sense = if enabled { Sense::click() } else { Sense::hover() };
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(diameter), sense);
    response.widget_info(|| WidgetInfo::labeled(Role::Button, enabled, name));
    let tokens = theme::tokens(ui);
    let fill = if !enabled {
        tokens.control
    } else if response.hovered() {
        tokens.accent_hovered
    } else {
        tokens.accent
    };
    let painter = ui.painter();
    painter.circle_filled(rect.center(), diameter / 2.0, fill);
    if response.has_focus() {
        let stroke = Stroke::new(2.0, tokens.text_strong);
        painter.circle_stroke(rect.center(), diameter / 2.0 - 1.0, stroke);
    }
    let color = if enabled { tokens.on_accent } else { tokens.text_faint };
    let size = if icon == Icon::Stop { 20.0 } else { 16.0 };
    icon.paint(painter, Rect::from_center_size(rect.center(), Vec2::splat(size)), color);
    response.on_hover_text(name)
}

/// A pill with an icon and a text around `center`, over whatever is drawn there.
pub fn pill(ui: &Ui, center: Pos2, icon: Icon, name: &str) -> Response {
    let tokens = theme::tokens(ui);
    let font = egui::TextStyle::Button.resolve(ui.style());
    let text =
        ui.fonts_mut(|fonts| fonts.layout_no_wrap(name.to_owned(), font, tokens.text_strong));
    let rect = Rect::from_center_size(center, text.size() + vec2(46.0, 14.0));
    let response = ui.interact(rect, ui.unique_id().with(name), Sense::click());
    response.widget_info(|| WidgetInfo::labeled(Role::Button, ui.is_enabled(), name));
    let painter = ui.painter();
    let rounding = rect.height() / 2.0;
    painter.add(ui.visuals().popup_shadow.as_shape(rect, rounding));
    let lively = response.hovered() || response.has_focus();
    let fill = if lively { tokens.control_hovered } else { tokens.raised };
    let edge = if response.has_focus() { tokens.accent } else { tokens.outline };
    painter.rect(rect, rounding, fill, Stroke::new(1.0, edge), egui::StrokeKind::Inside);
    let square =
        Rect::from_center_size(pos2(rect.left() + 19.0, rect.center().y), Vec2::splat(14.0));
    icon.paint(painter, square, tokens.text_weak);
    let place = pos2(rect.left() + 31.0, rect.center().y - text.size().y / 2.0);
    painter.galley(place, text, tokens.text_strong);
    response
}
