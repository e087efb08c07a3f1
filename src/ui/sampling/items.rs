//! The sampling controls, each described once: label, tooltip, range, unit, neutral value. Labels,
//! tooltips, screen-reader names and resets all read this table.

use std::ops::RangeInclusive;

use crate::model::GenerationDefaults;
use crate::steer::Plan;

/// A number of the plan that the person can dial.
pub struct Item {
    pub label: &'static str,
    pub tooltip: &'static str,
    pub range: RangeInclusive<f64>,
    /// How far one step goes.
    pub step: f64,
    pub decimals: usize,
    /// Said after the number, empty for pure numbers.
    pub unit: &'static str,
    /// The value that does exactly nothing.
    pub neutral: f64,
    /// What the neutral value means, in a word.
    pub neutral_word: &'static str,
    /// Wide ranges are easier to dial on a logarithmic scale.
    pub is_logarithmic: bool,
    /// Shown at once, or under "More".
    pub is_basic: bool,
    pub get: fn(&Plan) -> f64,
    pub set: fn(&mut Plan, f64),
    /// What the model's own files recommend, if they say.
    pub recommended: fn(&GenerationDefaults) -> Option<f64>,
}

const NOT_SAID: fn(&GenerationDefaults) -> Option<f64> = |_| None;

/// All of them, in the order they are shown.
pub const ITEMS: &[Item] = &[
    Item {
        label: "Temperature",
        tooltip: "How freely words are chosen; 0 always takes the most probable one",
        range: 0.0..=2.0,
        step: 0.05,
        decimals: 2,
        unit: "",
        neutral: 1.0,
        neutral_word: "as the model has it",
        is_logarithmic: false,
        is_basic: true,
        get: |plan| f64::from(plan.sampling.temperature),
        set: |plan, value| plan.sampling.temperature = value as f32,
        recommended: |defaults| defaults.temperature.map(f64::from),
    },
    Item {
        label: "Top-p",
        tooltip: "Keep the most probable tokens that together reach this share",
        range: 0.0..=1.0,
        step: 0.01,
        decimals: 2,
        unit: "",
        neutral: 1.0,
        neutral_word: "off",
        is_logarithmic: false,
        is_basic: true,
        get: |plan| f64::from(plan.sampling.top_p),
        set: |plan, value| plan.sampling.top_p = value as f32,
        recommended: |defaults| defaults.top_p.map(f64::from),
    },
    Item {
        label: "Top-k",
        tooltip: "Keep this many of the most probable tokens",
        range: 0.0..=200.0,
        step: 1.0,
        decimals: 0,
        unit: " tokens",
        neutral: 0.0,
        neutral_word: "off",
        is_logarithmic: true,
        is_basic: true,
        get: |plan| plan.sampling.top_k as f64,
        set: |plan, value| plan.sampling.top_k = value as usize,
        recommended: |defaults| defaults.top_k.map(|k| k as f64),
    },
    Item {
        label: "Min-p",
        tooltip: "Drop tokens less probable than this share of the most probable one",
        range: 0.0..=1.0,
        step: 0.01,
        decimals: 2,
        unit: "",
        neutral: 0.0,
        neutral_word: "off",
        is_logarithmic: false,
        is_basic: true,
        get: |plan| f64::from(plan.sampling.min_p),
        set: |plan, value| plan.sampling.min_p = value as f32,
        recommended: |defaults| defaults.min_p.map(f64::from),
    },
    Item {
        label: "Longest reply",
        tooltip: "The reply ends after this many tokens",
        range: 0.0..=8192.0,
        step: 16.0,
        decimals: 0,
        unit: " tokens",
        neutral: 0.0,
        neutral_word: "no limit",
        is_logarithmic: true,
        is_basic: true,
        get: |plan| plan.max_tokens.unwrap_or(0) as f64,
        set: |plan, value| plan.max_tokens = (value >= 1.0).then_some(value as usize),
        recommended: NOT_SAID,
    },
    Item {
        label: "Repetition penalty",
        tooltip: "Makes tokens that were there lately less likely, by a factor",
        range: 1.0..=2.0,
        step: 0.01,
        decimals: 2,
        unit: "",
        neutral: 1.0,
        neutral_word: "off",
        is_logarithmic: false,
        is_basic: false,
        get: |plan| f64::from(plan.sampling.repetition_penalty),
        set: |plan, value| plan.sampling.repetition_penalty = value as f32,
        recommended: |defaults| defaults.repetition_penalty.map(f64::from),
    },
    Item {
        label: "Repetition window",
        tooltip: "How far back the repetition penalty looks, in prompt and reply",
        range: 0.0..=4096.0,
        step: 16.0,
        decimals: 0,
        unit: " tokens",
        neutral: 0.0,
        neutral_word: "everything",
        is_logarithmic: true,
        is_basic: false,
        get: |plan| plan.sampling.repetition_window as f64,
        set: |plan, value| plan.sampling.repetition_window = value as usize,
        recommended: NOT_SAID,
    },
    Item {
        label: "Presence penalty",
        tooltip: "Subtracted once from the logit of every token the reply has used",
        range: -2.0..=2.0,
        step: 0.05,
        decimals: 2,
        unit: "",
        neutral: 0.0,
        neutral_word: "off",
        is_logarithmic: false,
        is_basic: false,
        get: |plan| f64::from(plan.sampling.presence_penalty),
        set: |plan, value| plan.sampling.presence_penalty = value as f32,
        recommended: NOT_SAID,
    },
    Item {
        label: "Frequency penalty",
        tooltip: "Subtracted from a token's logit for each time the reply has used it",
        range: -2.0..=2.0,
        step: 0.05,
        decimals: 2,
        unit: "",
        neutral: 0.0,
        neutral_word: "off",
        is_logarithmic: false,
        is_basic: false,
        get: |plan| f64::from(plan.sampling.frequency_penalty),
        set: |plan, value| plan.sampling.frequency_penalty = value as f32,
        recommended: NOT_SAID,
    },
];

