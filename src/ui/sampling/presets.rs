//! Named presets: choose, save, rename, delete; and the model's own defaults.

use egui::{RichText, Ui};

use super::SamplingView;
use super::items;
use crate::steer::Plan;
use crate::ui::command::Command;
use crate::ui::icons::{self, Icon};
use crate::ui::theme::space;

/// A preset as the panel knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct PresetEntry {
    pub name: String,
    /// One that comes with the program; it can be neither renamed nor deleted.
    pub is_built_in: bool,
    pub plan: Plan,
}

/// What is being typed.
#[derive(Debug, Default)]
pub struct PresetsState {
    /// The name typed for saving, or for renaming the preset given first.
    naming: Option<(Option<String>, String)>,
    has_focus: bool,
}

/// What the dialled plan is called.
fn name_of<'a>(view: &SamplingView<'a>) -> &'a str {
    let same = |preset: &&PresetEntry| with_preset(view.plan, &preset.plan) == *view.plan;
    // One that says more goes first.
    let (with_vectors, others): (Vec<_>, Vec<_>) =
        view.presets.iter().partition(|preset| !preset.plan.vectors.is_empty());
    if let Some(preset) = with_vectors.into_iter().chain(others).find(same) {
        return &preset.name;
    }
    let recommended = view.recommended.map(|defaults| items::with_recommended(view.plan, defaults));
    if recommended.is_some_and(|plan| plan == *view.plan) {
        return "The model's own";
    }
    "Custom"
}

/// The plan as a preset leaves it. The seed belongs to the conversation. A preset that names
/// vectors turns the others off; one that names none, as those of the program, is about sampling
/// alone. No vector is taken off the list, and datastores stay as they are.
pub fn with_preset(plan: &Plan, preset: &Plan) -> Plan {
    let mut vectors = plan.vectors.clone();
    let mut kv_policy = plan.kv_policy;
    let mut mixture = preset.mixture.clone().or_else(|| plan.mixture.clone());
    if preset.mixture.is_none() && !preset.vectors.is_empty() {
        mixture.iter_mut().for_each(|mixture| mixture.strength = 0.0);
    }
    if !preset.vectors.is_empty() {
        kv_policy = preset.kv_policy;
        vectors.iter_mut().for_each(|vector| vector.strength = 0.0);
        for named in &preset.vectors {
            match vectors.iter_mut().find(|vector| vector.path == named.path) {
                Some(vector) => vector.strength = named.strength,
                None => vectors.push(named.clone()),
            }
        }
    }
    let reward = preset.reward.clone().or_else(|| plan.reward.clone());
    let stores = plan.stores.clone();
    Plan { seed: plan.seed, vectors, kv_policy, mixture, reward, stores, ..preset.clone() }
}

/// Draws the line of presets.
pub fn presets_ui(
    ui: &mut Ui,
    view: &SamplingView<'_>,
    state: &mut PresetsState,
    commands: &mut Vec<Command>,
) {
    let current = name_of(view);
    ui.horizontal(|ui| {
        let width = ui.available_width() - 28.0 - ui.spacing().item_spacing.x;
        let combo = egui::ComboBox::from_id_salt("preset").width(width).selected_text(current);
        let response = combo.show_ui(ui, |ui| {
            for preset in view.presets {
                if ui.selectable_label(preset.name == current, preset.name.as_str()).clicked() {
                    commands.push(Command::ApplyPreset(preset.name.clone()));
                }
            }
            ui.separator();
            own_defaults_ui(ui, view, current, commands);
        });
        response
            .response
            .accessible_name("Preset")
            .on_hover_text("Sets all of the values below at once");
        let more = icons::button(ui, Icon::More, "Preset menu", "Save, rename or delete");
        egui::Popup::menu(&more).show(|ui| menu_ui(ui, view, current, state, commands));
    });
    naming_ui(ui, state, commands);
}

fn own_defaults_ui(
    ui: &mut Ui,
    view: &SamplingView<'_>,
    current: &str,
    commands: &mut Vec<Command>,
) {
    let own = egui::Button::selectable(current == "The model's own", "The model's own");
    let response = ui.add_enabled(view.recommended.is_some(), own);
    let response = response
        .on_hover_text("What the files of the loaded model recommend")
        .on_disabled_hover_text("The files of the loaded model recommend nothing");
    if response.clicked() {
        commands.push(Command::ApplyModelDefaults);
    }
}

