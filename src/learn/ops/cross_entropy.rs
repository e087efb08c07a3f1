//! The tied output head and its cross-entropy in one operation: the logits of a few rows at a
//! time, never of the whole batch.
//!
//! Softmax and gradient need the same exponentials, so the gradients (for a loss gradient of one)
//! are made in the forward pass and only scaled in the backward.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};
use parking_lot::Mutex;
use rayon::prelude::*;

use super::product::{Matrix, Workers, multiply};
use super::{IGNORED, plain, slices, vector};

/// The mean over all targets that count of `−log softmax(hidden·headᵀ)[target]`.
///
/// `hidden` [rows, width], `head` [vocabulary, width], one target per row ([`IGNORED`] leaves a
/// row out). A scalar; 0 when no target counts.
pub fn head_cross_entropy(
    hidden: &Tensor,
    head: &Tensor,
    targets: &Arc<Vec<u32>>,
) -> Result<Tensor> {
    let (rows, vocabulary) = (hidden.dim(0)?, head.dim(0)?);
    if targets.len() != rows {
        bail!("cross-entropy: {} targets for {rows} rows", targets.len());
    }
    if let Some(&bad) = targets.iter().find(|&&t| t != IGNORED && t as usize >= vocabulary) {
        bail!("cross-entropy: target {bad} is outside the vocabulary of {vocabulary}");
    }
    if !hidden.device().is_cpu() {
        return plain::head_cross_entropy(hidden, head, targets);
    }
    let wants_gradient = hidden.track_op() || head.track_op();
    let kept = Mutex::new(None);
    hidden.apply_op2(head, HeadCrossEntropy { targets: targets.clone(), wants_gradient, kept })
}

/// Rows whose logits exist at the same time.
const CHUNK: usize = 256;

struct HeadCrossEntropy {
    targets: Arc<Vec<u32>>,
    wants_gradient: bool,
    /// Gradients of `hidden` and `head`, from the forward pass to the backward.
    kept: Mutex<Option<(Vec<f32>, Vec<f32>)>>,
}

/// Replaces a row of logits by the gradient of its loss times `weight`; returns the loss.
#[inline(always)]
fn row_loss(logits: &mut [f32], target: u32, weight: f32) -> f64 {
    if target == IGNORED {
        logits.fill(0.0);
        return 0.0;
    }
    let wanted = logits[target as usize];
    let top = vector::max(logits);
    for value in logits.iter_mut() {
        *value = vector::exp(*value - top);
    }
    let total = vector::sum(logits);
    let scale = weight / total;
    for value in logits.iter_mut() {
        *value *= scale;
    }
    logits[target as usize] -= weight;
    f64::from(total).ln() + f64::from(top) - f64::from(wanted)
}

impl CustomOp2 for HeadCrossEntropy {
    fn name(&self) -> &'static str {
        "fused-head-cross-entropy"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let ((rows, width), (vocabulary, _)) = (l1.shape().dims2()?, l2.shape().dims2()?);
        let hidden = slices::of_argument(s1, l1)?;
        let head = Matrix::dense(slices::of_argument(s2, l2)?, vocabulary, width);
        let counted = self.targets.iter().filter(|&&t| t != IGNORED).count();
        let weight = 1.0 / counted.max(1) as f32;
        let mut logits = vec![0.0; CHUNK.min(rows) * vocabulary];
        let gradients = usize::from(self.wants_gradient);
        let mut hidden_grad = vec![0.0; gradients * rows * width];
        let mut head_grad = vec![0.0; gradients * vocabulary * width];
        let mut loss = 0.0;
        for from in (0..rows).step_by(CHUNK) {
            let to = (from + CHUNK).min(rows);
            let logits = &mut logits[..(to - from) * vocabulary];
            let hidden = Matrix::dense(&hidden[from * width..to * width], to - from, width);
            multiply(logits, hidden, head.transposed(), 1.0, false, Workers::All);
            let losses: Vec<f64> = logits
                .par_chunks_mut(vocabulary)
                .zip(&self.targets[from..to])
                .map(|(logits, &target)| {
                    vector::wide(
                        #[inline(always)]
                        || row_loss(logits, target, weight),
                    )
                })
                .collect();
            loss += losses.iter().sum::<f64>();
            if self.wants_gradient {
                let logits = Matrix::dense(logits, to - from, vocabulary);
                let hidden_grad = &mut hidden_grad[from * width..to * width];
                multiply(hidden_grad, logits, head, 1.0, false, Workers::All);
                multiply(&mut head_grad, logits.transposed(), hidden, 1.0, true, Workers::All);
            }
        }
        if self.wants_gradient {
            *self.kept.lock() = Some((hidden_grad, head_grad));
        }
        let loss = (loss / counted.max(1) as f64) as f32;
        Ok((CpuStorage::F32(vec![loss]), Shape::from(())))
    }

    fn bwd(
        &self,
        hidden: &Tensor,
        head: &Tensor,
        _loss: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let Some((mut hidden_grad, mut head_grad)) = self.kept.lock().take() else {
            bail!("cross-entropy: the backward pass can be taken once, after a tracked forward")
        };
        let scale = grad.to_scalar::<f32>()?;
        if scale != 1.0 {
            for value in hidden_grad.iter_mut().chain(&mut head_grad) {
                *value *= scale;
            }
        }
        Ok((
            Some(slices::tensor(hidden_grad, hidden.shape())?),
            Some(slices::tensor(head_grad, head.shape())?),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::ops::check;

    #[test]
    fn backward_is_the_derivative() {
        let (hidden, head) = (check::random((7, 6), 8), check::random((11, 6), 9));
        let targets = Arc::new(vec![0, 10, IGNORED, 3, 3, 7, IGNORED]);
        check::gradients(
            &[hidden, head],
            |v| head_cross_entropy(&v[0], &v[1], &targets),
            |v| plain::head_cross_entropy(&v[0], &v[1], &targets),
        );
    }

    #[test]
    fn chunks_add_up_and_a_scaled_loss_scales_gradients() {
        let rows = CHUNK + 30;
        let (hidden, head) = (check::random((rows, 8), 10), check::random((20, 8), 11));
        let targets = Arc::new((0..rows as u32).map(|i| i % 20).collect::<Vec<_>>());
        check::same(
            &[hidden, head],
            |v| head_cross_entropy(&v[0], &v[1], &targets)?.affine(3.0, 0.0),
            |v| plain::head_cross_entropy(&v[0], &v[1], &targets)?.affine(3.0, 0.0),
        );
    }

    #[test]
    fn a_target_outside_the_vocabulary_is_refused() {
        let (hidden, head) = (check::random((1, 4), 1), check::random((5, 4), 2));
        assert!(head_cross_entropy(&hidden, &head, &Arc::new(vec![5])).is_err());
    }
}
