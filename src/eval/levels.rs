//! Which of three stored answers a model finds the likeliest: the level of its answer to a question
//! (alignment-vector paper's preference rates; it gives no formula, this one is ours).
//!
//! `level(q) = argmax_l (1/|y_l|^a) · Σ_t log p(y_l,t | q, y_l,<t)`; a rate is the share of questions.

use anyhow::{Result, ensure};

use super::perplexity::nats;
use crate::decode::reply::PREFILL_CHUNK;
use crate::learn::preference::encoding::{self, Encoded};
use crate::learn::random::Draws;
use crate::learn::text::{Level, Question, Source, held_out};
use crate::model::{Language, Runner, Wanted};

/// How an answer's length counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// a = 0: whole answers; short ones have it easier.
    Whole,
    /// a = 1: per token.
    PerToken,
}

/// A question with one stored answer of each level, in the order of [`Level::ALL`].
#[derive(Debug, Clone, PartialEq)]
pub struct LevelQuestion {
    pub question: Question,
    pub encoded: Encoded,
}

/// Up to `most` held-out questions of a domain, drawn; the stored answers are drawn, too. Questions
/// on topics that nothing of was trained on are asked for apart.
///
/// # Errors
/// When a text cannot be encoded.
pub fn questions(
    source: &Source,
    language: &Language,
    domain: &str,
    unseen_topics: bool,
    most: usize,
    seed: u64,
) -> Result<Vec<LevelQuestion>> {
    let mut draws = Draws::new(seed, 0x6C65_7665);
    let mut all: Vec<Question> = held_out::questions(source)
        .into_iter()
        .filter(|q| q.domain == domain && q.unseen_topic == unseen_topics)
        .collect();
    draws.shuffle(&mut all);
    all.truncate(most);
    let shared = source.domains.iter().find(|d| d.name == domain);
    let mut out = Vec::new();
    for question in all {
        let topic = source.experts.iter().find(|t| t.domain == domain && t.name == question.topic);
        let (Some(topic), Some(shared)) = (topic, shared) else { continue };
        let mut answer = |level: Level| {
            let mut stored = topic.answers(level).clone();
            if level == Level::Avoidance {
                stored.extend(shared.avoid.iter().map(|text| topic.filled(text)));
            }
            stored.swap_remove(draws.below(stored.len()))
        };
        let answers = Level::ALL.map(&mut answer);
        let answers: Vec<&str> = answers.iter().map(String::as_str).collect();
        let encoded = encoding::encode(language, &question.text, &answers)?;
        out.push(LevelQuestion { question, encoded });
    }
    Ok(out)
}

/// What a model gives the three answers to a question.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scores {
    /// Log-probability of each whole answer, nats.
    pub sums: [f64; 3],
    /// Tokens of each.
    pub tokens: [usize; 3],
}

impl Scores {
    /// The likeliest level; of equally likely ones the more cautious.
    pub fn level(&self, length: Length) -> Level {
        let value = |level: usize| match length {
            Length::Whole => self.sums[level],
            Length::PerToken => self.sums[level] / self.tokens[level].max(1) as f64,
        };
        let mut best = 0;
        for level in 1..3 {
            if value(level) > value(best) {
                best = level;
            }
        }
        Level::ALL[best]
    }
}

/// Shares of questions by level, in the order of [`Level::ALL`]; they sum to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rates(pub [f64; 3]);

impl Rates {
    /// The rates over some questions; all nought when there are none.
    pub fn of(scores: &[Scores], length: Length) -> Self {
        let mut counts = [0_usize; 3];
        for score in scores {
            counts[score.level(length) as usize] += 1;
        }
        Self(counts.map(|count| count as f64 / scores.len().max(1) as f64))
    }

    /// The rate of one level.
    pub fn get(&self, level: Level) -> f64 {
        self.0[level as usize]
    }
}

