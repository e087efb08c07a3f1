//! A vector out of two checkpoints of one architecture: aligned weights minus base weights, in f32.

mod eigen;
mod exact;
mod low_rank;
mod pair;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;

pub use low_rank::RankChoice;

use super::file::{self, Precision};
use super::values::widen;
use super::{Facts, Kind, Part, Vector};
use crate::model::checkpoint::{Checkpoint, StoredTensor};
use crate::platform::{Cancelled, Problem, fnv};
use low_rank::decompose;

/// What the vector shall be.
#[derive(Debug, Clone, PartialEq)]
pub struct ExtractOptions {
    /// Factors of this rank, or every value with `None`.
    pub rank: Option<RankChoice>,
    pub name: String,
    pub domain: String,
}

/// What was found out on the way.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ExtractReport {
    /// Parameters that differ, and those that do not.
    pub changed: usize,
    pub unchanged: usize,
    /// Parameters that only one of the two has.
    pub unmatched: Vec<String>,
    /// Per parameter that differs: the largest difference, and ‖Δ‖_F / ‖base‖_F.
    pub sizes: BTreeMap<String, (f32, f64)>,
}

/// Called before each tensor with the bytes done and in all; false ends it.
pub type Watch<'a> = &'a mut dyn FnMut(u64, u64) -> bool;

/// Subtracts the base from the aligned model, tensor by tensor.
///
/// Integer buffers, rotary tables and a tied head's copy are passed over; tensors without any
/// difference are left out.
///
/// # Errors
/// When the two are not one architecture with one vocabulary, one is quantised, more than one in
/// a hundred names has no partner, a value is not finite, or `watch` said stop ([`Cancelled`]).
pub fn extract(
    base: &Checkpoint,
    aligned: &Checkpoint,
    options: &ExtractOptions,
    watch: Watch<'_>,
) -> Result<(Vector, Facts, ExtractReport)> {
    let pairs = pair::pairs(base, aligned)?;
    let mut report = ExtractReport { unmatched: pairs.unmatched, ..ExtractReport::default() };
    let total = pairs.names.iter().map(|(name, _)| base.tensors[name].byte_length as u64).sum();
    let (mut parts, mut kept_energy, mut done) = (BTreeMap::new(), BTreeMap::new(), 0);
    for (name, other) in &pairs.names {
        if !watch(done, total) {
            return Err(Cancelled.into());
        }
        let tensor = &base.tensors[name];
        done += tensor.byte_length as u64;
        let (delta, size) = difference(base, aligned, name, other)?;
        let same = tensor.dtype != aligned.tensor(other)?.dtype
            || base.bytes(name)? == aligned.bytes(other)?;
        if same && delta.iter().all(|value| *value == 0.0) {
            report.unchanged += 1;
            continue;
        }
        report.changed += 1;
        report.sizes.insert(name.clone(), size);
        let part = match (options.rank, tensor.shape.as_slice()) {
            (Some(choice), &[_, _]) => {
                let (shape, delta) = linear(tensor, delta);
                // Random numbers of its own for each tensor, whatever their order.
                let stream = fnv::hash(name.bytes());
                let Some(found) = decompose(delta, shape[0], shape[1], choice, stream)? else {
                    continue;
                };
                kept_energy.insert(name.clone(), found.kept_energy);
                found.part
            }
            _ => Part::Full { shape: tensor.shape.clone(), values: delta },
        };
        parts.insert(name.clone(), part);
    }
    if parts.is_empty() {
        let what = format!("the weights are the same as those of {}", base.path.display());
        return Err(Problem::new(what).at(&aligned.path).hint("give two different models").into());
    }
    let facts = Facts {
        kind: if options.rank.is_some() { Kind::LowRank } else { Kind::Full },
        domain: options.domain.clone(),
        how_made: format!("the difference of {} to {}", aligned.name, base.name),
        created: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        kept_energy,
        ..Facts::default()
    };
    let vector = Vector {
        name: options.name.clone(),
        base_fingerprint: Some(base.fingerprint()),
        base_name: base.name.clone(),
        parts,
    };
    Ok((vector, facts, report))
}

/// Writes an extracted vector. Every value of a difference is kept in f64 where the base plus its
/// f32 value would not round to the aligned model's (as between f32 checkpoints).
///
/// # Errors
/// When the file cannot be written.
pub fn write(
    path: &Path,
    vector: &Vector,
    facts: &Facts,
    precision: Precision,
    pair: (&Checkpoint, &Checkpoint),
) -> Result<()> {
    let (base, aligned) = pair;
    let wide = |name: &str| -> Result<Option<Vec<f64>>> {
        let Some(Part::Full { values, .. }) = vector.parts.get(name) else { return Ok(None) };
        let Some(tensor) = base.tensors.get(name) else { return Ok(None) };
        if precision == Precision::F16 {
            return Ok(None);
        }
        let other = pair::partner(aligned, name);
        let from = widen(tensor.dtype, &base.bytes(name)?)?;
        let to = widen(aligned.tensor(other)?.dtype, &aligned.bytes(other)?)?;
        Ok(exact::wide(&from, &to, values, tensor.dtype))
    };
    file::write_wide(path, vector, facts, precision, &wide)
}

/// The difference of one tensor, its largest value, and its norm relative to the base's.
fn difference(
    base: &Checkpoint,
    aligned: &Checkpoint,
    name: &str,
    other: &str,
) -> Result<(Vec<f32>, (f32, f64))> {
    let from = widen(base.tensor(name)?.dtype, &base.bytes(name)?)?;
    let mut delta = widen(aligned.tensor(other)?.dtype, &aligned.bytes(other)?)?;
    let (mut largest, mut squares, mut whole) = (0.0_f32, 0.0_f64, 0.0_f64);
    for (value, from) in delta.iter_mut().zip(&from) {
        *value -= from;
        if !value.is_finite() {
            let what = format!("tensor `{name}` holds a value that is not finite");
            return Err(Problem::new(what).at(&aligned.path).into());
        }
        largest = largest.max(value.abs());
        squares += f64::from(*value).powi(2);
        whole += f64::from(*from).powi(2);
    }
    Ok((delta, (largest, (squares / whole.max(f64::MIN_POSITIVE)).sqrt())))
}

/// A matrix in the linear's orientation, whichever way it is stored.
fn linear(tensor: &StoredTensor, values: Vec<f32>) -> (Vec<usize>, Vec<f32>) {
    if tensor.input_first {
        super::fit::transposed(&tensor.shape, values)
    } else {
        (tensor.shape.clone(), values)
    }
}
