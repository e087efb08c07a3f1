//! The part of the right panel where the model is steered: a list of alignment vectors with a
//! slider each, effective on the next token.

mod distance;
mod levels;
mod measured;
mod mixture;
mod policy;
mod row;
pub mod strength;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use egui::{Align, Layout, RichText, Ui};

use super::action::Action;
use super::command::Command;
use super::controls::{self, Weight};
use super::engine_state::{AlignedState, Divergence};
use super::icons::{self, Icon};
use super::making::{UnderWay, under_way_ui};
use super::theme::{self, space, tokens};
use crate::model::vector::About;
use crate::model::{FoundModel, ModelFacts};
use crate::steer::{KvPolicy, Plan, VectorSetting};
use row::Deed;

/// What is known of a vector's file.
#[derive(Debug, Clone, PartialEq)]
pub enum Known {
    /// It is being read.
    Reading,
    About(Box<About>),
    /// It cannot be used, and why.
    Refused(String),
}

/// What is drawn.
pub struct VectorsView<'a> {
    pub plan: &'a Plan,
    pub known: &'a BTreeMap<PathBuf, Known>,
    pub model: Option<&'a ModelFacts>,
    /// How many tokens the model has read in this conversation.
    pub history_tokens: usize,
    /// What the last change of strengths came to, and how many tokens are read again for it.
    pub last_change: Option<(KvPolicy, usize)>,
    /// Changes when another conversation is shown.
    pub conversation: i64,
    /// The aligned model of the mixture, as far as it is.
    pub aligned: Option<&'a AlignedState>,
    /// Models that could be mixed in.
    pub found: &'a [FoundModel],
    /// Replies measure how far from the base they are.
    pub measures: bool,
    /// What the reply under way, or the last one, measured.
    pub divergence: &'a Divergence,
    /// A vector being made: its name and how far it is.
    pub making: Option<&'a UnderWay>,
}

/// What the part remembers between frames.
#[derive(Debug, Default)]
pub struct VectorsState {
    /// A vector is being dragged.
    is_dragging: bool,
    /// The strengths there were when all were turned off, and in which conversation.
    held: Option<(i64, Vec<VectorSetting>)>,
    /// Sliders go beyond where language was measured to hold. Forgotten when the program ends.
    beyond: bool,
    /// The table of leaks is unfolded.
    shows_leaks: bool,
    levels: levels::LevelsState,
}

/// A vector of the list and what is known of it.
pub(super) struct Line<'a> {
    pub setting: VectorSetting,
    pub known: Option<&'a Known>,
    /// It lies beside the model, and stays on the list.
    pub came_with_model: bool,
}

impl Line<'_> {
    /// Calibration found where language holds.
    fn is_measured(&self) -> bool {
        let Some(Known::About(about)) = self.known else { return false };
        strength::Marks::of(about.facts.calibration.as_ref()).is_measured
    }

    /// Its domain, or its own name, or its file's.
    pub fn name(&self) -> String {
        match self.known {
            Some(Known::About(about)) => name_of(about),
            _ => file_name(&self.setting.path),
        }
    }
}

/// What a vector is called in the window.
pub fn name_of(about: &About) -> String {
    let names = [&about.facts.domain, &about.name];
    let name = names.into_iter().find(|name| !name.trim().is_empty());
    let name = name.map_or_else(String::new, |name| name.trim().to_owned());
    let mut letters = name.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => "Vector".to_owned(),
    }
}

/// What a file is called that nothing is known of yet.
pub fn file_name(path: &Path) -> String {
    let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy();
    name.into_owned()
}

