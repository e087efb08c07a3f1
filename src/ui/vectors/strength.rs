//! The slider of one vector: neutral in the middle, a tick for every level that was measured, a
//! broken rail where replies may lose sense.

use std::ops::RangeInclusive;

use egui::{Align2, FontId, Rect, Response, SliderClamping, Stroke, Ui, pos2, vec2};

use crate::model::vector::Calibration;
use crate::ui::theme::{Tokens, tokens};

/// How far a slider goes either way, and by which steps (our choice: section 3 of the method).
pub const RANGE: RangeInclusive<f64> = -1.5..=1.5;
pub const STEP: f64 = 0.05;
/// A drag that ends this close to the middle ends in it.
const DETENT: f64 = 0.075;
/// What is taken for safe where nothing was measured.
const UNMEASURED_SAFE: [f32; 2] = [-1.0, 1.0];

/// What is drawn along the rail.
#[derive(Debug, Clone, PartialEq)]
pub struct Marks {
    /// Names of levels and the strength at which each is likeliest, ascending.
    pub levels: Vec<(String, f32)>,
    /// Outside of it is the warning zone.
    pub safe: [f32; 2],
    pub is_measured: bool,
}

impl Marks {
    /// As calibration found them, or what is known without it.
    pub fn of(calibration: Option<&Calibration>) -> Self {
        let centres = calibration.map(|measured| &measured.level_centres);
        let mut levels: Vec<(String, f32)> = centres
            .into_iter()
            .flatten()
            .map(|(name, strength)| (name.clone(), *strength as f32))
            .filter(|(_, strength)| RANGE.contains(&f64::from(*strength)))
            .collect();
        levels.sort_by(|a, b| a.1.total_cmp(&b.1));
        let measured = calibration.and_then(|calibration| calibration.safe_range);
        let safe = measured.map(|range| range.map(|end| end as f32));
        let safe = safe.filter(|[from, to]| from <= &0.0 && to >= &0.0);
        Self { levels, safe: safe.unwrap_or(UNMEASURED_SAFE), is_measured: safe.is_some() }
    }

    /// In the warning zone.
    pub fn warns_at(&self, strength: f32) -> bool {
        // Half a step of room for strengths that were rounded.
        let room = STEP as f32 / 2.0;
        strength < self.safe[0] - room || strength > self.safe[1] + room
    }
}

/// How far a strength can be dialled here.
#[derive(Debug, Clone, PartialEq)]
pub struct Reach(pub RangeInclusive<f64>);

impl Reach {
    /// The whole slider.
    pub fn whole() -> Self {
        Self(RANGE)
    }

    /// Where language was measured to hold, or the whole slider where the person asked for it or
    /// nothing was measured.
    pub fn of(marks: &Marks, beyond: bool) -> Self {
        if beyond || !marks.is_measured {
            return Self::whole();
        }
        let [from, to] = marks.safe.map(f64::from);
        Self(from.max(*RANGE.start())..=to.min(*RANGE.end()))
    }

    /// The strength within it that is nearest.
    pub fn hold(&self, strength: f64) -> f64 {
        strength.clamp(*self.0.start(), *self.0.end())
    }
}

/// A strength as it is shown.
pub fn text_of(strength: f64) -> String {
    let rounded = (strength * 100.0).round() / 100.0;
    if rounded == 0.0 {
        return "Off".to_owned();
    }
    // A true minus sign, as wide as the plus.
    let sign = if rounded < 0.0 { '−' } else { '+' };
    format!("{sign}{:.2}", rounded.abs())
}

/// Reads a strength as typed.
pub fn parse(text: &str) -> Option<f64> {
    let text = text.trim().replace('−', "-").replace(',', ".");
    if text.eq_ignore_ascii_case("off") {
        return Some(0.0);
    }
    text.parse().ok().filter(|strength: &f64| strength.is_finite())
}

/// Draws the slider over the whole width and the names of the levels below it. A strength beyond
/// its reach stays until it is moved.
pub fn strength_ui(
    ui: &mut Ui,
    name: &str,
    strength: &mut f32,
    marks: &Marks,
    reach: &Reach,
) -> Response {
    let mut value = f64::from(*strength);
    let before = value;
    let response = ui
        .scope(|ui| {
            ui.spacing_mut().slider_width = ui.available_width();
            ui.spacing_mut().interact_size.y = 18.0;
            // All of it is painted below; this takes the pointer, the keys and the screen reader.
            let visuals = ui.visuals_mut();
            visuals.slider_trailing_fill = false;
            let widgets = &mut visuals.widgets;
            for widget in [&mut widgets.inactive, &mut widgets.hovered, &mut widgets.active] {
                widget.bg_fill = Tokens::CLEAR;
                widget.bg_stroke = Stroke::NONE;
                widget.fg_stroke = Stroke::NONE;
            }
            ui.add(
                egui::Slider::new(&mut value, RANGE)
                    .show_value(false)
                    .step_by(STEP)
                    .smart_aim(false)
                    .clamping(SliderClamping::Edits),
            )
        })
        .inner
        .accessible_name(name);
    if response.interact_pointer_pos().is_some() && value.abs() < DETENT {
        value = 0.0;
    }
    if value != before {
        // Steps are decimal: 0.15, not 0.15000000000000002.
        let held = reach.hold((value / STEP).round() * STEP);
        *strength = ((held * 100.0).round() / 100.0) as f32;
    }
    if ui.is_rect_visible(response.rect) {
        paint(ui, &response, *strength, marks);
    }
    levels_ui(ui, response.rect, marks);
    response
}

