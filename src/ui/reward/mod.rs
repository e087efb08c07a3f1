//! The part of the right panel about rewards: which adapter predicts them, how much they decide,
//! and a plot of them over the reply, one line per version.

mod plot;
mod trajectory;

use std::path::PathBuf;

use egui::{Align, Layout, RichText, Ui};

use super::command::Command;
use super::controls::{self, Weight};
use super::icons::{self, Icon};
use super::theme::{self, space, tokens};
use super::vectors::file_name;
use crate::model::reward::Facts;
use crate::steer::reward::MOST_CANDIDATES;
use crate::steer::{Plan, RewardSetting};
pub use trajectory::Trajectory;

/// The strongest the slider goes; a plan may say more.
const SLIDER_END: f32 = 8.0;
/// The gate's probability when it is switched on.
const USUAL_GATE: f32 = 0.9;

/// What is known of an adapter's file.
#[derive(Debug, Clone, PartialEq)]
pub enum KnownReward {
    /// It is being read.
    Reading,
    Facts(Box<Facts>),
    /// It cannot be used with this model, and why.
    Refused(String),
}

/// What is drawn.
pub struct RewardView<'a> {
    pub plan: &'a Plan,
    /// Of the plan's adapter.
    pub known: Option<&'a KnownReward>,
    pub has_model: bool,
    /// A reply is being made: nothing that would start another is offered.
    pub is_replying: bool,
    /// The versions of the last reply that have rewards.
    pub trajectories: &'a [Trajectory<'a>],
}

/// Draws the part.
pub fn reward_ui(ui: &mut Ui, view: &RewardView<'_>, commands: &mut Vec<Command>) {
    let mut plan = view.plan.clone();
    heading_ui(ui, view, commands);
    match &mut plan.reward {
        None => offer_ui(ui, view, commands),
        Some(setting) => setting_ui(ui, setting, view.known),
    }
    if plan != *view.plan {
        commands.push(Command::SetPlan(plan));
    }
    if !view.trajectories.is_empty() {
        ui.add_space(space::S);
        let unit = match view.known {
            Some(KnownReward::Facts(facts)) => facts.deviation.map(|unit| unit.value),
            _ => None,
        };
        plot::plot_ui(ui, view.trajectories, unit, view.is_replying, commands);
    }
}

fn heading_ui(ui: &mut Ui, view: &RewardView<'_>, commands: &mut Vec<Command>) {
    ui.add_space(space::M);
    ui.horizontal(|ui| {
        let color = tokens(ui).text_strong;
        ui.label(RichText::new("Reward").text_style(theme::section()).color(color));
        if view.plan.reward.is_none() {
            return;
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let hover = "Show no rewards from the next reply on; the adapter's file stays";
            let name = "Remove reward adapter";
            if icons::button_sized(ui, Icon::Close, name, hover, 22.0, None).clicked() {
                commands.push(Command::SetReward(None));
            }
        });
    });
}

/// What there is to do without an adapter.
fn offer_ui(ui: &mut Ui, view: &RewardView<'_>, commands: &mut Vec<Command>) {
    weak(
        ui,
        "An adapter predicts what a reply is worth, token by token, in the pass that makes it",
    );
    ui.add_space(space::XS);
    let choose = controls::wide_button(ui, Some(Icon::Plus), "Add reward adapter…", Weight::Quiet);
    if choose.on_hover_text("A file made with `tiller learn reward` for this model").clicked() {
        commands.push(Command::ChooseReward);
    }
    if view.has_model {
        weak(ui, "None for this model yet? Learn one with tiller learn reward");
    }
}