/// Draws the list; changes of strengths are sent as a whole plan.
pub fn vectors_ui(
    ui: &mut Ui,
    view: &VectorsView<'_>,
    state: &mut VectorsState,
    commands: &mut Vec<Command>,
) {
    let mut plan = view.plan.clone();
    if state.held.as_ref().is_some_and(|(conversation, _)| *conversation != view.conversation) {
        state.held = None;
    }
    heading_ui(ui, view.conversation, &mut plan, state);
    let lines = lines(view);
    if lines.is_empty() {
        let hint = "Each moves the model along one domain";
        let hint = RichText::new(hint).small().color(tokens(ui).text_weak);
        ui.add(egui::Label::new(hint).wrap());
    }
    let was_dragging = std::mem::take(&mut state.is_dragging);
    for line in &lines {
        let path = &line.setting.path;
        let deed = ui
            .push_id(("vector", path), |ui| row::row_ui(ui, line, view.model, state.beyond))
            .inner;
        match deed {
            Some(Deed::Strength(strength)) => {
                setting_of(&mut plan, path).strength = strength;
                state.held = None;
            }
            Some(Deed::Drag(strength)) => {
                state.is_dragging = true;
                if line.setting.strength != strength {
                    setting_of(&mut plan, path).strength = strength;
                    state.held = None;
                }
            }
            Some(Deed::AnyBase) => setting_of(&mut plan, path).any_base = true,
            Some(Deed::Remove) => commands.push(Command::RemoveVector(path.clone())),
            None => {}
        }
    }
    for (path, strength) in
        levels::levels_ui(ui, &lines, state.beyond, &mut state.levels).into_iter().flatten()
    {
        setting_of(&mut plan, &path).strength = strength;
        state.held = None;
    }
    measured::leaks_ui(ui, &lines, &mut state.shows_leaks);
    ui.add_space(space::XS);
    let is_measured = lines.iter().any(Line::is_measured);
    add_ui(ui, view, is_measured, state, commands);
    if let Some(one) = view.making {
        under_way_ui(ui, one, commands);
    }
    state.is_dragging |= mixture::mixture_ui(ui, view, &mut plan, commands);
    if !lines.is_empty() {
        ui.add_space(space::S);
        policy::policy_ui(ui, &mut plan, view.history_tokens, view.last_change);
    }
    if view.measures {
        distance::distance_ui(ui, view);
    }
    let is_changed = plan != *view.plan;
    if state.is_dragging {
        commands.extend(is_changed.then_some(Command::PreviewPlan(plan)));
    } else if is_changed || was_dragging {
        commands.push(Command::SetPlan(plan));
    }
}

/// The button that puts a vector on the list, and the menu of everything else that is seldom needed.
fn add_ui(
    ui: &mut Ui,
    view: &VectorsView<'_>,
    is_measured: bool,
    state: &mut VectorsState,
    commands: &mut Vec<Command>,
) {
    ui.horizontal(|ui| {
        let more = 28.0 + ui.spacing().item_spacing.x;
        ui.scope(|ui| {
            ui.set_max_width(ui.available_width() - more);
            let add = controls::wide_button(ui, Some(Icon::Plus), "Add vector…", Weight::Quiet);
            let hover = "A vector's file, or adapter_config.json of a LoRA adapter's folder; or \
                         drop it on the window";
            if add.on_hover_text(hover).clicked() {
                commands.push(Command::ChooseVector);
            }
        });
        let more = icons::button(ui, Icon::More, "Vector menu", "More ways to steer");
        egui::Popup::menu(&more).show(|ui| {
            ui.add_enabled_ui(view.model.is_some(), |ui| {
                ui.menu_button("Mix with an aligned model", |ui| {
                    mixture::menu_ui(ui, view, commands);
                });
            });
            if ui.button(Action::MakeVector.label()).clicked() {
                commands.push(Command::Act(Action::MakeVector));
            }
            ui.separator();
            distance::switch_ui(ui, view, commands);
            let hover = "Lets sliders go where replies were measured to lose their language";
            let beyond = egui::Checkbox::new(&mut state.beyond, "Go beyond the measured range");
            ui.add_enabled(is_measured, beyond)
                .on_hover_text(hover)
                .on_disabled_hover_text("No vector on the list was measured");
        });
    });
}

/// The vectors that came with the model, then those the person put on; in this order whatever is
/// dialled, so that no row moves from under a hand.
fn lines<'a>(view: &VectorsView<'a>) -> Vec<Line<'a>> {
    let came = view.model.map_or(&[][..], |model| &model.vectors);
    let own = view.plan.vectors.iter().filter(|setting| !came.contains(&setting.path)).cloned();
    let dialled = |path: &PathBuf| {
        let set = view.plan.vectors.iter().find(|setting| setting.path == *path);
        set.cloned().unwrap_or_else(|| VectorSetting::new(path, 0.0))
    };
    let settings =
        came.iter().map(|path| (dialled(path), true)).chain(own.map(|setting| (setting, false)));
    settings
        .map(|(setting, came_with_model)| {
            let known = view.known.get(&setting.path);
            Line { setting, known, came_with_model }
        })
        .collect()
}

