//! A model's facts in words: how big it is, where it runs and why there, what it takes of memory.

use egui::{RichText, Ui};

use crate::model::{ModelFacts, RewardMemory};
use crate::ui::theme::tokens;
use crate::ui::words;

/// Family, size and context on one line.
pub fn summary(facts: &ModelFacts) -> String {
    let mut parts = Vec::new();
    if !facts.family.is_empty() {
        parts.push(facts.family.clone());
    }
    if facts.parameters > 0 {
        parts.push(words::parameters(facts.parameters));
    }
    parts.join(", ")
}

/// What it needs of memory, as a sum.
pub fn memory(facts: &ModelFacts) -> String {
    format!(
        "{} ({} weights, {} for {} tokens of context)",
        words::bytes(facts.weight_bytes + facts.cache_bytes),
        words::bytes(facts.weight_bytes),
        words::bytes(facts.cache_bytes),
        words::count(facts.cache_length as u64)
    )
}

/// What the reward adapters that came with it would take besides; empty when there are none.
pub fn reward_memory(facts: &ModelFacts) -> String {
    let one = |adapter: &RewardMemory| {
        let bytes = words::bytes(adapter.bytes(facts.cache_length));
        format!("{bytes} more for {}", adapter.name)
    };
    facts.reward_memory.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Names and values, each value on a line of its own below its name.
pub fn lines_ui(ui: &mut Ui, facts: &ModelFacts) {
    line_ui(ui, "Device", &facts.device, &facts.device_note);
    let stored = if facts.stored_as.is_empty() || facts.stored_as == facts.held_as {
        String::new()
    } else {
        format!("In the file {}", facts.stored_as)
    };
    line_ui(ui, "Weights", &facts.held_as, &stored);
    line_ui(ui, "Memory", &memory(facts), "");
    line_ui(ui, "Rewards", &reward_memory(facts), "While they are shown");
}

/// All that is known besides, as a table.
pub fn details_ui(ui: &mut Ui, facts: &ModelFacts) {
    let mut rows: Vec<(String, String)> = vec![
        ("Layers".into(), words::count(facts.layer_count as u64)),
        ("Hidden size".into(), words::count(facts.hidden_size as u64)),
        ("Vocabulary".into(), words::plural(facts.vocab_size as u64, "token", "tokens")),
        (
            "Context of the model".into(),
            words::plural(facts.context_length as u64, "token", "tokens"),
        ),
        ("Chat template".into(), facts.template_source.clone()),
        ("Fingerprint".into(), facts.fingerprint.chars().take(16).collect()),
    ];
    rows.extend(facts.details.iter().cloned());
    rows.push(("Lies in".into(), facts.path.display().to_string()));
    for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        line_ui(ui, name, value, "");
    }
}

/// A name, its value, and a note below.
pub fn line_ui(ui: &mut Ui, name: &str, value: &str, note: &str) {
    if value.is_empty() {
        return;
    }
    let colors = tokens(ui);
    ui.scope(|ui| {
        ui.spacing_mut().item_spacing.y = 1.0;
        ui.horizontal_top(|ui| {
            let width = 84.0;
            ui.allocate_ui_with_layout(
                egui::vec2(width, 18.0),
                egui::Layout::left_to_right(egui::Align::Min),
                |ui| {
                    ui.set_min_width(width);
                    ui.add(
                        egui::Label::new(RichText::new(name).small().color(colors.text_weak))
                            .wrap(),
                    );
                },
            );
            ui.vertical(|ui| {
                ui.add(egui::Label::new(RichText::new(value).size(13.5)).wrap());
                if !note.is_empty() {
                    let note = RichText::new(note).small().color(colors.text_weak);
                    ui.add(egui::Label::new(note).wrap());
                }
            });
        });
    });
}
