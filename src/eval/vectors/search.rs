//! The search for strengths at which every domain answers at a wanted level (the paper's recipe is
//! not known; this is the spec's: start from what each vector does alone, corrected for leaks,
//! then descend by coordinates).

use anyhow::Result;

use super::bench::{Strengths, alone};
use crate::eval::levels::Rates;
use crate::learn::text::Level;
use crate::steer::levels::solve;

/// Strengths end here on both sides.
pub const MOST: f64 = 2.0;
/// Steps of the descent, coarse to fine.
const STEPS: [f64; 3] = [0.4, 0.2, 0.05];

/// A level for each domain.
pub type Wanted = [Level; 3];

/// All 27 of them.
pub fn combinations() -> Vec<Wanted> {
    let mut all = Vec::new();
    for a in Level::ALL {
        for b in Level::ALL {
            for c in Level::ALL {
                all.push([a, b, c]);
            }
        }
    }
    all
}

/// What a search came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    pub wanted: Wanted,
    pub strengths: Strengths,
    /// The rate of the wanted level in the worst domain, on the questions of the search.
    pub worst: f64,
}

/// The rate of the wanted level in the worst domain and, between equals, the mean.
pub fn worth(rates: &[Rates; 3], wanted: &Wanted) -> (f64, f64) {
    let of: Vec<f64> = rates.iter().zip(wanted).map(|(r, level)| r.get(*level)).collect();
    (of.iter().copied().fold(1.0, f64::min), of.iter().sum::<f64>() / 3.0)
}

/// A search over one set of vectors; every measurement serves all combinations.
pub struct Search<F> {
    measure: F,
    seen: Vec<(Strengths, [Rates; 3])>,
}

impl<F: FnMut(Strengths) -> Result<[Rates; 3]>> Search<F> {
    /// Sweeps each vector alone over `strengths`.
    ///
    /// # Errors
    /// When a measurement fails.
    pub fn begin(measure: F, strengths: &[f64]) -> Result<Self> {
        let mut search = Self { measure, seen: Vec::new() };
        for domain in 0..3 {
            for &strength in strengths {
                search.at(alone(domain, strength))?;
            }
        }
        Ok(search)
    }

    /// Measurements made.
    pub fn measurements(&self) -> usize {
        self.seen.len()
    }

    /// Rates at some strengths, on a grid of hundredths; measured once.
    fn at(&mut self, strengths: Strengths) -> Result<[Rates; 3]> {
        let strengths = strengths.map(|s| (s.clamp(-MOST, MOST) * 100.0).round() / 100.0);
        if let Some((_, rates)) = self.seen.iter().find(|(seen, _)| *seen == strengths) {
            return Ok(*rates);
        }
        let rates = (self.measure)(strengths)?;
        self.seen.push((strengths, rates));
        Ok(rates)
    }

    /// Looks for strengths until the worst domain reaches `goal` or `budget` new measurements are
    /// made.
    ///
    /// # Errors
    /// When a measurement fails.
    pub fn find(&mut self, wanted: Wanted, goal: f64, budget: usize) -> Result<Found> {
        let before = self.seen.len();
        let start = self.start(&wanted);
        self.at(start)?;
        self.at(self.corrected(start))?;
        let (mut here, mut best) = self.best(&wanted);
        for step in STEPS {
            loop {
                let mut moved = false;
                for (domain, sign) in (0..3).flat_map(|d| [(d, 1.0), (d, -1.0)]) {
                    if best.0 >= goal || self.seen.len() - before >= budget {
                        return Ok(Found { wanted, strengths: here, worst: best.0 });
                    }
                    let mut next = here;
                    next[domain] = (next[domain] + sign * step).clamp(-MOST, MOST);
                    let value = worth(&self.at(next)?, &wanted);
                    if value > best {
                        (here, best, moved) = (next, value, true);
                    }
                }
                if !moved {
                    break;
                }
            }
        }
        Ok(Found { wanted, strengths: here, worst: best.0 })
    }

    /// The best of everything measured.
    fn best(&self, wanted: &Wanted) -> (Strengths, (f64, f64)) {
        let values = self.seen.iter().map(|(at, rates)| (*at, worth(rates, wanted)));
        values
            .max_by(|a, b| a.1.0.total_cmp(&b.1.0).then(a.1.1.total_cmp(&b.1.1)))
            .unwrap_or(([0.0; 3], (0.0, 0.0)))
    }

