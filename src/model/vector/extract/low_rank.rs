//! A truncated singular value decomposition of a weight difference, by random projection.
//!
//! Halko, Martinsson and Tropp (arXiv 0909.4061, algorithms 4.4 and 5.1): sketch the range with a
//! random matrix, sharpen it by power steps, decompose what is left in the small space. The seed
//! is fixed, so the same two checkpoints give the same file.

use anyhow::Result;
use candle_core::{DType, Device, Tensor};

use super::eigen::{orthonormaliser, symmetric_eigen};
use crate::model::vector::Part;
use crate::platform::random;

/// Columns sketched beyond the largest rank.
const OVERSAMPLING: usize = 8;
/// Times the sketch is multiplied by the difference and its transpose.
const POWER_STEPS: usize = 2;
const SEED: u64 = 0x7111_E400;

/// How the rank of each matrix is found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RankChoice {
    /// The least that keeps this share of ‖Δ‖²_F, within bounds.
    Energy { share: f64, least: usize, most: usize },
    /// This one, or as many as the matrix has.
    Fixed(usize),
}

impl Default for RankChoice {
    fn default() -> Self {
        Self::Energy { share: 0.99, least: 4, most: 128 }
    }
}

impl RankChoice {
    fn most(self) -> usize {
        match self {
            Self::Energy { most, .. } => most,
            Self::Fixed(rank) => rank,
        }
    }
}

/// Factors of a matrix, and the share of its energy they keep.
#[derive(Debug)]
pub struct Factors {
    pub part: Part,
    pub kept_energy: f64,
}

/// Decomposes a `[outputs, inputs]` difference. `stream` tells its random numbers from other
/// matrices'. `None` for a matrix of zeros.
///
/// # Errors
/// Only when memory for the products cannot be had.
pub fn decompose(
    values: Vec<f32>,
    outputs: usize,
    inputs: usize,
    choice: RankChoice,
    stream: u64,
) -> Result<Option<Factors>> {
    let whole: f64 = values.iter().map(|v| f64::from(*v).powi(2)).sum();
    if whole == 0.0 {
        return Ok(None);
    }
    let smaller = outputs.min(inputs);
    let sketched = choice.most().saturating_add(OVERSAMPLING).min(smaller);
    let delta = Tensor::from_vec(values, (outputs, inputs), &Device::Cpu)?;
    let omega: Vec<f32> =
        (0..(inputs * sketched) as u64).map(|i| random::normal(SEED, stream, i)).collect();
    let omega = Tensor::from_vec(omega, (inputs, sketched), &Device::Cpu)?;
    let mut basis = orthonormal(&delta.matmul(&omega)?)?;
    for _ in 0..POWER_STEPS {
        let back = orthonormal(&delta.t()?.matmul(&basis)?)?;
        basis = orthonormal(&delta.matmul(&back)?)?;
    }
    // Δ ≈ Q·C with C = QᵀΔ, whose left singular vectors are those of C·Cᵀ.
    let small = basis.t()?.matmul(&delta)?;
    let wide = small.to_dtype(DType::F64)?;
    let gram: Vec<f64> = wide.matmul(&wide.t()?)?.flatten_all()?.to_vec1()?;
    let count = small.dim(0)?;
    let (energies, vectors) = symmetric_eigen(gram, count);

    let present = energies.iter().filter(|energy| **energy > 1e-14 * energies[0]).count();
    let rank = match choice {
        RankChoice::Fixed(rank) => rank,
        RankChoice::Energy { share, least, most } => {
            let mut sum = 0.0;
            let enough = energies.iter().take_while(|energy| {
                let wanted = sum < share * whole;
                sum += **energy;
                wanted
            });
            enough.count().clamp(least.min(most), most)
        }
    }
    .clamp(1, present);

    // U√S and √S·Vᵀ = S^(-1/2)·Eᵀ·C.
    let columns = |power: f64| {
        let mut out = vec![0.0_f32; count * rank];
        for row in 0..count {
            for column in 0..rank {
                let scaled = vectors[row * count + column] * energies[column].powf(power);
                out[row * rank + column] = scaled as f32;
            }
        }
        Tensor::from_vec(out, (count, rank), &Device::Cpu)
    };
    let up = basis.matmul(&columns(0.25)?)?.flatten_all()?.to_vec1()?;
    let down = columns(-0.25)?.t()?.matmul(&small)?.flatten_all()?.to_vec1()?;
    let kept: f64 = energies[..rank].iter().sum();
    let part = Part::LowRank { down, up, rank, inputs, outputs, scale: 1.0 };
    Ok(Some(Factors { part, kept_energy: (kept / whole).min(1.0) }))
}

