//! Every stored type and every form against a product in f64, slices, stacks and look-ups.

use candle_core::quantized::GgmlDType;
use candle_core::{Device, Tensor};
use half::{bf16, f16};

use super::{Embedding, Linear, StoredMatrix, Weight};
use crate::model::weights::{StoredType, WeightForm};

const BLOCKS: [GgmlDType; 12] = [
    GgmlDType::Q4_0,
    GgmlDType::Q4_1,
    GgmlDType::Q5_0,
    GgmlDType::Q5_1,
    GgmlDType::Q8_0,
    GgmlDType::Q8_1,
    GgmlDType::Q2K,
    GgmlDType::Q3K,
    GgmlDType::Q4K,
    GgmlDType::Q5K,
    GgmlDType::Q6K,
    GgmlDType::Q8K,
];

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

/// Bytes of a matrix in any stored type.
fn store(values: &[f32], columns: usize, stored: StoredType) -> Vec<u8> {
    match stored {
        StoredType::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        StoredType::F16 => values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect(),
        StoredType::BF16 => values.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect(),
        StoredType::Quantized(dtype) => {
            let bytes = store(values, columns, StoredType::F32);
            let rows = values.len() / columns;
            let matrix = StoredMatrix { stored: StoredType::F32, rows, columns, bytes: &bytes };
            matrix.to_blocks(dtype, &Device::Cpu).unwrap().data().unwrap().into_owned()
        }
    }
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Root of the mean squared difference over root of the mean square.
fn relative_error(got: &[f32], wanted: &[f32]) -> f64 {
    assert_eq!(got.len(), wanted.len());
    let square = |v: f64| v * v;
    let wrong: f64 =
        got.iter().zip(wanted).map(|(g, w)| square(f64::from(*g) - f64::from(*w))).sum();
    let whole: f64 = wanted.iter().map(|w| square(f64::from(*w))).sum();
    (wrong / whole).sqrt()
}

/// The product of what the weight holds, summed in f64.
fn exact(weight: &Weight, x: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
    let (n, k) = (weight.rows(), weight.columns());
    let w = values(&weight.to_f32().unwrap());
    let mut y = Vec::new();
    for row in x.chunks(k) {
        for (out, w) in w.chunks(k).enumerate() {
            let sum: f64 = row.iter().zip(w).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            y.push((sum + bias.map_or(0.0, |bias| f64::from(bias[out]))) as f32);
        }
    }
    assert_eq!(y.len(), x.len() / k * n);
    y
}

#[test]
fn every_stored_type_multiplies_as_what_it_holds() {
    let (n, k) = (48, 512);
    let original = numbers(n * k, 1);
    let types = [StoredType::F32, StoredType::F16, StoredType::BF16];
    for stored in types.into_iter().chain(BLOCKS.map(StoredType::Quantized)) {
        let bytes = store(&original, k, stored);
        let matrix = StoredMatrix { stored, rows: n, columns: k, bytes: &bytes };
        let bias = numbers(n, 5);
        let weight = Weight::from_stored(&matrix, WeightForm::Stored, &Device::Cpu).unwrap();
        let linear = Linear::new(weight).with_bias(bias.clone()).unwrap();
        assert_eq!(linear.weight().held(), stored);
        // The blocks hold the original within what their bits allow.
        let held = values(&linear.weight().to_f32().unwrap());
        let loss = match stored {
            StoredType::F32 => 0.0,
            StoredType::F16 | StoredType::BF16 => 4e-3,
            StoredType::Quantized(GgmlDType::Q2K) => 0.3,
            StoredType::Quantized(GgmlDType::Q3K) => 0.15,
            StoredType::Quantized(_) => 0.08,
        };
        assert!(relative_error(&held, &original) <= loss, "{stored}");
        for m in [1, 2, 5, 33] {
            let x = numbers(m * k, 7);
            let wanted = exact(linear.weight(), &x, Some(&bias));
            let y = linear.forward(&Tensor::from_vec(x, (m, k), &Device::Cpu).unwrap()).unwrap();
            assert_eq!(y.dims(), [m, n]);
            // Blocks meet activations rounded to eight bits; floats lose only f32 rounding.
            let allowed = if stored.dense().is_some() { 1e-6 } else { 0.012 };
            let error = relative_error(&values(&y), &wanted);
            assert!(error < allowed, "{stored}, {m} rows: {error}");
        }
    }
}

#[test]
fn every_form_is_made_from_every_stored_type() {
    let (n, k) = (20, 256);
    let original = numbers(n * k, 2);
    for stored in [
        StoredType::F32,
        StoredType::F16,
        StoredType::BF16,
        StoredType::Quantized(GgmlDType::Q8_0),
        StoredType::Quantized(GgmlDType::Q6K),
        StoredType::Quantized(GgmlDType::Q4_0),
    ] {
        let bytes = store(&original, k, stored);
        let matrix = StoredMatrix { stored, rows: n, columns: k, bytes: &bytes };
        let before = Weight::from_stored(&matrix, WeightForm::Stored, &Device::Cpu).unwrap();
        for (form, _) in WeightForm::ALL {
            let weight = Weight::from_stored(&matrix, form, &Device::Cpu).unwrap();
            assert_eq!(weight.held(), form.held(stored, k));
            let error = relative_error(
                &values(&weight.to_f32().unwrap()),
                &values(&before.to_f32().unwrap()),
            );
            let allowed = match form {
                _ if weight.held() == stored => 0.0,
                WeightForm::Stored | WeightForm::F32 => 0.0,
                WeightForm::F16 => 4e-4,
                WeightForm::BF16 => 3e-3,
                WeightForm::Q8_0 => 6e-3,
                WeightForm::Q4K => 0.08,
            };
            assert!(error <= allowed, "{stored} to {form}: {error}");
            assert_eq!(weight.bytes() as usize, weight.held().bytes_of(n * k).unwrap());
        }
    }
}

#[test]
fn a_matrix_may_lie_at_any_address() {
    let (n, k) = (3, 256);
    let original = numbers(n * k, 3);
    for stored in
        [StoredType::F32, StoredType::BF16].into_iter().chain(BLOCKS.map(StoredType::Quantized))
    {
        let bytes = store(&original, k, stored);
        let straight = StoredMatrix { stored, rows: n, columns: k, bytes: &bytes };
        let straight = Weight::from_stored(&straight, WeightForm::Stored, &Device::Cpu).unwrap();
        for offset in 1..4 {
            let mut moved = vec![0u8; bytes.len() + 16];
            let start = moved.as_ptr().align_offset(8) + offset;
            let moved = &mut moved[start..start + bytes.len()];
            moved.copy_from_slice(&bytes);
            let matrix = StoredMatrix { stored, rows: n, columns: k, bytes: moved };
            for form in [WeightForm::Stored, WeightForm::F32] {
                let weight = Weight::from_stored(&matrix, form, &Device::Cpu).unwrap();
                assert_eq!(
                    values(&weight.to_f32().unwrap()),
                    values(&straight.to_f32().unwrap()),
                    "{stored} at {offset}"
                );
            }
        }
    }
}

#[test]
fn wrong_lengths_and_shapes_are_errors() {
    let bytes = store(&numbers(64, 1), 32, StoredType::F32);
    let matrix = StoredMatrix { stored: StoredType::F32, rows: 2, columns: 32, bytes: &bytes };
    for wrong in [
        StoredMatrix { rows: 3, ..matrix },
        StoredMatrix { columns: usize::MAX, ..matrix },
        StoredMatrix { stored: StoredType::Quantized(GgmlDType::Q4K), ..matrix },
        StoredMatrix { bytes: &bytes[1..], ..matrix },
    ] {
        assert!(Weight::from_stored(&wrong, WeightForm::Stored, &Device::Cpu).is_err());
    }
    let weight = Weight::from_stored(&matrix, WeightForm::Stored, &Device::Cpu).unwrap();
    let linear = Linear::new(weight);
    let short = Tensor::zeros((1, 31), candle_core::DType::F32, &Device::Cpu).unwrap();
    assert!(linear.forward(&short).is_err());
    assert!(linear.clone().with_bias(vec![0.0; 3]).is_err());
    assert!(linear.slice_outputs(1..3).is_err());
    assert!(Embedding::new(linear.weight().clone()).lookup(&[2]).is_err());
}

#[test]
fn outputs_sliced_and_stacked_give_the_bits_of_the_whole() {
    let (n, k) = (30, 256);
    for stored in [
        StoredType::F32,
        StoredType::BF16,
        StoredType::Quantized(GgmlDType::Q8_0),
        StoredType::Quantized(GgmlDType::Q5_1),
    ] {
        let bytes = store(&numbers(n * k, 4), k, stored);
        let matrix = StoredMatrix { stored, rows: n, columns: k, bytes: &bytes };
        let whole =
            Linear::new(Weight::from_stored(&matrix, WeightForm::Stored, &Device::Cpu).unwrap())
                .with_bias(numbers(n, 6))
                .unwrap();
        let x = Tensor::from_vec(numbers(3 * k, 8), (3, k), &Device::Cpu).unwrap();
        let y = whole.forward(&x).unwrap();
        let parts: Vec<Linear> =
            [0..7, 7..8, 8..30].map(|rows| whole.slice_outputs(rows).unwrap()).into();
        let apart: Vec<Tensor> = parts.iter().map(|part| part.forward(&x).unwrap()).collect();
        assert_eq!(values(&Tensor::cat(&apart, 1).unwrap()), values(&y), "{stored}");
        let stacked = Linear::stack(&parts.iter().collect::<Vec<_>>()).unwrap().unwrap();
        assert_eq!(values(&stacked.forward(&x).unwrap()), values(&y), "{stored}");
    }
    let narrow = |stored: StoredType| {
        let bytes = store(&numbers(2 * 32, 4), 32, stored);
        let matrix = StoredMatrix { stored, rows: 2, columns: 32, bytes: &bytes };
        Linear::new(Weight::from_stored(&matrix, WeightForm::Stored, &Device::Cpu).unwrap())
    };
    let unlike = [&narrow(StoredType::F32), &narrow(StoredType::F16)];
    assert!(Linear::stack(&unlike).unwrap().is_none());
}

#[test]
fn a_stack_of_layers_with_and_without_bias_keeps_each_bias() {
    let bytes = store(&numbers(2 * 8, 4), 8, StoredType::F32);
    let matrix = StoredMatrix { stored: StoredType::F32, rows: 2, columns: 8, bytes: &bytes };
    let bare = Linear::new(Weight::from_stored(&matrix, WeightForm::F32, &Device::Cpu).unwrap());
    let biased = bare.clone().with_bias(vec![3.0, 4.0]).unwrap();
    let stacked = Linear::stack(&[&bare, &biased]).unwrap().unwrap();
    let nothing = Tensor::zeros((1, 8), candle_core::DType::F32, &Device::Cpu).unwrap();
    assert_eq!(values(&stacked.forward(&nothing).unwrap()), [0.0, 0.0, 3.0, 4.0]);
}

#[test]
fn a_batch_of_sequences_keeps_its_shape() {
    let (n, k) = (6, 32);
    let bytes = store(&numbers(n * k, 4), k, StoredType::F16);
    let matrix = StoredMatrix { stored: StoredType::F16, rows: n, columns: k, bytes: &bytes };
    let linear =
        Linear::new(Weight::from_stored(&matrix, WeightForm::Stored, &Device::Cpu).unwrap());
    let x = Tensor::from_vec(numbers(6 * k, 8), (2, 3, k), &Device::Cpu).unwrap();
    let y = linear.forward(&x).unwrap();
    assert_eq!(y.dims(), [2, 3, n]);
    let flat = linear.forward(&x.reshape((6, k)).unwrap()).unwrap();
    assert_eq!(values(&y), values(&flat));
    // Activations that are a view into something larger are read where they lie.
    let second = linear.forward(&x.narrow(0, 1, 1).unwrap()).unwrap();
    assert_eq!(values(&second), values(&flat)[3 * n..]);
}

#[test]
fn a_transposed_matrix_is_turned_once() {
    let (inputs, outputs) = (5, 3);
    let original = numbers(inputs * outputs, 4);
    for stored in [StoredType::F32, StoredType::BF16] {
        let bytes = store(&original, outputs, stored);
        let matrix = StoredMatrix { stored, rows: inputs, columns: outputs, bytes: &bytes };
        let weight = Weight::from_transposed(&matrix, WeightForm::Stored, &Device::Cpu).unwrap();
        assert_eq!((weight.rows(), weight.columns()), (outputs, inputs));
        let straight = Weight::from_stored(&matrix, WeightForm::F32, &Device::Cpu).unwrap();
        let turned = straight.to_f32().unwrap().t().unwrap().contiguous().unwrap();
        assert_eq!(values(&weight.to_f32().unwrap()), values(&turned));
    }
}

#[test]
fn an_embedding_widens_the_rows_it_is_asked_for() {
    let (n, k) = (9, 256);
    let types = [StoredType::F32, StoredType::F16, StoredType::BF16];
    for stored in types.into_iter().chain(BLOCKS.map(StoredType::Quantized)) {
        let bytes = store(&numbers(n * k, 4), k, stored);
        let matrix = StoredMatrix { stored, rows: n, columns: k, bytes: &bytes };
        let weight = Weight::from_stored(&matrix, WeightForm::Stored, &Device::Cpu).unwrap();
        let whole = values(&weight.to_f32().unwrap());
        let table = Embedding::new(weight);
        let rows = table.lookup(&[8, 0, 8, 3]).unwrap();
        assert_eq!(rows.dims(), [4, k]);
        let wanted: Vec<f32> =
            [8, 0, 8, 3].iter().flat_map(|row| whole[row * k..(row + 1) * k].to_vec()).collect();
        assert_eq!(values(&rows), wanted, "{stored}");
        assert_eq!(table.tied_head().out_features(), n);
    }
}
