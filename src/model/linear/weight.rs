//! One weight matrix in memory, dense or in blocks, and its product with activations.

use std::ops::Range;
use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Storage, Tensor, WithDType};
use half::{bf16, f16};

use super::convert::{self, StoredMatrix};
use super::kernel::{BlockProduct, Product, widening_pays};
use crate::model::weights::{StoredType, WeightForm};

/// A matrix `[rows, columns]`; clones share the storage.
#[derive(Debug, Clone)]
pub struct Weight {
    held: Held,
    rows: usize,
    columns: usize,
}

#[derive(Debug, Clone)]
enum Held {
    /// Contiguous `[rows, columns]`.
    Dense(Tensor),
    Blocks(Arc<QTensor>),
}

impl Weight {
    /// Brings a stored matrix into the form it is to be held in, on the device.
    pub fn from_stored(
        stored: &StoredMatrix<'_>,
        form: WeightForm,
        device: &Device,
    ) -> Result<Self> {
        stored.check()?;
        let held = match (form.held(stored.stored, stored.columns), stored.stored) {
            (StoredType::Quantized(wanted), StoredType::Quantized(has)) if wanted == has => {
                Held::Blocks(Arc::new(stored.blocks(has, device)?))
            }
            (StoredType::Quantized(wanted), _) => {
                Held::Blocks(Arc::new(stored.to_blocks(wanted, device)?))
            }
            (wanted, has) => match (wanted.dense(), has.dense()) {
                (Some(wanted), Some(has)) if wanted == has => {
                    Held::Dense(stored.dense(has, device)?)
                }
                (Some(wanted), _) => Held::Dense(stored.to_dense(wanted, device)?),
                (None, _) => bail!("{wanted} is neither a float nor a block type"),
            },
        };
        Ok(Self { held, rows: stored.rows, columns: stored.columns })
    }

    /// As [`Self::from_stored`] for a dense matrix stored `[in, out]`, as GPT-2's Conv1D does:
    /// the weight is `[out, in]`.
    pub fn from_transposed(
        stored: &StoredMatrix<'_>,
        form: WeightForm,
        device: &Device,
    ) -> Result<Self> {
        let bytes = convert::transposed(stored)?;
        let turned = StoredMatrix {
            stored: stored.stored,
            rows: stored.columns,
            columns: stored.rows,
            bytes: &bytes,
        };
        Self::from_stored(&turned, form, device)
    }

    /// Takes a dense tensor `[rows, columns]` of f32, f16 or bf16 as it is.
    pub fn from_tensor(tensor: &Tensor) -> Result<Self> {
        let (rows, columns) = tensor.dims2()?;
        ensure!(
            matches!(tensor.dtype(), DType::F32 | DType::F16 | DType::BF16),
            "weights are not held in {:?}",
            tensor.dtype()
        );
        Ok(Self { held: Held::Dense(tensor.contiguous()?), rows, columns })
    }

    /// Output features.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Input features.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The type in memory.
    pub fn held(&self) -> StoredType {
        match &self.held {
            Held::Dense(tensor) => match tensor.dtype() {
                DType::F16 => StoredType::F16,
                DType::BF16 => StoredType::BF16,
                _ => StoredType::F32,
            },
            Held::Blocks(blocks) => StoredType::Quantized(blocks.dtype()),
        }
    }

    /// Bytes of the matrix, without any copy candle makes of it.
    pub fn bytes(&self) -> u64 {
        match &self.held {
            Held::Dense(tensor) => (tensor.elem_count() * tensor.dtype().size_in_bytes()) as u64,
            Held::Blocks(blocks) => blocks.storage_size_in_bytes() as u64,
        }
    }

    /// Where it lies.
    pub fn device(&self) -> Device {
        match &self.held {
            Held::Dense(tensor) => tensor.device().clone(),
            Held::Blocks(blocks) => blocks.device(),
        }
    }

    /// Some of the rows: dense rows share the storage, blocks are copied.
    pub fn slice_rows(&self, rows: Range<usize>) -> Result<Self> {
        ensure!(
            rows.start <= rows.end && rows.end <= self.rows,
            "rows {}..{} of a matrix of {}",
            rows.start,
            rows.end,
            self.rows
        );
        let count = rows.len();
        let held = match &self.held {
            Held::Dense(tensor) => Held::Dense(tensor.narrow(0, rows.start, count)?),
            Held::Blocks(blocks) => {
                let bytes = blocks.data()?;
                let row = bytes.len() / self.rows.max(1);
                let bytes = &bytes[rows.start * row..rows.end * row];
                let (dtype, device) = (blocks.dtype(), blocks.device());
                let blocks = convert::blocks(bytes, dtype, count, self.columns, &device)?;
                Held::Blocks(Arc::new(blocks))
            }
        };
        Ok(Self { held, rows: count, columns: self.columns })
    }

    /// Matrices of one type and width, one below the other, so that activations meet them in one
    /// product. `None` when they differ in type or width.
    pub fn stack(parts: &[&Self]) -> Result<Option<Self>> {
        let Some(first) = parts.first() else { return Ok(None) };
        if parts.iter().any(|part| part.columns != first.columns || part.held() != first.held()) {
            return Ok(None);
        }
        let rows = parts.iter().map(|part| part.rows).sum();
        let mut tensors = Vec::new();
        let mut bytes = Vec::new();
        for part in parts {
            match &part.held {
                Held::Dense(tensor) => tensors.push(tensor),
                Held::Blocks(blocks) => bytes.extend_from_slice(&blocks.data()?),
            }
        }
        let held = match &first.held {
            Held::Dense(_) => Held::Dense(Tensor::cat(&tensors, 0)?.contiguous()?),
            Held::Blocks(blocks) => {
                let (dtype, device) = (blocks.dtype(), blocks.device());
                let stacked = convert::blocks(&bytes, dtype, rows, first.columns, &device)?;
                Held::Blocks(Arc::new(stacked))
            }
        };
        Ok(Some(Self { held, rows, columns: first.columns }))
    }

