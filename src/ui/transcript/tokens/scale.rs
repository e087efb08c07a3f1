//! From a token's numbers to one of five levels, and what a level looks like: a colour and, for
//! those who see colours differently, a line under the token.

use egui::{Color32, Painter, Rect, Stroke};

use crate::session::TokenTrace;
use crate::ui::theme::Tokens;

/// What the tint behind a token means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tint {
    /// How improbable the token was.
    #[default]
    Probability,
    /// How open the choice was.
    Entropy,
}

/// A probability below the n-th of these is of level n + 1.
const PROBABILITIES: [f32; 4] = [0.5, 0.2, 0.05, 0.01];
/// An entropy in nats above the n-th of these is of level n + 1.
const ENTROPIES: [f32; 4] = [0.25, 0.75, 1.5, 2.5];

impl Tint {
    /// 0 (likely, certain) to 4 (unlikely, open).
    pub fn level(self, trace: &TokenTrace) -> usize {
        match self {
            Self::Probability => {
                let probability = trace.logprob.exp();
                PROBABILITIES.iter().filter(|limit| probability < **limit).count()
            }
            Self::Entropy => ENTROPIES.iter().filter(|limit| trace.entropy > **limit).count(),
        }
    }

    /// Colours by level.
    pub fn ramp(self, tokens: &Tokens) -> &[Color32; 5] {
        match self {
            Self::Probability => &tokens.probability_ramp,
            Self::Entropy => &tokens.entropy_ramp,
        }
    }

    /// What the levels stand for, in the legend.
    pub fn labels(self) -> [&'static str; 5] {
        match self {
            Self::Probability => ["≥ 50 %", "≥ 20 %", "≥ 5 %", "≥ 1 %", "< 1 %"],
            Self::Entropy => ["≤ 0.25", "≤ 0.75", "≤ 1.5", "≤ 2.5", "> 2.5 nats"],
        }
    }
}

/// The line under a token of this level: none, dots, thin, thick, double.
pub fn underline(painter: &Painter, rect: Rect, level: usize, color: Color32) {
    let y = rect.bottom() - 1.5;
    let x = rect.x_range().shrink(1.5);
    match level {
        1 => {
            let mut at = x.min + 0.5;
            while at < x.max {
                painter.circle_filled(egui::pos2(at, y), 0.7, color);
                at += 4.0;
            }
        }
        2 => {
            painter.hline(x, y, Stroke::new(1.0, color));
        }
        3 => {
            painter.hline(x, y, Stroke::new(2.2, color));
        }
        4 => {
            painter.hline(x, y, Stroke::new(1.3, color));
            painter.hline(x, y - 3.0, Stroke::new(1.3, color));
        }
        _ => {}
    }
}

/// A probability for people: "34 %", "0.4 %", "< 0.01 %".
pub fn percent(logprob: f32) -> String {
    let percent = 100.0 * logprob.exp();
    match percent {
        percent if percent.is_nan() => "unknown".to_owned(),
        percent if percent >= 99.95 => "100 %".to_owned(),
        percent if percent >= 9.95 => format!("{percent:.0} %"),
        percent if percent >= 0.095 => format!("{percent:.1} %"),
        percent if percent >= 0.01 => format!("{percent:.2} %"),
        _ => "< 0.01 %".to_owned(),
    }
}

/// The token's place among all tokens at its position, 1 being the most probable; `None` when it
/// is beyond the alternatives that were kept.
pub fn rank(trace: &TokenTrace) -> Option<usize> {
    trace.alternatives.iter().position(|other| other.id == trace.id).map(|index| index + 1)
}

/// A token's text with what cannot be seen made visible.
pub fn visible(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            ' ' => "·".to_owned(),
            '\n' => "\\n".to_owned(),
            '\t' => "\\t".to_owned(),
            '\r' => "\\r".to_owned(),
            c if c.is_control() || is_invisible(c) => format!("U+{:04X}", u32::from(c)),
            c => c.to_string(),
        })
        .collect()
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The token's own text even where it added no character to the reply.
pub fn own_text(trace: &TokenTrace) -> String {
    if !trace.text.is_empty() {
        return trace.text.clone();
    }
    let own = trace.alternatives.iter().find(|other| other.id == trace.id);
    match own {
        Some(own) if !own.text.is_empty() => own.text.clone(),
        _ => format!("#{}", trace.id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(probability: f32, entropy: f32) -> TokenTrace {
        TokenTrace {
            id: 7,
            text: String::new(),
            logprob: probability.ln(),
            entropy,
            alternatives: Vec::new(),
            reward: None,
        }
    }

    #[test]
    fn levels_rise_as_probability_falls_and_entropy_grows() {
        let levels = |tint: Tint, values: [(f32, f32); 5]| {
            values.map(|(probability, entropy)| tint.level(&trace(probability, entropy)))
        };
        let values = [(0.6, 0.1), (0.3, 0.5), (0.1, 1.0), (0.02, 2.0), (0.001, 3.0)];
        assert_eq!(levels(Tint::Probability, values), [0, 1, 2, 3, 4]);
        assert_eq!(levels(Tint::Entropy, values), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn percentages_keep_two_digits_and_never_say_zero() {
        let shown = [1.0, 0.998, 0.34, 0.05, 0.004, 0.0005, 1e-9].map(|p: f32| percent(p.ln()));
        assert_eq!(shown, ["100 %", "100 %", "34 %", "5.0 %", "0.4 %", "0.05 %", "< 0.01 %"]);
        assert_eq!(percent(f32::NEG_INFINITY), "< 0.01 %");
    }

    #[test]
    fn tokens_without_text_of_their_own_still_have_a_name() {
        let mut token = trace(0.5, 0.5);
        assert_eq!(own_text(&token), "#7");
        token.alternatives.push(crate::session::Alternative {
            id: 7,
            text: "<0xE4>".to_owned(),
            logprob: -0.7,
        });
        assert_eq!(own_text(&token), "<0xE4>");
        assert_eq!(rank(&token), Some(1));
        assert_eq!(visible(" a\n\u{200b}"), "·a\\nU+200B");
    }
}
