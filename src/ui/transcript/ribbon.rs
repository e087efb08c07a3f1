//! The reward ribbon under a reply: one bar per token, as high as the text so far is thought to be
//! worth, and tinted. Height says it without the tint; a hover gives the number.

use egui::{Color32, Rect, Role, Sense, Ui, WidgetInfo, pos2, vec2};

use super::look::Look;
use super::message::Entry;
use super::tokens::{own_text, visible};
use crate::session::TokenTrace;
use crate::ui::Command;

/// Height of the ribbon, in points.
const HEIGHT: f32 = 16.0;
/// Widest a token's bar gets.
const WIDEST: f32 = 14.0;

/// Draws the ribbon, if any token has a reward.
pub fn ribbon_ui(ui: &mut Ui, entry: &Entry<'_>, look: &Look, commands: &mut Vec<Command>) {
    let Some(scale) = Scale::of(entry.tokens) else { return };
    ui.add_space(6.0);
    let size = vec2(ui.available_width(), HEIGHT);
    let (area, response) = ui.allocate_exact_size(size, Sense::click());
    let enabled = ui.is_enabled();
    response.widget_info(|| WidgetInfo::labeled(Role::Image, enabled, scale.name()));
    if !ui.is_rect_visible(area) {
        return;
    }
    let count = entry.tokens.len() as f32;
    let step = (area.width() / count).min(WIDEST);
    let painter = ui.painter();
    let ramp = &look.tokens.reward_ramp;
    painter.hline(area.x_range(), area.bottom(), (1.0, look.tokens.line));
    for (at, token) in entry.tokens.iter().enumerate() {
        let Some(reward) = token.reward else { continue };
        let left = area.left() + step * at as f32;
        let gap = if step > 4.0 { 1.0 } else { 0.0 };
        let height = (HEIGHT - 1.0) * (0.15 + 0.85 * scale.share(reward));
        let bar = Rect::from_min_max(
            pos2(left, area.bottom() - height),
            pos2(left + (step - gap).max(1.0), area.bottom()),
        );
        painter.rect_filled(bar, 1.0, colour(ramp, scale.share(reward)));
    }
    let under = |x: f32| {
        let at = ((x - area.left()) / step).floor().max(0.0) as usize;
        entry.tokens.get(at).map(|token| (at, token))
    };
    let pointed = response.hover_pos().and_then(|pointer| under(pointer.x));
    if let Some((at, token)) = pointed {
        let left = area.left() + step * at as f32;
        let mark = Rect::from_x_y_ranges(left..=left + step.max(2.0), area.y_range());
        painter.rect_stroke(mark, 1.0, (1.0, look.tokens.text), egui::StrokeKind::Outside);
        let text = visible(&own_text(token));
        let said = match token.reward {
            Some(reward) => format!("‘{text}’ brings the reply to a reward of {reward:.3}"),
            None => format!("No reward was predicted at ‘{text}’"),
        };
        let clicked = response.clicked();
        response.on_hover_text(said + "\nClick to see the token");
        if clicked {
            commands.push(Command::GoToToken { node: entry.id, token: at });
        }
    }
}

fn colour(ramp: &[Color32; 5], share: f32) -> Color32 {
    ramp[((share * 5.0) as usize).min(4)]
}

/// The rewards of a reply, from the lowest to the highest.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Scale {
    lowest: f32,
    highest: f32,
    last: f32,
}

impl Scale {
    fn of(tokens: &[TokenTrace]) -> Option<Self> {
        let mut rewards = tokens.iter().filter_map(|token| token.reward);
        let first = rewards.next()?;
        let mut scale = Self { lowest: first, highest: first, last: first };
        for reward in rewards {
            scale.lowest = scale.lowest.min(reward);
            scale.highest = scale.highest.max(reward);
            scale.last = reward;
        }
        Some(scale)
    }

    /// 0 for the lowest, 1 for the highest; a half where all are the same.
    fn share(&self, reward: f32) -> f32 {
        let width = self.highest - self.lowest;
        if width > 0.0 { ((reward - self.lowest) / width).clamp(0.0, 1.0) } else { 0.5 }
    }

    /// What a screen reader calls the ribbon.
    fn name(&self) -> String {
        let Self { lowest, highest, last } = self;
        format!("Predicted reward, {lowest:.2} to {highest:.2}, {last:.2} at the end")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(reward: Option<f32>) -> TokenTrace {
        TokenTrace { reward, ..TokenTrace::default() }
    }

    #[test]
    fn the_scale_runs_over_what_is_there() {
        assert_eq!(Scale::of(&[token(None)]), None);
        let scale = Scale::of(&[token(Some(0.5)), token(None), token(Some(-1.5))]).unwrap();
        assert_eq!((scale.share(-1.5), scale.share(-0.5), scale.share(0.5)), (0.0, 0.5, 1.0));
        assert_eq!(scale.name(), "Predicted reward, -1.50 to 0.50, -1.50 at the end");
        assert_eq!(Scale::of(&[token(Some(2.0))]).unwrap().share(2.0), 0.5);
    }
}
