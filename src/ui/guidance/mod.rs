//! The part of the right panel where replies are guided by value: the method, the guides with a
//! slider each, the scorer, W, K and L, and what it will cost before it runs.

pub mod export;
pub mod layout;
pub mod method;
mod offer;
mod paint;
pub mod picture;
pub mod tree;

use std::path::{Path, PathBuf};

use egui::{Align, ComboBox, Layout, RichText, Ui};

use super::command::Command;
use super::controls::{self, Weight};
use super::icons::{self, Icon};
use super::theme::tokens;
use super::words;
use crate::decode::search::cost::{Prompts, forecast, tail_bytes};
use crate::model::ModelFacts;
use crate::steer::{GuidancePlan, Plan, ScorerChoice, guidance};
use method::Method;

/// Tokens a reply is reckoned with where the plan names no most.
const USUAL_TOKENS: usize = 256;
/// The ends of a pair's slider.
const BETA: std::ops::RangeInclusive<f64> = -2.0..=4.0;

/// What a chosen file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    Tuned,
    Untuned,
    Vector,
    Scorer,
}

/// What is drawn.
pub struct GuidanceView<'a> {
    pub plan: &'a Plan,
    pub model: Option<&'a ModelFacts>,
    /// Tokens of the conversation so far.
    pub prompt_tokens: usize,
    /// Row-forwards per second of the last reply.
    pub rows_per_sec: Option<f64>,
}

/// Draws the part; changes are sent as a whole plan.
pub fn guidance_ui(ui: &mut Ui, view: &GuidanceView<'_>, commands: &mut Vec<Command>) {
    controls::section(ui, "Guidance");
    let mut plan = view.plan.clone();
    let method = Method::of(&plan.guidance);
    method_ui(ui, method, &mut plan.guidance);
    let note = |ui: &mut Ui, text: &str, color| {
        ui.add(egui::Label::new(RichText::new(text).small().color(color)).wrap());
    };
    note(ui, method.help(), tokens(ui).text_weak);
    if let Some(lacks) = method.lacks(&plan.guidance) {
        note(ui, lacks, tokens(ui).warning);
    }
    pairs_ui(ui, &mut plan.guidance);
    if let Some(model) = view.model {
        offer::offer_ui(ui, model, &mut plan.guidance);
    }
    let add = |ui: &mut Ui, text: &str, hover: &str| {
        controls::wide_button(ui, Some(Icon::Plus), text, Weight::Quiet)
            .on_hover_text(hover)
            .clicked()
    };
    if add(ui, "Add tuned guide…", "A model, tuned; the base is its untuned twin unless you say")
    {
        commands.push(Command::ChooseGuide(Part::Tuned));
    }
    if add(ui, "Add guide by vector…", "A vector that makes a model its own tuned guide") {
        commands.push(Command::ChooseGuide(Part::Vector));
    }
    if !plan.guidance.pairs.is_empty()
        && add(ui, "Choose untuned guide…", "The guides as they were before they were tuned")
    {
        commands.push(Command::ChooseGuide(Part::Untuned));
    }
    let came = view.model.map_or(&[][..], |model| &model.scorers);
    scorer_ui(ui, came, &mut plan.guidance, commands);
    if plan.guidance.search.is_on() {
        search_ui(ui, &mut plan.guidance);
        note(ui, &cost_line(view), tokens(ui).text_weak);
    }
    if plan != *view.plan {
        commands.push(Command::SetPlan(plan));
    }
}

fn method_ui(ui: &mut Ui, method: Method, guidance: &mut GuidancePlan) {
    let combo = ComboBox::from_id_salt("guidance method")
        .selected_text(method.label())
        .width(ui.available_width());
    let shown = combo.show_ui(ui, |ui| {
        for choice in Method::CHOICES {
            let label = ui.selectable_label(choice == method, choice.label());
            if label.on_hover_text(choice.help()).clicked() {
                choice.apply(guidance);
            }
        }
    });
    shown.response.accessible_name("Guidance method");
}

fn pairs_ui(ui: &mut Ui, guidance: &mut GuidancePlan) {
    let mut gone = None;
    for (at, pair) in guidance.pairs.iter_mut().enumerate() {
        let path = pair.tuned.as_ref().or(pair.vector.as_ref());
        let name = path.map_or_else(|| "Guide".to_owned(), |path| name_of(path));
        ui.horizontal(|ui| {
            ui.spacing_mut().interact_size.y = 24.0;
            let untuned = match &pair.untuned {
                Some(path) => format!("less {}", name_of(path)),
                None => "less the model itself".to_owned(),
            };
            ui.label(RichText::new(&name).size(14.0)).on_hover_text(untuned);
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let remove = format!("Remove guide {name}");
                let hover = "Take it off the list; its files stay";
                if icons::button_sized(ui, Icon::Close, &remove, hover, 22.0, None).clicked() {
                    gone = Some(at);
                }
                let number = egui::DragValue::new(&mut pair.beta)
                    .range(-guidance::MOST_BETA..=guidance::MOST_BETA)
                    .speed(0.01)
                    .max_decimals(2);
                ui.add(number).accessible_name(format!("Strength of {name}, number"));
            });
        });
        let mut beta = f64::from(pair.beta);
        let slider = egui::Slider::new(&mut beta, BETA).show_value(false).step_by(0.05);
        controls::slider(ui, slider)
            .accessible_name(format!("Strength of {name}"))
            .on_hover_text("Off at 0; 1 is as much as it was tuned; acts on the next token");
        if beta != f64::from(pair.beta) && BETA.contains(&f64::from(pair.beta)) {
            pair.beta = ((beta * 100.0).round() / 100.0) as f32;
        }
    }
    if let Some(gone) = gone {
        guidance.pairs.remove(gone);
        if guidance.pairs.is_empty() && guidance.search.scorer == ScorerChoice::Implicit {
            guidance.search.scorer = ScorerChoice::None;
        }
    }
}

