//! Reads f32 tensors as slices and makes tensors of slices, where tensors live in main memory.
//!
//! At one row a decoder runs some hundreds of small operations per token. On the CPU each of them
//! is a plain loop over a contiguous slice here; candle's chains of broadcasts, transposes and
//! copies cost several times as much. On any other device the candle chains run.

use anyhow::{Result, anyhow};
use candle_core::{Device, Storage, Tensor};

/// Below this much work a loop is not worth spreading over threads.
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

/// Runs `each` on every row of `out`, on all threads when `work` (multiplications, say) is worth
/// waking them.
///
/// The pool is the one candle's and our products run on: its threads are awake during a pass.
pub(super) fn for_each_row(
    out: &mut [f32],
    width: usize,
    work: usize,
    each: impl Fn(usize, &mut [f32]) + Sync,
) {
    let rows = out.len() / width.max(1);
    if work < PARALLEL_FROM || rows < 2 {
        return out
            .chunks_exact_mut(width.max(1))
            .enumerate()
            .for_each(|(row, out)| each(row, out));
    }
    let start = Start(out.as_mut_ptr());
    let start = &start;
    candle_core::utils::barrier_pool().execute_chunked(rows, |range| {
        for row in range {
            // SAFETY: `row < rows`, so the slice lies within `out`; the pool hands out every row
            // once, so no two threads have the same one; `out` stays borrowed until all are done.
            let out = unsafe { std::slice::from_raw_parts_mut(start.0.add(row * width), width) };
            each(row, out);
        }
    });
}

/// Where rows begin, for threads that each take some of them.
struct Start(*mut f32);

// SAFETY: only `for_each_row` makes one, and gives every row to one thread.
unsafe impl Sync for Start {}
