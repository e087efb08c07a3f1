//! The lines of the tables.

use super::bench::DOMAINS;
use super::search::Found;
use crate::eval::levels::{Length, Rates, Scores};
use crate::learn::text::Level;

/// A percentage in a column.
pub fn percent(share: f64) -> String {
    format!("{:>7.1} %", 100.0 * share)
}

/// The head of the table of rates.
pub fn rates_head() -> String {
    "vector     strength   whole: avoid  generic   expert   per token: avoid generic   expert  \
     perplexity"
        .to_owned()
}

/// One strength of one vector in its own domain.
pub fn rates_line(domain: usize, strength: f64, scores: &[Scores], perplexity: f64) -> String {
    let shares = |length| -> String {
        let rates = Rates::of(scores, length);
        Level::ALL.map(|level| percent(rates.get(level))).concat()
    };
    format!(
        "{:<10}{strength:>9.2}    {}      {} {perplexity:>11.3}",
        DOMAINS[domain],
        shares(Length::Whole),
        shares(Length::PerToken)
    )
}

/// The leak matrix: rows are the domains asked, columns the vectors in play.
pub fn leak_lines(title: &str, matrix: &[[f64; 3]; 3]) -> Vec<String> {
    let mut lines =
        vec![format!("{title:<26}{:>10}{:>10}{:>10}", DOMAINS[0], DOMAINS[1], DOMAINS[2])];
    for (asked, row) in DOMAINS.iter().zip(matrix) {
        let cells: String = row.iter().map(|value| format!(" {}", percent(*value))).collect();
        lines.push(format!("  asked in {asked:<15}{cells}"));
    }
    lines
}

/// The head of the table of combinations.
pub fn combinations_head() -> String {
    format!(
        "{:<10}{:<10}{:<10}{:^22}{:>10}{:>10}{:>9}{:>10}",
        DOMAINS[0],
        DOMAINS[1],
        DOMAINS[2],
        "strengths",
        "searched",
        "tables",
        "seconds",
        "measured"
    )
}

/// One combination: what was wanted, where it was found, what it is worth in its worst domain on
/// the questions of the search and on others, and what finding it took.
pub fn combination_line(found: &Found, worst: f64, seconds: f64) -> String {
    let names = found.wanted.map(|level| format!("{:<10}", level.name())).concat();
    let [a, b, c] = found.strengths;
    let note = if found.looked_for { "" } else { "  not looked for: a limit came first" };
    format!(
        "{names}{a:>7.2}{b:>7.2}{c:>7.2} {} {}{seconds:>9.1}{:>10}{note}",
        percent(found.worst),
        percent(worst),
        found.measurements
    )
}
