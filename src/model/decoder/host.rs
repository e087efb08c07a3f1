//! Reads f32 tensors as slices and makes tensors of slices, where tensors live in main memory.
//!
//! At one row a decoder runs some hundreds of small operations per token. On the CPU each of them
//! is a plain loop over a contiguous slice here; candle's chains of broadcasts, transposes and
//! copies cost several times as much. On any other device the candle chains run.

use anyhow::{Result, anyhow};
use candle_core::{Device, Storage, Tensor};

/// Below this many values a loop is not worth spreading over threads.
pub(super) const PARALLEL_FROM: usize = 1 << 14;

/// True when the tensor's values can be read as a slice here.
pub(super) fn is_here(tensor: &Tensor) -> bool {
    tensor.device().is_cpu()
}

/// Reads a contiguous f32 tensor in main memory.
pub(super) fn read<R>(tensor: &Tensor, with: impl FnOnce(&[f32]) -> R) -> Result<R> {
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else {
        return Err(anyhow!("a tensor on {:?} was read as a slice", tensor.device().location()));
    };
    let (from, to) = layout
        .contiguous_offsets()
        .ok_or_else(|| anyhow!("a tensor of shape {:?} is not contiguous", tensor.shape()))?;
    Ok(with(&storage.as_slice::<f32>()?[from..to]))
}

/// Makes a tensor of values without copying them.
pub(super) fn tensor(values: Vec<f32>, shape: impl Into<candle_core::Shape>) -> Result<Tensor> {
    Ok(Tensor::from_vec(values, shape.into(), &Device::Cpu)?)
}
