//! The search for strengths at which every domain answers at a wanted level. The paper's recipe is
//! not known; this is ours: start where stored calibration expects each combination, leaks taken
//! out (the spec's first step), then measure where what was measured so far says it is best. Every
//! measurement serves all combinations.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::bench::{DOMAINS, Strengths, alone};
use super::surrogate::{Surrogate, measured_shares, worth as expected};
use crate::eval::levels::{Length, Rates, Scores};
use crate::learn::text::Level;
use crate::model::vector::Facts;
use crate::steer::levels as stored;

/// Strengths end here on both sides.
pub const MOST: f64 = 2.0;
/// Between neighbours of the grid that is looked over for each combination.
const COARSE: f64 = 0.25;
/// Steps of the descent from the grid's best.
const FINE: [f64; 2] = [0.1, 0.05];
/// Nearer to something measured than this, nothing new is learnt.
const NEAR: f64 = 0.04;

/// A level for each domain.
pub type Wanted = [Level; 3];
/// Scores of each domain's questions.
pub type Measured = [Vec<Scores>; 3];

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
    /// Measurements made for this combination alone.
    pub measurements: usize,
    /// False where a limit came first: the best of what was measured for others.
    pub looked_for: bool,
}

/// Where a search ends, whatever it has found.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A combination is good enough from this rate in its worst domain on.
    pub goal: f64,
    /// Most measurements for one combination.
    pub each: usize,
    /// Most measurements in all.
    pub all: usize,
    /// No measurement begins after this.
    pub until: Option<Instant>,
}

/// The rate of the wanted level in the worst domain and, between equals, the mean.
pub fn worth(rates: &[Rates; 3], wanted: &Wanted) -> (f64, f64) {
    let of: Vec<f64> = rates.iter().zip(wanted).map(|(r, level)| r.get(*level)).collect();
    (of.iter().copied().fold(1.0, f64::min), of.iter().sum::<f64>() / 3.0)
}

/// The rates of what was measured.
pub fn rates(measured: &Measured, length: Length) -> [Rates; 3] {
    measured.each_ref().map(|scores| Rates::of(scores, length))
}

/// Where to measure first: the base, each vector alone at 1, and what calibration expects of every
/// combination. Without calibration, a coarse sweep of each vector instead.
pub fn starts(facts: &[Facts; 3]) -> Vec<Strengths> {
    let mut all = vec![[0.0; 3]];
    all.extend([0, 1, 2].map(|domain| alone(domain, 1.0)));
    let calibrations = facts.each_ref().map(|facts| facts.calibration.as_ref());
    if let [Some(a), Some(b), Some(c)] = calibrations {
        for wanted in combinations() {
            let measured = [0, 1, 2].map(|domain| stored::Measured {
                domain: DOMAINS[domain],
                calibration: [a, b, c][domain],
                strength: 0.0,
                wanted: Some(wanted[domain].name()),
                range: [-MOST, MOST],
            });
            if let Some(found) = stored::find(&measured) {
                all.push([0, 1, 2].map(|domain| found.strengths[domain]));
            }
        }
    } else {
        for domain in 0..3 {
            all.extend([-1.5, -0.75, -0.4, 0.5].map(|strength| alone(domain, strength)));
        }
    }
    all
}

/// By domain, the share of each level.
type Shares = [[f64; 3]; 3];

/// A search over one set of vectors.
pub struct Search<F> {
    measure: F,
    limits: Limits,
    seen: Vec<(Strengths, Measured)>,
    /// What is expected at every point of the grid, until something new is measured.
    grid: Option<(Surrogate, Vec<(Strengths, Shares)>)>,
}

impl<F: FnMut(Strengths) -> Result<Measured>> Search<F> {
    /// Measures at `starts`, as far as the limits allow.
    ///
    /// # Errors
    /// When a measurement fails.
    pub fn begin(measure: F, starts: &[Strengths], limits: Limits) -> Result<Self> {
        let mut search = Self { measure, limits, seen: Vec::new(), grid: None };
        for strengths in starts {
            search.at(*strengths)?;
        }
        Ok(search)
    }

    /// Measurements made.
    pub fn measurements(&self) -> usize {
        self.seen.len()
    }

    /// Time that went into something else is given back.
    pub fn postpone(&mut self, by: Duration) {
        self.limits.until = self.limits.until.and_then(|until| until.checked_add(by));
    }

