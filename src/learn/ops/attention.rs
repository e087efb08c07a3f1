//! Causal self-attention with rotary positions, several documents to a sequence.
//!
//! One task per sequence and key head. Scores are made a block of queries at a time and are
//! computed again in the backward pass: keeping them would cost more memory traffic than it saves.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::product::{Matrix, Workers, multiply};
use super::{plain, slices, vector};

/// Rotary frequencies that a model's files prescribe, where they do not follow from the base alone.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Rotary {
    /// Radians per position, one for each pair of a head's columns.
    pub frequencies: Vec<f32>,
    /// Factor on cosine and sine.
    pub scale: f32,
}

/// The geometry of one attention layer over packed sequences.
#[derive(Debug, Clone)]
pub struct AttentionShape {
    /// Sequences in the batch.
    pub batch: usize,
    /// Positions of each.
    pub sequence: usize,
    /// Query heads; a multiple of `key_heads`.
    pub heads: usize,
    /// Key and value heads.
    pub key_heads: usize,
    /// Columns of a head, even.
    pub head_dim: usize,
    /// Base of the rotary angles.
    pub rope_theta: f32,
    /// Other frequencies than those of `rope_theta`.
    pub rotary: Option<Arc<Rotary>>,
    /// For each of the batch·sequence positions, the position (counted from its own sequence's
    /// beginning) where its document begins: it sees nothing before that.
    pub starts: Arc<Vec<u32>>,
}

impl AttentionShape {
    /// Columns of the joint query, key and value rows.
    pub fn joint_width(&self) -> usize {
        (self.heads + 2 * self.key_heads) * self.head_dim
    }

    /// Cosines and sines, each [sequence, head_dim / 2]. In a single sequence positions count from
    /// the beginning of each document, so that an f32 angle is the one the decoder has.
    pub fn rotary_table(&self) -> (Vec<f32>, Vec<f32>) {
        let half = self.head_dim / 2;
        let position = |row: usize| match self.batch {
            1 => row.saturating_sub(self.starts[row] as usize),
            _ => row,
        };
        if let Some(rotary) = &self.rotary {
            // The angle is an f32 product, as in the decoder.
            let angle = |i: usize| position(i / half) as f32 * rotary.frequencies[i % half];
            let turn = |i: usize| (angle(i).cos() * rotary.scale, angle(i).sin() * rotary.scale);
            return (0..self.sequence * half).map(turn).unzip();
        }
        let angle = |i: usize| {
            let frequency =
                f64::from(self.rope_theta).powf(-2.0 * (i % half) as f64 / self.head_dim as f64);
            position(i / half) as f64 * frequency
        };
        (0..self.sequence * half).map(|i| (angle(i).cos() as f32, angle(i).sin() as f32)).unzip()
    }

    fn check(&self, shape: &Shape) -> Result<()> {
        let (rows, width) = shape.dims2()?;
        if rows != self.batch * self.sequence
            || width != self.joint_width()
            || self.starts.len() != rows
            || !self.head_dim.is_multiple_of(2)
            || !self.heads.is_multiple_of(self.key_heads)
            || self.rotary.as_ref().is_some_and(|r| 2 * r.frequencies.len() != self.head_dim)
        {
            bail!("attention: {shape:?} does not fit {self:?}");
        }
        Ok(())
    }
}

/// Joint rows [batch·sequence, (heads + 2·key_heads)·head_dim] (queries, then keys, then values)
/// give [batch·sequence, heads·head_dim].
pub fn causal_attention(joint: &Tensor, shape: &AttentionShape) -> Result<Tensor> {
    shape.check(joint.shape())?;
    if !joint.device().is_cpu() {
        return plain::causal_attention(joint, shape);
    }
    let (cos, sin) = shape.rotary_table();
    joint.apply_op1(Attention { shape: shape.clone(), cos, sin })
}

/// Query rows handled at once.
const BLOCK: usize = 64;

