//! Sums and inner products of vectors, part by part; factors stay factors.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail, ensure};

use super::fit::stored_values;
use super::{Part, Vector};
use crate::model::checkpoint::is_input_first;

/// ⟨a, b⟩ over the values of two parts of the same parameter, summed in f64.
///
/// # Errors
/// When one is a `Replacement`, or the shapes differ.
pub fn inner_product(name: &str, a: &Part, b: &Part) -> Result<f64> {
    if let (Part::LowRank { .. }, Part::LowRank { .. }) = (a, b) {
        ensure!(a.shape() == b.shape(), "`{name}`: {:?} and {:?}", a.shape(), b.shape());
        return Ok(of_factors(a, b));
    }
    let (a, b) = (values(name, a)?, values(name, b)?);
    ensure!(a.len() == b.len(), "`{name}`: {} and {} values", a.len(), b.len());
    Ok(a.iter().zip(&b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum())
}

/// ‖part‖_F.
///
/// # Errors
/// For a `Replacement`.
pub fn norm(name: &str, part: &Part) -> Result<f64> {
    Ok(inner_product(name, part, part)?.max(0.0).sqrt())
}

/// ⟨s B A, t D C⟩ = s t · Σ (BᵀD) ∘ (A Cᵀ), without multiplying the factors out.
fn of_factors(a: &Part, b: &Part) -> f64 {
    let (
        Part::LowRank { down: a_down, up: a_up, rank: a_rank, inputs, scale: a_scale, .. },
        Part::LowRank { down: b_down, up: b_up, rank: b_rank, scale: b_scale, .. },
    ) = (a, b)
    else {
        return 0.0;
    };
    let dot = |x: &[f32], y: &[f32]| -> f64 {
        x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
    };
    let mut ups = vec![0.0_f64; a_rank * b_rank];
    for (x, y) in a_up.chunks_exact(*a_rank).zip(b_up.chunks_exact(*b_rank)) {
        for (i, x) in x.iter().enumerate() {
            for (j, y) in y.iter().enumerate() {
                ups[i * b_rank + j] += f64::from(*x) * f64::from(*y);
            }
        }
    }
    let mut sum = 0.0;
    for (i, x) in a_down.chunks_exact(*inputs).enumerate() {
        for (j, y) in b_down.chunks_exact(*inputs).enumerate() {
            sum += ups[i * b_rank + j] * dot(x, y);
        }
    }
    sum * f64::from(*a_scale) * f64::from(*b_scale)
}

/// Every value, GPT-2's products `[in, out]`.
fn values(name: &str, part: &Part) -> Result<Vec<f32>> {
    stored_values(part.clone(), is_input_first(name))
}

/// Σ weight · part. Factors are put side by side, so the rank is the sum of the ranks; beside a
/// part that holds every value they are multiplied out.
///
/// # Errors
/// When there is none, one is a `Replacement`, or the shapes differ.
pub fn combination(name: &str, terms: &[(f32, &Part)]) -> Result<Part> {
    let Some((_, first)) = terms.first() else { bail!("`{name}`: nothing to add up") };
    let factors = terms.iter().all(|(_, part)| matches!(part, Part::LowRank { .. }));
    if factors {
        let wanted = first.shape();
        let same = terms.iter().all(|(_, part)| part.shape() == wanted);
        ensure!(same, "`{name}` has not the same shape in all of them");
        return Ok(side_by_side(terms, wanted[0], wanted[1]));
    }
    let shape = terms
        .iter()
        .find_map(|(_, part)| matches!(part, Part::Full { .. }).then(|| part.shape()))
        .unwrap_or_default();
    let mut sum: Vec<f64> = Vec::new();
    for (weight, part) in terms {
        let values = values(name, part)?;
        if sum.is_empty() {
            sum = vec![0.0; values.len()];
        }
        ensure!(values.len() == sum.len(), "`{name}` has not the same shape in all of them");
        let weight = f64::from(*weight);
        sum.iter_mut().zip(&values).for_each(|(sum, value)| *sum += weight * f64::from(*value));
    }
    Ok(Part::Full { shape, values: sum.into_iter().map(|value| value as f32).collect() })
}

fn side_by_side(terms: &[(f32, &Part)], outputs: usize, inputs: usize) -> Part {
    let mut all_down = Vec::new();
    let mut ups: Vec<(usize, f32, &[f32])> = Vec::new();
    for (weight, part) in terms {
        if let Part::LowRank { down, up, rank, scale, .. } = part {
            all_down.extend_from_slice(down);
            ups.push((*rank, weight * scale, up));
        }
    }
    let rank = ups.iter().map(|(rank, ..)| rank).sum();
    let mut all_up = Vec::with_capacity(outputs * rank);
    for output in 0..outputs {
        for (rank, weight, up) in &ups {
            all_up.extend(up[output * rank..(output + 1) * rank].iter().map(|x| x * weight));
        }
    }
    Part::LowRank { down: all_down, up: all_up, rank, inputs, outputs, scale: 1.0 }
}

/// `vector` without its component along `against`, parameter by parameter: what is left has inner
/// product zero with it (spec section 6, against over-generalisation).
///
/// # Errors
/// When shapes differ or a part was not compared with its base.
pub fn orthogonalised(vector: &Vector, against: &Vector) -> Result<Vector> {
    let mut parts = BTreeMap::new();
    for (name, part) in &vector.parts {
        let other = against.parts.get(name);
        let along = match other {
            Some(other) => {
                let whole = inner_product(name, other, other)?;
                if whole > 0.0 { inner_product(name, part, other)? / whole } else { 0.0 }
            }
            None => 0.0,
        };
        let left = match other {
            Some(other) if along != 0.0 => {
                combination(name, &[(1.0, part), (-(along as f32), other)])?
            }
            _ => part.clone(),
        };
        parts.insert(name.clone(), left);
    }
    Ok(Vector { parts, ..vector.clone() })
}

/// The mean of several vectors, and what each has beyond it: with both at strength 1 a vector is
/// what it was (spec section 6).
///
/// # Errors
/// As [`orthogonalised`]; when there are none.
pub fn shared_and_residuals(vectors: &[Vector]) -> Result<(Vector, Vec<Vector>)> {
    let Some(first) = vectors.first() else { bail!("there are no vectors to compare") };
    let share = 1.0 / vectors.len() as f32;
    let names: BTreeSet<&String> = vectors.iter().flat_map(|vector| vector.parts.keys()).collect();
    let mut shared = Vector { name: "shared".into(), parts: BTreeMap::new(), ..first.clone() };
    let mut residuals: Vec<Vector> =
        vectors.iter().map(|vector| Vector { parts: BTreeMap::new(), ..vector.clone() }).collect();
    for name in names {
        let of: Vec<Option<&Part>> = vectors.iter().map(|vector| vector.parts.get(name)).collect();
        let mean: Vec<(f32, &Part)> = of.iter().flatten().map(|part| (share, *part)).collect();
        shared.parts.insert(name.clone(), combination(name, &mean)?);
        for (index, residual) in residuals.iter_mut().enumerate() {
            let terms: Vec<(f32, &Part)> = of
                .iter()
                .enumerate()
                .filter_map(|(other, part)| {
                    let own = if other == index { 1.0 } else { 0.0 };
                    Some((own - share, (*part)?))
                })
                .filter(|(weight, _)| *weight != 0.0)
                .collect();
            if !terms.is_empty() {
                residual.parts.insert(name.clone(), combination(name, &terms)?);
            }
        }
    }
    Ok((shared, residuals))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::random::normal;

    fn factors(stream: u64, rank: usize) -> Part {
        let draw =
            |from: u64, count: usize| (from..from + count as u64).map(|i| normal(1, stream, i));
        Part::LowRank {
            down: draw(0, rank * 5).collect(),
            up: draw(100, rank * 4).collect(),
            rank,
            inputs: 5,
            outputs: 4,
            scale: 0.5,
        }
    }

    fn full(stream: u64) -> Part {
        Part::Full { shape: vec![4, 5], values: (0..20).map(|i| normal(2, stream, i)).collect() }
    }

    fn vector(weight: Part, gain: f32) -> Vector {
        let norm = Part::Full { shape: vec![2], values: vec![gain, 0.5] };
        let parts = [("w".to_owned(), weight), ("norm".to_owned(), norm)].into();
        Vector { name: "v".into(), parts, ..Vector::default() }
    }

    fn dense(vector: &Vector) -> Vec<f32> {
        vector.parts.values().flat_map(|part| part.dense().unwrap()).collect()
    }

    #[test]
    fn factors_multiply_as_their_values_do() {
        let (a, b) = (factors(1, 2), factors(2, 3));
        let slow: f64 = a
            .dense()
            .unwrap()
            .iter()
            .zip(b.dense().unwrap())
            .map(|(a, b)| f64::from(*a) * f64::from(b))
            .sum();
        assert!((inner_product("w", &a, &b).unwrap() - slow).abs() < 1e-5);
        assert!((inner_product("w", &a, &full(1)).unwrap()).is_finite());
        assert!(
            inner_product("w", &full(1), &Part::Full { shape: vec![1], values: vec![0.0] })
                .is_err()
        );
    }

    /// Invariant 18.
    #[test]
    fn what_is_left_is_orthogonal() {
        for (a, b) in [(factors(1, 2), factors(2, 3)), (full(1), factors(2, 3)), (full(3), full(4))]
        {
            let (one, other) = (vector(a, 1.0), vector(b, -3.0));
            let left = orthogonalised(&one, &other).unwrap();
            for (name, part) in &left.parts {
                let against = &other.parts[name];
                let product = inner_product(name, part, against).unwrap();
                let size = norm(name, &one.parts[name]).unwrap() * norm(name, against).unwrap();
                assert!(product.abs() <= 1e-4 * size, "{name}: {product} of {size}");
            }
        }
    }

    /// Invariant 17.
    #[test]
    fn the_shared_part_and_the_rest_add_up() {
        let vectors =
            [vector(factors(1, 2), 1.0), vector(factors(2, 1), 2.0), vector(full(3), -4.0)];
        let (shared, residuals) = shared_and_residuals(&vectors).unwrap();
        for (whole, residual) in vectors.iter().zip(&residuals) {
            for (name, part) in &whole.parts {
                let terms = [(1.0, &shared.parts[name]), (1.0, &residual.parts[name])];
                let sum = combination(name, &terms).unwrap().dense().unwrap();
                for (sum, wanted) in sum.iter().zip(part.dense().unwrap()) {
                    assert!((sum - wanted).abs() < 2e-6, "{name}: {sum} {wanted}");
                }
            }
        }
        // The residuals of all together are nothing.
        let total: Vec<f32> = residuals.iter().map(dense).fold(Vec::new(), |sum, values| {
            if sum.is_empty() {
                return values;
            }
            sum.iter().zip(&values).map(|(a, b)| a + b).collect()
        });
        assert!(total.iter().all(|value| value.abs() < 1e-5), "{total:?}");
    }
}
