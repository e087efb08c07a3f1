//! The shapes of the tree, drawn alike on the screen and into a picture.

use egui::{Align2, Color32, FontId, Painter, Pos2, Rect, Stroke, Vec2, pos2, vec2};

use super::layout::{Placed, short_text, value_text};
use crate::ui::theme::Tokens;

/// Lines from every candidate to the one it continues, where they are in sight.
pub fn edges(
    painter: &Painter,
    view: Rect,
    placed: &[Placed<'_>],
    corner: impl Fn([f32; 2]) -> Pos2,
    size: Vec2,
    colors: &Tokens,
) {
    for one in placed {
        let Some(parent) = one.parent else { continue };
        let from = corner(parent) + vec2(size.x, size.y / 2.0);
        let to = corner(one.at) + vec2(0.0, size.y / 2.0);
        if !Rect::from_two_pos(from, to).intersects(view) {
            continue;
        }
        let stroke = match (one.on_path, one.branch.rank.is_some()) {
            (true, _) => Stroke::new(2.0, colors.accent),
            (false, true) => Stroke::new(1.0, colors.text_weak),
            (false, false) => Stroke::new(1.0, colors.outline),
        };
        let middle = f32::midpoint(from.x, to.x);
        let points = [from, pos2(middle, from.y), pos2(middle, to.y), to];
        painter.add(egui::epaint::CubicBezierShape::from_points_stroke(
            points,
            false,
            Tokens::CLEAR,
            stroke,
        ));
    }
}

/// A candidate: its text and its value, strong on the kept path, pale where it was pruned.
pub fn node(
    painter: &Painter,
    place: Rect,
    one: &Placed<'_>,
    zoom: f32,
    fill: Color32,
    colors: &Tokens,
) {
    let branch = one.branch;
    let (edge, ink) = match (one.on_path, branch.rank.is_some()) {
        (true, _) => (Stroke::new(2.0, colors.accent), colors.text_strong),
        (false, true) => (Stroke::new(1.0, colors.text_weak), colors.text),
        (false, false) => (Stroke::new(1.0, colors.line), colors.text_faint),
    };
    painter.rect(place, 6.0 * zoom, fill, edge, egui::StrokeKind::Inside);
    // Below this nobody could read it.
    if zoom >= 0.45 {
        let text = short_text(branch, 22);
        let at = |y: f32| place.min + vec2(8.0, y) * zoom;
        let font = |size: f32| FontId::proportional(size * zoom);
        painter.text(at(11.0), Align2::LEFT_CENTER, text, font(12.5), ink);
        let value = value_text(branch);
        let line = if branch.finished { format!("{value}  ended") } else { value };
        painter.text(at(28.0), Align2::LEFT_CENTER, line, font(11.0), ink);
    }
}
