//! The part of the right panel where a reply is dialled: presets, the numbers, seed, stop strings.

pub mod items;
mod presets;

use egui::{Align, Layout, RichText, Ui};

use super::command::Command;
use super::controls;
use super::icons::{self, Icon};
use super::theme::space;
use crate::model::GenerationDefaults;
use crate::steer::Plan;

pub use presets::{PresetEntry, with_preset};

/// What is drawn.
pub struct SamplingView<'a> {
    pub plan: &'a Plan,
    pub presets: &'a [PresetEntry],
    /// What the loaded model's files recommend.
    pub recommended: Option<&'a GenerationDefaults>,
}

/// What the part remembers between frames.
#[derive(Debug, Default)]
pub struct SamplingState {
    shows_more: bool,
    presets: presets::PresetsState,
    /// Text of the fields that are lists in the plan, while it is typed.
    stop_text: Option<String>,
    bias_text: Option<String>,
}

/// Draws presets and controls; every change is sent as a whole plan.
pub fn sampling_ui(
    ui: &mut Ui,
    view: &SamplingView<'_>,
    state: &mut SamplingState,
    commands: &mut Vec<Command>,
) {
    presets::presets_ui(ui, view, &mut state.presets, commands);
    ui.add_space(space::XS);
    let mut plan = view.plan.clone();
    for item in items::ITEMS.iter().filter(|item| item.is_basic) {
        item_ui(ui, item, &mut plan);
    }
    if controls::disclosure(ui, state.shows_more, "Penalties, seed and stop strings").clicked() {
        state.shows_more = !state.shows_more;
    }
    if state.shows_more {
        for item in items::ITEMS.iter().filter(|item| !item.is_basic) {
            item_ui(ui, item, &mut plan);
        }
        seed_ui(ui, &mut plan);
        stop_ui(ui, &mut plan, &mut state.stop_text);
        bias_ui(ui, &mut plan, &mut state.bias_text);
    }
    if plan != *view.plan {
        commands.push(Command::SetPlan(plan));
    }
}

/// Label, value, reset and slider of one number.
fn item_ui(ui: &mut Ui, item: &items::Item, plan: &mut Plan) {
    let before = (item.get)(plan);
    let mut value = before;
    let help = item.help();
    label_row_ui(ui, item.label, &help, |ui| {
        if before != item.neutral {
            let name = format!("Reset {}", item.label.to_lowercase());
            let hover = format!("Back to {}", item.text_of(item.neutral).to_lowercase());
            if icons::button_sized(ui, Icon::Undo, &name, &hover, 22.0, None).clicked() {
                value = item.neutral;
            }
        } else {
            ui.add_space(22.0 + ui.spacing().item_spacing.x);
        }
        let number = egui::DragValue::new(&mut value)
            .range(item.range.clone())
            .speed(item.step / 4.0)
            .max_decimals(item.decimals)
            .custom_formatter(|value, _| item.text_of(value))
            .custom_parser(|text| parse(item, text));
        ui.add(number)
            .accessible_name(format!("{}, number", item.label))
            .on_hover_text("Click to type, drag to change");
    });
    let slider = egui::Slider::new(&mut value, item.range.clone())
        .show_value(false)
        .step_by(item.step)
        .logarithmic(item.is_logarithmic);
    controls::slider(ui, slider).accessible_name(item.label).on_hover_text(help);
    ui.add_space(2.0);
    if value != before {
        (item.set)(plan, value.clamp(*item.range.start(), *item.range.end()));
    }
}

/// Reads a typed number, with or without its unit, or the neutral word.
fn parse(item: &items::Item, text: &str) -> Option<f64> {
    let text = text.trim();
    if text.eq_ignore_ascii_case(item.neutral_word) {
        return Some(item.neutral);
    }
    let number: String = text
        .chars()
        .take_while(|c| c.is_ascii_digit() || matches!(c, '.' | ',' | '-' | '+'))
        .collect();
    number.replace(',', ".").parse().ok()
}

