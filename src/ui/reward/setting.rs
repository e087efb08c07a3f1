//! The adapter in play: what it is, and the dials of how much it decides.

use egui::{RichText, Ui};

use super::{KnownReward, details, name_of, weak};
use crate::model::reward::Heads;
use crate::steer::RewardSetting;
use crate::steer::reward::MOST_CANDIDATES;
use crate::ui::controls;
use crate::ui::icons::{self, Icon};
use crate::ui::theme::tokens;
use crate::ui::words;

/// The strongest the slider goes; a plan may say more.
const SLIDER_END: f32 = 8.0;
/// The same of the detox rule.
const DETOX_END: f32 = 4.0;
/// The gate's probability when it is switched on.
const USUAL_GATE: f32 = 0.9;

/// Draws them.
pub fn setting_ui(ui: &mut Ui, setting: &mut RewardSetting, known: Option<&KnownReward>) {
    let about = match known {
        Some(KnownReward::About(about)) => Some(about.as_ref()),
        _ => None,
    };
    let has_unit = about.is_some_and(|about| about.facts.deviation.is_some());
    let heads = about.map_or(Heads::default(), |about| about.heads);
    let label =
        egui::Label::new(RichText::new(name_of(known, &setting.path)).size(14.0)).truncate();
    ui.add(label).on_hover_text(details(known, &setting.path));
    match known {
        Some(KnownReward::Refused(why)) => {
            let color = tokens(ui).warning;
            ui.horizontal_top(|ui| {
                icons::show(ui, Icon::Warning, 14.0, color);
                ui.add(egui::Label::new(RichText::new(why).small().color(color)).wrap());
            });
        }
        Some(KnownReward::About(_)) if !has_unit => {
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
    if heads.experts || setting.detox != 0.0 {
        detox_ui(ui, setting);
    }
    if heads.drafts > 0 || setting.speculate {
        let said = format!("Draft {} ahead", words::plural(heads.drafts as u64, "token", "tokens"));
        let draft = egui::Checkbox::new(&mut setting.speculate, said);
        let hover = "Its draft heads guess what comes, and one pass verifies it: the same text in \
                     fewer passes. For greedy replies that no reward decides";
        controls::outlined(ui, |ui| ui.add_enabled(setting.strength == 0.0, draft))
            .on_hover_text(hover)
            .on_disabled_hover_text("Drafts are for replies that no reward decides");
    }
}

/// How much the expert and anti-expert heads weigh.
fn detox_ui(ui: &mut Ui, setting: &mut RewardSetting) {
    let color = tokens(ui).text_weak;
    let said = match setting.detox {
        0.0 => "Detox: off".to_owned(),
        alpha => format!("Detox: {alpha:.2} times expert less anti-expert"),
    };
    ui.label(RichText::new(said).small().color(color));
    let mut alpha = setting.detox;
    let (least, most) = (alpha.min(0.0), alpha.max(DETOX_END));
    let slider = egui::Slider::new(&mut alpha, least..=most).show_value(false).step_by(0.05);
    let hover = "Towards what better answers say and away from what worse ones do, within what the \
                 model itself finds likely; 2 is usual";
    let slider = controls::slider(ui, slider).accessible_name("Detox").on_hover_text(hover);
    if slider.changed() {
        setting.detox = alpha;
    }
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