/// What a plan says of a vector, which comes into it with this.
fn setting_of<'a>(plan: &'a mut Plan, path: &Path) -> &'a mut VectorSetting {
    let held = plan.vectors.iter().position(|setting| setting.path == path);
    let at = held.unwrap_or_else(|| {
        plan.vectors.push(VectorSetting::new(path, 0.0));
        plan.vectors.len() - 1
    });
    &mut plan.vectors[at]
}

/// The heading, and beside it the switch that turns all of them off and on again.
fn heading_ui(ui: &mut Ui, conversation: i64, plan: &mut Plan, state: &mut VectorsState) {
    ui.add_space(space::M);
    ui.horizontal(|ui| {
        let color = tokens(ui).text_strong;
        ui.label(RichText::new("Vectors").text_style(theme::section()).color(color));
        if plan.vectors.is_empty() {
            return;
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let was_on = plan.vectors_in_play().next().is_some();
            let mut is_on = was_on;
            let can_turn = was_on || state.held.is_some();
            let response = controls::outlined(ui, |ui| {
                ui.add_enabled(can_turn, egui::Checkbox::new(&mut is_on, "On"))
            });
            response
                .accessible_name("All vectors on")
                .on_hover_text("Turn all of them off to hear the model as it is, and on again")
                .on_disabled_hover_text("All of them are off; drag a slider");
            if was_on && !is_on {
                state.held = Some((conversation, plan.vectors.clone()));
                plan.vectors.iter_mut().for_each(|vector| vector.strength = 0.0);
            } else if is_on
                && !was_on
                && let Some((_, held)) = state.held.take()
            {
                turn_on(&mut plan.vectors, &held);
            }
        });
    });
}

/// Gives the vectors that are still there the strengths they had.
fn turn_on(vectors: &mut [VectorSetting], held: &[VectorSetting]) {
    for vector in vectors {
        let before = held.iter().find(|held| held.path == vector.path);
        vector.strength = before.map_or(vector.strength, |held| held.strength);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::vector::Facts;

    #[test]
    fn a_vector_is_called_by_its_domain() {
        let about = |name: &str, domain: &str| About {
            name: name.into(),
            facts: Facts { domain: domain.into(), ..Facts::default() },
            ..About::default()
        };
        assert_eq!(name_of(&about("run 7", "medical")), "Medical");
        assert_eq!(name_of(&about("run 7", " ")), "Run 7");
        assert_eq!(name_of(&about("", "")), "Vector");
        assert_eq!(file_name(Path::new("/a/legal.safetensors")), "legal");
    }

    #[test]
    fn what_came_with_the_model_is_listed_first_and_stays_in_its_place() {
        let model = ModelFacts { vectors: vec!["a".into(), "b".into()], ..ModelFacts::default() };
        let mut plan = Plan { vectors: vec![VectorSetting::new("own", 0.5)], ..Plan::default() };
        let known = BTreeMap::new();
        let listed = |plan: &Plan| {
            let view = VectorsView {
                plan,
                known: &known,
                model: Some(&model),
                history_tokens: 0,
                last_change: None,
                conversation: 1,
                aligned: None,
                found: &[],
                measures: false,
                divergence: &Divergence::default(),
                making: None,
            };
            let lines = lines(&view);
            lines
                .iter()
                .map(|line| (line.name(), line.setting.strength, line.came_with_model))
                .collect::<Vec<_>>()
        };
        let line = |name: &str, strength, came| (name.to_owned(), strength, came);
        assert_eq!(
            listed(&plan),
            [line("a", 0.0, true), line("b", 0.0, true), line("own", 0.5, false)]
        );
        setting_of(&mut plan, Path::new("b")).strength = -0.5;
        setting_of(&mut plan, Path::new("b")).strength = -1.0;
        assert_eq!(plan.vectors.len(), 2, "once in the plan, however often it is dialled");
        assert_eq!(
            listed(&plan),
            [line("a", 0.0, true), line("b", -1.0, true), line("own", 0.5, false)]
        );
    }

    #[test]
    fn turning_on_again_gives_back_what_is_still_there() {
        let held = [VectorSetting::new("a", 0.5), VectorSetting::new("b", -1.0)];
        let mut now = [VectorSetting::new("b", 0.0), VectorSetting::new("c", 0.0)];
        turn_on(&mut now, &held);
        assert_eq!(now, [VectorSetting::new("b", -1.0), VectorSetting::new("c", 0.0)]);
    }
}
