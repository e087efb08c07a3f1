//! `auto` made concrete: which form the weights of a checkpoint take, in words and in bytes.

use anyhow::Result;
use candle_core::Device;

use super::{StoredType, WeightForm};
use crate::model::checkpoint::{Checkpoint, StoredTensor};
use crate::model::linear::kernel;

/// What [`choose`] took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    pub form: WeightForm,
    /// What the window says: `bf16 as stored; own kernel, exact`.
    pub phrase: String,
    /// Bytes the weights will take in this form.
    pub bytes: u64,
    /// Every number is held as the file has it.
    pub exact: bool,
}

/// A weight matrix that has not been loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Matrix {
    pub stored: StoredType,
    pub rows: usize,
    pub columns: usize,
}

impl Matrix {
    /// Bytes it takes in memory in a form, with the copy in tiles that candle makes of some
    /// quantized types on a CPU at their first use.
    pub fn bytes(&self, form: WeightForm, on_cpu: bool) -> u64 {
        let held = form.held(self.stored, self.columns);
        let elements = self.rows.saturating_mul(self.columns);
        let blocks = elements.div_ceil(held.block_elements()) as u64;
        let bytes = blocks.saturating_mul(held.block_bytes() as u64);
        if on_cpu && held.is_tiled_on_cpu(self.rows, self.columns) {
            bytes.saturating_mul(2)
        } else {
            bytes
        }
    }
}

/// Decides the form the weight matrices of a checkpoint are held in; see [`choose_for`].
pub fn choose(
    checkpoint: &Checkpoint,
    device: &Device,
    asked: &str,
    free_bytes: Option<u64>,
) -> Result<Choice> {
    choose_for(&matrices(checkpoint), device, asked, free_bytes)
}

/// Every tensor that is a matrix, whichever way round it is stored.
fn matrices(checkpoint: &Checkpoint) -> Vec<Matrix> {
    let matrix = |tensor: &StoredTensor| match *tensor.shape.as_slice() {
        [rows, columns] if rows > 1 && columns > 1 => {
            let (rows, columns) =
                if tensor.input_first { (columns, rows) } else { (rows, columns) };
            Some(Matrix { stored: tensor.dtype, rows, columns })
        }
        _ => None,
    };
    checkpoint.tensors.values().filter_map(matrix).collect()
}

/// Decides the form for the matrices of one checkpoint.
///
/// `asked` is `auto` (or empty) or a form's name. `auto` is the fastest form that holds exactly
/// the numbers in the file: never bf16 for f16, never 16 bits for f32, never quantized unless the
/// file is. `free_bytes` is the memory left on the device, where that is known.
pub fn choose_for(
    matrices: &[Matrix],
    device: &Device,
    asked: &str,
    free_bytes: Option<u64>,
) -> Result<Choice> {
    let cpu = device.is_cpu();
    let bytes = |form| {
        matrices.iter().map(|matrix| matrix.bytes(form, cpu)).fold(0u64, u64::saturating_add)
    };
    let fits = |form| free_bytes.is_none_or(|free| bytes(form) <= free / 10 * 9);
    let automatic = matches!(asked.trim().to_ascii_lowercase().as_str(), "" | "auto");
    let form = if !automatic {
        asked.parse::<WeightForm>()?
    } else if cpu
        && !kernel::widens_half_fast()
        && matrices.iter().any(|matrix| matrix.stored == StoredType::F16)
        && matrices.iter().all(|matrix| matrix.stored.dense().is_some())
        && fits(WeightForm::F32)
    {
        WeightForm::F32
    } else {
        WeightForm::Stored
    };
    let mut phrase = phrase(matrices, form, cpu);
    if !fits(form) {
        let gib = |bytes: u64| bytes as f64 / (1u64 << 30) as f64;
        phrase.push_str(&format!(
            "; {:.1} GiB wanted, {:.1} GiB free",
            gib(bytes(form)),
            gib(free_bytes.unwrap_or_default())
        ));
        let smaller = [WeightForm::Q8_0, WeightForm::Q4K].into_iter().find(|form| fits(*form));
        if let Some(smaller) = smaller {
            phrase.push_str(&format!(" ({smaller} would fit)"));
        }
    }
    Ok(Choice { form, phrase, bytes: bytes(form), exact: is_exact(matrices, form) })
}

fn is_exact(matrices: &[Matrix], form: WeightForm) -> bool {
    matrices.iter().all(|matrix| {
        let held = form.held(matrix.stored, matrix.columns);
        held == matrix.stored || held == StoredType::F32
    })
}

