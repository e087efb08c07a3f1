//! How a model's rewards stand to some lessons.

use serde::{Deserialize, Serialize};

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
        }
    }

    /// Mean loss.
    pub fn loss(&self) -> f64 {
        self.losses / self.lessons.max(f64::MIN_POSITIVE)
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
        let mut rated = Standing::default();
        rated.add_rating(2.0, 1.0);
        assert_eq!((rated.accuracy(), rated.explained()), (None, Some(0.75)));
    }
}
