//! The dialog that chooses a model: what was found and where, what was passed over and why, and
//! before anything is loaded what it would take.

use std::path::{Path, PathBuf};

use egui::{Align, Layout, RichText, ScrollArea, Ui, vec2};

use super::facts;
use crate::model::{FoundModel, LoadOptions, ModelFacts, SkippedModel};
use crate::ui::action::Action;
use crate::ui::command::Command;
use crate::ui::controls;
use crate::ui::engine_state::EngineState;
use crate::ui::theme::{self, space, tokens};
use crate::ui::words;

/// What is drawn.
pub struct PickerView<'a> {
    pub engine: &'a EngineState,
    pub recent: &'a [PathBuf],
    /// Bytes of memory that are free, if the system says.
    pub free_memory: Option<u64>,
    /// What the settings say.
    pub options: &'a LoadOptions,
}

/// What the dialog remembers while it is open.
#[derive(Debug, Default)]
pub struct PickerState {
    pub selected: Option<PathBuf>,
    options: Option<LoadOptions>,
    shows_skipped: bool,
}

const FORMS: [(&str, &str); 6] = [
    ("auto", "Fastest exact form"),
    ("f32", "f32, exact, most memory"),
    ("bf16", "bf16"),
    ("f16", "f16"),
    ("q8_0", "q8_0, half the size, nearly exact"),
    ("q4_k", "q4_k, smallest"),
];

const DEVICES: [(&str, &str); 4] =
    [("auto", "Best there is"), ("cpu", "CPU"), ("cuda", "CUDA"), ("metal", "Metal")];

/// Draws the dialog's inside; true when it is to close.
pub fn picker_ui(
    ui: &mut Ui,
    view: &PickerView<'_>,
    state: &mut PickerState,
    commands: &mut Vec<Command>,
) -> bool {
    let mut closes = false;
    buttons_ui(ui, view, commands);
    ui.add_space(space::XS);
    let below = if state.selected.is_some() { 240.0 } else { 16.0 };
    let height = (ui.available_height() - below).clamp(140.0, 360.0);
    ScrollArea::vertical().max_height(height).auto_shrink([false, true]).show(ui, |ui| {
        list_ui(ui, view, state, commands);
    });
    if let Some(path) = state.selected.clone() {
        ui.separator();
        closes = chosen_ui(ui, view, &path, state, commands);
    }
    closes
}

fn buttons_ui(ui: &mut Ui, view: &PickerView<'_>, commands: &mut Vec<Command>) {
    ui.horizontal(|ui| {
        for (action, command) in [
            (Action::OpenModelFile, Command::ChooseModelFile),
            (Action::OpenModelFolder, Command::ChooseModelFolder),
        ] {
            let hover = action.hover_text(ui.ctx());
            if ui.button(action.label()).on_hover_text(hover).clicked() {
                commands.push(command);
            }
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if view.engine.is_scanning {
                ui.weak("Looking…");
            } else if ui.button("Look again").on_hover_text("Scan the known stores").clicked() {
                commands.push(Command::RescanModels);
            }
        });
    });
}

fn list_ui(
    ui: &mut Ui,
    view: &PickerView<'_>,
    state: &mut PickerState,
    commands: &mut Vec<Command>,
) {
    let engine = view.engine;
    ui.spacing_mut().item_spacing.y = 2.0;
    for model in &engine.found {
        let size = words::bytes(model.bytes);
        found_ui(ui, view, model, &format!("{}, {size}", model.store), state, commands);
    }
    let known = |path: &PathBuf| engine.found.iter().any(|model| &model.path == path);
    for path in view.recent.iter().filter(|path| !known(path)) {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let model = FoundModel { path: path.clone(), name, store: "recent".into(), bytes: 0 };
        found_ui(ui, view, &model, "Opened before", state, commands);
    }
    if engine.found.is_empty() && view.recent.is_empty() && !engine.is_scanning {
        ui.weak("No models found in the known places; open a file or a folder");
    }
    if !engine.skipped.is_empty() {
        let count = engine.skipped.len() as u64;
        let text = format!("{} passed over", words::plural(count, "file was", "files were"));
        if controls::disclosure(ui, state.shows_skipped, &text).clicked() {
            state.shows_skipped = !state.shows_skipped;
        }
        if state.shows_skipped {
            for skipped in &engine.skipped {
                skipped_ui(ui, skipped);
            }
        }
    }
}

