//! The fields of the dialogs: those that a way of making a vector needs, and the single ones.

use egui::{RichText, Ui};

use super::{Field, Form, Way};
use crate::engine::making::Objective;
use crate::ui::command::Command;
use crate::ui::controls;

/// Room for the button beside a path, in points.
const CHOOSE_WIDTH: f32 = 96.0;

/// Draws those that the chosen way needs.
pub fn fields_ui(ui: &mut Ui, form: &mut Form, commands: &mut Vec<Command>) {
    path_ui(ui, "Base model", Field::Base, &mut form.base, commands);
    match form.way {
        Way::Models => {
            path_ui(ui, "Aligned model", Field::Aligned, &mut form.aligned, commands);
            let hover = "Exact at strength 1, and as large as the model; else thin factors";
            let whole = egui::Checkbox::new(&mut form.every_value, "Keep every value");
            controls::outlined(ui, |ui| ui.add(whole)).on_hover_text(hover);
        }
        Way::Adapter => {
            path_ui(ui, "Adapter folder", Field::Adapter, &mut form.adapter, commands);
        }
        Way::Preferences => {
            path_ui(ui, "Preference pairs", Field::Pairs, &mut form.pairs, commands);
            ui.horizontal_wrapped(|ui| {
                for (objective, hover) in [
                    (Objective::Dpo, "Direct preference optimisation"),
                    (Objective::Ipo, "Identity preference optimisation: holds closer to the base"),
                ] {
                    let name = objective.name();
                    controls::outlined(ui, |ui| {
                        ui.radio_value(&mut form.objective, objective, name)
                    })
                    .on_hover_text(hover);
                }
                number_ui(ui, "Rank", 1..=256, &mut form.rank);
                number_ui(ui, "Passes", 1..=100, &mut form.epochs);
            });
        }
        Way::Merge => {
            return text_ui(ui, "Model name", "What its folder is called", &mut form.name);
        }
    }
    text_ui(ui, "Vector name", "What it is called on the list", &mut form.name);
    text_ui(ui, "Domain", "Such as medical; may stay empty", &mut form.domain);
}

/// A number with its name before it.
pub fn number_ui<N: egui::emath::Numeric>(
    ui: &mut Ui,
    name: &str,
    range: std::ops::RangeInclusive<N>,
    value: &mut N,
) {
    ui.label(RichText::new(name).size(14.0));
    ui.add(egui::DragValue::new(value).range(range)).accessible_name(name);
}

/// A line of text under its name.
pub fn text_ui(ui: &mut Ui, name: &str, hint: &str, text: &mut String) {
    ui.label(RichText::new(name).size(14.0));
    let field = egui::TextEdit::singleline(text).desired_width(f32::INFINITY).hint_text(hint);
    ui.add(field).accessible_name(name);
}

/// A path, typed or chosen.
pub fn path_ui(
    ui: &mut Ui,
    name: &str,
    field: Field,
    text: &mut String,
    commands: &mut Vec<Command>,
) {
    ui.label(RichText::new(name).size(14.0));
    ui.horizontal(|ui| {
        let width = ui.available_width() - CHOOSE_WIDTH;
        let edit = egui::TextEdit::singleline(text).desired_width(width).hint_text("Path");
        ui.add(edit).accessible_name(name);
        let choose = ui.button("Choose…");
        if choose.accessible_name(format!("Choose {}", name.to_lowercase())).clicked() {
            commands.push(Command::ChooseForMaking(field));
        }
    });
}
