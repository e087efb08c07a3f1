//! The lines of the table.

use super::interval::Interval;

/// What a system's replies came to: one number per prompt, the mean over its seeds.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    pub name: String,
    /// Log-odds of the judge, nats.
    pub gold: Vec<f64>,
    /// The second opinion.
    pub second: Vec<f64>,
    pub diversity: Vec<f64>,
    pub tokens: Vec<f64>,
    pub seconds: Vec<f64>,
    pub base_rows: Vec<f64>,
    pub other_rows: Vec<f64>,
    /// Share of all replies that are unlike each other.
    pub different: f64,
}

/// The head of the table.
pub fn head(second: &str) -> String {
    format!(
        "{:<20}{:>16}{:>16}{:>16}{:>11}{:>10}{:>9}{:>11}{:>12}",
        "system",
        "gold, nats",
        second,
        "diversity",
        "different",
        "tokens",
        "seconds",
        "rows, base",
        "rows, other"
    )
}

/// One system's line.
pub fn line(measured: &Measured) -> String {
    let mean = |values: &[f64]| Interval::of(values).mean;
    format!(
        "{:<20}{:>16}{:>16}{:>16}{:>9.1} %{:>10.1}{:>9.3}{:>11.0}{:>12.0}",
        measured.name,
        Interval::of(&measured.gold).shown(),
        Interval::of(&measured.second).shown(),
        Interval::of(&measured.diversity).shown(),
        100.0 * measured.different,
        mean(&measured.tokens),
        mean(&measured.seconds),
        mean(&measured.base_rows),
        mean(&measured.other_rows)
    )
}
