//! A frozen linear layer with trained thin factors beside it (LoRA), forward and backward in one
//! operation that never makes the full-size gradient of the frozen weight.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::product::{Matrix, Workers, multiply, multiply_within};
use super::{plain, slices};

/// How the factors of one layer are cut: a stacked layer (queries, keys and values in one matrix)
/// has a pair of factors for each of its parts.
#[derive(Debug, Clone, PartialEq)]
pub struct Adapter {
    /// Outputs of each part.
    pub parts: Vec<usize>,
    pub rank: usize,
    /// On the product of the factors: alpha / rank.
    pub scale: f32,
}

/// `x` [rows, in] times the transpose of the frozen `weight` [out, in], plus for each part
/// `scale·(x·downᵀ)·upᵀ` in its columns. `down` is [parts·rank, in], part below part; `up` is
/// [out, rank]. `strengths`, one for each row, multiply what the factors add to it.
pub fn adapted_linear(
    x: &Tensor,
    weight: &Tensor,
    down: &Tensor,
    up: &Tensor,
    adapter: &Adapter,
    strengths: Option<&Arc<Vec<f32>>>,
) -> Result<Tensor> {
    let (out, inner) = weight.dims2()?;
    let Adapter { parts, rank, .. } = adapter;
    if parts.iter().sum::<usize>() != out
        || down.dims() != [parts.len() * rank, inner]
        || up.dims() != [out, *rank]
        || x.dims2()?.1 != inner
        || strengths.is_some_and(|strengths| strengths.len() != x.dims()[0])
    {
        bail!("adapted linear: {down:?} and {up:?} do not fit {weight:?} in parts {parts:?}");
    }
    if !x.device().is_cpu() {
        return plain::adapted_linear(x, weight, down, up, adapter, strengths);
    }
    let (weight, adapter) = (weight.detach(), adapter.clone());
    x.apply_op3(down, up, Adapted { weight, adapter, strengths: strengths.cloned() })
}

struct Adapted {
    weight: Tensor,
    adapter: Adapter,
    strengths: Option<Arc<Vec<f32>>>,
}

impl Adapted {
    /// First output and number of outputs of each part.
    fn spans(&self) -> impl Iterator<Item = (usize, usize, usize)> + '_ {
        let starts = self.adapter.parts.iter().scan(0, |at, &count| {
            let from = *at;
            *at += count;
            Some((from, count))
        });
        starts.enumerate().map(|(part, (from, count))| (part, from, count))
    }

    /// Multiplies each row of thin values by its strength.
    fn strengthen(&self, thin: &mut [f32], width: usize) {
        let Some(strengths) = &self.strengths else { return };
        for (row, strength) in thin.chunks_exact_mut(width).zip(strengths.iter()) {
            row.iter_mut().for_each(|value| *value *= strength);
        }
    }

    /// `x·downᵀ` at each row's strength, [rows, parts·rank].
    fn narrow(&self, x: Matrix<'_>, down: Matrix<'_>, rows: usize, width: usize) -> Vec<f32> {
        let mut thin = vec![0.0; rows * width];
        multiply(&mut thin, x, down.transposed(), 1.0, false, Workers::All);
        self.strengthen(&mut thin, width);
        thin
    }
}

