//! The lines of the table.

use super::bench::Replies;
use crate::model::reward::{Facts, Initialisation};

/// The head of the table of systems.
pub fn systems_head() -> String {
    "system                          reward by separate  by adapter  diversity  tokens  ms/token"
        .to_owned()
}

/// One system's replies.
pub fn system_line(name: &str, replies: &Replies) -> String {
    format!(
        "{name:<32}{:>18.3}{:>12.3}{:>11.3}{:>8.1}{:>10.2}",
        replies.by_separate,
        replies.by_stream,
        replies.diversity,
        replies.tokens_per_reply,
        1e3 * replies.seconds_per_token
    )
}

/// What an adapter is, for the table of initialisations and insertions.
pub fn adapter_name(facts: &Facts) -> String {
    let begin = match facts.initialisation {
        Initialisation::Mirror => "mirror",
        Initialisation::Random => "random",
        Initialisation::Zero => "zero",
    };
    let place = match (facts.insertion.attention, facts.insertion.mlp) {
        (true, true) => "attention and MLP",
        (true, false) => "attention only",
        (false, _) => "MLP only",
    };
    let from = match facts.insertion.first_layer {
        0 => String::new(),
        layer => format!(", from layer {layer}"),
    };
    format!("{begin}, {place}{from}, width {}", facts.sizes.width)
}

/// One adapter's line there.
pub fn adapter_line(facts: &Facts, numbers: usize, accuracy: f64) -> String {
    let name = adapter_name(facts);
    format!("{name:<48}{numbers:>10} numbers{:>9.1} %", 100.0 * accuracy)
}