struct Attention {
    shape: AttentionShape,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Attention {
    /// Copies one head's columns out of the joint rows of one sequence.
    fn columns(&self, joint: &[f32], head: usize) -> Vec<f32> {
        let (dim, width) = (self.shape.head_dim, self.shape.joint_width());
        let mut out = Vec::with_capacity(self.shape.sequence * dim);
        for row in joint.chunks_exact(width) {
            out.extend_from_slice(&row[head * dim..(head + 1) * dim]);
        }
        out
    }

    /// Turns every row by its position's angles; by their negatives when `back`.
    fn rotate(&self, rows: &mut [f32], back: bool) {
        let half = self.shape.head_dim / 2;
        let sign = if back { -1.0 } else { 1.0 };
        vector::wide(
            #[inline(always)]
            || {
                for ((row, cos), sin) in rows
                    .chunks_exact_mut(2 * half)
                    .zip(self.cos.chunks_exact(half))
                    .zip(self.sin.chunks_exact(half))
                {
                    let (low, high) = row.split_at_mut(half);
                    for i in 0..half {
                        let (a, b, s) = (low[i], high[i], sign * sin[i]);
                        low[i] = a * cos[i] - b * s;
                        high[i] = b * cos[i] + a * s;
                    }
                }
            },
        );
    }

    fn scale(&self) -> f32 {
        1.0 / (self.shape.head_dim as f32).sqrt()
    }

    /// First key any query of the block sees.
    fn first_key(&self, sequence: usize, from: usize, to: usize) -> usize {
        let base = sequence * self.shape.sequence;
        let starts = &self.shape.starts[base + from..base + to];
        starts.iter().map(|&s| s as usize).min().unwrap_or(0).min(from)
    }

    /// The attention probabilities of queries `from..to` over keys `first..to`.
    fn probabilities(
        &self,
        sequence: usize,
        (from, to, first): (usize, usize, usize),
        queries: &[f32],
        keys: &[f32],
        out: &mut Vec<f32>,
    ) {
        let (dim, width) = (self.shape.head_dim, to - first);
        out.resize((to - from) * width, 0.0);
        multiply(
            out,
            Matrix::dense(&queries[from * dim..to * dim], to - from, dim),
            Matrix::dense(&keys[first * dim..to * dim], width, dim).transposed(),
            self.scale(),
            false,
            Workers::One,
        );
        let starts = &self.shape.starts[sequence * self.shape.sequence..];
        vector::wide(
            #[inline(always)]
            || {
                for (row, position) in out.chunks_exact_mut(width).zip(from..to) {
                    let begin = (starts[position] as usize).clamp(first, position) - first;
                    let end = position + 1 - first;
                    row[..begin].fill(0.0);
                    row[end..].fill(0.0);
                    vector::softmax(&mut row[begin..end]);
                }
            },
        );
    }

    /// The output columns of every query head that reads one key head, head after head.
    fn forward_task(&self, joint: &[f32], sequence: usize, key_head: usize) -> Vec<f32> {
        let s = &self.shape;
        let (dim, length, group) = (s.head_dim, s.sequence, s.heads / s.key_heads);
        let mut keys = self.columns(joint, s.heads + key_head);
        self.rotate(&mut keys, false);
        let values = self.columns(joint, s.heads + s.key_heads + key_head);
        let mut out = vec![0.0; group * length * dim];
        let mut scores = Vec::new();
        for (i, out) in out.chunks_exact_mut(length * dim).enumerate() {
            let mut queries = self.columns(joint, key_head * group + i);
            self.rotate(&mut queries, false);
            for from in (0..length).step_by(BLOCK) {
                let to = (from + BLOCK).min(length);
                let first = self.first_key(sequence, from, to);
                self.probabilities(sequence, (from, to, first), &queries, &keys, &mut scores);
                multiply(
                    &mut out[from * dim..to * dim],
                    Matrix::dense(&scores, to - from, to - first),
                    Matrix::dense(&values[first * dim..to * dim], to - first, dim),
                    1.0,
                    false,
                    Workers::One,
                );
            }
        }
        out
    }

    /// Gradients of the query heads that read one key head, then of that head's keys and values.
    fn backward_task(
        &self,
        joint: &[f32],
        grad: &[f32],
        sequence: usize,
        key_head: usize,
    ) -> Vec<f32> {
        let s = &self.shape;
        let (dim, length, group) = (s.head_dim, s.sequence, s.heads / s.key_heads);
        let mut keys = self.columns(joint, s.heads + key_head);
        self.rotate(&mut keys, false);
        let values = self.columns(joint, s.heads + s.key_heads + key_head);
        let mut all = vec![0.0; (group + 2) * length * dim];
        let (query_grads, rest) = all.split_at_mut(group * length * dim);
        let (key_grad, value_grad) = rest.split_at_mut(length * dim);
        let (mut scores, mut score_grads) = (Vec::new(), Vec::new());
        for (i, query_grad) in query_grads.chunks_exact_mut(length * dim).enumerate() {
            let head = key_head * group + i;
            let mut queries = self.columns(joint, head);
            self.rotate(&mut queries, false);
            let mut out_grad = Vec::with_capacity(length * dim);
            for row in grad.chunks_exact(s.heads * dim) {
                out_grad.extend_from_slice(&row[head * dim..(head + 1) * dim]);
            }
            for from in (0..length).step_by(BLOCK) {
                let to = (from + BLOCK).min(length);
                let first = self.first_key(sequence, from, to);
                let (rows, width) = (to - from, to - first);
                let out_grad = Matrix::dense(&out_grad[from * dim..to * dim], rows, dim);
                let block = |all: &'_ [f32]| -> Vec<f32> { all[first * dim..to * dim].to_vec() };
                self.probabilities(sequence, (from, to, first), &queries, &keys, &mut scores);
                let probabilities = Matrix::dense(&scores, rows, width);
                multiply(
                    &mut value_grad[first * dim..to * dim],
                    probabilities.transposed(),
                    out_grad,
                    1.0,
                    true,
                    Workers::One,
                );
                score_grads.resize(rows * width, 0.0);
                let seen_values = block(&values);
                multiply(
                    &mut score_grads,
                    out_grad,
                    Matrix::dense(&seen_values, width, dim).transposed(),
                    1.0,
                    false,
                    Workers::One,
                );
                vector::wide(
                    #[inline(always)]
                    || {
                        let rows =
                            scores.chunks_exact(width).zip(score_grads.chunks_exact_mut(width));
                        for (p, g) in rows {
                            let mean = vector::dot(p, g);
                            for (g, p) in g.iter_mut().zip(p) {
                                *g = p * (*g - mean);
                            }
                        }
                    },
                );
                let score_grads = Matrix::dense(&score_grads, rows, width);
                multiply(
                    &mut query_grad[from * dim..to * dim],
                    score_grads,
                    Matrix::dense(&keys[first * dim..to * dim], width, dim),
                    self.scale(),
                    false,
                    Workers::One,
                );
                multiply(
                    &mut key_grad[first * dim..to * dim],
                    score_grads.transposed(),
                    Matrix::dense(&queries[from * dim..to * dim], rows, dim),
                    self.scale(),
                    true,
                    Workers::One,
                );
            }
            self.rotate(query_grad, true);
        }
        self.rotate(key_grad, true);
        all
    }

    /// Runs a task for every sequence and key head; the results in that order.
    fn tasks(&self, task: impl Fn(usize, usize) -> Vec<f32> + Sync) -> Vec<Vec<f32>> {
        let key_heads = self.shape.key_heads;
        (0..self.shape.batch * key_heads)
            .into_par_iter()
            .map(|i| task(i / key_heads, i % key_heads))
            .collect()
    }
}

/// Copies a head's rows into its columns of wider rows.
fn place(rows: &[f32], dim: usize, into: &mut [f32], width: usize, head: usize) {
    for (from, to) in rows.chunks_exact(dim).zip(into.chunks_exact_mut(width)) {
        to[head * dim..(head + 1) * dim].copy_from_slice(from);
    }
}

impl CustomOp1 for Attention {
    fn name(&self) -> &'static str {
        "fused-causal-attention"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let s = &self.shape;
        let joint = slices::of_argument(storage, layout)?;
        let (dim, length, group) = (s.head_dim, s.sequence, s.heads / s.key_heads);
        let joint_of =
            |b: usize| &joint[b * length * s.joint_width()..][..length * s.joint_width()];
        let parts = self.tasks(|b, key_head| self.forward_task(joint_of(b), b, key_head));
        let width = s.heads * dim;
        let mut y = vec![0.0; s.batch * length * width];
        y.par_chunks_mut(length * width).zip(parts.par_chunks(s.key_heads)).for_each(
            |(y, parts)| {
                let heads = parts.iter().flat_map(|part| part.chunks_exact(length * dim));
                for (head, rows) in heads.enumerate() {
                    debug_assert!(head < group * s.key_heads);
                    place(rows, dim, y, width, head);
                }
            },
        );
        Ok((CpuStorage::F32(y), (s.batch * length, width).into()))
    }