fn label_row_ui(ui: &mut Ui, label: &str, help: &str, right: impl FnOnce(&mut Ui)) {
    ui.horizontal(|ui| {
        ui.spacing_mut().interact_size.y = 24.0;
        ui.label(RichText::new(label).size(14.0)).on_hover_text(help);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 2.0;
            right(ui);
        });
    });
}

fn seed_ui(ui: &mut Ui, plan: &mut Plan) {
    let help = "The same seed, model, device and settings give the same reply";
    label_row_ui(ui, "Seed", help, |ui| {
        let hover = "Another seed";
        if icons::button_sized(ui, Icon::Restart, "New seed", hover, 22.0, None).clicked() {
            plan.seed = another_seed(plan.seed);
        }
        ui.add(egui::DragValue::new(&mut plan.seed).speed(1.0)).accessible_name("Seed");
    });
}

/// Any other seed will do; this one spreads well and needs no source of chance.
fn another_seed(seed: u64) -> u64 {
    (seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
        % 1_000_000
}

fn stop_ui(ui: &mut Ui, plan: &mut Plan, typed: &mut Option<String>) {
    let help = "One per line; the reply ends just before the first of them";
    ui.label(RichText::new("Stop strings").size(14.0)).on_hover_text(help);
    let text = typed.get_or_insert_with(|| plan.stop.join("\n"));
    let field = egui::TextEdit::multiline(text).desired_rows(2).desired_width(f32::INFINITY);
    let response = ui.add(field).accessible_name("Stop strings").on_hover_text(help);
    if response.changed() {
        plan.stop = text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    }
    if !response.has_focus() {
        *typed = None;
    }
}

fn bias_ui(ui: &mut Ui, plan: &mut Plan, typed: &mut Option<String>) {
    let help = "One token per line, its id and what is added to its logit, such as 123 -2.5";
    ui.label(RichText::new("Logit bias").size(14.0)).on_hover_text(help);
    let as_text = |plan: &Plan| {
        let lines = plan.sampling.logit_bias.iter().map(|(id, bias)| format!("{id} {bias}"));
        lines.collect::<Vec<_>>().join("\n")
    };
    let text = typed.get_or_insert_with(|| as_text(plan));
    let field = egui::TextEdit::multiline(text)
        .desired_rows(2)
        .desired_width(f32::INFINITY)
        .font(egui::TextStyle::Monospace);
    let response = ui.add(field).accessible_name("Logit bias").on_hover_text(help);
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let read: Vec<_> = lines.iter().filter_map(|line| bias_of(line)).collect();
    if read.len() < lines.len() {
        ui.label(RichText::new("Some lines are not an id and a number").small()).highlight();
    }
    if response.changed() {
        plan.sampling.logit_bias = read.into_iter().collect();
    }
    if !response.has_focus() {
        *typed = None;
    }
}

fn bias_of(line: &str) -> Option<(String, f32)> {
    let mut words = line.split_whitespace();
    let id: u32 = words.next()?.parse().ok()?;
    let bias: f32 = words.next()?.parse().ok()?;
    (words.next().is_none() && bias.is_finite()).then(|| (id.to_string(), bias))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_numbers_are_read_with_and_without_their_unit() {
        let top_k = items::ITEMS.iter().find(|item| item.label == "Top-k").unwrap();
        assert_eq!(parse(top_k, "40"), Some(40.0));
        assert_eq!(parse(top_k, " 40 tokens"), Some(40.0));
        assert_eq!(parse(top_k, "off"), Some(0.0));
        assert_eq!(parse(top_k, "0,5"), Some(0.5));
        assert_eq!(parse(top_k, "many"), None);
    }

    #[test]
    fn a_bias_line_is_an_id_and_a_finite_number() {
        assert_eq!(bias_of("12 -2.5"), Some(("12".to_owned(), -2.5)));
        for wrong in ["", "12", "x 1", "12 inf", "12 1 2", "-1 2"] {
            assert_eq!(bias_of(wrong), None, "{wrong}");
        }
    }
}
