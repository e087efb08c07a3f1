//! A linear layer over two inputs side by side, without ever joining them: the first is usually a
//! constant, and then nothing is spent on its gradient.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::product::{Matrix, Workers, multiply, multiply_within};
use super::{plain, slices};

/// `[a b]` [rows, first + second] times the transpose of `weight` [out, first + second] gives
/// [rows, out].
pub fn joined_linear(a: &Tensor, b: &Tensor, weight: &Tensor) -> Result<Tensor> {
    if !a.device().is_cpu() {
        return plain::joined_linear(a, b, weight);
    }
    a.apply_op3(b, weight, Joined)
}

struct Joined;

/// Rows, columns of both inputs, outputs.
fn shapes(a: &Shape, b: &Shape, weight: &Shape) -> Result<(usize, [usize; 2], usize)> {
    let ((rows, first), (rows_too, second)) = (a.dims2()?, b.dims2()?);
    let (out, inner) = weight.dims2()?;
    if rows != rows_too || inner != first + second {
        bail!("joined linear: {a:?} and {b:?} do not go with weight {weight:?}");
    }
    Ok((rows, [first, second], out))
}

impl CustomOp3 for Joined {
    fn name(&self) -> &'static str {
        "fused-joined-linear"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (rows, [first, second], out) = shapes(l1.shape(), l2.shape(), l3.shape())?;
        let weight = Matrix::dense(slices::of_argument(s3, l3)?, out, first + second);
        let a = Matrix::dense(slices::of_argument(s1, l1)?, rows, first);
        let b = Matrix::dense(slices::of_argument(s2, l2)?, rows, second);
        let mut y = vec![0.0; rows * out];
        let (left, right) = (weight.columns(0, first), weight.columns(first, second));
        multiply(&mut y, a, left.transposed(), 1.0, false, Workers::All);
        multiply(&mut y, b, right.transposed(), 1.0, true, Workers::All);
        Ok((CpuStorage::F32(y), (rows, out).into()))
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        weight: &Tensor,
        _y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (rows, [first, second], out) = shapes(a.shape(), b.shape(), weight.shape())?;
        slices::with(grad, |grad| {
            let grad = Matrix::dense(grad, rows, out);
            let input_grad = |from: usize, count: usize| {
                slices::with(weight, |weight| {
                    let weight = Matrix::dense(weight, out, first + second).columns(from, count);
                    let mut input_grad = vec![0.0; rows * count];
                    multiply(&mut input_grad, grad, weight, 1.0, false, Workers::All);
                    slices::tensor(input_grad, (rows, count))
                })
            };
            let weight_grad = || {
                let mut all = vec![0.0; out * (first + second)];
                for (input, from, count) in [(a, 0, first), (b, first, second)] {
                    slices::with(input, |input| {
                        let input = Matrix::dense(input, rows, count);
                        let (turned, into) = (grad.transposed(), &mut all[from..]);
                        let stride = first + second;
                        multiply_within(into, stride, turned, input, 1.0, false, Workers::All);
                        Ok(())
                    })?;
                }
                slices::tensor(all, (out, first + second))
            };
            Ok((
                a.track_op().then(|| input_grad(0, first)).transpose()?,
                b.track_op().then(|| input_grad(first, second)).transpose()?,
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
        let arguments =
            [check::random((5, 6), 1), check::random((5, 3), 2), check::random((4, 9), 3)];
        check::gradients(
            &arguments,
            |v| joined_linear(&v[0], &v[1], &v[2]),
            |v| plain::joined_linear(&v[0], &v[1], &v[2]),
        );
    }
}
