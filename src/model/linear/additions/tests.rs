//! Additions against sums in f64: stacked outputs, several vectors, rows of their own, both paths.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use candle_core::quantized::GgmlDType;
use candle_core::{Device, Tensor};

use super::{Addition, Additions, Delta, Layer, OnDevice};
use crate::model::linear::{Linear, StoredMatrix, Strengths, Weight};
use crate::model::vector::{Part, Vector};
use crate::model::weights::{StoredType, WeightForm};

const INPUTS: usize = 96;
/// Three parameters one below the other, as query, key and value are.
const OUTPUTS: [Range<usize>; 3] = [0..64, 64..101, 101..138];

/// Numbers in -1..1, the same on every run.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            ((state >> 40) as f32 / (1u64 << 23) as f32) - 1.0
        })
        .collect()
}

fn tensor(values: &[f32], rows: usize) -> Tensor {
    Tensor::from_slice(values, (rows, values.len() / rows), &Device::Cpu).unwrap()
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn layer(form: WeightForm, bias: bool) -> Linear {
    let rows = OUTPUTS[2].end;
    let values = numbers(rows * INPUTS, 3);
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let stored = StoredMatrix { stored: StoredType::F32, rows, columns: INPUTS, bytes: &bytes };
    let linear = Linear::new(Weight::from_stored(&stored, form, &Device::Cpu).unwrap());
    if bias { linear.with_bias(numbers(rows, 4)).unwrap() } else { linear }
}

/// A vector with thin factors of its own rank for each parameter, a full matrix for the second in
/// place of factors where `full`, and a bias for the third.
fn vector(seed: u64, full: bool) -> Arc<Vector> {
    let mut parts = BTreeMap::new();
    for (index, outputs) in OUTPUTS.iter().enumerate() {
        let (rank, rows) = (2 + (seed as usize + index) % 4, outputs.len());
        let part = if full && index == 1 {
            Part::Full {
                shape: vec![rows, INPUTS],
                values: numbers(rows * INPUTS, seed + 50).iter().map(|v| v / 16.0).collect(),
            }
        } else {
            Part::LowRank {
                down: numbers(rank * INPUTS, seed + 10 * index as u64),
                // Of very different sizes, as trained factors are.
                up: numbers(rows * rank, seed + 5).iter().map(|v| v / 300.0).collect(),
                rank,
                inputs: INPUTS,
                outputs: rows,
                scale: 1.0 + index as f32,
            }
        };
        parts.insert(index.to_string(), part);
    }
    let width = OUTPUTS[2].len();
    let values = numbers(width, seed + 77);
    parts.insert("bias".into(), Part::Full { shape: vec![width], values });
    Arc::new(Vector { name: format!("v{seed}"), parts, ..Vector::default() })
}

fn placed(vectors: &[Arc<Vector>]) -> Vec<Addition> {
    let mut all = Vec::new();
    for (vector, of) in vectors.iter().enumerate() {
        for name in of.parts.keys() {
            let outputs = OUTPUTS[name.parse().unwrap_or(2)].clone();
            let delta = Delta::Part { of: Arc::clone(of), name: name.clone() };
            all.push(Addition { vector, outputs, delta });
        }
    }
    all
}

/// What the vectors add to one row, in f64.
fn exact(vectors: &[Arc<Vector>], strengths: &[f32], x: &[f32]) -> Vec<f64> {
    let mut y = vec![0f64; OUTPUTS[2].end];
    for (vector, strength) in vectors.iter().zip(strengths) {
        for (name, part) in &vector.parts {
            let outputs = OUTPUTS[name.parse().unwrap_or(2)].clone();
            let of = |output: usize| -> f64 {
                let dot = |a: &[f32]| -> f64 {
                    a.iter().zip(x).map(|(a, x)| f64::from(*a) * f64::from(*x)).sum()
                };
                match part {
                    Part::LowRank { down, up, rank, scale, .. } => (0..*rank)
                        .map(|r| {
                            f64::from(*scale)
                                * f64::from(up[output * rank + r])
                                * dot(&down[r * INPUTS..(r + 1) * INPUTS])
                        })
                        .sum(),
                    Part::Full { shape, values } if shape.len() == 1 => f64::from(values[output]),
                    Part::Full { values, .. } | Part::Replacement { values, .. } => {
                        dot(&values[output * INPUTS..][..INPUTS])
                    }
                }
            };
            for output in 0..outputs.len() {
                y[outputs.start + output] += f64::from(*strength) * of(output);
            }
        }
    }
    y
}

#[test]
fn what_is_added_is_the_sum_over_vectors() {
    let vectors = [vector(1, false), vector(2, true), vector(3, false)];
    for form in [WeightForm::F32, WeightForm::BF16, WeightForm::Q8_0] {
        for bias in [false, true] {
            let mut linear = layer(form, bias);
            let additions = linear.prepare_additions(3, placed(&vectors)).unwrap();
            linear.attach(additions);
            for rows in [1, 2, 3, 5, 8] {
                let x = numbers(rows * INPUTS, 9);
                let plain = flat(&linear.forward(&tensor(&x, rows)).unwrap());
                for strengths in [[1.0, 0.0, 0.0], [0.0, 0.5, 0.0], [-0.7, 0.0, 1.5], [1.0; 3]] {
                    linear.set_strengths(Strengths::new(&strengths, 3)).unwrap();
                    let y = flat(&linear.forward(&tensor(&x, rows)).unwrap());
                    for row in 0..rows {
                        let wanted = exact(&vectors, &strengths, &x[row * INPUTS..][..INPUTS]);
                        for (output, wanted) in wanted.iter().enumerate() {
                            let at = row * OUTPUTS[2].end + output;
                            let got = f64::from(y[at]) - f64::from(plain[at]);
                            // Factors beside a rounded base are rounded to 11 bits.
                            let allowed = if form == WeightForm::F32 { 1e-5 } else { 2e-3 };
                            assert!((got - wanted).abs() < allowed, "{form}: {got} {wanted}");
                        }
                    }
                    linear.set_strengths(None).unwrap();
                    assert_eq!(flat(&linear.forward(&tensor(&x, rows)).unwrap()), plain);
                }
            }
        }
    }
}

#[test]
fn rows_of_their_own_strengths_equal_rows_alone() {
    let vectors = [vector(4, true), vector(5, false)];
    for form in [WeightForm::F32, WeightForm::F16] {
        let mut linear = layer(form, true);
        let additions = linear.prepare_additions(2, placed(&vectors)).unwrap();
        linear.attach(additions);
        let sets = [[0.0, 0.0], [0.5, 0.0], [1.0, -1.0], [0.0, 2.0]];
        let x = numbers(4 * INPUTS, 8);
        linear.set_strengths(Strengths::new(sets.as_flattened(), 2)).unwrap();
        let together = flat(&linear.forward(&tensor(&x, 4)).unwrap());
        for (row, set) in sets.iter().enumerate() {
            let none = *set == [0.0, 0.0];
            linear.set_strengths(Strengths::new(set, 2).filter(|_| !none)).unwrap();
            let alone = linear.forward(&tensor(&x[row * INPUTS..][..INPUTS], 1)).unwrap();
            let width = OUTPUTS[2].end;
            assert_eq!(flat(&alone), together[row * width..(row + 1) * width], "{set:?}");
        }
        linear.set_strengths(Strengths::new(sets.as_flattened(), 2)).unwrap();
        assert!(linear.forward(&tensor(&x[..2 * INPUTS], 2)).is_err());
    }
}

#[test]
fn candle_s_operations_add_the_same() {
    let vectors = [vector(6, true), vector(7, false)];
    let linear = layer(WeightForm::F32, true);
    let shape = Layer {
        inputs: INPUTS,
        outputs: OUTPUTS[2].end,
        bias: linear.bias(),
        is_wide: true,
        device: &Device::Cpu,
    };
    let own = Additions::new(shape, 2, placed(&vectors)).unwrap();
    let parts = placed(&vectors);
    let (thin, full): (Vec<_>, Vec<_>) = parts
        .into_iter()
        .filter(|part| !matches!(&part.delta, Delta::Part { name, .. } if name == "bias"))
        .partition(|part| part.delta.factors().is_some());
    let mut on_device = Additions {
        thin: None,
        full: Vec::new(),
        on_device: Some(OnDevice::new(shape, &thin, &full).unwrap()),
        ..own.clone()
    };
    let mut own = own;
    let x = tensor(&numbers(3 * INPUTS, 1), 3);
    for strengths in [vec![0.5, -1.0], vec![0.0, 1.0], vec![1.0, 0.0, 0.0, 0.0, 0.3, 2.0]] {
        let set = Strengths::new(&strengths, 2);
        let of = |additions: &mut Additions| {
            additions.set(set).unwrap();
            let bias = linear.bias().filter(|_| !additions.replaces_bias());
            let y = linear.weight().multiply(&x, bias).unwrap();
            flat(&additions.apply(&x, y).unwrap())
        };
        for (a, b) in of(&mut own).iter().zip(of(&mut on_device)) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
    }
}

#[test]
fn exact_halves_are_kept_in_halves_and_others_beside_a_wide_base_are_not() {
    use super::Thin;
    let shape = |is_wide| Layer {
        inputs: INPUTS,
        outputs: OUTPUTS[2].end,
        bias: None,
        is_wide,
        device: &Device::Cpu,
    };
    let vectors = [vector(1, false)];
    let of = |is_wide, parts| Additions::new(shape(is_wide), 1, parts).unwrap().thin.unwrap();
    assert!(matches!(of(true, placed(&vectors)), Thin::Wide(_)));
    assert!(matches!(of(false, placed(&vectors)), Thin::Half(_)));
    let mut halves = (*vectors[0]).clone();
    for part in halves.parts.values_mut() {
        if let Part::LowRank { down, up, .. } = part {
            for value in down.iter_mut().chain(up) {
                // Far below what an f16 reaches by itself.
                *value = half::f16::from_f32(*value).to_f32() / 1024.0 / 1024.0 / 64.0;
            }
        }
    }
    assert!(matches!(of(true, placed(&[Arc::new(halves)])), Thin::Half(_)));
}

#[test]
fn quantised_bases_and_odd_parts() {
    let blocks = GgmlDType::Q4_0;
    let linear = layer(WeightForm::F32, false);
    let wrong = Part::LowRank {
        down: vec![0.0; 2 * 95],
        up: vec![0.0; 64 * 2],
        rank: 2,
        inputs: 95,
        outputs: 64,
        scale: 1.0,
    };
    let of = Arc::new(Vector { parts: [("0".to_owned(), wrong)].into(), ..Vector::default() });
    let delta = Delta::Part { of, name: "0".into() };
    let parts = vec![Addition { vector: 0, outputs: 0..64, delta }];
    assert!(linear.prepare_additions(1, parts).is_err());
    let values = numbers(64 * 96, 2);
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let stored = StoredMatrix { stored: StoredType::F32, rows: 64, columns: 96, bytes: &bytes };
    let data = stored.to_blocks(blocks, &Device::Cpu).unwrap().data().unwrap().into_owned();
    let stored = StoredType::Quantized(blocks);
    let held = StoredMatrix { stored, rows: 64, columns: 96, bytes: &data };
    let weight = Weight::from_stored(&held, WeightForm::Stored, &Device::Cpu).unwrap();
    let mut linear = Linear::new(weight);
    let vectors = [vector(9, false)];
    let parts: Vec<Addition> =
        placed(&vectors).into_iter().filter(|part| part.outputs == OUTPUTS[0]).collect();
    let additions = linear.prepare_additions(1, parts).unwrap();
    linear.attach(additions);
    let x = numbers(INPUTS, 5);
    let plain = flat(&linear.forward(&tensor(&x, 1)).unwrap());
    linear.set_strengths(Strengths::new(&[1.0], 1)).unwrap();
    let y = flat(&linear.forward(&tensor(&x, 1)).unwrap());
    let wanted = exact(&vectors, &[1.0], &x);
    for output in 0..64 {
        assert!((f64::from(y[output] - plain[output]) - wanted[output]).abs() < 2e-3);
    }
}
