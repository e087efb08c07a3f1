//! The state of an unfinished run as one safetensors file, replaced in one step, so that a kill at
//! any moment leaves a whole one: f32 tensors, and where the run stands as JSON in the metadata.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use candle_core::Var;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::base::optimizer::AdamW;
use crate::platform::atomic;

/// A tensor to be saved: name, shape, values.
pub type Named = (String, Vec<usize>, Vec<f32>);

/// What is trained, as `KIND.NAME`, and its moments, as `first.NAME` and `second.NAME`.
///
/// # Errors
/// When values cannot be read back from their device.
pub fn with_moments(
    kind: &str,
    parameters: Vec<(String, &Var)>,
    optimizer: &AdamW,
) -> Result<Vec<Named>> {
    let mut tensors = Vec::new();
    for ((name, var), (first, second)) in parameters.into_iter().zip(optimizer.values()?) {
        let dims = var.dims().to_vec();
        let values = var.flatten_all()?.to_vec1::<f32>()?;
        tensors.push((format!("{kind}.{name}"), dims.clone(), values));
        tensors.push((format!("first.{name}"), dims.clone(), first));
        tensors.push((format!("second.{name}"), dims, second));
    }
    Ok(tensors)
}

/// Writes the file; `key` names the position in the metadata and tells one kind of run from another.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, key: &str, position: &impl Serialize, tensors: &[Named]) -> Result<()> {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, _, values)| values.iter().flat_map(|v| v.to_le_bytes()).collect())
        .collect();
    let views = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, dims, _), data)| Ok((name, TensorView::new(Dtype::F32, dims.clone(), data)?)))
        .collect::<Result<Vec<_>>>()?;
    let facts = HashMap::from([(key.to_owned(), serde_json::to_string(position)?)]);
    atomic::write(path, &safetensors::serialize(views, Some(facts))?)?;
    Ok(())
}

/// The position a file holds under `key`.
///
/// # Errors
/// When the file is of another kind or cannot be understood.
pub fn position<T: DeserializeOwned>(file: &[u8], key: &str) -> Result<T> {
    let (_, header) = SafeTensors::read_metadata(file)?;
    let facts = header.metadata().as_ref().and_then(|m| m.get(key));
    Ok(serde_json::from_str(facts.context("it has no position")?)?)
}

/// The tensors of a file.
pub struct Saved<'a>(SafeTensors<'a>);

impl<'a> Saved<'a> {
    /// # Errors
    /// When it is no safetensors file.
    pub fn read(file: &'a [u8]) -> Result<Self> {
        Ok(Self(SafeTensors::deserialize(file)?))
    }

    /// All values of a tensor.
    ///
    /// # Errors
    /// When it is not there or not f32; the message is its name.
    pub fn floats(&self, name: &str) -> Result<Vec<f32>> {
        let view = self.0.tensor(name)?;
        ensure!(view.dtype() == Dtype::F32, "{name}");
        let words = view.data().chunks_exact(4);
        Ok(words.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
    }

    /// The `count` values of `KIND.NAME`.
    ///
    /// # Errors
    /// As for [`Self::floats`], and when there are more or fewer.
    pub fn exactly(&self, kind: &str, name: &str, count: usize) -> Result<Vec<f32>> {
        let values = self.floats(&format!("{kind}.{name}"))?;
        ensure!(values.len() == count, "{kind}.{name}");
        Ok(values)
    }
}
