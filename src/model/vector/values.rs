//! Values of a file as f32 and back.

use anyhow::{Context, Result};

use crate::model::linear::StoredMatrix;
use crate::model::weights::StoredType;

/// Widens a whole tensor's bytes, in parallel pieces where there are many.
///
/// # Errors
/// When the bytes are no whole number of values.
pub fn widen(stored: StoredType, bytes: &[u8]) -> Result<Vec<f32>> {
    let count = bytes.len() / stored.block_bytes() * stored.block_elements();
    let matrix = StoredMatrix { stored, rows: 1, columns: count, bytes };
    matrix.check()?;
    let mut values = vec![0.0; count];
    matrix.widen_rows(0, &mut values)?;
    Ok(values)
}

/// Rounds to the nearest value of a float type and appends the bytes.
///
/// # Errors
/// For a quantised type.
pub fn narrow(values: &[f32], stored: StoredType, out: &mut Vec<u8>) -> Result<()> {
    let dtype = stored.dense().context("values are not written in blocks")?;
    out.reserve(values.len() * dtype.size_in_bytes());
    match stored {
        StoredType::F16 => {
            values.iter().for_each(|v| out.extend(half::f16::from_f32(*v).to_le_bytes()));
        }
        StoredType::BF16 => {
            values.iter().for_each(|v| out.extend(half::bf16::from_f32(*v).to_le_bytes()));
        }
        _ => values.iter().for_each(|v| out.extend(v.to_le_bytes())),
    }
    Ok(())
}

/// The bits of a value rounded once to a float type.
pub fn rounded_bits(value: f64, stored: StoredType) -> u32 {
    match stored {
        StoredType::F16 => u32::from(half::f16::from_f64(value).to_bits()),
        StoredType::BF16 => u32::from(half::bf16::from_f64(value).to_bits()),
        _ => (value as f32).to_bits(),
    }
}

/// [`narrow`] from f64, rounding once.
pub fn narrow_wide(values: &[f64], stored: StoredType, out: &mut Vec<u8>) {
    for value in values {
        let bits = rounded_bits(*value, stored);
        match stored.block_bytes() {
            2 => out.extend(&bits.to_le_bytes()[..2]),
            _ => out.extend(bits.to_le_bytes()),
        }
    }
}