    /// True when no further measurement may begin.
    pub fn is_spent(&self) -> bool {
        self.seen.len() >= self.limits.all
            || self.limits.until.is_some_and(|until| Instant::now() >= until)
    }

    /// Measures on a grid of hundredths, each once; false when a limit stood against it.
    fn at(&mut self, strengths: Strengths) -> Result<bool> {
        let strengths = strengths.map(|s| (s.clamp(-MOST, MOST) * 100.0).round() / 100.0);
        if self.seen.iter().any(|(seen, _)| *seen == strengths) {
            return Ok(true);
        }
        if self.is_spent() {
            return Ok(false);
        }
        let measured = (self.measure)(strengths)?;
        self.seen.push((strengths, measured));
        self.grid = None;
        Ok(true)
    }

    /// Looks for strengths until the goal is reached, nothing better is expected, or a limit ends
    /// it; the best of everything measured so far. `None` when nothing was measured at all.
    ///
    /// # Errors
    /// When a measurement fails.
    pub fn find(&mut self, wanted: Wanted) -> Result<Option<Found>> {
        let before = self.seen.len();
        let Some(mut best) = self.best(&wanted) else { return Ok(None) };
        let mut looked_for = true;
        while best.1 < self.limits.goal && self.seen.len() - before < self.limits.each {
            if self.is_spent() {
                looked_for = self.seen.len() > before;
                break;
            }
            let Some(next) = self.proposed(&wanted) else { break };
            let is_near = |(seen, _): &(Strengths, _)| {
                seen.iter().zip(next).all(|(a, b)| (a - b).abs() < NEAR)
            };
            if self.seen.iter().any(is_near) {
                break;
            }
            self.at(next)?;
            best = self.best(&wanted).unwrap_or(best);
        }
        let (strengths, worst) = best;
        let measurements = self.seen.len() - before;
        Ok(Some(Found { wanted, strengths, worst, measurements, looked_for }))
    }

    /// The best of everything measured, with its rate in the worst domain; of equal rates the one
    /// whose answers are the surest.
    fn best(&self, wanted: &Wanted) -> Option<(Strengths, f64)> {
        let value = |measured: &Measured| {
            let (worst, _) = worth(&rates(measured, super::bench::LENGTH), wanted);
            (worst, expected(&measured_shares(measured), wanted))
        };
        let all = self.seen.iter().map(|(at, measured)| (*at, value(measured)));
        let best = all.max_by(|(_, a), (_, b)| {
            a.0.total_cmp(&b.0).then(a.1.0.total_cmp(&b.1.0)).then(a.1.1.total_cmp(&b.1.1))
        });
        best.map(|(at, (worst, _))| (at, worst))
    }

    /// Where the combination is expected to be best; `None` while too little was measured.
    fn proposed(&mut self, wanted: &Wanted) -> Option<Strengths> {
        if self.grid.is_none() {
            let surrogate = Surrogate::fit(&self.seen)?;
            let all = grid().into_iter().map(|at| (at, surrogate.shares(&at))).collect();
            self.grid = Some((surrogate, all));
        }
        let (surrogate, grid) = self.grid.as_ref()?;
        let better = |a: &(f64, f64), b: &(f64, f64)| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1));
        let values = grid.iter().map(|(at, shares)| (*at, expected(shares, wanted)));
        let (mut here, mut best) = values.max_by(|a, b| better(&a.1, &b.1))?;
        for step in FINE {
            let mut moved = true;
            while std::mem::take(&mut moved) {
                for (domain, sign) in (0..3).flat_map(|d| [(d, 1.0), (d, -1.0)]) {
                    let mut next = here;
                    next[domain] = (next[domain] + sign * step).clamp(-MOST, MOST);
                    let value = expected(&surrogate.shares(&next), wanted);
                    // A gain that can be seen, so that it comes to an end.
                    if value.0 > best.0 + 1e-6 {
                        (here, best, moved) = (next, value, true);
                    }
                }
            }
        }
        Some(here)
    }
}