/// One line on what a form does to these matrices.
fn phrase(matrices: &[Matrix], form: WeightForm, cpu: bool) -> String {
    let stored = shares(matrices, |matrix| matrix.stored);
    let held = shares(matrices, |matrix| form.held(matrix.stored, matrix.columns));
    let Some((main, _)) = held.first() else { return "no weight matrices".to_owned() };
    let mut phrase = if stored == held {
        format!("{main} as stored")
    } else {
        let from: Vec<String> = stored.iter().map(|(name, _)| name.to_string()).collect();
        format!("{main} made from {}", from.join(" and "))
    };
    let others: Vec<String> =
        held.iter().skip(1).map(|(name, count)| format!("{count} in {name}")).collect();
    if !others.is_empty() {
        phrase.push_str(&format!(", {} of {} matrices", others.join(", "), matrices.len()));
    }
    let exact = is_exact(matrices, form);
    if cpu && main.dense().is_some() {
        phrase.push_str("; own kernel");
    }
    phrase.push_str(match (exact, cpu && main.dense().is_some()) {
        (true, true) => ", exact",
        (true, false) => "; exact",
        (false, _) => "; not exact",
    });
    phrase
}

/// Types with the number of matrices in each, the commonest by elements first.
fn shares(matrices: &[Matrix], of: impl Fn(&Matrix) -> StoredType) -> Vec<(StoredType, usize)> {
    let mut shares: Vec<(StoredType, usize, u128)> = Vec::new();
    for matrix in matrices {
        let (kind, elements) = (of(matrix), matrix.rows as u128 * matrix.columns as u128);
        match shares.iter_mut().find(|(other, ..)| *other == kind) {
            Some((_, count, sum)) => {
                *count += 1;
                *sum += elements;
            }
            None => shares.push((kind, 1, elements)),
        }
    }
    shares.sort_by_key(|(kind, _, elements)| (std::cmp::Reverse(*elements), kind.to_string()));
    shares.into_iter().map(|(kind, count, _)| (kind, count)).collect()
}

#[cfg(test)]
mod tests {
    use candle_core::quantized::GgmlDType;

    use super::*;

    const BF16: Matrix = Matrix { stored: StoredType::BF16, rows: 896, columns: 896 };
    const WIDE: Matrix = Matrix { stored: StoredType::BF16, rows: 896, columns: 4864 };

    fn taken(matrices: &[Matrix], asked: &str, free: Option<u64>) -> Choice {
        choose_for(matrices, &Device::Cpu, asked, free).unwrap()
    }

    #[test]
    fn auto_never_changes_a_number() {
        let types = [StoredType::F32, StoredType::F16, StoredType::BF16]
            .into_iter()
            .chain([GgmlDType::Q4_0, GgmlDType::Q6K, GgmlDType::Q8_0].map(StoredType::Quantized));
        for stored in types {
            for free in [None, Some(0), Some(1 << 40)] {
                let matrix = Matrix { stored, rows: 256, columns: 256 };
                let choice = taken(&[matrix], "auto", free);
                let held = choice.form.held(stored, 256);
                assert!(held == stored || held == StoredType::F32, "{stored}: {choice:?}");
                assert!(choice.phrase.contains("exact") && !choice.phrase.contains("not exact"));
            }
        }
        assert_eq!(taken(&[BF16], "", None).phrase, "bf16 as stored; own kernel, exact");
    }

    #[test]
    fn a_form_that_a_row_has_no_room_for_falls_back_and_says_so() {
        let choice = taken(&[BF16, BF16, WIDE], "q4_k", None);
        assert_eq!(choice.form, WeightForm::Q4K);
        assert_eq!(choice.phrase, "q4_k made from bf16, 2 in q8_0 of 3 matrices; not exact");
        let odd = Matrix { stored: StoredType::F32, rows: 4, columns: 12 };
        assert_eq!(WeightForm::Q8_0.held(odd.stored, odd.columns), StoredType::F32);
        assert_eq!(taken(&[odd], "q8_0", None).phrase, "f32 as stored; own kernel, exact");
    }

    #[test]
    fn a_model_larger_than_memory_is_told_what_would_fit() {
        let matrix = Matrix { stored: StoredType::F32, rows: 4096, columns: 4096 };
        let choice = taken(&[matrix], "auto", Some(40 << 20));
        assert_eq!(choice.form, WeightForm::Stored);
        assert!(choice.phrase.contains("(q8_0 would fit)"), "{}", choice.phrase);
        assert_eq!(choice.bytes, 64 << 20);
        assert!(!taken(&[matrix], "auto", Some(80 << 20)).phrase.contains("wanted"));
    }

    #[test]
    fn names_are_read_back_and_unknown_ones_refused() {
        for (form, name) in WeightForm::ALL {
            assert_eq!(name.parse(), Ok(form));
            assert_eq!(form.to_string(), name);
        }
        assert_eq!("Q4_K".parse(), Ok(WeightForm::Q4K));
        let problem = choose_for(&[BF16], &Device::Cpu, "q3_k", None).unwrap_err().to_string();
        assert!(problem.contains("q3_k") && problem.contains("choose auto"), "{problem}");
    }
}
