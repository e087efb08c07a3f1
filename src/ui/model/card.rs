//! The model's card in the right panel: which one, where it runs and why, what it takes, how far a
//! load has come.

use egui::{RichText, Ui};

use super::facts;
use crate::ui::action::Action;
use crate::ui::command::Command;
use crate::ui::controls::{self, Weight};
use crate::ui::engine_state::{EngineState, Loading};
use crate::ui::theme::{self, space, tokens};
use crate::ui::words;

/// What is drawn.
pub struct CardView<'a> {
    pub engine: &'a EngineState,
}

/// Draws the card.
pub fn card_ui(
    ui: &mut Ui,
    view: &CardView<'_>,
    shows_details: &mut bool,
    commands: &mut Vec<Command>,
) {
    let colors = tokens(ui);
    let card = egui::Frame::new()
        .fill(colors.raised)
        .stroke(egui::Stroke::new(1.0, colors.line))
        .corner_radius(theme::RADIUS_CARD)
        .inner_margin(space::M);
    card.show(ui, |ui| {
        ui.set_min_width(ui.available_width());
        match &view.engine.model {
            Some(model) => {
                let name = RichText::new(view.engine.model_name().unwrap_or(&model.name))
                    .font(theme::strong_font(ui, 15.0));
                ui.add(egui::Label::new(name.color(colors.text_strong)).wrap());
                let summary = RichText::new(facts::summary(model)).small();
                ui.add(egui::Label::new(summary.color(colors.text_weak)).wrap());
            }
            None if view.engine.loading.is_none() => {
                ui.label(RichText::new("No model loaded").font(theme::strong_font(ui, 15.0)));
                ui.weak("Choose one to begin");
            }
            None => {}
        }
        if let Some(loading) = &view.engine.loading {
            loading_ui(ui, loading, commands);
        } else {
            ui.add_space(space::XS);
            let weight = match &view.engine.model {
                Some(_) => Weight::Quiet,
                None => Weight::Primary,
            };
            let label = Action::ChooseModel.label();
            let hover = Action::ChooseModel.hover_text(ui.ctx());
            if controls::wide_button(ui, None, label, weight).on_hover_text(hover).clicked() {
                commands.push(Command::Act(Action::ChooseModel));
            }
        }
        if let Some(model) = &view.engine.model {
            ui.add_space(space::XS);
            facts::lines_ui(ui, model);
            if controls::disclosure(ui, *shows_details, "More about the model").clicked() {
                *shows_details = !*shows_details;
            }
            if *shows_details {
                facts::details_ui(ui, model);
                if ui
                    .button(Action::UnloadModel.label())
                    .on_hover_text(Action::UnloadModel.tooltip())
                    .clicked()
                {
                    commands.push(Command::UnloadModel);
                }
            }
        }
    });
}

/// Name, bar, bytes and rate, and the way out.
pub fn loading_ui(ui: &mut Ui, loading: &Loading, commands: &mut Vec<Command>) {
    let name = loading.path.file_name().unwrap_or(loading.path.as_os_str()).to_string_lossy();
    ui.add(egui::Label::new(RichText::new(format!("Loading {name}")).size(14.0)).truncate());
    let bar = egui::ProgressBar::new(loading.fraction())
        .desired_height(6.0)
        .corner_radius(3.0)
        .fill(tokens(ui).accent);
    ui.add(bar).accessible_name("Loading");
    ui.horizontal(|ui| {
        let mut text = loading.words();
        if loading.bytes_per_sec > 0.0 && !loading.is_cancelling {
            let rate = words::bytes(loading.bytes_per_sec as u64);
            text = text.trim_start_matches("Loading, ").to_owned() + &format!(", {rate}/s");
        }
        ui.label(RichText::new(text).small().color(tokens(ui).text_weak));
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            let cancel = egui::Button::new(RichText::new("Cancel").small());
            let cancel = ui.add_enabled(!loading.is_cancelling, cancel);
            if cancel.on_hover_text("The model that was loaded stays").clicked() {
                commands.push(Command::Stop);
            }
        });
    });
}
