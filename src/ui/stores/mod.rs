//! The part of the right panel where replies are grounded in documents: a list of datastores, each
//! with a switch and a weight, what is being built, and how much they mattered to the last reply.

mod files;
mod row;
mod weighed;

use std::path::{Path, PathBuf};

use egui::{RichText, Ui};

use super::command::Command;
use super::controls::{self, Weight};
use super::icons::Icon;
use super::theme::{space, tokens};
use crate::model::ModelFacts;
use crate::session::Weighed;
use crate::steer::datastore::Manifest;
use crate::steer::datastore::build::Standing;
use crate::steer::{FIRST_LAMBDA, Plan, StoreSetting};
use row::Deed;

/// A datastore as the window knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoreEntry {
    pub folder: PathBuf,
    /// Its list, or why it cannot be read.
    pub manifest: Result<Box<Manifest>, String>,
    /// Its build, while there is one.
    pub building: Option<Building>,
    /// Why its last build broke off.
    pub failure: Option<String>,
}

/// A build under way.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Building {
    /// None while files are read and distances measured.
    pub standing: Option<Box<Standing>>,
    pub tokens_per_sec: f64,
}

impl StoreEntry {
    /// Nothing is known of it yet but that it is being built.
    pub fn begun(folder: PathBuf) -> Self {
        let manifest = Err("nothing of it is done yet".to_owned());
        Self { folder, manifest, building: Some(Building::default()), failure: None }
    }

    /// The share it is switched on with.
    pub fn first_lambda(&self) -> f32 {
        self.manifest.as_ref().map_or(FIRST_LAMBDA, |manifest| manifest.first_lambda())
    }

    /// What the person calls it.
    pub fn name(&self) -> String {
        match &self.manifest {
            Ok(manifest) if !manifest.name.trim().is_empty() => manifest.name.clone(),
            _ => self.folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        }
    }
}

/// What is drawn.
pub struct StoresView<'a> {
    pub plan: &'a Plan,
    pub stores: &'a [StoreEntry],
    pub model: Option<&'a ModelFacts>,
    /// What they did to the last reply with stores on; `None` before there is one.
    pub weighed: Option<&'a Weighed>,
    /// The builds are held.
    pub is_paused: bool,
}

/// What the part remembers between frames.
#[derive(Debug, Default)]
pub struct StoresState {
    is_dragging: bool,
    /// Whose files are listed.
    opened: Option<PathBuf>,
    /// The one being renamed, and its new name so far.
    renaming: Option<(PathBuf, String)>,
}

/// Draws the list; changes of weights are sent as a whole plan.
pub fn stores_ui(
    ui: &mut Ui,
    view: &StoresView<'_>,
    state: &mut StoresState,
    commands: &mut Vec<Command>,
) {
    let mut plan = view.plan.clone();
    controls::section(ui, "Documents");
    if view.stores.is_empty() {
        let hint = "Drop files anywhere on this window to ground replies in them";
        let hint = RichText::new(hint).small().color(tokens(ui).text_weak);
        ui.add(egui::Label::new(hint).wrap());
    }
    let was_dragging = std::mem::take(&mut state.is_dragging);
    for store in view.stores {
        let folder = &store.folder;
        let set = view.plan.stores.iter().find(|setting| setting.path == *folder);
        let lambda = set.map_or(0.0, |setting| setting.lambda);
        let deed = ui
            .push_id(("store", folder), |ui| row::row_ui(ui, store, lambda, view, state, commands))
            .inner;
        match deed {
            Some(Deed::Weight(lambda)) => setting_of(&mut plan, folder).lambda = lambda,
            Some(Deed::Drag(lambda)) => {
                state.is_dragging = true;
                setting_of(&mut plan, folder).lambda = lambda;
            }
            None => {}
        }
    }
    if let Some(weighed) = view.weighed {
        weighed::weighed_ui(ui, weighed);
    }
    ui.add_space(space::XS);
    let add = controls::wide_button(ui, Some(Icon::Plus), "Add document…", Weight::Quiet);
    let hover = "Text, Markdown, PDF, docx, odt, epub, HTML, tables, JSON lines, source code";
    if add.on_hover_text(hover).clicked() {
        commands.push(Command::ChooseDocument);
    }
    let is_changed = plan != *view.plan;
    if state.is_dragging {
        commands.extend(is_changed.then_some(Command::PreviewPlan(plan)));
    } else if is_changed || was_dragging {
        commands.push(Command::SetPlan(plan));
    }
}

/// What a plan says of a store, which comes into it with this.
fn setting_of<'a>(plan: &'a mut Plan, folder: &Path) -> &'a mut StoreSetting {
    let held = plan.stores.iter().position(|setting| setting.path == folder);
    let at = held.unwrap_or_else(|| {
        plan.stores.push(StoreSetting::new(folder, 0.0));
        plan.stores.len() - 1
    });
    &mut plan.stores[at]
}
