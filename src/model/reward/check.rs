//! Refuses an adapter on any model but its own, and one whose tensors are not what it says.

use std::path::Path;

use anyhow::Result;

use super::{About, Adapter, Facts, Shape, file};
use crate::model::decoder::DecoderSpec;
use crate::model::{ModelFacts, device};
use crate::platform::Problem;

/// What to do about an adapter of another model.
const HINT: &str = "open that model, or learn an adapter for this one";

impl Facts {
    /// # Errors
    /// When the adapter was made with another model, another quantization of it, other weights in
    /// memory or another chat template; the message says which.
    pub fn check_model(&self, model: &ModelFacts) -> Result<(), Problem> {
        let base = &self.base;
        let refuse = |what: String| Err(Problem::new(what).hint(HINT));
        if base.fingerprint != model.fingerprint {
            if base.name == model.name && base.stored_as != model.stored_as {
                return refuse(format!(
                    "this adapter was made with {} stored as {}, and it is stored as {} here",
                    base.name, base.stored_as, model.stored_as
                ));
            }
            return refuse(format!(
                "this adapter was made with another model: {} ({}), not {} ({})",
                base.name,
                beginning(&base.fingerprint),
                model.name,
                beginning(&model.fingerprint)
            ));
        }
        if base.rounded_to != model.rounded_to {
            let said = |form: &str| match form {
                "" => "the numbers of its file".to_owned(),
                form => format!("weights rounded to {form}"),
            };
            let (was, is) = (said(&base.rounded_to), said(&model.rounded_to));
            let what = format!("this adapter was made with {was}, and the model runs on {is}");
            return Err(Problem::new(what).hint("load the model with the other weights"));
        }
        if base.template_fingerprint != model.template_fingerprint {
            return refuse(format!(
                "this adapter was made with another chat template ({}, not {})",
                beginning(&base.template_fingerprint),
                beginning(&model.template_fingerprint)
            ));
        }
        Ok(())
    }
}

fn beginning(hash: &str) -> &str {
    if hash.is_empty() { "none" } else { hash.get(..8).unwrap_or(hash) }
}

impl Adapter {
    /// # Errors
    /// When a tensor is missing, surplus or of another shape than the sizes say beside this base.
    pub fn check_shapes<'a>(&self, spec: &'a DecoderSpec) -> Result<Shape<'a>, Problem> {
        let shape = Shape::new(&self.facts, self.heads(), spec)?;
        let refuse = |what: String| Err(Problem::new(what).hint("learn the adapter anew"));
        let wanted = shape.tensors();
        for tensor in &wanted {
            match self.tensors.get(&tensor.name) {
                None => return refuse(format!("`{}` is missing", tensor.name)),
                Some(has) if has.shape != tensor.shape => {
                    return refuse(format!(
                        "`{}` is {:?} where its sizes ask for {:?}",
                        tensor.name, has.shape, tensor.shape
                    ));
                }
                Some(_) => {}
            }
        }
        if wanted.len() != self.tensors.len() {
            let known = |name: &&String| !wanted.iter().any(|tensor| tensor.name == **name);
            let name = self.tensors.keys().find(known).map_or("", String::as_str);
            return refuse(format!("`{name}` is no tensor of this adapter"));
        }
        Ok(shape)
    }

    /// # Errors
    /// When a value is not finite, or the unit of strength is none.
    pub fn check_values(&self) -> Result<(), Problem> {
        for (name, tensor) in &self.tensors {
            if tensor.values.len() != tensor.shape.iter().product::<usize>() {
                let count = tensor.values.len();
                let what = format!("`{name}`: {count} values for the shape {:?}", tensor.shape);
                return Err(Problem::new(what));
            }
            if let Some(at) = tensor.values.iter().position(|value| !value.is_finite()) {
                let value = tensor.values[at];
                let what = format!("`{name}` holds {value}, which is no number to reckon with");
                return Err(Problem::new(what).hint("learn the adapter anew"));
            }
        }
        match self.facts.deviation {
            Some(unit) if !(unit.value.is_finite() && unit.value > 0.0) => {
                let what = format!("its rewards deviate by {}, which is no unit", unit.value);
                Err(Problem::new(what).hint("learn the adapter anew"))
            }
            _ => Ok(()),
        }
    }
}

/// Bytes that an adapter takes beside its model with a cache of so many positions, on top of what
/// the model takes; while it is read its numbers are there once more, in f32.
pub fn memory(about: &About, cache_length: usize, spec: &DecoderSpec) -> Result<[u64; 2], Problem> {
    let shape = Shape::new(&about.facts, about.heads, spec)?;
    let cache = shape.cache_bytes_per_token().saturating_mul(cache_length as u64);
    let held = about.bytes.saturating_add(cache);
    Ok([held, held.saturating_add(4 * shape.parameter_count())])
}

/// # Errors
/// When `needed` bytes are more than there are.
fn check_room(needed: u64, free: Option<u64>) -> Result<(), Problem> {
    let megabytes = |bytes: u64| format!("{:.0} MB", bytes as f64 / 1e6);
    match free.filter(|free| *free < needed) {
        None => Ok(()),
        Some(free) => {
            let (needed, free) = (megabytes(needed), megabytes(free));
            let what = format!("this adapter needs {needed} beside the model, and {free} are free");
            Err(Problem::new(what).hint("close other programs, or load with a shorter context"))
        }
    }
}

/// Reads an adapter for a model in memory.
///
/// # Errors
/// When the file is none or lies about itself, or belongs to another model; the message names it.
pub fn open_for(path: &Path, model: &ModelFacts, spec: &DecoderSpec) -> Result<Adapter> {
    let about = file::read_about(path)?;
    let fits = || -> Result<(), Problem> {
        about.facts.check_model(model)?;
        // Elsewhere nobody knows what is free.
        let is_here = model.device.starts_with("CPU");
        let free = is_here.then(|| device::free_memory(&candle_core::Device::Cpu)).flatten();
        check_room(memory(&about, model.cache_length, spec)?[1], free)
    };
    fits().map_err(|problem| problem.at(path))?;
    let adapter = file::read(path)?;
    adapter.check_shapes(spec).map_err(|problem| problem.at(path))?;
    Ok(adapter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adapter_that_does_not_fit_is_refused_with_both_numbers() {
        assert!(check_room(1, None).is_ok() && check_room(5, Some(5)).is_ok());
        let said = check_room(120_000_000, Some(80_000_000)).unwrap_err().to_string();
        assert!(said.contains("120 MB") && said.contains("80 MB are free"), "{said}");
    }
}