impl CustomOp3 for Adapted {
    fn name(&self) -> &'static str {
        "fused-adapted-linear"
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
        let (rows, inner) = l1.shape().dims2()?;
        let (out, rank) = l3.shape().dims2()?;
        let width = l2.shape().dims2()?.0;
        let x = Matrix::dense(slices::of_argument(s1, l1)?, rows, inner);
        let down = Matrix::dense(slices::of_argument(s2, l2)?, width, inner);
        let up = slices::of_argument(s3, l3)?;
        let mut y = vec![0.0; rows * out];
        slices::with(&self.weight, |weight| {
            let weight = Matrix::dense(weight, out, inner);
            multiply(&mut y, x, weight.transposed(), 1.0, false, Workers::All);
            Ok(())
        })?;
        let thin = self.narrow(x, down, rows, width);
        let thin = Matrix::dense(&thin, rows, width);
        for (part, from, count) in self.spans() {
            let up = Matrix::dense(&up[from * rank..], count, rank);
            let thin = thin.columns(part * rank, rank);
            let scale = self.adapter.scale;
            multiply_within(&mut y[from..], out, thin, up.transposed(), scale, true, Workers::All);
        }
        Ok((CpuStorage::F32(y), (rows, out).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        down: &Tensor,
        up: &Tensor,
        _y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (rows, inner) = x.dims2()?;
        let (out, rank) = up.dims2()?;
        let width = down.dim(0)?;
        let wants_x = x.track_op();
        let (mut up_grad, mut down_grad) = (vec![0.0; out * rank], vec![0.0; width * inner]);
        let mut x_grad = vec![0.0; if wants_x { rows * inner } else { 0 }];
        slices::with(grad, |grad| {
            let grad = Matrix::dense(grad, rows, out);
            let mut thin_grad = vec![0.0; rows * width];
            slices::with(x, |x| {
                let x = Matrix::dense(x, rows, inner);
                let thin = slices::with(down, |down| {
                    Ok(self.narrow(x, Matrix::dense(down, width, inner), rows, width))
                })?;
                let thin = Matrix::dense(&thin, rows, width);
                slices::with(up, |up| {
                    for (part, from, count) in self.spans() {
                        let (grad, scale) = (grad.columns(from, count), self.adapter.scale);
                        let into = &mut up_grad[from * rank..];
                        let thin = thin.columns(part * rank, rank);
                        multiply(into, grad.transposed(), thin, scale, false, Workers::All);
                        let up = Matrix::dense(&up[from * rank..], count, rank);
                        let into = &mut thin_grad[part * rank..];
                        multiply_within(into, width, grad, up, scale, false, Workers::All);
                    }
                    Ok(())
                })?;
                self.strengthen(&mut thin_grad, width);
                let thin_grad = Matrix::dense(&thin_grad, rows, width);
                multiply(&mut down_grad, thin_grad.transposed(), x, 1.0, false, Workers::All);
                Ok(())
            })?;
            if !wants_x {
                return Ok(());
            }
            slices::with(&self.weight, |weight| {
                let weight = Matrix::dense(weight, out, inner);
                multiply(&mut x_grad, grad, weight, 1.0, false, Workers::All);
                Ok(())
            })?;
            slices::with(down, |down| {
                let thin_grad = Matrix::dense(&thin_grad, rows, width);
                let down = Matrix::dense(down, width, inner);
                multiply(&mut x_grad, thin_grad, down, 1.0, true, Workers::All);
                Ok(())
            })
        })?;
        let x_grad = wants_x.then(|| slices::tensor(x_grad, (rows, inner))).transpose()?;
        Ok((
            x_grad,
            Some(slices::tensor(down_grad, (width, inner))?),
            Some(slices::tensor(up_grad, (out, rank))?),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::ops::check;

    #[test]
    fn backward_is_the_derivative_in_every_part() {
        let adapter = Adapter { parts: vec![4, 2, 3], rank: 2, scale: 0.7 };
        let weight = check::random((9, 5), 20);
        let (x, down, up) =
            (check::random((6, 5), 21), check::random((6, 5), 22), check::random((9, 2), 23));
        let strengths = Arc::new(vec![1.0, -0.5, 0.0, 2.0, 0.25, -1.0]);
        for strengths in [None, Some(&strengths)] {
            check::gradients(
                &[x.clone(), down.clone(), up.clone()],
                |v| adapted_linear(&v[0], &weight, &v[1], &v[2], &adapter, strengths),
                |v| plain::adapted_linear(&v[0], &weight, &v[1], &v[2], &adapter, strengths),
            );
        }
    }

    #[test]
    fn factors_of_zero_leave_the_layer_as_it_is() {
        let adapter = Adapter { parts: vec![4], rank: 1, scale: 1.0 };
        let (x, weight, down) =
            (check::random((3, 5), 1), check::random((4, 5), 2), check::random((1, 5), 3));
        let up = down.narrow(1, 0, 4).unwrap().reshape((4, 1)).unwrap().zeros_like().unwrap();
        let values = |y: Tensor| y.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let adapted = adapted_linear(&x, &weight, &down, &up, &adapter, None).unwrap();
        assert_eq!(values(adapted), values(super::super::linear(&x, &weight).unwrap()));
    }

    #[test]
    fn factors_that_do_not_fit_are_refused() {
        let adapter = Adapter { parts: vec![2, 2], rank: 1, scale: 1.0 };
        let (x, weight) = (check::random((3, 5), 1), check::random((4, 5), 2));
        let (down, up) = (check::random((1, 5), 3), check::random((4, 1), 4));
        assert!(adapted_linear(&x, &weight, &down, &up, &adapter, None).is_err());
    }
}
