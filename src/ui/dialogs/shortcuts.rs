//! All shortcuts on one page, read from the list of actions.

use egui::{RichText, ScrollArea, Ui};

use crate::ui::action::{Action, Group};
use crate::ui::theme::{self, space, tokens};

/// Draws the page.
pub fn shortcuts_ui(ui: &mut Ui) {
    let height = ui.ctx().content_rect().height() - 170.0;
    ScrollArea::vertical().max_height(height).show(ui, |ui| {
        for group in Group::ALL {
            let actions: Vec<Action> = Action::all()
                .filter(|action| action.group() == group && !action.shortcuts().is_empty())
                .collect();
            if actions.is_empty() {
                continue;
            }
            ui.add_space(space::S);
            ui.label(RichText::new(group.label()).text_style(theme::section()));
            egui::Grid::new(("shortcuts", group.label()))
                .num_columns(2)
                .min_col_width(190.0)
                .spacing([space::L, 5.0])
                .show(ui, |ui| {
                    for action in actions {
                        row_ui(ui, action);
                    }
                });
        }
        ui.add_space(space::S);
        ui.label(RichText::new("Writing").text_style(theme::section()));
        egui::Grid::new("writing keys").num_columns(2).min_col_width(190.0).show(ui, |ui| {
            for (keys, what) in [("Enter", "Send"), ("Shift+Enter", "New line")] {
                ui.label(RichText::new(what).size(14.0));
                ui.label(RichText::new(keys).monospace().color(tokens(ui).text_weak));
                ui.end_row();
            }
        });
    });
}

fn row_ui(ui: &mut Ui, action: Action) {
    let keys: Vec<String> =
        action.shortcuts().iter().map(|keys| ui.ctx().format_shortcut(keys)).collect();
    let label = action.label().trim_end_matches('…');
    ui.label(RichText::new(label).size(14.0)).on_hover_text(action.tooltip());
    let keys = RichText::new(keys.join("  or  ")).monospace();
    ui.label(keys.color(tokens(ui).text_weak));
    ui.end_row();
}
