//! Offline ways of putting vectors together: TIES (arXiv 2306.01708) and DARE (arXiv 2311.03099).
//!
//! Both look at every value, so what comes out holds every value. Neither is linear in strengths:
//! bake once at strength 1, then slide the result.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};

use super::fit::stored_values;
use super::{Part, Vector};
use crate::model::checkpoint::is_input_first;
use crate::platform::random;

/// One vector out of several: each keeps its largest `density` share of values over the whole
/// model, a sign is elected per value by the sum of what was kept (where that is zero, by the
/// majority over the model), and those of the elected sign are averaged.
///
/// The reference implementation's merge, before its λ.
///
/// # Errors
/// When there are none, `density` is no share, shapes differ, or a part was not compared with its
/// base.
pub fn ties(vectors: &[Vector], density: f64) -> Result<Vector> {
    let Some(first) = vectors.first() else { bail!("there are no vectors to put together") };
    if !(density > 0.0 && density <= 1.0) {
        bail!("a density of {density} is no share; give one above 0 and up to 1");
    }
    let mut all = vectors.iter().map(full_values).collect::<Result<Vec<_>>>()?;
    for values in &mut all {
        trim(values, density);
    }
    let names: BTreeSet<String> = all.iter().flat_map(|values| values.keys().cloned()).collect();
    let at = |values: &FullValues, name: &str, index: usize| -> f32 {
        values.get(name).map_or(0.0, |(_, values)| values[index])
    };
    let mut shapes = BTreeMap::new();
    for name in &names {
        let mut of = all.iter().filter_map(|values| values.get(name));
        let Some((shape, values)) = of.next() else { continue };
        if of.any(|(other, _)| other != shape) {
            bail!("`{name}` has not the same shape in all of them");
        }
        shapes.insert(name.clone(), (shape.clone(), values.len()));
    }
    let sum = |name: &str, index: usize| -> f64 {
        all.iter().map(|values| f64::from(at(values, name, index))).sum()
    };
    let balance: i64 = shapes
        .iter()
        .flat_map(|(name, (_, count))| (0..*count).map(move |index| (name, index)))
        .map(|(name, index)| sign(sum(name, index)))
        .sum();
    let majority = balance.signum();
    let mut parts = BTreeMap::new();
    for (name, (shape, count)) in shapes {
        let mut values = Vec::with_capacity(count);
        for index in 0..count {
            let elected = match sign(sum(&name, index)) {
                0 => majority,
                elected => elected,
            };
            let agreeing = all
                .iter()
                .map(|values| f64::from(at(values, &name, index)))
                .filter(|value| elected != 0 && sign(*value) == elected);
            let (total, voices) =
                agreeing.fold((0.0, 0_u32), |(sum, n), value| (sum + value, n + 1));
            values.push((total / f64::from(voices.max(1))) as f32);
        }
        parts.insert(name, Part::Full { shape, values });
    }
    Ok(Vector { name: "ties".into(), parts, ..first.clone() })
}

/// A vector with each value dropped at probability `drop` and the rest divided by `1 - drop`, so
/// that its expectation stays what it was.
///
/// # Errors
/// When `drop` is no probability below 1, or a part was not compared with its base.
pub fn dare(vector: &Vector, drop: f64, seed: u64) -> Result<Vector> {
    if !(0.0..1.0).contains(&drop) {
        bail!("a share of {drop} cannot be dropped; give one from 0 to below 1");
    }
    let mut parts = BTreeMap::new();
    for (stream, (name, (shape, mut values))) in (0..).zip(full_values(vector)?) {
        for (index, value) in (0..).zip(values.iter_mut()) {
            let kept = random::unit(seed, stream, index) >= drop;
            *value = if kept { (f64::from(*value) / (1.0 - drop)) as f32 } else { 0.0 };
        }
        parts.insert(name, Part::Full { shape, values });
    }
    Ok(Vector { parts, ..vector.clone() })
}

fn sign(value: f64) -> i64 {
    if value > 0.0 { 1 } else { -i64::from(value < 0.0) }
}

type FullValues = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

fn full_values(vector: &Vector) -> Result<FullValues> {
    vector
        .parts
        .iter()
        .map(|(name, part)| {
            let turned = is_input_first(name) && matches!(part, Part::LowRank { .. });
            let mut shape = part.shape();
            if turned {
                shape.reverse();
            }
            Ok((name.clone(), (shape, stored_values(part.clone(), turned)?)))
        })
        .collect()
}

