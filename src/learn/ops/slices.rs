//! Reading candle tensors as plain f32 slices, and making tensors from them without a copy.

use candle_core::{CpuStorage, Device, Layout, Result, Shape, Storage, Tensor, bail};

/// The values of an operation's argument.
///
/// # Errors
/// When it is not contiguous or not f32.
pub fn of_argument<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let Some((from, to)) = layout.contiguous_offsets() else {
        bail!("a fused operation needs contiguous tensors, got strides {:?}", layout.stride())
    };
    Ok(&storage.as_slice::<f32>()?[from..to])
}

/// Calls a function with the values of a CPU tensor.
///
/// # Errors
/// When the tensor is on another device or not f32, or the function fails.
pub fn with<R>(tensor: &Tensor, then: impl FnOnce(&[f32]) -> Result<R>) -> Result<R> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => then(of_argument(storage, layout)?),
        _ => bail!("a fused backward pass runs on the CPU only"),
    }
}

/// A CPU tensor that takes over these values.
pub fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> Result<Tensor> {
    Tensor::from_vec(values, shape.into(), &Device::Cpu)
}

/// Rows that one task handles, so that tasks are neither tiny nor few.
pub const ROWS_PER_TASK: usize = 32;
