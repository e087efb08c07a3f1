//! `y = x·wᵀ` whose backward never copies a transpose.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};

use super::product::{Matrix, Workers, multiply};
use super::{plain, slices};

/// `x` [rows, in] times the transpose of `weight` [out, in] gives [rows, out].
pub fn linear(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    if !x.device().is_cpu() {
        return plain::linear(x, weight);
    }
    x.apply_op2(weight, Linear)
}

struct Linear;

fn shapes(x: &Shape, weight: &Shape) -> Result<(usize, usize, usize)> {
    let (rows, inner) = x.dims2()?;
    let (out, weight_inner) = weight.dims2()?;
    if inner != weight_inner {
        bail!("linear: x {x:?} does not go with weight {weight:?}");
    }
    Ok((rows, inner, out))
}

impl CustomOp2 for Linear {
    fn name(&self) -> &'static str {
        "fused-linear"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (rows, inner, out) = shapes(l1.shape(), l2.shape())?;
        let x = Matrix::dense(slices::of_argument(s1, l1)?, rows, inner);
        let weight = Matrix::dense(slices::of_argument(s2, l2)?, out, inner);
        let mut y = vec![0.0; rows * out];
        multiply(&mut y, x, weight.transposed(), 1.0, false, Workers::All);
        Ok((CpuStorage::F32(y), (rows, out).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (rows, inner, out) = shapes(x.shape(), weight.shape())?;
        slices::with(grad, |grad| {
            let grad = Matrix::dense(grad, rows, out);
            let x_grad = || {
                slices::with(weight, |weight| {
                    let weight = Matrix::dense(weight, out, inner);
                    let mut x_grad = vec![0.0; rows * inner];
                    multiply(&mut x_grad, grad, weight, 1.0, false, Workers::All);
                    slices::tensor(x_grad, (rows, inner))
                })
            };
            let weight_grad = || {
                slices::with(x, |x| {
                    let x = Matrix::dense(x, rows, inner);
                    let mut weight_grad = vec![0.0; out * inner];
                    multiply(&mut weight_grad, grad.transposed(), x, 1.0, false, Workers::All);
                    slices::tensor(weight_grad, (out, inner))
                })
            };
            // What is not trained is not asked for: half the work where weights are frozen.
            Ok((
                x.track_op().then(x_grad).transpose()?,
                weight.track_op().then(weight_grad).transpose()?,
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::ops::check;

    #[test]
    fn backward_is_the_derivative() {
        let (x, weight) = (check::random((5, 6), 1), check::random((4, 6), 2));
        check::gradients(&[x, weight], |v| linear(&v[0], &v[1]), |v| plain::linear(&v[0], &v[1]));
    }
}