/// Every strength of the coarse grid with every other.
fn grid() -> Vec<Strengths> {
    let count = (MOST / COARSE) as i32;
    let steps = || (-count..=count).map(|step| f64::from(step) * COARSE);
    steps().flat_map(|a| steps().flat_map(move |b| steps().map(move |c| [a, b, c]))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { goal: 0.8, each: 8, all: 200, until: None };

    /// Eight questions a domain; levels follow a leaking shift, each question at its own place.
    fn leaking(strengths: Strengths) -> Result<Measured> {
        const LEAK: [[f64; 3]; 3] = [[1.0, 0.4, 0.0], [0.3, 0.8, 0.1], [0.0, 0.2, 1.2]];
        Ok(LEAK.map(|row| {
            let shift: f64 = row.iter().zip(strengths).map(|(leak, s)| leak * s).sum();
            let question = |number: i32| {
                let own = shift + f64::from(number - 4) * 0.05;
                let sums = [-0.9, 0.0, 0.9].map(|centre: f64| -20.0 * (own - centre).powi(2));
                Scores { sums, tokens: [9; 3] }
            };
            (0..8).map(question).collect()
        }))
    }

    #[test]
    fn all_combinations_are_found_in_spite_of_leaks_with_few_measurements() {
        let starts = starts(&[Facts::default(), Facts::default(), Facts::default()]);
        let mut search = Search::begin(leaking, &starts, LIMITS).unwrap();
        assert_eq!(search.measurements(), 1 + 3 + 12, "no calibration: a sweep of each");
        let all = combinations();
        assert_eq!(all.len(), 27);
        for wanted in all {
            let found = search.find(wanted).unwrap().unwrap();
            let truth = rates(&leaking(found.strengths).unwrap(), Length::Whole);
            let (worst, _) = worth(&truth, &wanted);
            assert!(worst >= 0.8 && found.worst == worst, "{found:?}");
        }
        println!("{} measurements", search.measurements());
        assert!(search.measurements() <= 80, "{}", search.measurements());
    }

    #[test]
    fn what_cannot_be_had_ends_with_the_best_there_is() {
        let mut calls = 0;
        let measure = |at: Strengths| {
            calls += 1;
            // The expert level is never likeliest in the second domain.
            let never = |bonus: f64| Scores { sums: [0.0, at[0] + bonus, -50.0], tokens: [9; 3] };
            let yes = Scores { sums: [0.0, 0.0, 5.0], tokens: [9; 3] };
            Ok([vec![yes; 4], vec![never(1.0), never(-1.0)], vec![yes; 4]])
        };
        let starts = starts(&[Facts::default(), Facts::default(), Facts::default()]);
        let mut search = Search::begin(measure, &starts, LIMITS).unwrap();
        let found = search.find([Level::Expert; 3]).unwrap().unwrap();
        assert!(found.worst == 0.0 && found.looked_for && found.measurements <= 8, "{found:?}");
        drop(search);
        assert!(calls <= 24, "{calls}");
    }

    #[test]
    fn limits_are_limits_and_leave_what_was_found() {
        let starts = starts(&[Facts::default(), Facts::default(), Facts::default()]);
        let few = Limits { all: 5, ..LIMITS };
        let mut search = Search::begin(leaking, &starts, few).unwrap();
        let found = search.find([Level::Expert; 3]).unwrap().unwrap();
        assert_eq!((search.measurements(), found.measurements), (5, 0));
        assert!(!found.looked_for && search.is_spent());
        let past = Limits { until: Some(Instant::now()), ..LIMITS };
        let mut search = Search::begin(leaking, &starts, past).unwrap();
        assert!(search.is_spent() && search.find([Level::Generic; 3]).unwrap().is_none());
    }

    #[test]
    fn calibration_says_where_to_begin() {
        use crate::model::vector::{Calibration, SweepPoint};
        let point = |(strength, level): (f64, Level)| SweepPoint {
            strength,
            rates: Level::ALL
                .map(|each| (each.name().to_owned(), f64::from(u8::from(each == level))))
                .into(),
            ..SweepPoint::default()
        };
        let sweep = [(-1.0, Level::Avoidance), (0.0, Level::Generic), (1.0, Level::Expert)];
        let calibration = Calibration { sweep: sweep.map(point).to_vec(), ..Default::default() };
        let facts =
            [(); 3].map(|()| Facts { calibration: Some(calibration.clone()), ..Facts::default() });
        let starts = starts(&facts);
        for at in [[-1.0, 0.0, 1.0], [1.0; 3], [0.0; 3]] {
            assert!(starts.contains(&at), "{at:?} of {starts:?}");
        }
        assert_eq!(starts.len(), 4 + 27);
    }
}
