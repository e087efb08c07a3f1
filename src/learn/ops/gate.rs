//! The gated activation of a Llama block: `silu(gate)·up`, both halves in one tensor.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::slices::{self, ROWS_PER_TASK};
use super::{plain, vector};

/// `gate_up` [rows, 2·width] with the gate's columns first gives `silu(gate)·up` [rows, width].
pub fn swiglu(gate_up: &Tensor) -> Result<Tensor> {
    if !gate_up.device().is_cpu() {
        return plain::swiglu(gate_up);
    }
    gate_up.apply_op1(SwiGlu)
}

struct SwiGlu;

fn shapes(shape: &Shape) -> Result<(usize, usize)> {
    let (rows, both) = shape.dims2()?;
    if both % 2 != 0 {
        bail!("swiglu: {both} columns are not two halves");
    }
    Ok((rows, both / 2))
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + vector::exp(-x))
}

impl CustomOp1 for SwiGlu {
    fn name(&self) -> &'static str {
        "fused-swiglu"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, width) = shapes(layout.shape())?;
        let x = slices::of_argument(storage, layout)?;
        let mut y = vec![0.0; rows * width];
        y.par_chunks_mut(ROWS_PER_TASK * width)
            .zip(x.par_chunks(ROWS_PER_TASK * width * 2))
            .for_each(|(y, x)| {
                vector::wide(
                    #[inline(always)]
                    || {
                        for (y, x) in y.chunks_exact_mut(width).zip(x.chunks_exact(2 * width)) {
                            let (gate, up) = x.split_at(width);
                            for ((y, &gate), &up) in y.iter_mut().zip(gate).zip(up) {
                                *y = gate * sigmoid(gate) * up;
                            }
                        }
                    },
                );
            });
        Ok((CpuStorage::F32(y), (rows, width).into()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (rows, width) = shapes(x.shape())?;
        let x_grad = slices::with(x, |x| {
            slices::with(grad, |grad| {
                let mut x_grad = vec![0.0; rows * width * 2];
                x_grad
                    .par_chunks_mut(ROWS_PER_TASK * width * 2)
                    .zip(x.par_chunks(ROWS_PER_TASK * width * 2))
                    .zip(grad.par_chunks(ROWS_PER_TASK * width))
                    .for_each(|((x_grad, x), grad)| {
                        vector::wide(
                            #[inline(always)]
                            || {
                                for ((x_grad, x), grad) in x_grad
                                    .chunks_exact_mut(2 * width)
                                    .zip(x.chunks_exact(2 * width))
                                    .zip(grad.chunks_exact(width))
                                {
                                    row_backward(x, grad, x_grad);
                                }
                            },
                        );
                    });
                Ok(x_grad)
            })
        })?;
        Ok(Some(slices::tensor(x_grad, (rows, 2 * width))?))
    }
}

#[inline(always)]
fn row_backward(x: &[f32], grad: &[f32], x_grad: &mut [f32]) {
    let width = grad.len();
    let (gate, up) = x.split_at(width);
    let (gate_grad, up_grad) = x_grad.split_at_mut(width);
    for i in 0..width {
        let s = sigmoid(gate[i]);
        up_grad[i] = grad[i] * gate[i] * s;
        gate_grad[i] = grad[i] * up[i] * s * (1.0 + gate[i] * (1.0 - s));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::ops::check;

    #[test]
    fn backward_is_the_derivative() {
        let x = check::random((9, 14), 5);
        check::gradients(&[x], |v| swiglu(&v[0]), |v| plain::swiglu(&v[0]));
    }
}
