//! What there is to do while no adapter is shown: those that came with the model, and others.

use egui::Ui;

use super::{KnownReward, RewardView, details, name_of, weak};
use crate::ui::action::Action;
use crate::ui::command::Command;
use crate::ui::controls::{self, Weight};
use crate::ui::icons::Icon;
use crate::ui::theme::space;

/// Draws it.
pub fn offer_ui(ui: &mut Ui, view: &RewardView<'_>, commands: &mut Vec<Command>) {
    weak(
        ui,
        "An adapter predicts what a reply is worth, token by token, in the pass that makes it",
    );
    ui.add_space(space::XS);
    let came = view.model.map_or(&[][..], |model| &model.rewards);
    for path in came {
        let known = view.known.get(path);
        let text = format!("Show rewards of {}", name_of(known, path));
        let can_show = matches!(known, Some(KnownReward::About(_)));
        let show =
            ui.add_enabled_ui(can_show, |ui| controls::wide_button(ui, None, &text, Weight::Quiet));
        let hover = details(known, path);
        let show = show.inner.on_hover_text(&hover).on_disabled_hover_text(&hover);
        if show.clicked() {
            commands.push(Command::SetReward(Some(path.clone())));
        }
        ui.add_space(space::XS);
    }
    let choose = controls::wide_button(ui, Some(Icon::Plus), "Add reward adapter…", Weight::Quiet);
    if choose.on_hover_text("A file that was learnt for this model").clicked() {
        commands.push(Command::ChooseReward);
    }
    if view.model.is_some() && came.is_empty() && view.learning.is_none() {
        ui.add_space(space::XS);
        let learn = controls::wide_button(ui, None, Action::LearnRewards.label(), Weight::Quiet);
        if learn.on_hover_text(Action::LearnRewards.tooltip()).clicked() {
            commands.push(Command::Act(Action::LearnRewards));
        }
    }
}
