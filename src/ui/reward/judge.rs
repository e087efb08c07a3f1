//! A reward model of its own beside the plot: it reads the replies on screen, and each has a line of
//! its scores to compare with.

use std::path::Path;

use egui::{Align, Layout, RichText, Ui};

use crate::ui::command::Command;
use crate::ui::controls::{self, Weight};
use crate::ui::icons::{self, Icon};
use crate::ui::theme::{space, tokens};
use crate::ui::vectors::file_name;

/// What is drawn.
#[derive(Debug, Clone, Copy)]
pub struct JudgeView<'a> {
    /// What it calls itself; empty until it has read something.
    pub name: &'a str,
    pub path: &'a Path,
    pub is_reading: bool,
}

/// Draws it.
pub fn judge_ui(ui: &mut Ui, judge: Option<&JudgeView<'_>>, commands: &mut Vec<Command>) {
    ui.add_space(space::XS);
    let Some(judge) = judge else {
        let text = "Compare with a reward model…";
        let choose = controls::wide_button(ui, Some(Icon::Plus), text, Weight::Quiet);
        let hover = "A model of its own that gives a text a score; it reads the replies on screen";
        if choose.on_hover_text(hover).clicked() {
            commands.push(Command::ChooseJudge);
        }
        return;
    };
    ui.horizontal(|ui| {
        let name =
            if judge.name.is_empty() { file_name(judge.path) } else { judge.name.to_owned() };
        let said = match judge.is_reading {
            true => format!("{name} reads the reply"),
            false => format!("Judged by {name}, loosely dashed"),
        };
        let text = RichText::new(said).small().color(tokens(ui).text_weak);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let hover = "Its lines go, and it leaves the memory";
            let name = "Remove reward model";
            if icons::button_sized(ui, Icon::Close, name, hover, 22.0, None).clicked() {
                commands.push(Command::SetJudge(None));
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                let label = egui::Label::new(text).truncate();
                ui.add(label).on_hover_text(judge.path.display().to_string());
            });
        });
    });
}
