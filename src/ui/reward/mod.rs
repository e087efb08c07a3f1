//! The part of the right panel about rewards: which adapter predicts them, how much they decide,
//! and a plot of them over the reply, one line per version.

mod judge;
mod offer;
mod plot;
mod setting;
mod trajectory;

use std::path::{Path, PathBuf};

use egui::{Align, Layout, RichText, Ui};

use super::command::Command;
use super::icons::{self, Icon};
use super::making::{UnderWay, under_way_ui};
use super::theme::{self, space, tokens};
use super::vectors::file_name;
use super::words;
use crate::model::ModelFacts;
use crate::model::reward::About;
use crate::steer::Plan;
pub use judge::JudgeView;
pub use trajectory::Trajectory;

/// What is known of an adapter's file.
#[derive(Debug, Clone, PartialEq)]
pub enum KnownReward {
    /// It is being read.
    Reading,
    About(Box<About>),
    /// It cannot be used with this model, and why.
    Refused(String),
}

/// What is drawn.
pub struct RewardView<'a> {
    pub plan: &'a Plan,
    pub known: &'a KnownRewards,
    pub model: Option<&'a ModelFacts>,
    /// The adapter being learnt, while no dialog says how far it is.
    pub learning: Option<&'a UnderWay>,
    /// A reply is being made: nothing that would start another is offered.
    pub is_replying: bool,
    /// The versions of the last reply that have rewards.
    pub trajectories: &'a [Trajectory<'a>],
    /// The reward model that judges them, too.
    pub judge: Option<JudgeView<'a>>,
}

/// Draws the part.
pub fn reward_ui(ui: &mut Ui, view: &RewardView<'_>, commands: &mut Vec<Command>) {
    let mut plan = view.plan.clone();
    let known = view.plan.reward.as_ref().and_then(|reward| view.known.get(&reward.path));
    heading_ui(ui, view, commands);
    match &mut plan.reward {
        None => offer::offer_ui(ui, view, commands),
        Some(setting) => setting::setting_ui(ui, setting, known),
    }
    if let Some(one) = view.learning {
        under_way_ui(ui, one, commands);
    }
    if plan != *view.plan {
        commands.push(Command::SetPlan(plan));
    }
    if !view.trajectories.is_empty() {
        ui.add_space(space::S);
        let unit = match known {
            Some(KnownReward::About(about)) => about.facts.deviation.map(|unit| unit.value),
            _ => None,
        };
        plot::plot_ui(ui, view.trajectories, unit, view.is_replying, commands);
    }
    if view.judge.is_some() || !view.trajectories.is_empty() {
        judge::judge_ui(ui, view.judge.as_ref(), commands);
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

/// What the person calls it, or its file's name.
fn name_of(known: Option<&KnownReward>, path: &Path) -> String {
    match known {
        Some(KnownReward::About(about)) if !about.facts.name.trim().is_empty() => {
            about.facts.name.trim().to_owned()
        }
        _ => file_name(path),
    }
}

/// Everything worth telling of an adapter, a line each.
fn details(known: Option<&KnownReward>, path: &Path) -> String {
    let mut lines = vec![path.display().to_string()];
    match known {
        Some(KnownReward::About(about)) => {
            let facts = &about.facts;
            lines.push(format!("Takes {} beside the model", words::bytes(about.bytes)));
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
