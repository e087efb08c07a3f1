//! Strengths at which every domain answers at a wanted level, out of what calibration measured of
//! each vector alone (section 6 of the alignment-vector method): each at its best strength, the leaks
//! between domains taken out, then a descent by coordinates. No model is asked: the rates are
//! predictions, and said to be.

use crate::model::vector::{Calibration, SweepPoint};

/// The level whose rate a leak is a change of.
const EXPERT: &str = "expert";
/// Steps of the descent, coarse to fine.
const STEPS: [f64; 3] = [0.4, 0.2, 0.05];

/// A vector that was measured.
#[derive(Debug, Clone, Copy)]
pub struct Measured<'a> {
    pub domain: &'a str,
    pub calibration: &'a Calibration,
    /// Where its slider stands.
    pub strength: f64,
    /// The level its domain is to answer at; `None` leaves the slider where it is.
    pub wanted: Option<&'a str>,
    /// Lowest and highest strength it may get.
    pub range: [f64; 2],
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// One for each vector, in their order.
    pub strengths: Vec<f64>,
    /// The expected rate of the wanted level in the worst domain.
    pub worst: f64,
}

/// Looks for strengths; `None` when no level is wanted or nothing was measured of one that is.
pub fn find(vectors: &[Measured<'_>]) -> Option<Found> {
    let wished: Vec<usize> = (0..vectors.len()).filter(|&v| vectors[v].wanted.is_some()).collect();
    let targets: Option<Vec<f64>> = wished.iter().map(|&v| best_alone(&vectors[v])).collect();
    let targets = targets.filter(|targets| !targets.is_empty())?;
    let shares = shares(vectors);
    let mut strengths: Vec<f64> = vectors.iter().map(|v| v.strength).collect();
    let rows: Vec<Vec<f64>> = wished
        .iter()
        .zip(&targets)
        .map(|(&domain, target)| {
            let others = (0..vectors.len()).filter(|v| !wished.contains(v));
            let fixed: f64 = others.map(|v| shares[domain][v] * strengths[v]).sum();
            let own = wished.iter().map(|&v| shares[domain][v]);
            own.chain([target - fixed]).collect()
        })
        .collect();
    for (&v, strength) in wished.iter().zip(solve(rows).unwrap_or(targets)) {
        strengths[v] = held(strength, vectors[v].range);
    }
    descend(vectors, &shares, &wished, &mut strengths);
    let worst = worst(vectors, &shares, &wished, &strengths).0;
    Some(Found { strengths, worst })
}

/// `[domain][vector]`: how far one unit of a vector moves a domain, in units of the domain's own.
fn shares(vectors: &[Measured<'_>]) -> Vec<Vec<f64>> {
    let share = |domain: &Measured<'_>, vector: &Measured<'_>| {
        let leak = vector.calibration.leak.get(domain.domain);
        let own = own_change(domain.calibration).filter(|own| own.abs() > 0.05);
        // Nothing measured counts as no leak.
        leak.zip(own).map_or(0.0, |(leak, own)| leak / own)
    };
    let row = |d: usize| {
        let each =
            (0..vectors.len()).map(|v| if d == v { 1.0 } else { share(&vectors[d], &vectors[v]) });
        each.collect()
    };
    (0..vectors.len()).map(row).collect()
}

/// How a vector changes its own domain's rate of expert answers from off to 1.
pub fn own_change(calibration: &Calibration) -> Option<f64> {
    let rate = |strength: f64| {
        let at = |point: &&SweepPoint| (point.strength - strength).abs() < 1e-6;
        calibration.sweep.iter().find(at)?.rates.get(EXPERT).copied()
    };
    Some(rate(1.0)? - rate(0.0)?)
}

/// The strength within its range at which a vector alone gives the wanted level most; the smallest
/// of equals.
fn best_alone(vector: &Measured<'_>) -> Option<f64> {
    let [low, high] = vector.range;
    let within =
        vector.calibration.sweep.iter().filter(|p| p.strength >= low && p.strength <= high);
    let rate = |point: &SweepPoint| point.rates.get(vector.wanted.unwrap_or_default()).copied();
    let best = within.filter(|point| rate(point).is_some()).max_by(|a, b| {
        let nearer = b.strength.abs().total_cmp(&a.strength.abs());
        rate(a).unwrap_or(0.0).total_cmp(&rate(b).unwrap_or(0.0)).then(nearer)
    })?;
    Some(best.strength)
}

/// The expected rate of a level at a strength, linear between those that were measured.
fn rate(calibration: &Calibration, level: &str, strength: f64) -> f64 {
    let of = |point: &SweepPoint| point.rates.get(level).copied().unwrap_or(0.0);
    let sweep = &calibration.sweep;
    match sweep.iter().position(|point| point.strength >= strength) {
        None => sweep.last().map_or(0.0, of),
        Some(0) => of(&sweep[0]),
        Some(after) => {
            let (a, b) = (&sweep[after - 1], &sweep[after]);
            let way = (strength - a.strength) / (b.strength - a.strength);
            of(a) + way * (of(b) - of(a))
        }
    }
}

/// The expected rate in the worst domain and, between equals, the mean.
fn worst(
    vectors: &[Measured<'_>],
    shares: &[Vec<f64>],
    wished: &[usize],
    strengths: &[f64],
) -> (f64, f64) {
    let rates: Vec<f64> = wished
        .iter()
        .map(|&d| {
            let moved: f64 = shares[d].iter().zip(strengths).map(|(share, s)| share * s).sum();
            rate(vectors[d].calibration, vectors[d].wanted.unwrap_or_default(), moved)
        })
        .collect();
    let mean = rates.iter().sum::<f64>() / rates.len().max(1) as f64;
    (rates.iter().copied().fold(1.0, f64::min), mean)
}

fn descend(
    vectors: &[Measured<'_>],
    shares: &[Vec<f64>],
    wished: &[usize],
    strengths: &mut Vec<f64>,
) {
    let mut best = worst(vectors, shares, wished, strengths);
    for step in STEPS {
        let mut moved = true;
        while std::mem::take(&mut moved) {
            for (&v, sign) in wished.iter().flat_map(|v| [(v, 1.0), (v, -1.0)]) {
                let mut next = strengths.clone();
                next[v] = held(next[v] + sign * step, vectors[v].range);
                let value = worst(vectors, shares, wished, &next);
                // Every move gains something that can be seen, so that it comes to an end.
                if value.0 > best.0 + 1e-6 || value.0 >= best.0 && value.1 > best.1 + 1e-6 {
                    (*strengths, best, moved) = (next, value, true);
                }
            }
        }
    }
}

/// Within the range, on the slider's grid of hundredths.
fn held(strength: f64, range: [f64; 2]) -> f64 {
    (strength.clamp(range[0], range[1]) * 100.0).round() / 100.0
}

/// Solves as many equations as unknowns, the right side last in each row; `None` when they have no
/// one solution.
pub fn solve(rows: Vec<Vec<f64>>) -> Option<Vec<f64>> {
    let solved = solve_all(rows)?;
    Some(solved.into_iter().filter_map(|row| row.first().copied()).collect())
}

/// The same for several right sides, all behind the equations (Gauss, with pivots):
/// `[unknown][right side]`.
pub fn solve_all(mut rows: Vec<Vec<f64>>) -> Option<Vec<Vec<f64>>> {
    let count = rows.len();
    for column in 0..count {
        let pivot = (column..count)
            .max_by(|a, b| rows[*a][column].abs().total_cmp(&rows[*b][column].abs()))?;
        if rows[pivot][column].abs() < 1e-9 {
            return None;
        }
        rows.swap(column, pivot);
        let taken = rows[column].clone();
        for (_, row) in rows.iter_mut().enumerate().filter(|(index, _)| *index != column) {
            let factor = row[column] / taken[column];
            if factor != 0.0 {
                let (row, taken) = (&mut row[column..], &taken[column..]);
                row.iter_mut().zip(taken).for_each(|(value, taken)| *value -= factor * taken);
            }
        }
    }
    let solved = |(unknown, row): (usize, Vec<f64>)| {
        row[count..].iter().map(|right| right / row[unknown]).collect()
    };
    Some(rows.into_iter().enumerate().map(solved).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEVELS: [(&str, f64); 3] = [("avoidance", -1.0), ("generic", -0.4), (EXPERT, 0.8)];

    /// A vector whose levels follow each other along its strength.
    fn calibration(leak: &[(&str, f64)]) -> Calibration {
        let point = |i: i32| {
            let strength = f64::from(i) * 0.25;
            let near = LEVELS.map(|(_, at)| (-((strength - at) / 0.3_f64).powi(2)).exp() + 1e-6);
            let sum: f64 = near.iter().sum();
            let names = LEVELS.map(|(name, _)| name.to_owned());
            let rates = names.into_iter().zip(near.map(|n| n / sum)).collect();
            SweepPoint { strength, rates, ..SweepPoint::default() }
        };
        let leak = leak.iter().map(|(domain, change)| ((*domain).to_owned(), *change)).collect();
        Calibration { sweep: (-6..=6).map(point).collect(), leak, ..Calibration::default() }
    }

    fn measured<'a>(
        domain: &'a str,
        calibration: &'a Calibration,
        wanted: Option<&'a str>,
    ) -> Measured<'a> {
        Measured { domain, calibration, strength: 0.0, wanted, range: [-1.5, 1.5] }
    }

    #[test]
    fn every_combination_is_found_in_spite_of_leaks() {
        let a = calibration(&[("legal", 0.3), ("financial", -0.1)]);
        let b = calibration(&[("medical", 0.2), ("financial", 0.25)]);
        let c = calibration(&[("medical", 0.1)]);
        for wanted in 0..27 {
            let level = |n: usize| Some(LEVELS[n % 3].0);
            let all = [
                measured("medical", &a, level(wanted)),
                measured("legal", &b, level(wanted / 3)),
                measured("financial", &c, level(wanted / 9)),
            ];
            let found = find(&all).unwrap();
            assert!(found.worst > 0.8, "{wanted}: {found:?}");
            assert!(found.strengths.iter().all(|s| s.abs() <= 1.5));
        }
    }

    #[test]
    fn a_slider_without_a_wish_stays_and_is_counted() {
        let a = calibration(&[("legal", 0.4)]);
        let b = calibration(&[]);
        let stays = Measured { strength: 1.0, ..measured("medical", &a, None) };
        let alone = find(&[measured("legal", &b, Some("generic"))]).unwrap();
        let found = find(&[stays, measured("legal", &b, Some("generic"))]).unwrap();
        assert_eq!(found.strengths[0], 1.0);
        assert!(found.strengths[1] < alone.strengths[0] - 0.2, "the leak is taken out: {found:?}");
        assert!(find(&[stays]).is_none());
    }

    #[test]
    fn what_is_out_of_range_is_told_by_its_rate() {
        let a = calibration(&[]);
        let narrow = Measured { range: [-0.5, 0.5], ..measured("legal", &a, Some("avoidance")) };
        let found = find(&[narrow]).unwrap();
        assert_eq!(found.strengths, [-0.5]);
        assert!(found.worst < 0.5, "{found:?}");
        assert_eq!(find(&[measured("legal", &Calibration::default(), Some(EXPERT))]), None);
    }

    #[test]
    fn equations_are_solved() {
        let rows =
            vec![vec![0.0, 1.0, 0.0, 3.0], vec![2.0, 0.0, 1.0, 5.0], vec![1.0, 0.0, 1.0, 3.0]];
        assert_eq!(solve(rows), Some(vec![2.0, 3.0, 1.0]));
        assert_eq!(solve(vec![vec![0.0, 1.0]]), None);
    }
}