impl Item {
    /// The value as shown.
    pub fn text_of(&self, value: f64) -> String {
        if value == self.neutral && self.neutral_word != "as the model has it" {
            let word = self.neutral_word;
            return word[..1].to_uppercase() + &word[1..];
        }
        format!("{value:.*}{}", self.decimals, self.unit)
    }

    /// Range, unit and neutral value, for the tooltip.
    pub fn help(&self) -> String {
        format!(
            "{}\n{:.*} to {:.*}{}, {:.*} is {}",
            self.tooltip,
            self.decimals,
            self.range.start(),
            self.decimals,
            self.range.end(),
            self.unit,
            self.decimals,
            self.neutral,
            self.neutral_word
        )
    }
}

/// The plan with the sampling the model's own files recommend; what they do not say stays neutral.
pub fn with_recommended(plan: &Plan, defaults: &GenerationDefaults) -> Plan {
    let mut plan = plan.clone();
    for item in ITEMS {
        if item.label != "Longest reply" && item.label != "Repetition window" {
            let value = (item.recommended)(defaults).unwrap_or(item.neutral);
            (item.set)(&mut plan, value.clamp(*item.range.start(), *item.range.end()));
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_reads_what_it_writes_and_its_neutral_value_lies_in_its_range() {
        for item in ITEMS {
            let mut plan = Plan::default();
            assert!(item.range.contains(&item.neutral), "{}", item.label);
            for value in [*item.range.start(), *item.range.end(), item.neutral] {
                (item.set)(&mut plan, value);
                assert_eq!((item.get)(&plan), value, "{}", item.label);
            }
            assert!(!item.tooltip.ends_with('.') && !item.label.ends_with(':'), "{}", item.label);
            assert!(item.help().contains(item.neutral_word));
        }
    }

    #[test]
    fn items_write_to_different_fields() {
        for (index, item) in ITEMS.iter().enumerate() {
            let mut plan = Plan::default();
            (item.set)(&mut plan, *item.range.end());
            for (other_index, other) in ITEMS.iter().enumerate() {
                if other_index != index {
                    assert_eq!(
                        (other.get)(&plan),
                        (other.get)(&Plan::default()),
                        "{}",
                        other.label
                    );
                }
            }
        }
    }

    #[test]
    fn recommended_values_replace_the_dialled_ones() {
        let defaults = GenerationDefaults {
            temperature: Some(0.6),
            top_k: Some(20),
            ..GenerationDefaults::default()
        };
        let mut plan = Plan { max_tokens: Some(99), ..Plan::default() };
        plan.sampling.min_p = 0.3;
        let plan = with_recommended(&plan, &defaults);
        assert_eq!(plan.sampling.temperature, 0.6);
        assert_eq!(plan.sampling.top_k, 20);
        assert_eq!(plan.sampling.min_p, 0.0, "what the files do not say is neutral");
        assert_eq!(plan.max_tokens, Some(99));
    }
}
