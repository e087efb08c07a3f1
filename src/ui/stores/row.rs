//! One datastore of the list: its switch and weight, what it is made of, what is done with it now.

use egui::{Align, Layout, ProgressBar, RichText, Ui};

use super::files::files_ui;
use super::{Building, StoreEntry, StoresState, StoresView};
use crate::model::ModelFacts;
use crate::steer::datastore::{Manifest, SourceState};
use crate::ui::Command;
use crate::ui::controls;
use crate::ui::icons::{self, Icon};
use crate::ui::theme::tokens;
use crate::ui::words::{plural, seconds};

/// What the person did with its weight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Deed {
    Weight(f32),
    /// The same, and the hand is still on it.
    Drag(f32),
}

/// Draws a store.
pub fn row_ui(
    ui: &mut Ui,
    store: &StoreEntry,
    lambda: f32,
    view: &StoresView<'_>,
    state: &mut StoresState,
    commands: &mut Vec<Command>,
) -> Option<Deed> {
    let name = store.name();
    let mut deed = None;
    let refusal = refusal(store, view.model);
    ui.horizontal(|ui| {
        ui.spacing_mut().interact_size.y = 24.0;
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 2.0;
            buttons_ui(ui, store, &name, state, commands);
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                if rename_ui(ui, store, state, commands) {
                    return;
                }
                let was_on = lambda > 0.0;
                let mut is_on = was_on;
                let can_turn = was_on || refusal.is_none();
                let switch = controls::outlined(ui, |ui| {
                    let text = RichText::new(&name).size(14.0);
                    ui.add_enabled(can_turn, egui::Checkbox::new(&mut is_on, text))
                });
                switch.on_hover_text(store.folder.display().to_string());
                if is_on != was_on {
                    deed = Some(Deed::Weight(if is_on { store.first_lambda() } else { 0.0 }));
                }
            });
        });
    });
    if lambda > 0.0 {
        deed = weight_ui(ui, &name, lambda).or(deed);
    }
    if let Ok(manifest) = &store.manifest {
        files_ui(ui, store, manifest, state, commands);
    }
    match (&store.building, &store.manifest) {
        (Some(building), _) => building_ui(ui, building, view.is_paused, commands),
        (None, Ok(manifest)) if refusal.is_none() && view.model.is_some() => {
            waiting_ui(ui, store, manifest, commands);
        }
        _ => {}
    }
    if let Some(why) = refusal.or_else(|| store.failure.clone()) {
        let color = tokens(ui).warning;
        ui.horizontal_top(|ui| {
            icons::show(ui, Icon::Warning, 14.0, color);
            ui.add(egui::Label::new(RichText::new(why).small().color(color)).wrap());
        });
    }
    ui.add_space(4.0);
    deed
}

/// Why the store says nothing to this model.
fn refusal(store: &StoreEntry, model: Option<&ModelFacts>) -> Option<String> {
    match (&store.manifest, model) {
        (Err(_), _) if store.building.is_some() => None,
        (Err(why), _) => Some(why.clone()),
        (Ok(manifest), Some(model)) => manifest.facts.check(model).err().map(|p| p.to_string()),
        (Ok(_), None) => None,
    }
}

fn buttons_ui(
    ui: &mut Ui,
    store: &StoreEntry,
    name: &str,
    state: &mut StoresState,
    commands: &mut Vec<Command>,
) {
    let button = |ui: &mut Ui, icon, what: &str, hover: &str| {
        icons::button_sized(ui, icon, &format!("{what} {name}"), hover, 22.0, None).clicked()
    };
    if button(ui, Icon::Trash, "Delete", "Delete the store; your files stay") {
        commands.push(Command::TrashStore(store.folder.clone()));
    }
    if button(ui, Icon::Folder, "Reveal", "Show its folder") {
        commands.push(Command::RevealStore(store.folder.clone()));
    }
    // A build keeps the list to itself.
    let can_rename = store.manifest.is_ok() && store.building.is_none();
    if can_rename && button(ui, Icon::Pencil, "Rename", "Rename the store") {
        state.renaming = Some((store.folder.clone(), name.to_owned()));
    }
}

