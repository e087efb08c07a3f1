//! The other way to an aligned model: it is mixed in by its logits rather than by its weights. Which
//! model, how much of it, and how its loading goes.

use std::path::Path;

use egui::{Align, Layout, RichText, Ui};

use super::row::{note_ui, number_ui};
use super::strength::{self, Marks, Reach};
use super::{VectorsView, file_name};
use crate::steer::{MixtureSetting, Plan};
use crate::ui::command::Command;
use crate::ui::engine_state::AlignedState;
use crate::ui::icons::{self, Icon};
use crate::ui::theme::{space, tokens};
use crate::ui::words;

/// Models offered by name; others are chosen in a dialog.
const MOST_OFFERED: usize = 12;

/// The menu of models to mix with.
pub fn menu_ui(ui: &mut Ui, view: &VectorsView<'_>, commands: &mut Vec<Command>) {
    let loaded = view.model.map(|model| &model.path);
    let others = view.found.iter().filter(|found| Some(&found.path) != loaded);
    for found in others.take(MOST_OFFERED) {
        if ui.button(&found.name).on_hover_text(found.path.display().to_string()).clicked() {
            commands.push(Command::SetAligned(found.path.clone()));
        }
    }
    if ui.button("Another model…").clicked() {
        commands.push(Command::ChooseAligned);
    }
}

/// Draws the mixture the plan has; true while its strength is dragged.
pub fn mixture_ui(
    ui: &mut Ui,
    view: &VectorsView<'_>,
    plan: &mut Plan,
    commands: &mut Vec<Command>,
) -> bool {
    let Some(setting) = &mut plan.mixture else { return false };
    let name = name_of(&setting.aligned, view.aligned);
    let label = format!("Mixed with {name}");
    let mut is_dragged = false;
    ui.add_space(space::S);
    ui.horizontal(|ui| {
        ui.spacing_mut().interact_size.y = 24.0;
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 2.0;
            let hover = "Mix no more; the model's memory is given back";
            if icons::button_sized(ui, Icon::Close, "Remove mixture", hover, 22.0, None).clicked() {
                commands.push(Command::RemoveAligned);
            }
            is_dragged |= number_ui(ui, &label, &mut setting.strength, &Reach::whole());
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                let shown = egui::Label::new(RichText::new(&label).size(14.0)).truncate();
                ui.add(shown).on_hover_text(help(&setting.aligned));
            });
        });
    });
    let marks =
        Marks { levels: vec![("aligned".to_owned(), 1.0)], safe: [-1.0, 1.0], is_measured: false };
    let slider = strength::strength_ui(ui, &label, &mut setting.strength, &marks, &Reach::whole());
    is_dragged |= slider.is_pointer_button_down_on();
    state_ui(ui, setting, view);
    is_dragged
}

fn state_ui(ui: &mut Ui, setting: &MixtureSetting, view: &VectorsView<'_>) {
    let quiet = |ui: &mut Ui, text: String| {
        let text = RichText::new(text).small().color(tokens(ui).text_weak);
        ui.add(egui::Label::new(text).wrap());
    };
    match view.aligned {
        Some(AlignedState::Loading(path, share)) if *path == setting.aligned => {
            let bar = egui::ProgressBar::new(*share).desired_height(4.0);
            ui.add(bar);
            quiet(ui, format!("Loading, {:.0} %", 100.0 * share));
        }
        Some(AlignedState::Refused(path, why)) if *path == setting.aligned => note_ui(ui, why),
        Some(AlignedState::Ready(facts)) if facts.path == setting.aligned => {
            let bytes = words::bytes(facts.weight_bytes);
            quiet(ui, format!("In memory, {bytes}; two passes for every token"));
        }
        _ => quiet(ui, "Loaded with the next reply that asks for it".to_owned()),
    }
}

fn help(path: &Path) -> String {
    format!(
        "Off is the model as it is, +1 the other model alone; between them lies the geometric \
         mixture of what both say\n\n{}",
        path.display()
    )
}

fn name_of(path: &Path, state: Option<&AlignedState>) -> String {
    match state {
        Some(AlignedState::Ready(facts)) if facts.path == path => facts.name.clone(),
        _ => file_name(path),
    }
}