fn found_ui(
    ui: &mut Ui,
    view: &PickerView<'_>,
    model: &FoundModel,
    note: &str,
    state: &mut PickerState,
    commands: &mut Vec<Command>,
) {
    let colors = tokens(ui);
    let is_selected = state.selected.as_ref() == Some(&model.path);
    let is_loaded = view.engine.model.as_ref().is_some_and(|loaded| loaded.path == model.path);
    let (rect, response) =
        ui.allocate_exact_size(vec2(ui.available_width(), 44.0), egui::Sense::click());
    let said = format!("{}, {note}", model.name);
    response.widget_info(|| {
        egui::WidgetInfo::selected(egui::Role::Button, true, is_selected, said.as_str())
    });
    let fill = if is_selected {
        colors.accent_soft
    } else if response.hovered() || response.has_focus() {
        colors.control
    } else {
        theme::Tokens::CLEAR
    };
    let painter = ui.painter();
    painter.rect_filled(rect, f32::from(theme::RADIUS), fill);
    let left = rect.left() + space::M;
    let width = rect.width() - 2.0 * space::M - if is_loaded { 64.0 } else { 0.0 };
    let line = |text: &str, size: f32, color: egui::Color32, y: f32| {
        let mut job = egui::text::LayoutJob::simple_singleline(
            text.to_owned(),
            egui::FontId::proportional(size),
            color,
        );
        job.wrap = egui::text::TextWrapping::truncate_at_width(width);
        let galley = ui.fonts_mut(|fonts| fonts.layout_job(job));
        painter.galley(egui::pos2(left, rect.top() + y), galley, color);
    };
    line(&model.name, 14.5, colors.text_strong, 4.0);
    line(note, 12.5, colors.text_weak, 24.0);
    if is_loaded {
        let place = rect.right_center() - vec2(space::M, 0.0);
        let font = egui::FontId::proportional(12.5);
        painter.text(place, egui::Align2::RIGHT_CENTER, "Loaded", font, colors.good);
    }
    let response = response.on_hover_text(model.path.display().to_string());
    if response.clicked() && !is_selected {
        state.selected = Some(model.path.clone());
        commands.push(Command::InspectModel(model.path.clone()));
    }
    if response.double_clicked() {
        let options = state.options.clone().unwrap_or_else(|| view.options.clone());
        commands.push(Command::LoadModel { path: model.path.clone(), options });
    }
}

fn skipped_ui(ui: &mut Ui, skipped: &SkippedModel) {
    let name = skipped.path.file_name().unwrap_or(skipped.path.as_os_str()).to_string_lossy();
    ui.add(egui::Label::new(RichText::new(name).size(13.5)).truncate())
        .on_hover_text(skipped.path.display().to_string());
    ui.add(egui::Label::new(RichText::new(&skipped.reason).small().weak()).wrap());
    ui.add_space(space::XS);
}

/// Facts, memory and options of the chosen model; true when it is being loaded.
fn chosen_ui(
    ui: &mut Ui,
    view: &PickerView<'_>,
    path: &Path,
    state: &mut PickerState,
    commands: &mut Vec<Command>,
) -> bool {
    let colors = tokens(ui);
    let outcome = view.engine.inspected.as_ref().filter(|(of, _)| of == path);
    match outcome {
        None => {
            ui.weak("Reading what it is");
        }
        Some((_, Err(reason))) => {
            let text = RichText::new(format!("Cannot be loaded: {reason}")).color(colors.danger);
            ui.add(egui::Label::new(text).wrap());
        }
        Some((_, Ok(facts))) => {
            let options = state.options.as_ref().unwrap_or(view.options);
            let facts = at_context(facts, options.context_length);
            ui.label(RichText::new(facts::summary(&facts)).color(colors.text_strong));
            memory_ui(ui, facts.weight_bytes + facts.cache_bytes, view.free_memory);
            facts::line_ui(ui, "Memory", &facts::memory(&facts), "");
            facts::line_ui(ui, "Rewards", &facts::reward_memory(&facts), "While they are shown");
            facts::line_ui(ui, "Weights", &facts.held_as, "Unless another form is chosen below");
            facts::line_ui(ui, "In the file", &facts.stored_as, "");
        }
    }
    let options = state.options.get_or_insert_with(|| view.options.clone());
    options_ui(ui, options);
    let options = options.clone();
    let mut loads = false;
    let row = vec2(ui.available_width(), 32.0);
    ui.allocate_ui_with_layout(row, Layout::right_to_left(Align::Center), |ui| {
        let can_load = matches!(outcome, Some((_, Ok(_))));
        let text = RichText::new("Load").color(colors.on_accent);
        let button = egui::Button::new(text).fill(colors.accent).min_size(vec2(96.0, 32.0));
        let button = ui.add_enabled(can_load, button).accessible_name("Load");
        if button.on_hover_text("Replaces the model that is loaded").clicked() {
            commands.push(Command::LoadModel { path: path.to_owned(), options });
            loads = true;
        }
    });
    loads
}

