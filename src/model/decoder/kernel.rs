//! The inner loops of attention over f32 slices.

use super::activation::capped;
use super::attention::Scoring;
use super::host;
use super::lanes::{LANES, exponential, fold, for_this_processor, largest, multiply_add, sum_of};

/// Keys (or values) that meet a query at a time.
const TILE: usize = 4;

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
    let work = queries.len() * (shared.len + tail_len - first);
    let mut out = vec![0.0; queries.len()];
    host::for_each_row(&mut out, group * size, work, |index, out| {
        let queries = &queries[index * group * size..(index + 1) * group * size];
        let (keys, values) = shared.block(index / rows, first.min(shared.len), size);
        let tail_from = first.saturating_sub(shared.len);
        let (tail_keys, tail_values) =
            tails.map_or((&[][..], &[][..]), |tails| tails.block(index, tail_from, size));
        let (seen, tail_seen) = (keys.len() / size, tail_keys.len() / size);
        let width = seen + tail_seen;
        let mut scores = vec![0.0; group * width];
        score(queries, keys, size, &mut scores, width);
        score(queries, tail_keys, size, &mut scores[seen..], width);
        for row in scores.chunks_exact_mut(width) {
            softmax(row, scoring);
        }
        mix(&scores, width, values, size, out);
        mix(&scores[seen..], width, tail_values, size, out);
    });
    out
}

for_this_processor! {
    /// `scores[q · width + k] = queries[q] · keys[k]`; each key is read once for all queries.
    score(queries: &[f32], keys: &[f32], size: usize, scores: &mut [f32], width: usize) = score_body
}

#[inline(always)]
fn score_body<const FUSED: bool>(
    queries: &[f32],
    keys: &[f32],
    size: usize,
    scores: &mut [f32],
    width: usize,
) {
    for (tile, keys) in keys.chunks(TILE * size).enumerate() {
        for (query, scores) in queries.chunks_exact(size).zip(scores.chunks_mut(width)) {
            let scores = &mut scores[tile * TILE..];
            if keys.len() == TILE * size {
                scores[..TILE].copy_from_slice(&dots::<FUSED>(query, keys));
            } else {
                for (score, key) in scores.iter_mut().zip(keys.chunks_exact(size)) {
                    *score = dot::<FUSED>(query, key);
                }
            }
        }
    }
}

/// One query with `TILE` keys at once: a register of the query serves four products.
#[inline(always)]
fn dots<const FUSED: bool>(query: &[f32], keys: &[f32]) -> [f32; TILE] {
    let size = query.len();
    let (a, rest) = keys.split_at(size);
    let (b, rest) = rest.split_at(size);
    let (c, d) = rest.split_at(size);
    let mut lanes = [[0.0f32; LANES]; TILE];
    let (query, query_rest) = query.as_chunks::<LANES>();
    let groups = [a, b, c, d].map(|key| key.as_chunks::<LANES>().0);
    for (at, query) in query.iter().enumerate() {
        for (lanes, key) in lanes.iter_mut().zip(groups) {
            let key = &key[at];
            for lane in 0..LANES {
                lanes[lane] = multiply_add::<FUSED>(query[lane], key[lane], lanes[lane]);
            }
        }
    }
    let mut sums = lanes.map(fold);
    let done = size - query_rest.len();
    for (sum, key) in sums.iter_mut().zip([a, b, c, d]) {
        for (x, y) in query_rest.iter().zip(&key[done..]) {
            *sum = multiply_add::<FUSED>(*x, *y, *sum);
        }
    }
    sums
}

/// The same sum for one key, in the same order.
#[inline(always)]
fn dot<const FUSED: bool>(query: &[f32], key: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (groups, rest) = query.as_chunks::<LANES>();
    let (key_groups, key_rest) = key.as_chunks::<LANES>();
    for (x, y) in groups.iter().zip(key_groups) {
        for lane in 0..LANES {
            lanes[lane] = multiply_add::<FUSED>(x[lane], y[lane], lanes[lane]);
        }
    }
    let mut sum = fold(lanes);
    for (x, y) in rest.iter().zip(key_rest) {
        sum = multiply_add::<FUSED>(*x, *y, sum);
    }
    sum
}

for_this_processor! {
    /// `out[q] += Σ weights[q · width + k] · values[k]`, in the order of the positions.
    mix(weights: &[f32], width: usize, values: &[f32], size: usize, out: &mut [f32]) = mix_body
}

#[inline(always)]
fn mix_body<const FUSED: bool>(
    weights: &[f32],
    width: usize,
    values: &[f32],
    size: usize,
    out: &mut [f32],
) {
    for (tile, values) in values.chunks(TILE * size).enumerate() {
        for (out, weights) in out.chunks_exact_mut(size).zip(weights.chunks(width)) {
            let weights = &weights[tile * TILE..];
            if values.len() == TILE * size {
                let (a, rest) = values.split_at(size);
                let (b, rest) = rest.split_at(size);
                let (c, d) = rest.split_at(size);
                for ((((out, a), b), c), d) in out.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                    let mut sum = multiply_add::<FUSED>(weights[0], *a, *out);
                    sum = multiply_add::<FUSED>(weights[1], *b, sum);
                    sum = multiply_add::<FUSED>(weights[2], *c, sum);
                    *out = multiply_add::<FUSED>(weights[3], *d, sum);
                }
            } else {
                for (weight, value) in weights.iter().zip(values.chunks_exact(size)) {
                    for (out, value) in out.iter_mut().zip(value) {
                        *out = multiply_add::<FUSED>(*weight, *value, *out);
                    }
                }
            }
        }
    }
}

for_this_processor! {
    /// Scales, caps and normalises one row of scores.
    softmax(row: &mut [f32], scoring: Scoring) = softmax_body
}

#[inline(always)]
fn softmax_body<const FUSED: bool>(row: &mut [f32], scoring: Scoring) {
    // Plain loops: a closure that is not inlined would be compiled for any processor.
    for x in row.iter_mut() {
        *x *= scoring.scale;
    }
    if let Some(cap) = scoring.soft_cap {
        for x in row.iter_mut() {
            *x = capped::<FUSED>(*x, cap);
        }
    }
    let most = largest(row);
    for x in row.iter_mut() {
        *x = exponential::<FUSED>(*x - most);
    }
    let scale = 1.0 / sum_of(row, |x| x);
    for x in row.iter_mut() {
        *x *= scale;
    }
}
