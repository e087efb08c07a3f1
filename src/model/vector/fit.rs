//! A vector meets its base model: the base's own parameter names, shapes that agree, saved
//! parameters turned into differences.

use std::collections::BTreeMap;

use anyhow::Result;

use super::values::widen;
use super::{Part, Vector};
use crate::model::checkpoint::{Checkpoint, StoredTensor, is_input_first};
use crate::platform::Problem;

/// What checkpoints put before the same decoder's parameter names. Longest first.
const PREFIXES: [&str; 5] =
    ["model.language_model.", "language_model.model.", "language_model.", "model.", "transformer."];

/// A parameter's name without the prefix that differs between checkpoints of one architecture.
fn bare(name: &str) -> &str {
    PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name)
}

impl Vector {
    /// Whether it was made with this very model. A vector that does not say (a PEFT folder)
    /// passes.
    ///
    /// # Errors
    /// When it was made with another; the message says which.
    pub fn check_base(&self, base: &Checkpoint) -> Result<()> {
        let Some(made_with) = &self.base_fingerprint else { return Ok(()) };
        if *made_with == base.fingerprint() {
            return Ok(());
        }
        let short: String = made_with.chars().take(8).collect();
        let name = match self.base_name.as_str() {
            "" => format!("a model of fingerprint {short}"),
            name => format!("{name} ({short})"),
        };
        let what =
            format!("the vector `{}` was made with {name}, this model is {}", self.name, base.name);
        Err(Problem::new(what).hint("give the model it was made with").into())
    }

    /// The same vector over this base: parts under the base's parameter names, in the orientation
    /// in which the base stores each of them, every `Replacement` turned into a difference (in
    /// f32, against the de-quantised values where the base is quantised).
    ///
    /// # Errors
    /// When the base has no such parameter or another shape; the message names the key.
    pub fn fit(self, base: &Checkpoint) -> Result<Self> {
        let names: BTreeMap<&str, &String> =
            base.tensors.keys().map(|name| (bare(name), name)).collect();
        let mut parts = BTreeMap::new();
        for (name, part) in self.parts {
            let Some(own) = names.get(bare(&name)) else {
                let what = format!("`{name}` is in the vector and not in the model {}", base.name);
                return Err(Problem::new(what).hint("give the model it was made with").into());
            };
            let part = fit_part(&name, part, own, base)?;
            parts.insert((*own).clone(), part);
        }
        Ok(Self { parts, ..self })
    }
}

fn fit_part(name: &str, part: Part, own: &str, base: &Checkpoint) -> Result<Part> {
    let tensor = base.tensor(own)?;
    let gpt2 = base.config["model_type"] == "gpt2" && is_input_first(own);
    let part = match part {
        // Every value of GPT-2's products is kept `[in, out]`, as Hugging Face stores them; a GGUF
        // file stores them `[out, in]`.
        Part::Full { shape, values } if gpt2 && !tensor.input_first => {
            let (shape, values) = transposed(&shape, values);
            Part::Full { shape, values }
        }
        Part::Replacement { shape, values } if gpt2 && !tensor.input_first => {
            let (shape, values) = transposed(&shape, values);
            Part::Replacement { shape, values }
        }
        part => part,
    };
    let wanted = match part {
        Part::LowRank { .. } => linear_shape(tensor),
        _ => tensor.shape.clone(),
    };
    if part.shape() != wanted {
        let what = format!(
            "`{name}` is {:?} in the vector and {wanted:?} in the model {}",
            part.shape(),
            base.name
        );
        return Err(Problem::new(what).hint("give the model it was made with").into());
    }
    match part {
        Part::Replacement { shape, mut values } => {
            let stored = widen(tensor.dtype, &base.bytes(own)?)?;
            values.iter_mut().zip(&stored).for_each(|(value, base)| *value -= base);
            Ok(Part::Full { shape, values })
        }
        part => Ok(part),
    }
}

/// `[outputs, inputs]`, whichever way the weight is stored.
fn linear_shape(tensor: &StoredTensor) -> Vec<usize> {
    let mut shape = tensor.shape.clone();
    if tensor.input_first {
        shape.reverse();
    }
    shape
}

/// A matrix with rows and columns exchanged; anything else as it is.
pub(super) fn transposed(shape: &[usize], values: Vec<f32>) -> (Vec<usize>, Vec<f32>) {
    let &[rows, columns] = shape else { return (shape.to_vec(), values) };
    let mut out = vec![0.0; values.len()];
    for (row, line) in values.chunks_exact(columns.max(1)).enumerate() {
        for (column, value) in line.iter().enumerate() {
            out[column * rows + row] = *value;
        }
    }
    (vec![columns, rows], out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn golden(name: &str) -> Checkpoint {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/families").join(name);
        Checkpoint::open(&folder).unwrap()
    }

    fn with(name: &str, part: Part) -> Vector {
        Vector { name: "v".into(), parts: [(name.to_owned(), part)].into(), ..Vector::default() }
    }

    #[test]
    fn names_find_each_other_whatever_the_prefix() {
        let norm = || Part::Full { shape: vec![48], values: vec![0.5; 48] };
        let fitted = with("model.norm.weight", norm()).fit(&golden("gemma3-nested")).unwrap();
        assert_eq!(fitted.parts.keys().next().unwrap(), "language_model.model.norm.weight");
        let fitted = with("transformer.ln_f.weight", norm()).fit(&golden("gpt2-bare")).unwrap();
        assert_eq!(fitted.parts.keys().next().unwrap(), "ln_f.weight");
    }

    #[test]
    fn a_saved_parameter_becomes_a_difference() {
        let base = golden("llama");
        let name = "model.norm.weight";
        let stored = widen(base.tensors[name].dtype, &base.bytes(name).unwrap()).unwrap();
        let saved: Vec<f32> = stored.iter().map(|value| value + 0.25).collect();
        let vector = with(name, Part::Replacement { shape: vec![48], values: saved.clone() });
        assert!(vector.parts[name].dense().is_err());
        let fitted = vector.fit(&base).unwrap();
        let delta = fitted.parts[name].dense().unwrap();
        for ((delta, stored), saved) in delta.iter().zip(&stored).zip(&saved) {
            assert_eq!(delta + stored, *saved);
        }
    }

    #[test]
    fn another_model_is_refused_by_key() {
        let base = golden("llama");
        let line = with("model.norm.weight", Part::Full { shape: vec![2], values: vec![0.0; 2] })
            .fit(&base)
            .unwrap_err()
            .to_string();
        assert!(line.contains("`model.norm.weight` is [2]") && line.contains("llama"), "{line}");
        let name = "model.layers.99.self_attn.q_proj.weight";
        let line = with(name, Part::Full { shape: vec![2], values: vec![0.0; 2] })
            .fit(&base)
            .unwrap_err()
            .to_string();
        assert!(line.contains(name), "{line}");
        let mut made_elsewhere = Vector { base_name: "other".into(), ..Vector::default() };
        made_elsewhere.check_base(&base).unwrap();
        made_elsewhere.base_fingerprint = Some("0".repeat(32));
        let line = made_elsewhere.check_base(&base).unwrap_err().to_string();
        assert!(line.contains("other (00000000)"), "{line}");
        made_elsewhere.base_fingerprint = Some(base.fingerprint());
        made_elsewhere.check_base(&base).unwrap();
    }
}
