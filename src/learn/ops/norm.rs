//! Root-mean-square norm with a learned gain.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::slices::{self, ROWS_PER_TASK};
use super::{plain, vector};

/// `x / sqrt(mean(x²) + epsilon) · gain` over the last dimension of `x` [rows, width].
pub fn rms_norm(x: &Tensor, gain: &Tensor, epsilon: f32) -> Result<Tensor> {
    if !x.device().is_cpu() {
        return plain::rms_norm(x, gain, epsilon);
    }
    x.apply_op2(gain, RmsNorm { epsilon })
}

struct RmsNorm {
    epsilon: f32,
}

impl RmsNorm {
    #[inline(always)]
    fn inverse(&self, row: &[f32]) -> f32 {
        1.0 / (vector::sum_of_squares(row) / row.len() as f32 + self.epsilon).sqrt()
    }

    /// One row of the input's gradient; adds to the gain's.
    #[inline(always)]
    fn row_backward(
        &self,
        x: &[f32],
        gain: &[f32],
        grad: &[f32],
        x_grad: &mut [f32],
        gain_grad: &mut [f32],
    ) {
        let inverse = self.inverse(x);
        for i in 0..x.len() {
            x_grad[i] = grad[i] * gain[i];
            gain_grad[i] += grad[i] * x[i] * inverse;
        }
        let along = vector::dot(x_grad, x) * inverse * inverse / x.len() as f32;
        for i in 0..x.len() {
            x_grad[i] = inverse * (x_grad[i] - x[i] * along);
        }
    }
}

impl CustomOp2 for RmsNorm {
    fn name(&self) -> &'static str {
        "fused-rms-norm"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (rows, width) = l1.shape().dims2()?;
        let (x, gain) = (slices::of_argument(s1, l1)?, slices::of_argument(s2, l2)?);
        let mut y = vec![0.0; rows * width];
        y.par_chunks_mut(ROWS_PER_TASK * width).zip(x.par_chunks(ROWS_PER_TASK * width)).for_each(
            |(y, x)| {
                vector::wide(
                    #[inline(always)]
                    || {
                        for (y, x) in y.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
                            let inverse = self.inverse(x);
                            for ((y, x), gain) in y.iter_mut().zip(x).zip(gain) {
                                *y = x * inverse * gain;
                            }
                        }
                    },
                );
            },
        );
        Ok((CpuStorage::F32(y), (rows, width).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        gain: &Tensor,
        _y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (rows, width) = x.dims2()?;
        let (x_grad, gain_grad) = slices::with(x, |x| {
            slices::with(gain, |gain| {
                slices::with(grad, |grad| {
                    let mut x_grad = vec![0.0; rows * width];
                    let task = ROWS_PER_TASK * width;
                    let parts: Vec<Vec<f32>> = x_grad
                        .par_chunks_mut(task)
                        .zip(x.par_chunks(task))
                        .zip(grad.par_chunks(task))
                        .map(|((x_grad, x), grad)| {
                            let mut gain_grad = vec![0.0; width];
                            vector::wide(
                                #[inline(always)]
                                || {
                                    for ((x_grad, x), grad) in x_grad
                                        .chunks_exact_mut(width)
                                        .zip(x.chunks_exact(width))
                                        .zip(grad.chunks_exact(width))
                                    {
                                        self.row_backward(x, gain, grad, x_grad, &mut gain_grad);
                                    }
                                },
                            );
                            gain_grad
                        })
                        .collect();
                    // In the order of the rows, whoever finished first.
                    let mut gain_grad = vec![0.0; width];
                    for part in parts {
                        for (total, value) in gain_grad.iter_mut().zip(part) {
                            *total += value;
                        }
                    }
                    Ok((x_grad, gain_grad))
                })
            })
        })?;
        Ok((Some(slices::tensor(x_grad, (rows, width))?), Some(slices::tensor(gain_grad, width)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::ops::check;

    #[test]
    fn backward_is_the_derivative() {
        let (x, gain) = (check::random((40, 20), 3), check::random(20, 4));
        check::gradients(
            &[x, gain],
            |v| rms_norm(&v[0], &v[1], 1e-5),
            |v| plain::rms_norm(&v[0], &v[1], 1e-5),
        );
    }
}
