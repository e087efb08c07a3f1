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
pub(super) fn bare(name: &str) -> &str {
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
    /// Two parameters need not be in the base: a bias of a linear that has none there counts as
    /// zeros, and `lm_head.weight` over tied embeddings is what the head gets instead of what the
    /// embedding's own part would give to both.
    ///
    /// # Errors
    /// When the base has no such parameter or another shape; the message names the key.
    pub fn fit(self, base: &Checkpoint) -> Result<Self> {
        let mut matched = self.matched(base)?;
        for (name, part) in &mut matched.parts {
            resolve(name, part, base)?;
        }
        Ok(matched)
    }

    /// The first half of [`Self::fit`]: names, orientation and shapes. A saved parameter stays what
    /// it is, unless something else is added to the same parameter.
    pub(super) fn matched(self, base: &Checkpoint) -> Result<Self> {
        let names: BTreeMap<&str, &String> =
            base.tensors.keys().map(|name| (bare(name), name)).collect();
        let mut parts: BTreeMap<String, Part> = BTreeMap::new();
        // Heads last: one that PEFT leaves alone has its embedding's shape, and an embedding that
        // does not fit is refused by its own key.
        let (heads, others): (Vec<_>, Vec<_>) =
            self.parts.into_iter().partition(|(name, _)| bare(name) == HEAD);
        for (name, part) in others.into_iter().chain(heads) {
            // PEFT saves the parameters of a module that has factors under its `base_layer`.
            let plain = name.replace(".base_layer.", ".");
            let Some(own) = own_name(&names, &plain, base) else {
                let what = format!("`{name}` is in the vector and not in the model {}", base.name);
                return Err(Problem::new(what).hint("give the model it was made with").into());
            };
            let part = matched_part(&name, part, &own, base)?;
            // A head that PEFT leaves alone says something only where embeddings are tied.
            if own == HEAD && base.tensors.contains_key(HEAD) && leaves_alone(&part) {
                continue;
            }
            let sum = match parts.remove(&own) {
                Some(other) => sum(&own, [other, part], base)?,
                None => part,
            };
            parts.insert(own, sum);
        }
        Ok(Self { parts, ..self })
    }
}

/// The head's parameter, which checkpoints with tied embeddings do not have.
pub(super) const HEAD: &str = "lm_head.weight";

/// True for factors that add nothing.
fn leaves_alone(part: &Part) -> bool {
    matches!(part, Part::LowRank { up, .. } if up.iter().all(|value| *value == 0.0))
}

/// The base's embedding of tokens.
pub(super) fn embedding(base: &Checkpoint) -> Option<&str> {
    base.tensors
        .keys()
        .find(|name| ["embed_tokens.weight", "wte.weight"].contains(&bare(name)))
        .map(String::as_str)
}

/// What the base calls a parameter.
fn own_name(names: &BTreeMap<&str, &String>, name: &str, base: &Checkpoint) -> Option<String> {
    if let Some(own) = names.get(bare(name)) {
        return Some((*own).clone());
    }
    if bare(name) == HEAD && embedding(base).is_some() {
        return Some(HEAD.to_owned());
    }
    let weight = names.get(format!("{}.weight", bare(name).strip_suffix(".bias")?).as_str())?;
    Some(format!("{}.bias", weight.strip_suffix(".weight")?))
}

/// The base's tensor whose shape a parameter has, and whether it is the parameter itself.
fn tensor_of<'a>(own: &str, base: &'a Checkpoint) -> Result<(&'a str, &'a StoredTensor, bool)> {
    if let Some((name, tensor)) = base.tensors.get_key_value(own) {
        return Ok((name, tensor, true));
    }
    let other = if own == HEAD {
        embedding(base).unwrap_or(own).to_owned()
    } else {
        format!("{}.weight", own.strip_suffix(".bias").unwrap_or(own))
    };
    let tensor = base.tensor(&other)?;
    let name = base.tensors.get_key_value(&other).map_or("", |(name, _)| name.as_str());
    Ok((name, tensor, false))
}

fn matched_part(name: &str, part: Part, own: &str, base: &Checkpoint) -> Result<Part> {
    let (_, tensor, itself) = tensor_of(own, base)?;
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
        _ if !itself && own != HEAD => vec![linear_shape(tensor)[0]],
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
    Ok(part)
}

/// Turns a saved parameter into its difference to the base's.
fn resolve(own: &str, part: &mut Part, base: &Checkpoint) -> Result<()> {
    let Part::Replacement { shape, values } = part else { return Ok(()) };
    let (name, tensor, itself) = tensor_of(own, base)?;
    let (shape, mut values) = (std::mem::take(shape), std::mem::take(values));
    if itself || own == HEAD {
        let stored = widen(tensor.dtype, &base.bytes(name)?)?;
        values.iter_mut().zip(&stored).for_each(|(value, base)| *value -= base);
    }
    *part = Part::Full { shape, values };
    Ok(())
}

/// Two parts of one parameter as one; factors stay factors beside a saved parameter that is the
/// base's own.
fn sum(own: &str, parts: [Part; 2], base: &Checkpoint) -> Result<Part> {
    let [mut one, mut other] = parts;
    resolve(own, &mut one, base)?;
    resolve(own, &mut other, base)?;
    let zero =
        |part: &Part| matches!(part, Part::Full { values, .. } if values.iter().all(|v| *v == 0.0));
    if zero(&one) {
        return Ok(other);
    }
    if zero(&other) {
        return Ok(one);
    }
    let (_, tensor, _) = tensor_of(own, base)?;
    let shape = match (&one, &other) {
        (Part::Full { shape, .. }, _) | (_, Part::Full { shape, .. }) => shape.clone(),
        _ => tensor.shape.clone(),
    };
    let mut values = stored_values(one, tensor.input_first)?;
    let more = stored_values(other, tensor.input_first)?;
    values.iter_mut().zip(&more).for_each(|(value, more)| *value += more);
    Ok(Part::Full { shape, values })
}

/// Every value of a part, in the orientation in which its base stores the parameter.
pub(super) fn stored_values(part: Part, input_first: bool) -> Result<Vec<f32>> {
    match part {
        Part::Full { values, .. } => Ok(values),
        Part::LowRank { inputs, outputs, .. } if input_first => {
            Ok(transposed(&[outputs, inputs], part.dense()?).1)
        }
        part => part.dense(),
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