/// The name while it is changed; true when that is drawn.
fn rename_ui(
    ui: &mut Ui,
    store: &StoreEntry,
    state: &mut StoresState,
    commands: &mut Vec<Command>,
) -> bool {
    let Some((folder, text)) = &mut state.renaming else { return false };
    if *folder != store.folder {
        return false;
    }
    let field = ui.add(egui::TextEdit::singleline(text).desired_width(ui.available_width()));
    let field = field.accessible_name("Name of the store");
    let is_over = field.lost_focus();
    if is_over && !ui.input(|input| input.key_pressed(egui::Key::Escape)) {
        let (folder, name) = (folder.clone(), text.trim().to_owned());
        commands.extend((!name.is_empty()).then_some(Command::RenameStore { folder, name }));
    }
    if is_over {
        state.renaming = None;
    } else {
        field.request_focus();
    }
    true
}

fn weight_ui(ui: &mut Ui, name: &str, lambda: f32) -> Option<Deed> {
    let mut value = lambda;
    let response = ui
        .horizontal(|ui| {
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let share = RichText::new(format!("{:.0} %", 100.0 * lambda)).small();
                let size = egui::vec2(36.0, ui.spacing().interact_size.y);
                let label = egui::Label::new(share.color(tokens(ui).text_weak));
                ui.add_sized(size, label.halign(Align::Max));
                let slider = egui::Slider::new(&mut value, 0.05..=1.0);
                controls::slider(ui, slider.show_value(false).step_by(0.05))
            })
            .inner
        })
        .inner
        .accessible_name(format!("Weight of {name}"));
    let hover = format!(
        "{:.0} % of what comes next is the store's, where it has something near",
        100.0 * value
    );
    let is_dragged = response.is_pointer_button_down_on();
    response.on_hover_text(hover);
    match value != lambda {
        _ if is_dragged => Some(Deed::Drag(value)),
        true => Some(Deed::Weight(value)),
        false => None,
    }
}

/// Files a build that was stopped, or a program that was killed, has left to be done.
fn waiting_ui(ui: &mut Ui, store: &StoreEntry, manifest: &Manifest, commands: &mut Vec<Command>) {
    let waiting =
        manifest.sources.iter().filter(|source| source.state == SourceState::Waiting).count();
    if waiting == 0 {
        return;
    }
    ui.horizontal(|ui| {
        let text = format!("{} waiting", plural(waiting as u64, "file", "files"));
        ui.label(RichText::new(text).small().color(tokens(ui).text_weak));
        let name = format!("Go on building {}", store.name());
        let button = ui.small_button("Go on").on_hover_text("What is done stays done");
        button.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &name));
        if button.clicked() {
            commands.push(Command::GoOnBuilding(store.folder.clone()));
        }
    });
}

fn building_ui(ui: &mut Ui, building: &Building, is_paused: bool, commands: &mut Vec<Command>) {
    let (share, line) = match &building.standing {
        None => (0.0, "Reading and measuring".to_owned()),
        Some(standing) => {
            let name = standing.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let left = standing.tokens_total.saturating_sub(standing.tokens_done) as f64;
            let share = standing.tokens_done as f32 / standing.tokens_total.max(1) as f32;
            let rate = building.tokens_per_sec.max(1e-9);
            let line = format!(
                "{name}, {} of {}: {rate:.0} tokens/s, about {} left",
                standing.files_done + 1,
                standing.files_total,
                seconds(left / rate)
            );
            (share, line)
        }
    };
    let line = if is_paused { "Paused".to_owned() } else { line };
    ui.horizontal(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let hover = "Stop; what is done stays, and adding a document goes on";
            if icons::button_sized(ui, Icon::Stop, "Stop building", hover, 22.0, None).clicked() {
                commands.push(Command::CancelBuilds);
            }
            let (icon, name, hover) = match is_paused {
                true => (Icon::Continue, "Go on building", "Go on where it was held"),
                false => (Icon::Pause, "Pause building", "Hold it as it is"),
            };
            if icons::button_sized(ui, icon, name, hover, 22.0, None).clicked() {
                commands.push(Command::PauseBuilds(!is_paused));
            }
            let bar = ProgressBar::new(share).desired_height(6.0);
            ui.add(bar).accessible_name("Progress of the build");
        });
    });
    ui.add(egui::Label::new(RichText::new(line).small().color(tokens(ui).text_weak)).wrap());
}