/// Zeroes all but the largest values of the whole model.
fn trim(values: &mut FullValues, density: f64) {
    let mut sizes: Vec<f32> =
        values.values().flat_map(|(_, values)| values.iter().map(|value| value.abs())).collect();
    let dropped = sizes.len() - (sizes.len() as f64 * density).round() as usize;
    if dropped == 0 || sizes.is_empty() {
        return;
    }
    let least = match sizes.len() {
        count if dropped >= count => f32::INFINITY,
        _ => *sizes.select_nth_unstable_by(dropped, f32::total_cmp).1,
    };
    for (_, values) in values.values_mut() {
        values.iter_mut().filter(|value| value.abs() < least).for_each(|value| *value = 0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(stream: u64) -> Vector {
        let draw = |from: u64, count: u64| {
            (from..from + count).map(|i| random::normal(3, stream, i)).collect::<Vec<f32>>()
        };
        let parts = [
            ("a".to_owned(), Part::Full { shape: vec![6, 5], values: draw(0, 30) }),
            ("b".to_owned(), Part::Full { shape: vec![10], values: draw(50, 10) }),
        ];
        Vector { name: "v".into(), parts: parts.into(), ..Vector::default() }
    }

    fn flat(vector: &Vector) -> Vec<f32> {
        vector.parts.values().flat_map(|part| part.dense().unwrap()).collect()
    }

    /// Invariant 16, first part.
    #[test]
    fn nothing_dropped_and_one_vector_are_the_vector() {
        let one = vector(1);
        assert_eq!(flat(&dare(&one, 0.0, 7).unwrap()), flat(&one));
        assert_eq!(flat(&ties(std::slice::from_ref(&one), 1.0).unwrap()), flat(&one));
    }

    /// Invariant 16, second part: within three standard errors.
    #[test]
    fn the_mean_over_many_masks_is_the_vector() {
        let one = vector(1);
        let (wanted, drop, runs) = (flat(&one), 0.6, 1000);
        let mut sums = vec![0.0_f64; wanted.len()];
        for seed in 0..runs {
            let masked = flat(&dare(&one, drop, seed).unwrap());
            sums.iter_mut().zip(masked).for_each(|(sum, value)| *sum += f64::from(value));
        }
        let within = sums
            .iter()
            .zip(&wanted)
            .filter(|(sum, wanted)| {
                let wanted = f64::from(**wanted);
                let error = wanted.abs() * (drop / (1.0 - drop) / runs as f64).sqrt();
                (*sum / runs as f64 - wanted).abs() <= 3.0 * error
            })
            .count();
        // Of forty values one may lie outside three sigmas by chance.
        assert!(within + 1 >= wanted.len(), "{within} of {}", wanted.len());
    }

    /// Invariant 16, third part.
    #[test]
    fn every_value_has_the_elected_sign_or_is_zero() {
        let vectors = [vector(1), vector(2), vector(3)];
        let all: Vec<Vec<f32>> = vectors.iter().map(flat).collect();
        let merged = flat(&ties(&vectors, 1.0).unwrap());
        for (index, value) in merged.iter().enumerate() {
            let sum: f32 = all.iter().map(|values| values[index]).sum();
            assert!(*value != 0.0 && value.signum() == sum.signum(), "{index}: {value} of {sum}");
            let agreeing: Vec<f32> = all
                .iter()
                .map(|values| values[index])
                .filter(|value| value.signum() == sum.signum())
                .collect();
            let mean = agreeing.iter().sum::<f32>() / agreeing.len() as f32;
            assert!((value - mean).abs() < 1e-6, "{index}: {value} {mean}");
        }
    }

    #[test]
    fn the_largest_values_of_the_whole_model_are_kept() {
        let one = vector(1);
        let kept = flat(&ties(std::slice::from_ref(&one), 0.2).unwrap());
        let whole = flat(&one);
        let least_kept =
            kept.iter().filter(|v| **v != 0.0).map(|v| v.abs()).fold(f32::INFINITY, f32::min);
        assert_eq!(kept.iter().filter(|value| **value != 0.0).count(), 8);
        assert_eq!(whole.iter().filter(|value| value.abs() >= least_kept).count(), 8);
        assert!(ties(&[], 0.5).is_err() && ties(&[vector(1)], 0.0).is_err());
        assert!(dare(&one, 1.0, 0).is_err() && dare(&one, f64::NAN, 0).is_err());
    }
}
