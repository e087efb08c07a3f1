//! Refuses an adapter on any model but its own, and one whose tensors are not what it says.

use std::path::Path;

use anyhow::Result;

use super::{Adapter, Facts, Shape, file};
use crate::model::ModelFacts;
use crate::model::decoder::DecoderSpec;
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

/// Reads an adapter for a model in memory.
///
/// # Errors
/// When the file is none or lies about itself, or belongs to another model; the message names it.
pub fn open_for(path: &Path, model: &ModelFacts, spec: &DecoderSpec) -> Result<Adapter> {
    file::read_facts(path)?.check_model(model).map_err(|problem| problem.at(path))?;
    let adapter = file::read(path)?;
    adapter.check_shapes(spec).map_err(|problem| problem.at(path))?;
    Ok(adapter)
}
