//! How a model's rewards stand to some lessons.

use serde::{Deserialize, Serialize};

use super::signals;

/// Sums over lessons; what is told are means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// Lessons, of which pairs.
    lessons: f64,
    pairs: f64,
    losses: f64,
    /// Pairs in the right order at the last token (ties count half), and their margins.
    right: f64,
    margins: f64,
    /// Aligned positions before the last, and those in the right order.
    prefixes: f64,
    prefixes_right: f64,
    /// Of ratings: the sum of wanted squares, for the share that is explained.
    squares: f64,
    /// Tokens that heads over the vocabulary were to say, and what that cost them in nats.
    #[serde(default)]
    said: f64,
    #[serde(default)]
    said_losses: f64,
    /// Of these, drafts, and those that were right.
    #[serde(default)]
    drafts: f64,
    #[serde(default)]
    drafts_right: f64,
}

/// 1 for the right order, a half for a tie.
fn right(margin: f64) -> f64 {
    match margin {
        m if m > 0.0 => 1.0,
        0.0 => 0.5,
        _ => 0.0,
    }
}

impl Standing {
    /// Takes in a pair by its margins, the last token's last, and its loss.
    pub fn add_pair(&mut self, margins: &[f64], loss: f64) {
        let Some((last, before)) = margins.split_last() else { return };
        self.lessons += 1.0;
        self.pairs += 1.0;
        self.losses += loss;
        self.right += right(*last);
        self.margins += last;
        self.prefixes += before.len() as f64;
        self.prefixes_right += before.iter().copied().map(right).sum::<f64>();
    }

    /// Takes in a rated text.
    pub fn add_rating(&mut self, wanted: f64, loss: f64) {
        self.lessons += 1.0;
        self.losses += loss;
        self.squares += wanted * wanted;
    }

    /// Takes in what a head over the vocabulary was to say.
    pub fn add_signal(&mut self, count: usize, loss: f64, drafts_right: Option<f64>) {
        self.said += count as f64;
        self.said_losses += count as f64 * loss;
        if let Some(right) = drafts_right {
            self.drafts += count as f64;
            self.drafts_right += right;
        }
    }

    /// Both together.
    pub fn with(&self, other: &Self) -> Self {
        Self {
            lessons: self.lessons + other.lessons,
            pairs: self.pairs + other.pairs,
            losses: self.losses + other.losses,
            right: self.right + other.right,
            margins: self.margins + other.margins,
            prefixes: self.prefixes + other.prefixes,
            prefixes_right: self.prefixes_right + other.prefixes_right,
            squares: self.squares + other.squares,
            said: self.said + other.said,
            said_losses: self.said_losses + other.said_losses,
            drafts: self.drafts + other.drafts,
            drafts_right: self.drafts_right + other.drafts_right,
        }
    }

    /// Counting only as much as this share.
    pub fn faded(&self, share: f64) -> Self {
        Self {
            lessons: share * self.lessons,
            pairs: share * self.pairs,
            losses: share * self.losses,
            right: share * self.right,
            margins: share * self.margins,
            prefixes: share * self.prefixes,
            prefixes_right: share * self.prefixes_right,
            squares: share * self.squares,
            said: share * self.said,
            said_losses: share * self.said_losses,
            drafts: share * self.drafts,
            drafts_right: share * self.drafts_right,
        }
    }

    /// Mean loss, of rewards and of heads over the vocabulary.
    pub fn loss(&self) -> f64 {
        let signals = self.nats().map_or(0.0, |nats| signals::WEIGHT * nats);
        self.losses / self.lessons.max(f64::MIN_POSITIVE) + signals
    }

    /// Mean cross-entropy of what heads over the vocabulary were to say, in nats; `None` without.
    pub fn nats(&self) -> Option<f64> {
        (self.said > 0.0).then(|| self.said_losses / self.said)
    }

    /// Share of the drafts that were right, where that was looked at.
    pub fn drafts_right(&self) -> Option<f64> {
        (self.drafts > 0.0).then(|| self.drafts_right / self.drafts)
    }

    /// Share of the pairs in the right order at the last token; `None` without pairs.
    pub fn accuracy(&self) -> Option<f64> {
        (self.pairs > 0.0).then(|| self.right / self.pairs)
    }

    /// The same at aligned positions before the last.
    pub fn prefix_accuracy(&self) -> Option<f64> {
        (self.prefixes > 0.0).then(|| self.prefixes_right / self.prefixes)
    }

    /// Mean margin at the last token.
    pub fn margin(&self) -> f64 {
        self.margins / self.pairs.max(f64::MIN_POSITIVE)
    }

    /// Share of the ratings' spread that the rewards explain; `None` without ratings.
    pub fn explained(&self) -> Option<f64> {
        (self.squares > 0.0).then(|| 1.0 - self.losses / self.squares)
    }

    /// For a person.
    pub fn phrase(&self) -> String {
        let mut said = format!("loss {:.4}", self.loss());
        if let Some(accuracy) = self.accuracy() {
            said += &format!(", {:.1} % in order, margin {:.3}", 100.0 * accuracy, self.margin());
        }
        if let Some(accuracy) = self.prefix_accuracy() {
            said += &format!(", {:.1} % on the way", 100.0 * accuracy);
        }
        if let Some(explained) = self.explained() {
            said += &format!(", {:.1} % of the ratings' spread explained", 100.0 * explained);
        }
        if let Some(nats) = self.nats() {
            said += &format!(", signals {nats:.3} nats");
        }
        if let Some(right) = self.drafts_right() {
            said += &format!(", {:.1} % of drafts right", 100.0 * right);
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_over_what_was_added() {
        let mut standing = Standing::default();
        standing.add_pair(&[-1.0, 1.0, 2.0], 0.5);
        standing.add_pair(&[0.0], 1.5);
        assert_eq!((standing.accuracy(), standing.prefix_accuracy()), (Some(0.75), Some(0.5)));
        assert_eq!((standing.loss(), standing.margin()), (1.0, 1.0));
        assert_eq!(standing.explained(), None);
        let twice = standing.with(&standing);
        assert_eq!((twice.loss(), twice.accuracy()), (standing.loss(), standing.accuracy()));
        assert!((standing.faded(0.25).loss() - 1.0).abs() < 1e-12);
        let mut speaking = standing;
        speaking.add_signal(3, 2.0, None);
        speaking.add_signal(1, 6.0, Some(1.0));
        assert_eq!((speaking.nats(), speaking.drafts_right()), (Some(3.0), Some(1.0)));
        assert_eq!(speaking.loss(), 1.0 + 3.0 * signals::WEIGHT);
        let mut rated = Standing::default();
        rated.add_rating(2.0, 1.0);
        assert_eq!((rated.accuracy(), rated.explained()), (None, Some(0.75)));
    }
}