    /// The rows `ids`, widened: `[ids, columns]` in f32. Errors on an id that is not a row.
    pub fn lookup(&self, ids: &[u32]) -> Result<Tensor> {
        if let Some(id) = ids.iter().find(|id| **id as usize >= self.rows) {
            bail!("row {id} of a matrix of {}", self.rows);
        }
        let device = self.device();
        let tensor = match &self.held {
            Held::Dense(tensor) => {
                let ids = Tensor::new(ids, &device)?;
                tensor.index_select(&ids, 0)?.to_dtype(DType::F32)?
            }
            Held::Blocks(blocks) => blocks.embedding(&Tensor::new(ids, &device)?)?,
        };
        Ok(tensor)
    }

    /// Everything in f32, `[rows, columns]`.
    pub fn to_f32(&self) -> Result<Tensor> {
        Ok(match &self.held {
            Held::Dense(tensor) => tensor.to_dtype(DType::F32)?,
            Held::Blocks(blocks) => blocks.dequantize(&blocks.device())?,
        })
    }

    /// `x · wᵀ + bias` in f32: `x` is `[.., columns]` in f32, `bias` `[rows]` in f32, the result
    /// `[.., rows]`.
    ///
    /// On a CPU a row's result does not depend on the rows beside it when the weight is dense.
    pub fn multiply(&self, x: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        ensure!(
            x.dims().last() == Some(&self.columns),
            "activations {:?} do not fit a [{}, {}] weight",
            x.dims(),
            self.rows,
            self.columns
        );
        let x = x.to_dtype(DType::F32)?.contiguous()?;
        let y = match &self.held {
            Held::Dense(weight) if weight.device().is_cpu() => {
                return self.multiply_on_cpu(&x, bias);
            }
            Held::Dense(weight) => {
                let rows = x.elem_count() / self.columns.max(1);
                let flat = x.reshape((rows, self.columns))?.to_dtype(weight.dtype())?;
                let y = flat.matmul(&weight.t()?)?.to_dtype(DType::F32)?;
                let mut dims = x.dims().to_vec();
                dims.pop();
                dims.push(self.rows);
                y.reshape(dims)?
            }
            Held::Blocks(blocks) => {
                if blocks.device().is_cpu() && self.widens(blocks.dtype(), &x) {
                    return self.multiply_on_cpu(&x, bias);
                }
                x.apply_op1_no_bwd(blocks.as_ref())?
            }
        };
        Ok(match bias {
            Some(bias) => y.broadcast_add(bias)?,
            None => y,
        })
    }

    /// Whether our own product meets these blocks, and not candle's.
    fn widens(&self, dtype: GgmlDType, x: &Tensor) -> bool {
        let tiled = StoredType::Quantized(dtype).is_tiled_on_cpu(self.rows, self.columns);
        widening_pays(dtype, x.elem_count() / self.columns.max(1), tiled)
    }

    fn multiply_on_cpu(&self, x: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        let (n, k) = (self.rows, self.columns);
        let m = x.elem_count() / k.max(1);
        let mut y = vec![0f32; m * n];
        let mut meet =
            |x: &[f32], bias: Option<&[f32]>| product(&self.held, [m, n, k], x, bias, &mut y);
        match bias {
            None => with_slice(x, |x| meet(x, None))??,
            Some(bias) => {
                let bias = bias.contiguous()?;
                with_slice(&bias, |bias| with_slice(x, |x| meet(x, Some(bias))))???;
            }
        }
        let mut dims = x.dims().to_vec();
        dims.pop();
        dims.push(n);
        Ok(Tensor::from_vec(y, dims, &Device::Cpu)?)
    }
}

/// Our own products, `[m, n]` of `[m, k]` activations.
fn product(
    held: &Held,
    [m, n, k]: [usize; 3],
    x: &[f32],
    bias: Option<&[f32]>,
    y: &mut [f32],
) -> Result<()> {
    match held {
        Held::Dense(w) => match w.dtype() {
            DType::BF16 => with_slice(w, |w: &[bf16]| Product { x, w, bias, m, n, k }.run(y)),
            DType::F16 => with_slice(w, |w: &[f16]| Product { x, w, bias, m, n, k }.run(y)),
            _ => with_slice(w, |w: &[f32]| Product { x, w, bias, m, n, k }.run(y)),
        },
        Held::Blocks(blocks) => {
            let w = &blocks.data()?;
            BlockProduct { x, w, dtype: blocks.dtype(), bias, m, n, k }.run(y);
            Ok(())
        }
    }
}

/// Reads a contiguous tensor in main memory as a slice.
pub(super) fn with_slice<T: WithDType, R>(
    tensor: &Tensor,
    read: impl FnOnce(&[T]) -> R,
) -> Result<R> {
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else {
        bail!("activations and weights lie on different devices");
    };
    let Some((from, to)) = layout.contiguous_offsets() else {
        bail!("a tensor of shape {:?} is not contiguous", tensor.shape());
    };
    Ok(read(&storage.as_slice::<T>()?[from..to]))
}
