//! What nobody measured, out of what was: cubic radial basis functions with a linear tail through
//! the scores at the strengths that were tried. Scores are smooth in the strengths where rates are
//! steps, so that a few measurements say where to measure next.

use super::bench::Strengths;
use super::search::{Measured, Wanted};
use crate::eval::levels::Scores;
use crate::learn::text::Level;
use crate::steer::levels::solve_all;

/// Nats over which one answer gives way to another in a share; a rate is the share at 0. Somewhat
/// soft, since strengths that suit the questions of the search just so suit others less.
const SOFTNESS: f64 = 2.0;
/// The constant and one slope for each strength.
const TAIL: usize = 4;

/// Scores as a function of strengths.
pub struct Surrogate {
    points: Vec<Strengths>,
    /// `[points + tail][values]`.
    coefficients: Vec<Vec<f64>>,
    /// Questions of each domain.
    questions: [usize; 3],
}

impl Surrogate {
    /// Goes through everything that was measured; `None` while the points are too few or lie in one
    /// plane.
    pub fn fit(seen: &[(Strengths, Measured)]) -> Option<Self> {
        let (_, first) = seen.first()?;
        let questions = first.each_ref().map(Vec::len);
        let points: Vec<Strengths> = seen.iter().map(|(at, _)| *at).collect();
        let basis: Vec<Vec<f64>> = points.iter().map(|at| row(&points, at)).collect();
        let size = points.len() + TAIL;
        let values = margins(first).count();
        let mut rows = Vec::with_capacity(size);
        for (basis, (_, measured)) in basis.iter().zip(seen) {
            rows.push(basis.iter().copied().chain(margins(measured)).collect::<Vec<f64>>());
        }
        // The radial part is to say nothing that a plane can say.
        for tail in points.len()..size {
            let column = basis.iter().map(|row| row[tail]);
            rows.push(column.chain(std::iter::repeat_n(0.0, TAIL + values)).collect());
        }
        Some(Self { coefficients: solve_all(rows)?, points, questions })
    }

    /// Per domain the mean share of each level, had it been measured at these strengths.
    pub fn shares(&self, at: &Strengths) -> [[f64; 3]; 3] {
        let mut values = vec![0.0; self.coefficients.first().map_or(0, Vec::len)];
        for (weight, coefficients) in row(&self.points, at).iter().zip(&self.coefficients) {
            values.iter_mut().zip(coefficients).for_each(|(value, c)| *value += weight * c);
        }
        let mut left = values.chunks_exact(2);
        self.questions.map(|count| mean_share(left.by_ref().take(count).map(|m| [m[0], m[1]])))
    }
}

/// The worst domain's share of its wanted level and, between equals, the mean.
pub fn worth(shares: &[[f64; 3]; 3], wanted: &Wanted) -> (f64, f64) {
    let of = [0, 1, 2].map(|domain| shares[domain][wanted[domain] as usize]);
    (of.iter().copied().fold(1.0, f64::min), of.iter().sum::<f64>() / 3.0)
}

/// The shares of what was measured.
pub fn measured_shares(measured: &Measured) -> [[f64; 3]; 3] {
    measured.each_ref().map(|scores| mean_share(scores.iter().map(margin)))
}

fn mean_share(margins: impl ExactSizeIterator<Item = [f64; 2]>) -> [f64; 3] {
    let count = margins.len().max(1) as f64;
    let mut mean = [0.0; 3];
    for [generic, expert] in margins {
        let most = generic.max(expert).max(0.0);
        let each = [0.0, generic, expert].map(|value: f64| ((value - most) / SOFTNESS).exp());
        let sum: f64 = each.iter().sum();
        mean.iter_mut().zip(each).for_each(|(mean, each)| *mean += each / sum / count);
    }
    mean
}

/// How much likelier the other two answers are than the avoiding one.
fn margin(scores: &Scores) -> [f64; 2] {
    let of = |level: Level| scores.sums[level as usize] - scores.sums[Level::Avoidance as usize];
    [of(Level::Generic), of(Level::Expert)]
}

fn margins(measured: &Measured) -> impl Iterator<Item = f64> + '_ {
    measured.iter().flatten().flat_map(margin)
}

/// The basis functions at some strengths: the cube of every distance, then the tail.
fn row(points: &[Strengths], at: &Strengths) -> Vec<f64> {
    let cube = |point: &Strengths| {
        let square: f64 = point.iter().zip(at).map(|(a, b)| (a - b).powi(2)).sum();
        square * square.sqrt()
    };
    points.iter().map(cube).chain([1.0]).chain(*at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two questions in each domain, whose margins bend with the strengths.
    fn measured(at: Strengths) -> Measured {
        [0, 1, 2].map(|domain| {
            let one = |offset: f64| {
                let moved = 8.0 * at[domain] + 2.0 * at[(domain + 1) % 3] + offset;
                let sums = [-20.0 - moved, -20.0, -20.0 + moved - 0.5 * at[0] * at[1]];
                Scores { sums, tokens: [10, 10, 10] }
            };
            vec![one(0.0), one(3.0)]
        })
    }

    fn seen() -> Vec<(Strengths, Measured)> {
        let ends = [-1.0, 0.0, 1.0];
        let mut all = Vec::new();
        for a in ends {
            for b in ends {
                all.extend(ends.map(|c| ([a, b, c], measured([a, b, c]))));
            }
        }
        all
    }

    #[test]
    fn what_was_measured_comes_back_and_what_lies_between_is_near() {
        let seen = seen();
        let surrogate = Surrogate::fit(&seen).unwrap();
        for (at, measured) in &seen {
            for (got, wanted) in surrogate
                .shares(at)
                .iter()
                .flatten()
                .zip(measured_shares(measured).iter().flatten())
            {
                assert!((got - wanted).abs() < 1e-6, "{at:?}: {got} {wanted}");
            }
        }
        let between = [0.4, -0.55, 0.7];
        let truth = measured_shares(&measured(between));
        for (got, wanted) in surrogate.shares(&between).iter().flatten().zip(truth.iter().flatten())
        {
            assert!((got - wanted).abs() < 0.05, "{got} {wanted}");
        }
        let shares = surrogate.shares(&between);
        assert!(shares.iter().all(|domain| (domain.iter().sum::<f64>() - 1.0).abs() < 1e-9));
    }

    #[test]
    fn points_in_one_plane_are_too_few() {
        let flat: Vec<_> = seen().into_iter().filter(|(at, _)| at[2] == 0.0).collect();
        assert!(Surrogate::fit(&flat).is_none());
        assert!(Surrogate::fit(&[]).is_none());
    }
}
