//! What becomes of what the model has read already when a strength changes: the choice, and what
//! it comes to here and now.

use egui::{RichText, Ui};

use crate::steer::{KvPolicy, Plan};
use crate::ui::theme::tokens;
use crate::ui::words;

/// The choices, each with its name.
const CHOICES: [(Option<KvPolicy>, &str); 4] = [
    (None, "Automatic"),
    (Some(KvPolicy::Recompute), "Read again"),
    (Some(KvPolicy::Keep), "Keep what was read"),
    (Some(KvPolicy::NextTurn), "From the next reply"),
];

/// Draws the choice, what it comes to, and what the last change did.
pub fn policy_ui(
    ui: &mut Ui,
    plan: &mut Plan,
    history_tokens: usize,
    last_change: Option<(KvPolicy, usize)>,
) {
    let name_of = |policy| {
        CHOICES.iter().find(|(choice, _)| *choice == policy).map_or("Automatic", |(_, name)| name)
    };
    ui.label(RichText::new("When a strength changes").size(14.0));
    let combo = egui::ComboBox::from_id_salt("kv policy")
        .width(ui.available_width())
        .selected_text(name_of(plan.kv_policy));
    let response = combo.show_ui(ui, |ui| {
        for (choice, name) in CHOICES {
            ui.selectable_value(&mut plan.kv_policy, choice, name);
        }
    });
    response.response.accessible_name("When a strength changes");
    let mut lines = vec![words_of(plan, history_tokens)];
    lines.extend(last_change.map(words_of_change));
    for words in lines {
        let words = RichText::new(words).small().color(tokens(ui).text_weak);
        ui.add(egui::Label::new(words).wrap());
    }
}

/// What the last change did.
fn words_of_change((policy, positions): (KvPolicy, usize)) -> String {
    match policy {
        KvPolicy::Recompute => {
            let tokens = words::plural(positions as u64, "token", "tokens");
            format!("Last change: {tokens} read again")
        }
        KvPolicy::Keep => "Last change: nothing read again".to_owned(),
        KvPolicy::NextTurn => "Last change: waits for the next reply".to_owned(),
    }
}

/// What a change made now would do.
fn words_of(plan: &Plan, history_tokens: usize) -> String {
    let tokens = words::plural(history_tokens as u64, "token", "tokens");
    match plan.kv_policy_for(history_tokens) {
        KvPolicy::Recompute if history_tokens == 0 => "Takes effect at once".to_owned(),
        KvPolicy::Recompute => format!("Exact: {tokens} are read again before the next one"),
        KvPolicy::Keep => "At once, but what was read before stays as it was read".to_owned(),
        KvPolicy::NextTurn if plan.kv_policy.is_none() => {
            format!("From the next reply on, since {tokens} take long to read again")
        }
        KvPolicy::NextTurn => "A reply under way goes on as it was".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_say_which_policy_is_active() {
        let plan = |kv_policy| Plan { kv_policy, ..Plan::default() };
        assert!(words_of(&plan(None), 300).contains("300 tokens are read again"));
        assert!(words_of(&plan(None), 5000).contains("From the next reply on, since 5,000"));
        assert!(words_of(&plan(Some(KvPolicy::Recompute)), 5000).contains("5,000 tokens"));
        assert!(words_of(&plan(Some(KvPolicy::Keep)), 9).contains("stays as it was"));
        assert_eq!(words_of(&plan(None), 0), "Takes effect at once");
        assert!(words_of_change((KvPolicy::Recompute, 1)).ends_with("1 token read again"));
        assert!(words_of(&plan(Some(KvPolicy::NextTurn)), 9).contains("goes on as it was"));
    }
}