    fn bwd(&self, joint: &Tensor, _y: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let s = &self.shape;
        let (dim, length, group) = (s.head_dim, s.sequence, s.heads / s.key_heads);
        let (width, out_width) = (s.joint_width(), s.heads * dim);
        let joint_grad = slices::with(joint, |joint| {
            slices::with(grad, |grad| {
                let parts = self.tasks(|b, key_head| {
                    let joint = &joint[b * length * width..][..length * width];
                    let grad = &grad[b * length * out_width..][..length * out_width];
                    self.backward_task(joint, grad, b, key_head)
                });
                let mut all = vec![0.0; s.batch * length * width];
                all.par_chunks_mut(length * width).zip(parts.par_chunks(s.key_heads)).for_each(
                    |(all, parts)| {
                        for (key_head, part) in parts.iter().enumerate() {
                            for (i, rows) in part.chunks_exact(length * dim).enumerate() {
                                let head = match i {
                                    i if i < group => key_head * group + i,
                                    i if i == group => s.heads + key_head,
                                    _ => s.heads + s.key_heads + key_head,
                                };
                                place(rows, dim, all, width, head);
                            }
                        }
                    },
                );
                Ok(all)
            })
        })?;
        Ok(Some(slices::tensor(joint_grad, (s.batch * length, width))?))
    }
}

#[cfg(test)]
mod tests;