fn scorer_ui(
    ui: &mut Ui,
    came: &[PathBuf],
    guidance: &mut GuidancePlan,
    commands: &mut Vec<Command>,
) {
    let scorer = guidance.search.scorer.clone();
    let text = match &scorer {
        ScorerChoice::None => "No scorer".to_owned(),
        ScorerChoice::Implicit => "Log-ratio of the guides".to_owned(),
        ScorerChoice::File(path) => name_of(path),
    };
    ui.label(RichText::new("Scorer").size(14.0)).on_hover_text("What ranks candidates");
    let combo =
        ComboBox::from_id_salt("guidance scorer").selected_text(text).width(ui.available_width());
    let shown = combo.show_ui(ui, |ui| {
        if ui.selectable_label(scorer == ScorerChoice::None, "No scorer").clicked() {
            guidance.search.scorer = ScorerChoice::None;
            guidance.value_weight = 0.0;
        }
        let implicit = scorer == ScorerChoice::Implicit;
        let can = !guidance.pairs.is_empty();
        let entry = egui::Button::selectable(implicit, "Log-ratio of the guides");
        if ui.add_enabled(can, entry).clicked() {
            guidance.search.scorer = ScorerChoice::Implicit;
            guidance.value_weight = 0.0;
        }
        let chosen = match &scorer {
            ScorerChoice::File(path) => Some(path),
            _ => None,
        };
        for path in came.iter().chain(chosen.filter(|path| !came.contains(path))) {
            let label = ui.selectable_label(chosen == Some(path), name_of(path));
            if label.on_hover_text(path.display().to_string()).clicked() {
                guidance.search.scorer = ScorerChoice::File(path.clone());
            }
        }
        if ui.selectable_label(false, "Prefix scorer…").clicked() {
            commands.push(Command::ChooseGuide(Part::Scorer));
        }
    });
    shown.response.accessible_name("Scorer");
}

fn search_ui(ui: &mut Ui, guidance: &mut GuidancePlan) {
    let search = &mut guidance.search;
    let number = |ui: &mut Ui, label: &str, help: &str, value: &mut usize, least: usize| {
        ui.horizontal(|ui| {
            ui.label(RichText::new(label).size(14.0)).on_hover_text(help);
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let most = if least == 0 { 4096 } else { 64 };
                ui.add(egui::DragValue::new(value).range(least..=most).speed(0.1))
                    .accessible_name(label.to_owned())
                    .on_hover_text(help);
            });
        });
    };
    let kept = "Candidates kept at every ranking; acts at the next one";
    number(ui, "Beam width", kept, &mut search.beam_width, 1);
    let successors = "Continuations of each candidate that is kept";
    number(ui, "Successors", successors, &mut search.successors, 1);
    let length = "Tokens between two rankings; 0 ranks whole replies only";
    number(ui, "Chunk length", length, &mut search.chunk_length, 0);
    ui.checkbox(&mut search.skip_finished, "One place for a finished text")
        .on_hover_text("Off is the published procedure: a finished text keeps all its copies");
}

/// What the search will cost, before it runs.
fn cost_line(view: &GuidanceView<'_>) -> String {
    let search = &view.plan.guidance.search;
    let tokens = view.plan.max_tokens.unwrap_or(USUAL_TOKENS);
    let models = view.plan.guidance.pairs.len() * 2;
    let prompts = Prompts {
        base: view.prompt_tokens,
        guides: models * view.prompt_tokens,
        guide_models: models,
        scorer: view.prompt_tokens,
    };
    let cost = forecast(search, tokens, prompts);
    let mut line = format!(
        "{} for every token, {} over {}",
        words::plural(cost.rows as u64, "row", "rows"),
        words::plural(cost.boundaries as u64, "ranking", "rankings"),
        words::plural(tokens as u64, "token", "tokens"),
    );
    if let Some(rate) = view.rows_per_sec {
        line += &format!("; about {:.1} tokens/s", rate / cost.rows.max(1) as f64);
    }
    if let Some(model) = view.model {
        let per_token = model.cache_bytes / model.cache_length.max(1) as u64;
        let bytes = tail_bytes(cost.rows, tokens, &[per_token]);
        line += &format!("; {} of keys and values, guides not counted", words::bytes(bytes));
    }
    line
}

/// A model's folder or file, as a person calls it.
fn name_of(path: &Path) -> String {
    path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_is_said_before_it_runs() {
        let mut plan = Plan { max_tokens: Some(50), ..Plan::default() };
        plan.guidance.search.beam_width = 4;
        plan.guidance.search.successors = 4;
        let model =
            ModelFacts { cache_bytes: 1_000_000, cache_length: 1000, ..ModelFacts::default() };
        let view = GuidanceView {
            plan: &plan,
            model: Some(&model),
            prompt_tokens: 20,
            rows_per_sec: Some(160.0),
        };
        let line = cost_line(&view);
        assert_eq!(
            line,
            "16 rows for every token, 10 rankings over 50 tokens; about 10.0 tokens/s; 800 kB of \
             keys and values, guides not counted"
        );
    }
}