fn menu_ui(
    ui: &mut Ui,
    view: &SamplingView<'_>,
    current: &str,
    state: &mut PresetsState,
    commands: &mut Vec<Command>,
) {
    if ui.button("Save as preset").clicked() {
        *state = PresetsState { naming: Some((None, String::new())), has_focus: false };
    }
    let own = view.presets.iter().find(|preset| preset.name == current && !preset.is_built_in);
    let built_in = "Only presets of your own can be changed";
    let rename = ui.add_enabled(own.is_some(), egui::Button::new("Rename preset"));
    if rename.on_disabled_hover_text(built_in).clicked() {
        let naming = Some((Some(current.to_owned()), current.to_owned()));
        *state = PresetsState { naming, has_focus: false };
    }
    let delete = ui.add_enabled(own.is_some(), egui::Button::new("Delete preset"));
    if delete.on_disabled_hover_text(built_in).clicked() {
        commands.push(Command::DeletePreset(current.to_owned()));
    }
}

fn naming_ui(ui: &mut Ui, state: &mut PresetsState, commands: &mut Vec<Command>) {
    let Some((renamed, name)) = &mut state.naming else { return };
    let mut is_done = false;
    ui.horizontal(|ui| {
        let width = ui.available_width() - 2.0 * (28.0 + ui.spacing().item_spacing.x) - space::S;
        let field = egui::TextEdit::singleline(name)
            .hint_text("Name of the preset")
            .desired_width(width)
            .id_salt("preset name");
        let response = ui.add(field).accessible_name("Preset name");
        if !state.has_focus {
            state.has_focus = true;
            response.request_focus();
        }
        let entered =
            response.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
        let saved = icons::button(ui, Icon::Check, "Save preset", "Save").clicked();
        let name = name.trim().to_owned();
        if (entered || saved) && !name.is_empty() {
            commands.push(match renamed.clone() {
                Some(from) => Command::RenamePreset { from, to: name },
                None => Command::SavePreset(name),
            });
            is_done = true;
        }
        let escaped = ui.input(|input| input.key_pressed(egui::Key::Escape));
        if escaped || icons::button(ui, Icon::Close, "Cancel naming", "Cancel").clicked() {
            is_done = true;
        }
    });
    ui.label(RichText::new("A preset of yours with this name is replaced").small().weak());
    if is_done {
        state.naming = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steer::{KvPolicy, MixtureSetting, VectorSetting};

    #[test]
    fn a_preset_of_sampling_leaves_the_vectors_alone() {
        let plan = Plan {
            seed: 7,
            vectors: vec![VectorSetting::new("a", 0.5)],
            kv_policy: Some(KvPolicy::Keep),
            ..Plan::default()
        };
        let mut greedy = Plan::default();
        greedy.sampling.temperature = 0.0;
        let applied = with_preset(&plan, &greedy);
        assert_eq!((applied.seed, applied.sampling.temperature), (7, 0.0));
        assert_eq!((&applied.vectors, applied.kv_policy), (&plan.vectors, plan.kv_policy));
    }

    #[test]
    fn a_mixture_stays_unless_a_preset_says_otherwise() {
        let mixture = |strength| Some(MixtureSetting { aligned: "a".into(), strength });
        let plan = Plan { mixture: mixture(0.5), ..Plan::default() };
        assert_eq!(with_preset(&plan, &Plan::default()).mixture, mixture(0.5));
        let other = Plan { mixture: mixture(1.0), ..Plan::default() };
        assert_eq!(with_preset(&plan, &other).mixture, mixture(1.0));
        let vectors = vec![VectorSetting::new("a", 0.5)];
        let steered = Plan { vectors, ..Plan::default() };
        assert_eq!(with_preset(&plan, &steered).mixture, mixture(0.0), "the others are off");
    }

    #[test]
    fn a_preset_with_vectors_sets_them_and_turns_the_others_off() {
        let setting = VectorSetting::new;
        let vectors =
            vec![setting("a", 0.5), VectorSetting { any_base: true, ..setting("b", 1.0) }];
        let plan = Plan { vectors, ..Plan::default() };
        let preset =
            Plan { seed: 9, vectors: vec![setting("b", -1.0), setting("c", 0.25)], ..plan.clone() };
        let applied = with_preset(&plan, &preset);
        let expected = [
            setting("a", 0.0),
            VectorSetting { any_base: true, ..setting("b", -1.0) },
            setting("c", 0.25),
        ];
        assert_eq!(applied.vectors, expected);
        assert_eq!(with_preset(&applied, &preset), applied, "applied twice is applied once");
    }
}