/// The facts with the cache of a context of this length; caches grow with it evenly.
fn at_context(facts: &ModelFacts, length: Option<usize>) -> ModelFacts {
    let mut facts = facts.clone();
    if let Some(length) = length.filter(|_| facts.cache_length > 0) {
        let per_token = facts.cache_bytes as f64 / facts.cache_length as f64;
        facts.cache_bytes = (per_token * length as f64).round() as u64;
        facts.cache_length = length;
    }
    facts
}

/// Says in words whether it fits.
fn memory_ui(ui: &mut Ui, needed: u64, free: Option<u64>) {
    let Some(free) = free else { return };
    let colors = tokens(ui);
    let (text, color) = if needed > free {
        (
            format!(
                "Needs {}, more than the {} that are free",
                words::bytes(needed),
                words::bytes(free)
            ),
            colors.warning,
        )
    } else {
        (
            format!("Needs {} of the {} that are free", words::bytes(needed), words::bytes(free)),
            colors.text_weak,
        )
    };
    ui.add(egui::Label::new(RichText::new(text).color(color)).wrap());
}

fn options_ui(ui: &mut Ui, options: &mut LoadOptions) {
    ui.horizontal_wrapped(|ui| {
        choice_ui(ui, "Device", &DEVICES, &mut options.device, 130.0);
        choice_ui(ui, "Weights", &FORMS, &mut options.weights, 190.0);
        ui.label(RichText::new("Context").small().weak());
        let mut length = options.context_length.unwrap_or(0);
        let number = egui::DragValue::new(&mut length)
            .range(0..=1_048_576)
            .speed(32.0)
            .custom_formatter(|value, _| match value as u64 {
                0 => "Model's own".to_owned(),
                tokens => words::plural(tokens, "token", "tokens"),
            });
        ui.add(number)
            .accessible_name("Context length")
            .on_hover_text("How many tokens of conversation are kept; more takes more memory");
        options.context_length = (length > 0).then_some(length);
    });
}

fn choice_ui(ui: &mut Ui, name: &str, choices: &[(&str, &str)], value: &mut String, width: f32) {
    ui.label(RichText::new(name).small().weak());
    if value.is_empty() {
        *value = "auto".to_owned();
    }
    let shown =
        choices.iter().find(|(key, _)| key == value).map_or(value.as_str(), |(_, text)| text);
    egui::ComboBox::from_id_salt(name)
        .width(width)
        .selected_text(shown.to_owned())
        .show_ui(ui, |ui| {
            for (key, text) in choices {
                if ui.selectable_label(value == key, *text).clicked() {
                    *value = (*key).to_owned();
                }
            }
        })
        .response
        .accessible_name(name);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RewardMemory;

    #[test]
    fn adapters_beside_the_model_are_part_of_the_estimate_and_follow_the_context() {
        let adapter = RewardMemory {
            name: "civil".into(),
            weight_bytes: 900_000,
            cache_bytes_per_token: 1000,
        };
        let facts = ModelFacts {
            cache_length: 1000,
            cache_bytes: 5000,
            reward_memory: vec![adapter],
            ..ModelFacts::default()
        };
        assert_eq!(facts::reward_memory(&facts), "1.9 MB more for civil");
        assert_eq!(facts::reward_memory(&at_context(&facts, Some(100))), "1.0 MB more for civil");
        assert_eq!(facts::reward_memory(&ModelFacts::default()), "");
    }

    #[test]
    fn the_estimate_follows_the_context() {
        let facts = ModelFacts { cache_length: 1000, cache_bytes: 5000, ..ModelFacts::default() };
        let longer = at_context(&facts, Some(4000));
        assert_eq!((longer.cache_length, longer.cache_bytes), (4000, 20_000));
        assert_eq!(at_context(&facts, None), facts);
        assert_eq!(at_context(&ModelFacts::default(), Some(10)), ModelFacts::default());
    }
}