    /// For each domain the strength at which its own vector alone gives the wanted level most.
    fn start(&self, wanted: &Wanted) -> Strengths {
        let mut start = [0.0; 3];
        for domain in 0..3 {
            let sweep = self.seen.iter().filter(|(at, _)| *at == alone(domain, at[domain]));
            let rate = |rates: &[Rates; 3]| rates[domain].get(wanted[domain]);
            let best = sweep.max_by(|a, b| {
                let nearer = b.0[domain].abs().total_cmp(&a.0[domain].abs());
                rate(&a.1).total_cmp(&rate(&b.1)).then(nearer)
            });
            start[domain] = best.map_or(0.0, |(at, _)| at[domain]);
        }
        start
    }

    /// The start with what the vectors do in each other's domains taken out: `M⁻¹` times the
    /// shifts that each would make alone.
    fn corrected(&self, start: Strengths) -> Strengths {
        let matrix = self.leak();
        let shift = [0, 1, 2].map(|domain| matrix[domain][domain] * start[domain]);
        let equations = matrix.iter().zip(shift).map(|(row, right)| [&row[..], &[right]].concat());
        let solved = solve(equations.collect()).unwrap_or(start.to_vec());
        [0, 1, 2].map(|domain| solved[domain].clamp(-MOST, MOST))
    }

    /// `[domain asked][vector]`: how the mean level (0 avoidance, 1 generic, 2 expert) changes per
    /// unit of a vector's strength, by least squares over its sweep.
    pub fn leak(&self) -> [[f64; 3]; 3] {
        let mut matrix = [[0.0; 3]; 3];
        for vector in 0..3 {
            let sweep: Vec<_> =
                self.seen.iter().filter(|(at, _)| *at == alone(vector, at[vector])).collect();
            for (asked, row) in matrix.iter_mut().enumerate() {
                let points =
                    sweep.iter().map(|(at, rates)| (at[vector], mean_level(&rates[asked])));
                row[vector] = slope(points.collect());
            }
        }
        matrix
    }
}

fn mean_level(rates: &Rates) -> f64 {
    rates.get(Level::Generic) + 2.0 * rates.get(Level::Expert)
}

fn slope(points: Vec<(f64, f64)>) -> f64 {
    let count = points.len().max(1) as f64;
    let (mx, my) = points.iter().fold((0.0, 0.0), |(x, y), p| (x + p.0 / count, y + p.1 / count));
    let above: f64 = points.iter().map(|(x, y)| (x - mx) * (y - my)).sum();
    let below: f64 = points.iter().map(|(x, _)| (x - mx).powi(2)).sum();
    if below > 0.0 { above / below } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Levels follow a leaking linear shift; half a unit is one level.
    fn leaking(strengths: Strengths) -> Result<[Rates; 3]> {
        const LEAK: [[f64; 3]; 3] = [[1.0, 0.4, 0.0], [0.3, 0.8, 0.1], [0.0, 0.2, 1.2]];
        let rates = LEAK.map(|row| {
            let shift: f64 = row.iter().zip(strengths).map(|(leak, s)| leak * s).sum();
            let near = |centre: f64| (-((shift - centre) / 0.25).powi(2)).exp() + 1e-9;
            let values = [near(-0.6), near(0.0), near(0.6)];
            let sum: f64 = values.iter().sum();
            Rates(values.map(|value| value / sum))
        });
        Ok(rates)
    }

    #[test]
    fn all_combinations_are_found_in_spite_of_leaks() {
        let sweep: Vec<f64> = (-6..=6).map(|i| f64::from(i) * 0.25).collect();
        let mut search = Search::begin(leaking, &sweep).unwrap();
        assert_eq!(search.measurements(), 37, "nought is measured once");
        let all = combinations();
        assert_eq!(all.len(), 27);
        for wanted in all {
            let found = search.find(wanted, 0.8, 60).unwrap();
            let (worst, _) = worth(&leaking(found.strengths).unwrap(), &wanted);
            assert!(worst >= 0.8 && found.worst == worst, "{found:?}");
        }
        assert!(search.measurements() < 37 + 27 * 20, "{}", search.measurements());
    }

    #[test]
    fn what_cannot_be_had_ends_at_the_budget_with_the_best_there_is() {
        let mut calls = 0;
        let measure = |_| {
            calls += 1;
            Ok([Rates([0.5, 0.3, 0.2]); 3])
        };
        let mut search = Search::begin(measure, &[0.0, 1.0]).unwrap();
        let found = search.find([Level::Expert; 3], 0.9, 10).unwrap();
        assert_eq!(found.worst, 0.2);
        assert!(search.measurements() <= 4 + 10);
        drop(search);
        assert!(calls <= 14);
    }
}
