//! The inner loops of attention over f32 slices.

use rayon::prelude::*;

use super::activation::soft_cap;
use super::attention::Scoring;

/// Keys and values of some positions: `[…, capacity, head_size]`, of which `len` are held.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) keys: &'a [f32],
    pub(super) values: &'a [f32],
    pub(super) capacity: usize,
    pub(super) len: usize,
}

impl<'a> Part<'a> {
    /// The held keys and values from position `from` on, of the block with this index.
    fn block(self, index: usize, from: usize, size: usize) -> (&'a [f32], &'a [f32]) {
        let start = index * self.capacity * size;
        let range = start + from * size..start + self.len * size;
        (&self.keys[range.clone()], &self.values[range])
    }
}

/// The newest position of every row against the shared part and the row's own tail.
///
/// `queries` and the result are `[groups, rows, group_size, head_size]` (`shape`).
pub(super) fn attend(
    queries: &[f32],
    shared: Part<'_>,
    tails: Option<Part<'_>>,
    shape: [usize; 4],
    scoring: Scoring,
) -> Vec<f32> {
    let [_, rows, group, size] = shape;
    let tail_len = tails.map_or(0, |tails| tails.len);
    let first = scoring.first_key(shared.len + tail_len - 1);
    let mut out = vec![0.0; queries.len()];
    let one = |(index, (out, queries)): (usize, (&mut [f32], &[f32]))| {
        let (keys, values) = shared.block(index / rows, first.min(shared.len), size);
        let tail_from = first.saturating_sub(shared.len);
        let (tail_keys, tail_values) =
            tails.map_or((&[][..], &[][..]), |tails| tails.block(index, tail_from, size));
        let (seen, tail_seen) = (keys.len() / size, tail_keys.len() / size);
        let mut scores = vec![0.0; group * (seen + tail_seen)];
        score(queries, keys, size, seen + tail_seen, 0, &mut scores);
        score(queries, tail_keys, size, seen + tail_seen, seen, &mut scores);
        for row in scores.chunks_exact_mut(seen + tail_seen) {
            softmax(row, scoring);
        }
        mix(&scores, values, size, seen + tail_seen, 0, out);
        mix(&scores, tail_values, size, seen + tail_seen, seen, out);
    };
    let work = queries.len() * (shared.len + tail_len - first);
    if work < super::host::PARALLEL_FROM {
        out.chunks_mut(group * size).zip(queries.chunks(group * size)).enumerate().for_each(one);
    } else {
        out.par_chunks_mut(group * size)
            .zip(queries.par_chunks(group * size))
            .enumerate()
            .for_each(one);
    }
    out
}

/// `scores[q][offset + k] = queries[q] · keys[k]`; each key is read once for all queries.
fn score(
    queries: &[f32],
    keys: &[f32],
    size: usize,
    width: usize,
    offset: usize,
    scores: &mut [f32],
) {
    for (index, key) in keys.chunks_exact(size).enumerate() {
        for (query, row) in queries.chunks_exact(size).zip(scores.chunks_exact_mut(width)) {
            row[offset + index] = dot(query, key);
        }
    }
}

/// `out[q] += Σ weights[q][offset + k] · values[k]`.
fn mix(weights: &[f32], values: &[f32], size: usize, width: usize, offset: usize, out: &mut [f32]) {
    for (index, value) in values.chunks_exact(size).enumerate() {
        for (out, row) in out.chunks_exact_mut(size).zip(weights.chunks_exact(width)) {
            let weight = row[offset + index];
            out.iter_mut().zip(value).for_each(|(out, value)| *out += weight * value);
        }
    }
}

/// Scales, caps and normalises one row of scores.
pub(super) fn softmax(row: &mut [f32], scoring: Scoring) {
    row.iter_mut().for_each(|x| *x *= scoring.scale);
    if let Some(cap) = scoring.soft_cap {
        soft_cap(row, cap);
    }
    let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for x in row.iter_mut() {
        *x = (*x - most).exp();
        sum += *x;
    }
    let scale = 1.0 / sum;
    row.iter_mut().for_each(|x| *x *= scale);
}

/// Eight lanes, added up in a fixed order.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 8];
    let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a.remainder().iter().zip(b.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a.zip(b) {
        for ((lane, x), y) in lanes.iter_mut().zip(x).zip(y) {
            *lane += x * y;
        }
    }
    lanes.iter().sum::<f32>() + rest
}
