//! The lines `eval starter` prints.

use super::perplexity::Loss;
use super::wellformed::Verdict;
use crate::learn::text::{Level, Question};

/// One question with what became of it.
#[derive(Debug, Clone)]
pub struct Asked {
    pub question: Question,
    pub verdict: Verdict,
    /// The level of an answer in an expert domain.
    pub level: Option<Level>,
}

/// A line of the perplexity table.
pub fn perplexity_line(name: &str, loss: &Loss, baseline: &Loss) -> String {
    format!(
        "{name:<8} {:>8.3} {:>8.3} {:>9.3} {:>8.3}",
        loss.perplexity(),
        loss.perplexity() / baseline.perplexity(),
        loss.answer_perplexity(),
        loss.answer_perplexity() / baseline.answer_perplexity()
    )
}

/// The table of well-formed answers: all, then by domain and for topics never met.
pub fn well_formed_lines(asked: &[Asked]) -> Vec<String> {
    let mut lines = vec!["questions        well-formed   ended  on topic  no loop".to_owned()];
    let mut line = |name: &str, keep: &dyn Fn(&Asked) -> bool| {
        let some: Vec<Verdict> = asked.iter().filter(|a| keep(a)).map(|a| a.verdict).collect();
        let rate = |has: fn(&Verdict) -> bool| {
            100.0 * some.iter().filter(|v| has(v)).count() as f64 / some.len().max(1) as f64
        };
        lines.push(format!(
            "{name:<12}{:>4}{:>10.1} %{:>6.1} %{:>7.1} %{:>7.1} %",
            some.len(),
            rate(|v| v.well_formed()),
            rate(|v| v.ended),
            rate(|v| v.on_topic),
            rate(|v| v.no_loop)
        ));
    };
    line("all", &|_| true);
    for domain in ["medical", "legal", "financial", "everyday"] {
        line(domain, &|a| a.question.domain == domain);
    }
    line("new topics", &|a| a.question.unseen_topic);
    lines
}

/// How often each level was given, by domain.
pub fn level_lines(asked: &[Asked]) -> Vec<String> {
    let mut lines = vec!["levels       avoidance  generic   expert".to_owned()];
    for domain in ["medical", "legal", "financial"] {
        let levels: Vec<Level> =
            asked.iter().filter(|a| a.question.domain == domain).filter_map(|a| a.level).collect();
        let share = |level| {
            100.0 * levels.iter().filter(|l| **l == level).count() as f64
                / levels.len().max(1) as f64
        };
        lines.push(format!(
            "{domain:<12}{:>7.1} %{:>7.1} %{:>7.1} %",
            share(Level::Avoidance),
            share(Level::Generic),
            share(Level::Expert)
        ));
    }
    lines
}
