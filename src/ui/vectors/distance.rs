//! How far from its base the model is on the reply under way: KL per token, measured only when the
//! person asks for it, for it takes a second pass.

use egui::{RichText, Sense, Ui, vec2};

use super::VectorsView;
use crate::ui::command::Command;
use crate::ui::theme::{space, tokens};
use crate::ui::words;

/// Tokens drawn as bars, the latest at the right.
const SHOWN: usize = 48;

/// Draws the switch, for a menu.
pub fn switch_ui(ui: &mut Ui, view: &VectorsView<'_>, commands: &mut Vec<Command>) {
    let mut measures = view.measures;
    let hover = "KL divergence of what is steered from the plain model, exact: the plain model \
                 reads the same text beside it, which takes a second pass for every token. The \
                 reply stays the same";
    let response = ui.checkbox(&mut measures, "Measure distance from the base");
    if response.on_hover_text(hover).changed() {
        commands.push(Command::SetMeasures(measures));
    }
}

/// Draws what was measured.
pub fn distance_ui(ui: &mut Ui, view: &VectorsView<'_>) {
    ui.add_space(space::S);
    ui.label(RichText::new("Distance from the base").size(14.0));
    let words = words_of(&view.divergence.tokens);
    bars_ui(ui, &view.divergence.tokens, &words);
    ui.add(egui::Label::new(RichText::new(words).small().color(tokens(ui).text_weak)).wrap());
}

/// What was measured, in words.
fn words_of(nats: &[f32]) -> String {
    let Some(last) = nats.last() else {
        return "Takes a second pass for every steered token of the next reply".to_owned();
    };
    let mean = nats.iter().map(|nats| f64::from(*nats)).sum::<f64>() / nats.len() as f64;
    let count = words::plural(nats.len() as u64, "token", "tokens");
    format!("{mean:.3} nats per token over {count}, last {last:.3}; a second pass for each")
}

/// One bar per token, as high as it was far, on a scale of its own.
fn bars_ui(ui: &mut Ui, nats: &[f32], words: &str) {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 26.0), Sense::hover());
    response.widget_info(|| {
        let mut info = egui::WidgetInfo::labeled(egui::Role::Label, true, "Distance by token");
        info.current_text_value = Some(words.to_owned());
        info
    });
    let colors = tokens(ui);
    let painter = ui.painter();
    painter.hline(rect.x_range(), rect.bottom() - 0.5, egui::Stroke::new(1.0, colors.outline));
    let shown = &nats[nats.len().saturating_sub(SHOWN)..];
    let most = shown.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    let width = rect.width() / SHOWN as f32;
    for (at, nats) in shown.iter().enumerate() {
        let left = rect.right() - (shown.len() - at) as f32 * width;
        let height = (nats / most) * (rect.height() - 2.0);
        let bar = egui::Rect::from_min_max(
            egui::pos2(left, rect.bottom() - height.max(1.0)),
            egui::pos2(left + width - 1.0, rect.bottom()),
        );
        painter.rect_filled(bar, 1.0, colors.accent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_say_what_it_costs_and_what_it_came_to() {
        assert!(words_of(&[]).contains("second pass"));
        let said = words_of(&[0.5, 0.25]);
        assert!(said.contains("0.375 nats per token over 2 tokens, last 0.250"), "{said}");
    }
}
