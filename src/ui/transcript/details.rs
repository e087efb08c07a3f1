//! How a reply was made: model, device, weights, seed, plan, timings, why it ended.

use egui::{CornerRadius, Frame, Grid, Margin, RichText, Ui};

use super::look::Look;
use super::message::Entry;
use crate::engine::{Outcome, Recipe, StopReason};
use crate::session::Node;
use crate::steer::Plan;

/// Draw the details of a stored reply.
pub fn details_ui(ui: &mut Ui, entry: &Entry<'_>, look: &Look) {
    let Some(node) = entry.node else { return };
    ui.add_space(4.0);
    Frame::new()
        .fill(look.tokens.code_surface)
        .corner_radius(CornerRadius::same(8))
        .inner_margin(Margin::symmetric(14, 10))
        .show(ui, |ui| {
            ui.spacing_mut().interact_size.y = 0.0;
            let id = ("details", entry.id);
            Grid::new(id).num_columns(2).spacing([18.0, 4.0]).show(ui, |ui| {
                for (name, value) in facts(node) {
                    let font = || look.small.clone();
                    let name = RichText::new(name).font(font()).color(look.tokens.text_weak);
                    ui.label(name);
                    let value = RichText::new(value).font(font()).color(look.tokens.text);
                    ui.add(egui::Label::new(value).wrap());
                    ui.end_row();
                }
            });
        });
}

/// Names and values, as many as are known.
fn facts(node: &Node) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    let mut fact = |name, value: String| {
        if !value.is_empty() {
            facts.push((name, value));
        }
    };
    if let Some(recipe) = read::<Recipe>(node.recipe.as_deref()) {
        fact("Model", recipe.model_name);
        fact("Fingerprint", recipe.model_fingerprint);
        fact("Device", recipe.device);
        fact("Weights", recipe.weights);
        fact("Chat template", recipe.template_fingerprint);
        match toml::from_str::<Plan>(&recipe.plan) {
            Ok(plan) => plan_facts(&plan, &mut fact),
            Err(_) => fact("Plan", recipe.plan),
        }
        fact("Reward adapter", recipe.reward.map(|reward| reward.name).unwrap_or_default());
        fact("Reply number", recipe.reply.to_string());
        for (position, change) in recipe.plan_changes {
            fact("Plan changed", format!("before token {position}: {}", change.trim()));
        }
        fact("Tiller", recipe.tiller_version);
    }
    if let Some(outcome) = read::<Outcome>(node.outcome.as_deref()) {
        outcome_facts(&outcome, &mut fact);
    }
    if facts.is_empty() {
        facts.push(("Details", "None were stored with this reply".to_owned()));
    }
    facts
}

fn read<T: serde::de::DeserializeOwned>(json: Option<&str>) -> Option<T> {
    serde_json::from_str(json?).ok()
}

fn plan_facts(plan: &Plan, fact: &mut impl FnMut(&'static str, String)) {
    let sampling = &plan.sampling;
    fact("Seed", plan.seed.to_string());
    fact("Temperature", sampling.temperature.to_string());
    let mut limits = Vec::new();
    let mut limit = |on: bool, text: String| {
        if on {
            limits.push(text);
        }
    };
    limit(sampling.top_k > 0, format!("top-k {}", sampling.top_k));
    limit(sampling.top_p < 1.0, format!("top-p {}", sampling.top_p));
    limit(sampling.min_p > 0.0, format!("min-p {}", sampling.min_p));
    limit(sampling.repetition_penalty != 1.0, {
        format!("repetition penalty {}", sampling.repetition_penalty)
    });
    limit(sampling.presence_penalty != 0.0, {
        format!("presence penalty {}", sampling.presence_penalty)
    });
    limit(sampling.frequency_penalty != 0.0, {
        format!("frequency penalty {}", sampling.frequency_penalty)
    });
    limit(!sampling.logit_bias.is_empty(), format!("{} logit biases", sampling.logit_bias.len()));
    fact("Sampling", limits.join(", "));
    if let Some(reward) = plan.reward.as_ref().filter(|reward| reward.strength != 0.0) {
        let (strength, candidates) = (reward.strength, reward.candidates);
        let mut said = format!("strength {strength}, {candidates} candidates");
        if let Some(gate) = reward.gate {
            said += &format!(", only below {:.0} % certainty", 100.0 * gate);
        }
        fact("Decoded by reward", said);
    }
    fact("Most tokens", plan.max_tokens.map(|most| most.to_string()).unwrap_or_default());
    fact(
        "Stop strings",
        plan.stop.iter().map(|stop| format!("{stop:?}")).collect::<Vec<_>>().join(", "),
    );
}

fn outcome_facts(outcome: &Outcome, fact: &mut impl FnMut(&'static str, String)) {
    if let Some(timings) = &outcome.timings {
        fact(
            "Prompt",
            format!(
                "{} tokens, {} of them reused, read in {:.2} s",
                timings.prompt_tokens, timings.reused_tokens, timings.prefill_secs,
            ),
        );
        fact("First token", format!("after {:.2} s", timings.first_token_secs));
        let rate = if timings.decode_secs > 0.0 && timings.reply_tokens > 1 {
            format!(", {:.1} tokens/s", (timings.reply_tokens - 1) as f64 / timings.decode_secs)
        } else {
            String::new()
        };
        fact("Reply", format!("{} tokens{rate}", timings.reply_tokens));
        let drafting = timings.drafting;
        if !drafting.is_none() {
            let (rate, faster) = (100.0 * drafting.rate(), drafting.tokens_per_pass());
            let said = format!(
                "{} tokens, {rate:.0} % accepted: {faster:.2} tokens a pass",
                drafting.drafted
            );
            fact("Drafted", said);
        }
    }
    fact(
        "Ended",
        match (&outcome.reason, &outcome.failure) {
            (_, Some(failure)) => failure.clone(),
            (Some(reason), None) => reason_text(reason),
            (None, None) => String::new(),
        },
    );
}

/// Why a reply ended, in words.
pub fn reason_text(reason: &StopReason) -> String {
    match reason {
        StopReason::EndOfText => "The model ended its turn".to_owned(),
        StopReason::StopString(text) => format!("Stop string {text:?}"),
        StopReason::MaxTokens => "Most tokens reached".to_owned(),
        StopReason::ContextFull => "The context is full".to_owned(),
        StopReason::Stopped => "Stopped".to_owned(),
    }
}