/// Where a strength lies along the rail, as the slider below it has it.
fn x_of(rail: Rect, strength: f32) -> f32 {
    let ends = rail.x_range().shrink(rail.height() / 2.5);
    let share = (strength - *RANGE.start() as f32) / (*RANGE.end() - *RANGE.start()) as f32;
    egui::lerp(ends.min..=ends.max, share.clamp(0.0, 1.0))
}

fn paint(ui: &Ui, response: &Response, strength: f32, marks: &Marks) {
    let colors = tokens(ui);
    let (painter, rail) = (ui.painter(), response.rect);
    let y = rail.center().y;
    let (from, to) = (x_of(rail, marks.safe[0]), x_of(rail, marks.safe[1]));
    let bar = |left: f32, right: f32| Rect::from_min_max(pos2(left, y - 2.0), pos2(right, y + 2.0));
    painter.rect_filled(bar(from, to), 2.0, colors.control_pressed);
    // Broken, so that the zone is seen without its colour too; quiet where nothing was measured.
    let zone = if marks.is_measured { colors.warning } else { colors.outline };
    for (left, right) in [(rail.left(), from - 3.0), (to + 3.0, rail.right())] {
        let mut dash = left;
        while dash < right {
            painter.rect_filled(bar(dash, (dash + 4.0).min(right)), 1.0, zone);
            dash += 7.0;
        }
    }
    let zero = x_of(rail, 0.0);
    let tick = |x: f32, half: f32, color| {
        painter.vline(x, (y - half)..=(y + half), Stroke::new(1.5, color));
    };
    for (_, level) in &marks.levels {
        tick(x_of(rail, *level), 5.0, colors.text_faint);
    }
    tick(zero, 7.0, colors.outline);
    let at = x_of(rail, strength);
    let warns = marks.warns_at(strength);
    let ink = if warns { colors.warning } else { colors.accent };
    if strength != 0.0 {
        painter.rect_filled(bar(zero.min(at), zero.max(at)), 2.0, ink);
    }
    let is_lit = response.hovered() || response.has_focus() || response.dragged();
    let radius = if is_lit { 8.0 } else { 7.0 };
    let edge = if strength == 0.0 && !is_lit { colors.text_weak } else { ink };
    painter.circle(pos2(at, y), radius, colors.raised, Stroke::new(1.5, edge));
    if response.has_focus() {
        painter.circle_stroke(pos2(at, y), radius + 2.5, Stroke::new(1.5, colors.accent));
    }
}

/// The levels' names below their ticks; one that would run into its neighbour is left away and
/// stays in the tooltip.
fn levels_ui(ui: &mut Ui, rail: Rect, marks: &Marks) {
    if marks.levels.is_empty() {
        return;
    }
    let font = FontId::proportional(12.0);
    let color = tokens(ui).text_weak;
    let (line, _) = ui.allocate_exact_size(vec2(rail.width(), 15.0), egui::Sense::hover());
    let mut free = line.left();
    for (name, level) in &marks.levels {
        let galley = ui.painter().layout_no_wrap(name.clone(), font.clone(), color);
        let width = galley.size().x;
        let left = (x_of(rail, *level) - width / 2.0).clamp(line.left(), line.right() - width);
        if left >= free {
            let at = pos2(left, line.center().y);
            ui.painter().text(at, Align2::LEFT_CENTER, name, font.clone(), color);
            free = left + width + 6.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calibrated(safe_range: Option<[f64; 2]>) -> Calibration {
        let level_centres =
            [("expert", 1.0), ("avoidance", -0.8), ("beyond", 2.0)].map(|(n, s)| (n.to_owned(), s));
        Calibration { level_centres: level_centres.into(), safe_range, ..Calibration::default() }
    }

    #[test]
    fn marks_are_what_calibration_found() {
        let marks = Marks::of(Some(&calibrated(Some([-1.1, 1.25]))));
        let names: Vec<_> = marks.levels.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["avoidance", "expert"], "ascending, none beyond the ends");
        assert!(marks.is_measured && !marks.warns_at(1.25) && marks.warns_at(1.3));
        assert!(!marks.warns_at(-1.1) && marks.warns_at(-1.15));
        // A range that leaves out the base model itself says nothing.
        for nonsense in [None, Some([0.5, 1.0]), Some([1.0, -1.0])] {
            let marks = Marks::of(Some(&calibrated(nonsense)));
            assert_eq!((marks.safe, marks.is_measured), (UNMEASURED_SAFE, false));
        }
        assert!(!Marks::of(None).warns_at(1.0) && Marks::of(None).warns_at(-1.05));
    }

    #[test]
    fn a_strength_is_held_where_language_was_measured_to_hold() {
        let measured = Marks::of(Some(&calibrated(Some([-1.25, 1.0]))));
        let reach = Reach::of(&measured, false);
        assert_eq!((reach.hold(1.3), reach.hold(-2.0), reach.hold(0.4)), (1.0, -1.25, 0.4));
        assert_eq!(Reach::of(&measured, true), Reach::whole(), "where the person asked for it");
        assert_eq!(Reach::of(&Marks::of(None), false), Reach::whole(), "nothing was measured");
        let wide = Marks::of(Some(&calibrated(Some([-3.0, 3.0]))));
        assert_eq!(Reach::of(&wide, false), Reach::whole());
    }

    #[test]
    fn strengths_are_shown_and_read_alike() {
        for (strength, text) in [(0.0, "Off"), (0.5, "+0.50"), (-1.25, "−1.25"), (0.001, "Off")] {
            assert_eq!(text_of(strength), text);
        }
        for strength in [-1.5, -0.05, 0.0, 0.35, 1.0] {
            assert_eq!(parse(&text_of(strength)), Some(strength));
        }
        assert_eq!(parse(" 0,5 "), Some(0.5));
        assert_eq!((parse("inf"), parse("much")), (None, None));
    }
}