fn setting_ui(ui: &mut Ui, setting: &mut RewardSetting, known: Option<&KnownReward>) {
    let (name, has_unit) = match known {
        Some(KnownReward::Facts(facts)) => (name_of(facts, setting), facts.deviation.is_some()),
        _ => (file_name(&setting.path), false),
    };
    let label = egui::Label::new(RichText::new(&name).size(14.0)).truncate();
    ui.add(label).on_hover_text(details(known, &setting.path));
    match known {
        Some(KnownReward::Refused(why)) => {
            let color = tokens(ui).warning;
            ui.horizontal_top(|ui| {
                icons::show(ui, Icon::Warning, 14.0, color);
                ui.add(egui::Label::new(RichText::new(why).small().color(color)).wrap());
            });
        }
        Some(KnownReward::Facts(_)) if !has_unit => {
            weak(ui, "Its rewards have no measured deviation: they are shown and decide nothing");
        }
        _ => {}
    }
    ui.add_enabled_ui(has_unit || setting.strength != 0.0, |ui| {
        let color = tokens(ui).text_weak;
        let said = match setting.strength {
            0.0 => "Strength: off, rewards are only shown".to_owned(),
            strength => format!("Strength: {strength:.2} logits per deviation"),
        };
        ui.label(RichText::new(said).small().color(color));
        let mut strength = setting.strength;
        let end = SLIDER_END.max(strength);
        let slider = egui::Slider::new(&mut strength, 0.0..=end).show_value(false).step_by(0.05);
        let slider = controls::slider(ui, slider).accessible_name("Reward strength");
        if slider.changed() {
            setting.strength = strength;
        }
        if setting.strength != 0.0 {
            candidates_ui(ui, setting);
        }
    });
}

/// How many are scored, and where none are.
fn candidates_ui(ui: &mut Ui, setting: &mut RewardSetting) {
    ui.horizontal(|ui| {
        ui.label(RichText::new("Candidates").small());
        let drag = egui::DragValue::new(&mut setting.candidates).range(1..=MOST_CANDIDATES);
        let hover = "How many of the likeliest tokens are scored in one pass; more is slower";
        ui.add(drag).on_hover_text(hover).accessible_name("Reward candidates");
        let mut gated = setting.gate.is_some();
        let check = controls::outlined(ui, |ui| ui.checkbox(&mut gated, "Only when unsure"));
        let hover = "Score nothing where the model is sure of its token: faster, and Tiller's own \
                     addition to the method";
        if check.on_hover_text(hover).changed() {
            setting.gate = gated.then_some(USUAL_GATE);
        }
        if let Some(gate) = &mut setting.gate {
            let mut percent = f64::from(*gate) * 100.0;
            let drag = egui::DragValue::new(&mut percent).range(1.0..=100.0).suffix(" %");
            let response = ui.add(drag).accessible_name("Sure from");
            if response.on_hover_text("Sure from this probability on").changed() {
                *gate = (percent / 100.0) as f32;
            }
        }
    });
}

fn name_of(facts: &Facts, setting: &RewardSetting) -> String {
    match facts.name.trim() {
        "" => file_name(&setting.path),
        name => name.to_owned(),
    }
}

/// Everything worth telling of an adapter, a line each.
fn details(known: Option<&KnownReward>, path: &std::path::Path) -> String {
    let mut lines = vec![path.display().to_string()];
    match known {
        Some(KnownReward::Facts(facts)) => {
            lines.push(format!("Made with {}", facts.base.name));
            lines.push(format!("Inserted width {}", facts.sizes.width));
            lines.extend((!facts.how_made.is_empty()).then(|| facts.how_made.clone()));
            let accuracy = facts.training.as_ref().and_then(|training| training.pair_accuracy);
            if let Some(accuracy) = accuracy {
                lines.push(format!(
                    "{:.1} % of held-out pairs in the right order",
                    100.0 * accuracy
                ));
            }
            if let Some(unit) = facts.deviation {
                let (value, count) = (unit.value, unit.candidates);
                lines.push(format!("Rewards deviate by {value:.3} among {count} candidates"));
            }
        }
        Some(KnownReward::Refused(why)) => lines.push(why.clone()),
        _ => lines.push("Being read".to_owned()),
    }
    lines.join("\n")
}

fn weak(ui: &mut Ui, text: &str) {
    let text = RichText::new(text).small().color(tokens(ui).text_weak);
    ui.add(egui::Label::new(text).wrap());
}

/// The paths and what is known of them, as the window keeps them.
pub type KnownRewards = std::collections::BTreeMap<PathBuf, KnownReward>;