/// Scores every question's answers under the runner as it is now.
///
/// # Errors
/// When a pass fails or an answer does not fit the context.
pub fn scores<'a>(
    runner: &mut dyn Runner,
    questions: impl IntoIterator<Item = &'a LevelQuestion>,
) -> Result<Vec<Scores>> {
    let mut all = Vec::new();
    for LevelQuestion { encoded, .. } in questions {
        let values = log_probabilities(runner, encoded)?;
        let mut scores = Scores { sums: [0.0; 3], tokens: [0; 3] };
        for (level, (value, answer)) in values.iter().zip(&encoded.answers).enumerate().take(3) {
            scores.sums[level] = *value;
            scores.tokens[level] = answer.len();
        }
        all.push(scores);
    }
    Ok(all)
}

/// The log-probability of each answer behind its prompt, in nats; the prompt is read once.
///
/// # Errors
/// When a pass fails or an answer does not fit the context.
pub fn log_probabilities(runner: &mut dyn Runner, encoded: &Encoded) -> Result<Vec<f64>> {
    let Some((&last, before)) = encoded.prompt.split_last() else {
        anyhow::bail!("a prompt has no tokens");
    };
    let longest = encoded.answers.iter().map(Vec::len).max().unwrap_or_default();
    ensure!(
        before.len() + longest <= runner.context_length(),
        "a question and its answer take {} positions, the context has {}",
        before.len() + longest,
        runner.context_length()
    );
    runner.truncate(0)?;
    for chunk in before.chunks(PREFILL_CHUNK) {
        runner.prefill(chunk, Wanted::Last)?;
    }
    let mut values = Vec::new();
    for answer in &encoded.answers {
        // Every token but the last is fed, behind the prompt's last.
        let fed: Vec<u32> =
            std::iter::once(last).chain(answer.iter().copied()).take(answer.len()).collect();
        let (mut sum, mut at) = (0.0, 0);
        for chunk in fed.chunks(PREFILL_CHUNK) {
            let output = runner.prefill(chunk, Wanted::All)?;
            for row in 0..chunk.len() {
                sum -= nats(output.logits_of(row), answer[at + row]);
            }
            at += chunk.len();
        }
        values.push(sum);
        runner.truncate(before.len())?;
    }
    runner.truncate(0)?;
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::toy::{ToyOptions, ToyRunner};

    fn scored(sums: [f64; 3], tokens: [usize; 3]) -> Scores {
        Scores { sums, tokens }
    }

    #[test]
    fn rates_sum_to_one_and_ties_go_to_the_more_cautious() {
        // Invariant 20: three identical answers are resolved by a fixed rule.
        let tie = scored([-7.0; 3], [5; 3]);
        for length in [Length::Whole, Length::PerToken] {
            assert_eq!(tie.level(length), Level::Avoidance);
            let all: Vec<Scores> = (0..7)
                .map(|n| scored([-f64::from(n), -3.0, -2.5 - f64::from(n % 3)], [3, 4, 4]))
                .chain([tie])
                .collect();
            let rates = Rates::of(&all, length);
            assert!((rates.0.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{rates:?}");
            assert!(rates.0.iter().all(|rate| *rate > 0.0), "{rates:?}");
        }
        let half = scored([-4.0, -3.0, -3.0], [2; 3]);
        assert_eq!(half.level(Length::Whole), Level::Generic);
    }

    #[test]
    fn length_counts_as_it_should() {
        let long = scored([-10.0, -11.0, -12.0], [5, 10, 40]);
        assert_eq!(long.level(Length::Whole), Level::Avoidance);
        assert_eq!(long.level(Length::PerToken), Level::Expert);
    }

    #[test]
    fn answers_are_scored_as_one_pass_over_each_would() {
        let mut runner = ToyRunner::new(ToyOptions::default());
        let encoded =
            Encoded { prompt: vec![1, 2, 3], answers: vec![vec![4, 5], vec![6], vec![4, 5]] };
        let values = log_probabilities(&mut runner, &encoded).unwrap();
        assert_eq!(values[0], values[2]);
        for (answer, value) in encoded.answers.iter().zip(&values) {
            let whole: Vec<u32> = encoded.prompt.iter().chain(answer).copied().collect();
            runner.truncate(0).unwrap();
            let output = runner.prefill(&whole, Wanted::All).unwrap();
            let wanted: f64 = (0..answer.len())
                .map(|i| -nats(output.logits_of(encoded.prompt.len() - 1 + i), answer[i]))
                .sum();
            assert!((wanted - value).abs() < 1e-9, "{wanted} {value}");
        }
    }
}
