//! The lines of the table.

use super::bench::{Order, Replies};
use super::cost::Cost;
use super::learned::Trained;
use crate::model::reward::{Facts, Initialisation, Start};

/// The head of the table of systems.
pub fn systems_head() -> String {
    "system                          reward by separate  by adapter  diversity    nats  tokens  ms/token"
        .to_owned()
}

/// One system's replies.
pub fn system_line(name: &str, replies: &Replies) -> String {
    format!(
        "{name:<32}{:>18.3}{:>12.3}{:>11.3}{:>8.3}{:>8.1}{:>10.2}",
        replies.by_separate,
        replies.by_stream,
        replies.diversity,
        replies.nats,
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
    let start = match (facts.initialisation, facts.start) {
        (Initialisation::Mirror | Initialisation::Zero, Start::Zeros) => ", begins at zeros",
        _ => "",
    };
    format!("{begin}, {place}{from}, width {}{start}", facts.sizes.width)
}

/// One adapter's line there.
pub fn adapter_line(facts: &Facts, numbers: usize, order: Order) -> String {
    order_line(&adapter_name(facts), &format!("{numbers} numbers"), order)
}

/// Who puts how many pairs in order.
pub fn order_line(name: &str, size: &str, order: Order) -> String {
    let broken = order.broken.map_or(String::new(), |[whole, parting]| {
        format!(
            ", with faults {:.1} %, at the faulty token {:.1} %",
            100.0 * whole,
            100.0 * parting
        )
    });
    format!("{name:<48}{size:>20}{:>8.1} % in order{broken}", 100.0 * order.pairs)
}

/// A stream that was trained for the table.
pub fn trained_line(row: &Trained, batch: usize) -> String {
    format!(
        "{:<48}{:>20}{:>8.1} % in order, {:.1} % on the way, loss {:.4}, {} steps of {batch}, {:.0} s",
        adapter_name(&row.facts),
        format!("{} numbers", row.numbers),
        100.0 * row.right,
        100.0 * row.on_the_way,
        row.loss,
        row.steps,
        row.seconds
    )
}

/// The table in the paper's shape: what each system costs and brings, in one place.
pub fn paper_lines(systems: &[(String, Replies)], orders: [Order; 2], cost: &Cost) -> Vec<String> {
    let mut lines = vec![format!(
        "{:<32}{:>11}{:>11}{:>8}{:>11}{:>10}{:>10}{:>12}{:>12}",
        "system",
        "reward",
        "diversity",
        "nats",
        "pair acc.",
        "extra MB",
        "ms/token",
        "space saved",
        "time saved"
    )];
    let share = |value: f64| format!("{:.1} %", 100.0 * value);
    for (name, replies) in systems {
        let none = String::new;
        let (accuracy, bytes, seconds, space, time) = match name.as_str() {
            "greedy" => (none(), 0, cost.plain, none(), none()),
            name if name.starts_with("greedy") => (none(), 0, cost.rows, none(), none()),
            name if name.starts_with("separate") => {
                (share(orders[0].pairs), cost.separate_bytes, cost.separate, none(), none())
            }
            _ => {
                let (space, time) = (share(cost.space_saved()), share(cost.time_saved()));
                (share(orders[1].pairs), cost.stream_bytes, cost.stream, space, time)
            }
        };
        lines.push(format!(
            "{name:<32}{:>11.3}{:>11.3}{:>8.3}{accuracy:>11}{:>10.1}{:>10.2}{space:>12}{time:>12}",
            replies.by_separate,
            replies.diversity,
            replies.nats,
            bytes as f64 / 1e6,
            1e3 * seconds
        ));
    }
    lines
}
