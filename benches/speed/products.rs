//! Products alone: every type weights are held in, at the shapes of the model's matrices.

use anyhow::Result;
use candle_core::quantized::GgmlDType;
use candle_core::{DType, Device, Tensor};
use tiller::model::linear::{Linear, StoredMatrix, Weight};
use tiller::model::weights::{StoredType, WeightForm};

use crate::shape::Shape;
use crate::timing::best_of;

const ROWS: [usize; 5] = [1, 4, 16, 32, 128];

/// So much weight is gone through that no cache holds it from one run to the next.
const BYTES: u64 = 160 << 20;

/// Every type a weight may be held in.
pub const TYPES: [StoredType; 14] = [
    StoredType::F32,
    StoredType::BF16,
    StoredType::F16,
    StoredType::Quantized(GgmlDType::Q8_0),
    StoredType::Quantized(GgmlDType::Q6K),
    StoredType::Quantized(GgmlDType::Q5K),
    StoredType::Quantized(GgmlDType::Q4K),
    StoredType::Quantized(GgmlDType::Q3K),
    StoredType::Quantized(GgmlDType::Q2K),
    StoredType::Quantized(GgmlDType::Q5_1),
    StoredType::Quantized(GgmlDType::Q5_0),
    StoredType::Quantized(GgmlDType::Q4_1),
    StoredType::Quantized(GgmlDType::Q4_0),
    StoredType::Quantized(GgmlDType::Q8K),
];

pub fn print(shape: Shape, types: &[String], copy: f64) -> Result<()> {
    println!("Products x·wᵀ alone; per number of rows of x: GB/s of weights read, GFLOP/s");
    print!("{:>12} {:>8}", "w", "type");
    ROWS.iter().for_each(|rows| print!(" {:>15}", format!("{rows} rows")));
    println!(" {:>8}", "of copy");
    for (rows, columns) in [(shape.mlp, shape.hidden), (shape.hidden, shape.mlp)] {
        let values: Vec<u8> = (0..rows * columns)
            .flat_map(|i| ((i.wrapping_mul(2_654_435_761) % 1000) as f32 / 1e3 - 0.5).to_le_bytes())
            .collect();
        let matrix = StoredMatrix { stored: StoredType::F32, rows, columns, bytes: &values };
        for held in TYPES {
            let asked = types.is_empty() || types.contains(&held.to_string());
            if asked && columns.is_multiple_of(held.block_elements()) {
                line(&matrix, held, copy)?;
            }
        }
        // What candle's own f32 product does, for comparison.
        if types.is_empty() {
            candle_line(&matrix, copy)?;
        }
    }
    println!();
    Ok(())
}

fn line(matrix: &StoredMatrix<'_>, held: StoredType, copy: f64) -> Result<()> {
    let (rows, columns) = (matrix.rows, matrix.columns);
    let bytes = match held {
        StoredType::Quantized(dtype) => matrix.to_blocks(dtype, &Device::Cpu)?.data()?.into_owned(),
        _ => Vec::new(),
    };
    let make = || -> Result<Linear> {
        let weight = match held {
            StoredType::F32 => Weight::from_stored(matrix, WeightForm::F32, &Device::Cpu)?,
            StoredType::BF16 => Weight::from_stored(matrix, WeightForm::BF16, &Device::Cpu)?,
            StoredType::F16 => Weight::from_stored(matrix, WeightForm::F16, &Device::Cpu)?,
            StoredType::Quantized(_) => {
                let blocks = StoredMatrix { stored: held, bytes: &bytes, ..*matrix };
                Weight::from_stored(&blocks, WeightForm::Stored, &Device::Cpu)?
            }
        };
        let linear = Linear::new(weight);
        linear.prepare()?;
        Ok(linear)
    };
    let first = make()?;
    let size = first.weight().bytes();
    let mut layers = vec![first];
    while size * (layers.len() as u64) < BYTES {
        layers.push(make()?);
    }
    print!("{:>12} {:>8}", format!("{rows}x{columns}"), held.to_string());
    report((rows, columns), size, layers.len(), copy, |index, x| {
        layers[index].forward(x).expect("shapes fit");
    })
}

fn candle_line(matrix: &StoredMatrix<'_>, copy: f64) -> Result<()> {
    let (rows, columns) = (matrix.rows, matrix.columns);
    let size = (rows * columns * 4) as u64;
    let weights = (0..BYTES.div_ceil(size))
        .map(|_| Ok(matrix.dense(DType::F32, &Device::Cpu)?.t()?))
        .collect::<Result<Vec<Tensor>>>()?;
    print!("{:>12} {:>8}", format!("{rows}x{columns}"), "candle");
    report((rows, columns), size, weights.len(), copy, |index, x| {
        x.matmul(&weights[index]).expect("shapes fit");
    })
}

fn report(
    (outputs, inputs): (usize, usize),
    bytes: u64,
    count: usize,
    copy: f64,
    work: impl Fn(usize, &Tensor),
) -> Result<()> {
    let mut single = 0.0;
    for rows in ROWS {
        // As many layers as keep one measurement short.
        let some = count.min((400 / rows).max(4));
        let x = Tensor::ones((rows, inputs), DType::F32, &Device::Cpu)?;
        let seconds = best_of(3, || (0..some).for_each(|index| work(index, &x))) / some as f64;
        let rate = bytes as f64 / seconds;
        if rows == 1 {
            single = rate / copy;
        }
        let flops = 2.0 * (rows * outputs * inputs) as f64 / seconds;
        print!(" {:>7.1} {:>7.1}", rate / 1e9, flops / 1e9);
    }
    println!(" {:>7.0}%", single * 100.0);
    Ok(())
}