/// An orthonormal basis of the columns' span, found twice over in f64 (Cholesky QR).
fn orthonormal(columns: &Tensor) -> Result<Tensor> {
    let mut basis = columns.to_dtype(DType::F64)?;
    for _ in 0..2 {
        let count = basis.dim(1)?;
        let gram: Vec<f64> = basis.t()?.matmul(&basis)?.flatten_all()?.to_vec1()?;
        let (turn, kept) = orthonormaliser(&gram, count);
        basis = basis.matmul(&Tensor::from_vec(turn, (count, kept), &Device::Cpu)?)?;
    }
    Ok(basis.to_dtype(DType::F32)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::random::normal;

    const OUTPUTS: usize = 40;
    const INPUTS: usize = 28;

    /// Orthonormal columns, from random ones.
    fn columns(rows: usize, count: usize, stream: u64) -> Vec<f32> {
        let values = (0..(rows * count) as u64).map(|i| normal(9, stream, i)).collect::<Vec<_>>();
        let tensor = Tensor::from_vec(values, (rows, count), &Device::Cpu).unwrap();
        orthonormal(&tensor).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }

    /// A matrix with these singular values.
    fn with_spectrum(spectrum: &[f64]) -> Vec<f32> {
        let count = spectrum.len();
        let (u, v) = (columns(OUTPUTS, count, 1), columns(INPUTS, count, 2));
        let mut out = vec![0.0; OUTPUTS * INPUTS];
        for i in 0..OUTPUTS {
            for j in 0..INPUTS {
                let sum: f64 = (0..count)
                    .map(|k| {
                        spectrum[k] * f64::from(u[i * count + k]) * f64::from(v[j * count + k])
                    })
                    .sum();
                out[i * INPUTS + j] = sum as f32;
            }
        }
        out
    }

    fn distance(a: &[f32], b: &[f32]) -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt()
    }

    fn factors(delta: &[f32], choice: RankChoice) -> (Vec<f32>, usize, f64) {
        let found = decompose(delta.to_vec(), OUTPUTS, INPUTS, choice, 3).unwrap().unwrap();
        let Part::LowRank { rank, .. } = found.part else { unreachable!() };
        (found.part.dense().unwrap(), rank, found.kept_energy)
    }

    /// Invariant 7, first half.
    #[test]
    fn all_ranks_rebuild_the_difference() {
        let spectrum: Vec<f64> = (0..INPUTS).map(|i| 0.8_f64.powi(i as i32)).collect();
        let delta = with_spectrum(&spectrum);
        let (rebuilt, rank, kept) = factors(&delta, RankChoice::Fixed(usize::MAX));
        assert_eq!(rank, INPUTS);
        let error = distance(&rebuilt, &delta) / distance(&delta, &vec![0.0; delta.len()]);
        assert!(error < 1e-5, "{error:e}");
        assert!(kept > 1.0 - 1e-6, "{kept}");
    }

    /// Invariant 7, second half: Eckart and Young's error, within what the random basis may add.
    #[test]
    fn a_truncation_errs_by_the_tail_of_the_spectrum() {
        let spectrum: Vec<f64> = (0..INPUTS).map(|i| 1.0 / (1.0 + i as f64)).collect();
        let delta = with_spectrum(&spectrum);
        for rank in [1, 4, 10] {
            let (rebuilt, found, kept) = factors(&delta, RankChoice::Fixed(rank));
            assert_eq!(found, rank);
            let tail = spectrum[rank..].iter().map(|s| s * s).sum::<f64>().sqrt();
            let error = distance(&rebuilt, &delta);
            assert!(error <= 1.1 * tail && error >= 0.99 * tail, "{rank}: {error} {tail}");
            let whole: f64 = spectrum.iter().map(|s| s * s).sum();
            assert!((kept - (1.0 - tail * tail / whole)).abs() < 0.01, "{rank}: {kept}");
        }
    }

    #[test]
    fn the_rank_is_the_least_that_keeps_the_energy() {
        // 64 % + 35 % + 1 %: two directions keep 99 %, one does not.
        let delta = with_spectrum(&[8.0, 6.0, 0.9]);
        let choice = RankChoice::Energy { share: 0.99, least: 1, most: 128 };
        assert_eq!(factors(&delta, choice).1, 2);
        // The least never asks for more than there is.
        let delta = with_spectrum(&[3.0, 2.0]);
        assert_eq!(factors(&delta, RankChoice::default()).1, 2);
        let most = RankChoice::Energy { share: 1.0, least: 1, most: 1 };
        assert_eq!(factors(&delta, most).1, 1);
        assert!(decompose(vec![0.0; 6], 2, 3, RankChoice::default(), 0).unwrap().is_none());
    }

    #[test]
    fn the_same_difference_gives_the_same_factors() {
        let delta = with_spectrum(&[3.0, 2.0, 1.0]);
        let once = decompose(delta.clone(), OUTPUTS, INPUTS, RankChoice::default(), 3).unwrap();
        let again = decompose(delta, OUTPUTS, INPUTS, RankChoice::default(), 3).unwrap();
        assert_eq!(once.unwrap().part, again.unwrap().part);
    }
}
