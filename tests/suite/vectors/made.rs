//! Vectors with every kind of part, and the checkpoints one gets by adding them to the weights.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use tempfile::TempDir;
use tiller::model::checkpoint::{Checkpoint, StoredTensor};
use tiller::model::decoder::{Decoder, DecoderSpec};
use tiller::model::vector::{Part, Vector};
use tiller::model::weights::WeightForm;

pub fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

pub fn open(name: &str) -> Checkpoint {
    Checkpoint::open(&golden(name)).unwrap()
}

pub fn load(checkpoint: &Checkpoint, form: WeightForm) -> Decoder {
    let spec = DecoderSpec::from_config(&checkpoint.config).unwrap();
    Decoder::load(checkpoint, spec, &Device::Cpu, form, 64, &mut |_, _| true).unwrap()
}

/// Numbers in -1..1, the same on every run.
pub fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            ((state >> 40) as f32 / (1u64 << 23) as f32) - 1.0
        })
        .collect()
}

/// What a vector holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Factors for every matrix, embedding and head included, every value for the rest.
    Factors,
    /// Every value of every tensor.
    Full,
}

/// A vector for every tensor of a checkpoint; `size` is about that of an entry beside weights of 1.
pub fn vector(checkpoint: &Checkpoint, kind: Kind, seed: u64, size: f32) -> Vector {
    let mut parts = BTreeMap::new();
    for (index, (name, tensor)) in checkpoint.tensors.iter().enumerate() {
        let seed = seed * 1000 + index as u64;
        let scaled = |count, seed, size: f32| -> Vec<f32> {
            numbers(count, seed).into_iter().map(|value| value * size).collect()
        };
        let part = match (kind, linear_shape(tensor).as_slice()) {
            (Kind::Factors, &[outputs, inputs]) => Part::LowRank {
                down: scaled(2 * inputs, seed, 1.0),
                up: scaled(outputs * 2, seed + 500, size / 2.0),
                rank: 2,
                inputs,
                outputs,
                scale: 2.0,
            },
            _ => Part::Full {
                shape: tensor.shape.clone(),
                values: scaled(tensor.element_count(), seed, size),
            },
        };
        parts.insert(name.clone(), part);
    }
    Vector { name: format!("made {seed}"), parts, ..Vector::default() }
}

fn linear_shape(tensor: &StoredTensor) -> Vec<usize> {
    let mut shape = tensor.shape.clone();
    if tensor.input_first {
        shape.reverse();
    }
    shape
}

/// The checkpoint with vectors added to its weights at strengths, in f32.
pub fn merged(checkpoint: &Checkpoint, vectors: &[(&Vector, f32)]) -> (TempDir, Checkpoint) {
    let mut tensors = HashMap::new();
    for file in std::fs::read_dir(&checkpoint.path).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_some_and(|extension| extension == "safetensors") {
            tensors.extend(candle_core::safetensors::load(file, &Device::Cpu).unwrap());
        }
    }
    for (name, stored) in &checkpoint.tensors {
        let base = tensors[name].to_dtype(DType::F32).unwrap();
        let mut values: Vec<f64> = base
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap()
            .into_iter()
            .map(f64::from)
            .collect();
        for (vector, strength) in vectors {
            let Some(part) = vector.parts.get(name) else { continue };
            let mut delta = part.dense().unwrap();
            // Factors are `[out, in]` whichever way round the weight is stored.
            if stored.input_first && matches!(part, Part::LowRank { .. }) {
                let (inputs, outputs) = (stored.shape[0], stored.shape[1]);
                delta = (0..inputs * outputs)
                    .map(|at| delta[at % outputs * inputs + at / outputs])
                    .collect();
            }
            for (value, delta) in values.iter_mut().zip(delta) {
                *value += f64::from(*strength) * f64::from(delta);
            }
        }
        let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
        let made = Tensor::from_vec(values, base.shape(), &Device::Cpu).unwrap();
        tensors.insert(name.clone(), made);
    }
    let folder = tempfile::tempdir().unwrap();
    candle_core::safetensors::save(&tensors, folder.path().join("model.safetensors")).unwrap();
    std::fs::copy(checkpoint.path.join("config.json"), folder.path().join("config.json")).unwrap();
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    (folder, checkpoint)
}

/// Not `f32::max`, which would pass over a NaN.
pub fn farthest(one: &[f32], other: &[f32]) -> f32 {
    assert_eq!(one.len(), other.len());
    let differences = one.iter().zip(other).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, |most, x| if x <= most { most } else { x })
}
