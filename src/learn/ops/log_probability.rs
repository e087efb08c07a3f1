//! The log-probability of whole answers through the output head, logits of a few rows at a time:
//! what preference losses are made of.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::product::{Matrix, Workers, multiply};
use super::{IGNORED, plain, slices, vector};

/// Which rows answer what.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    /// What follows each row, or [`IGNORED`].
    pub targets: Arc<Vec<u32>>,
    /// The answer each row belongs to.
    pub owners: Arc<Vec<u32>>,
    /// Answers there are.
    pub count: usize,
}

impl Answers {
    /// The rows that count.
    pub(crate) fn rows(&self) -> Vec<usize> {
        (0..self.targets.len()).filter(|&row| self.targets[row] != IGNORED).collect()
    }

    fn check(&self, rows: usize, vocabulary: usize) -> Result<()> {
        if self.targets.len() != rows || self.owners.len() != rows {
            let (targets, owners) = (self.targets.len(), self.owners.len());
            bail!("log-probability: {targets} targets and {owners} owners for {rows} rows");
        }
        for row in self.rows() {
            let (target, owner) = (self.targets[row], self.owners[row]);
            if target as usize >= vocabulary || owner as usize >= self.count {
                bail!("log-probability: target {target} of answer {owner} does not exist");
            }
        }
        Ok(())
    }
}

/// For each answer the sum over its rows of `log softmax(hidden·headᵀ)[target]`, in nats.
///
/// `hidden` [rows, width], `head` [vocabulary, width]; returns [answers].
pub fn head_log_probabilities(hidden: &Tensor, head: &Tensor, answers: &Answers) -> Result<Tensor> {
    answers.check(hidden.dim(0)?, head.dim(0)?)?;
    if !hidden.device().is_cpu() {
        return plain::head_log_probabilities(hidden, head, answers);
    }
    hidden.apply_op2(head, HeadLogProbabilities { answers: answers.clone() })
}

/// Rows whose logits exist at the same time.
const CHUNK: usize = 256;

struct HeadLogProbabilities {
    answers: Answers,
}

/// The chosen rows of a matrix, one below the other.
fn picked(values: &[f32], width: usize, rows: &[usize]) -> Vec<f32> {
    rows.iter().flat_map(|&row| &values[row * width..(row + 1) * width]).copied().collect()
}

/// The log-probability of a target; the row becomes the softmax.
#[inline(always)]
fn row_log_probability(logits: &mut [f32], target: u32) -> f64 {
    let wanted = logits[target as usize];
    let (top, total) = vector::softmax(logits);
    f64::from(wanted) - f64::from(top) - f64::from(total).ln()
}

impl CustomOp2 for HeadLogProbabilities {
    fn name(&self) -> &'static str {
        "fused-head-log-probabilities"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (width, vocabulary) = (l1.shape().dims2()?.1, l2.shape().dims2()?.0);
        let hidden = slices::of_argument(s1, l1)?;
        let head = Matrix::dense(slices::of_argument(s2, l2)?, vocabulary, width);
        let Answers { targets, owners, count } = &self.answers;
        let mut sums = vec![0.0_f64; *count];
        for rows in self.answers.rows().chunks(CHUNK) {
            let hidden = picked(hidden, width, rows);
            let hidden = Matrix::dense(&hidden, rows.len(), width);
            let mut logits = vec![0.0; rows.len() * vocabulary];
            multiply(&mut logits, hidden, head.transposed(), 1.0, false, Workers::All);
            let values: Vec<f64> = logits
                .par_chunks_mut(vocabulary)
                .zip(rows)
                .map(|(logits, &row)| {
                    vector::wide(
                        #[inline(always)]
                        || row_log_probability(logits, targets[row]),
                    )
                })
                .collect();
            for (value, &row) in values.iter().zip(rows) {
                sums[owners[row] as usize] += value;
            }
        }
        let sums = sums.into_iter().map(|sum| sum as f32).collect();
        Ok((CpuStorage::F32(sums), Shape::from(*count)))
    }

    fn bwd(
        &self,
        hidden: &Tensor,
        head: &Tensor,
        _sums: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let ((all, width), vocabulary) = (hidden.dims2()?, head.dim(0)?);
        let wants_head = head.track_op();
        let mut hidden_grad = vec![0.0; all * width];
        let mut head_grad = vec![0.0; if wants_head { vocabulary * width } else { 0 }];
        let grads = grad.to_vec1::<f32>()?;
        let Answers { targets, owners, .. } = &self.answers;
        slices::with(hidden, |hidden| {
            slices::with(head, |head| {
                let head = Matrix::dense(head, vocabulary, width);
                for rows in self.answers.rows().chunks(CHUNK) {
                    let some = picked(hidden, width, rows);
                    let some = Matrix::dense(&some, rows.len(), width);
                    let mut logits = vec![0.0; rows.len() * vocabulary];
                    multiply(&mut logits, some, head.transposed(), 1.0, false, Workers::All);
                    logits.par_chunks_mut(vocabulary).zip(rows).for_each(|(logits, &row)| {
                        let (target, grad) = (targets[row], grads[owners[row] as usize]);
                        vector::wide(
                            #[inline(always)]
                            || {
                                row_log_probability(logits, target);
                                logits.iter_mut().for_each(|p| *p *= -grad);
                                logits[target as usize] += grad;
                            },
                        );
                    });
                    let logits = Matrix::dense(&logits, rows.len(), vocabulary);
                    let mut some_grad = vec![0.0; rows.len() * width];
                    multiply(&mut some_grad, logits, head, 1.0, false, Workers::All);
                    for (from, &row) in some_grad.chunks_exact(width).zip(rows) {
                        hidden_grad[row * width..(row + 1) * width].copy_from_slice(from);
                    }
                    if wants_head {
                        let across = logits.transposed();
                        multiply(&mut head_grad, across, some, 1.0, true, Workers::All);
                    }
                }
                Ok(())
            })
        })?;
        let head_grad = wants_head.then(|| slices::tensor(head_grad, head.shape())).transpose()?;
        Ok((Some(slices::tensor(hidden_grad, hidden.shape())?), head_grad))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::ops::check;

    fn answers() -> Answers {
        Answers {
            targets: Arc::new(vec![0, 10, IGNORED, 3, 3, 7, IGNORED]),
            owners: Arc::new(vec![0, 0, 0, 2, 2, 1, 9]),
            count: 4,
        }
    }

    #[test]
    fn backward_is_the_derivative() {
        let (hidden, head) = (check::random((7, 6), 8), check::random((11, 6), 9));
        check::gradients(
            &[hidden, head],
            |v| head_log_probabilities(&v[0], &v[1], &answers()),
            |v| plain::head_log_probabilities(&v[0], &v[1], &answers()),
        );
    }

    #[test]
    fn an_answer_without_rows_is_certain_and_bad_targets_are_refused() {
        let (hidden, head) = (check::random((7, 6), 8), check::random((11, 6), 9));
        let sums = head_log_probabilities(&hidden, &head, &answers()).unwrap();
        let sums = sums.to_vec1::<f32>().unwrap();
        assert_eq!(sums[3], 0.0);
        assert!(sums[..3].iter().all(|&sum| sum < 0.0), "{sums:?}");
        let beyond = Answers { targets: Arc::new(vec![11; 7]), ..answers() };
        assert!(head_log_probabilities(&hidden, &head, &beyond).is_err());
    }
}
