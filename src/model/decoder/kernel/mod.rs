//! The inner loops of attention over f32 slices.

#[cfg(target_arch = "x86_64")]
mod avx2;

use super::activation::capped;
use super::attention::Scoring;
use super::host;
use super::lanes::{LANES, exponential, fold, for_this_processor, largest, multiply_add, sum_of};

/// Values that meet a row of weights at a time.
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

/// `scores[q · width + k] = queries[q] · keys[k]`; each key is read once for all queries.
fn score(queries: &[f32], keys: &[f32], size: usize, scores: &mut [f32], width: usize) {
    #[cfg(target_arch = "x86_64")]
    if size.is_multiple_of(LANES) && avx2::available() {
        // SAFETY: the processor has just said that it can.
        let done = unsafe { avx2::score(queries, keys, size, scores, width) };
        return score_plain(queries, &keys[done * size..], size, &mut scores[done..], width);
    }
    score_plain(queries, keys, size, scores, width);
}

fn score_plain(queries: &[f32], keys: &[f32], size: usize, scores: &mut [f32], width: usize) {
    for (index, key) in keys.chunks_exact(size).enumerate() {
        for (query, scores) in queries.chunks_exact(size).zip(scores.chunks_mut(width)) {
            scores[index] = dot(query, key);
        }
    }
}

for_this_processor! {
    /// The product of a query and a key.
    dot(query: &[f32], key: &[f32]) -> f32 = dot_body
}

#[inline(always)]
fn dot_body<const FUSED: bool>(query: &[f32], key: &[f32]) -> f32 {
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

#[cfg(test)]
mod tests {
    use super::super::attention::Scoring;
    use super::{Part, attend, score};

    fn values(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|at| ((at * 37 + seed * 11) % 101) as f32 / 50.0 - 1.0).collect()
    }

    #[test]
    fn scores_are_products_whatever_the_tile() {
        for (queries, keys, size) in [(1, 1, 8), (3, 9, 16), (2, 4, 64), (5, 7, 12), (1, 6, 80)] {
            let (q, k) = (values(queries * size, 1), values(keys * size, 2));
            let width = keys + 3;
            let mut scores = vec![7.0; queries * width];
            score(&q, &k, size, &mut scores, width);
            for query in 0..queries {
                for key in 0..keys {
                    let exact: f64 = (0..size)
                        .map(|at| f64::from(q[query * size + at]) * f64::from(k[key * size + at]))
                        .sum();
                    let ours = f64::from(scores[query * width + key]);
                    assert!((ours - exact).abs() < 1e-4, "{ours} is not {exact}");
                }
                assert_eq!(scores[query * width + keys..][..3], [7.0; 3]);
            }
        }
    }

    /// Shared part and tails side by side, against the textbook in f64.
    #[test]
    fn one_softmax_runs_over_the_shared_part_and_the_tail() {
        let (groups, rows, group, size) = (2, 3, 2, 8);
        let (shared_len, tail_len, capacity, tail_capacity) = (9, 4, 11, 6);
        let queries = values(groups * rows * group * size, 3);
        let keys = values(groups * capacity * size, 4);
        let mixed = values(groups * capacity * size, 5);
        let tail_keys = values(groups * rows * tail_capacity * size, 6);
        let tail_mixed = values(groups * rows * tail_capacity * size, 7);
        let shared = Part { keys: &keys, values: &mixed, capacity, len: shared_len };
        let tails =
            Part { keys: &tail_keys, values: &tail_mixed, capacity: tail_capacity, len: tail_len };
        for window in [None, Some(7), Some(3)] {
            let scoring = Scoring { scale: 0.5, soft_cap: Some(2.0), window };
            let out = attend(&queries, shared, Some(tails), [groups, rows, group, size], scoring);
            let first = window.map_or(0, |window| shared_len + tail_len - window);
            for (index, out) in out.chunks(size).enumerate() {
                let (of, row) = (index / (rows * group), index / group % rows);
                let query = &queries[index * size..(index + 1) * size];
                let at = |position: usize| -> usize {
                    if position < shared_len {
                        (of * capacity + position) * size
                    } else {
                        ((of * rows + row) * tail_capacity + position - shared_len) * size
                    }
                };
                let pick = |shared: &[f32], tail: &[f32], position: usize| -> Vec<f64> {
                    let from = if position < shared_len { shared } else { tail };
                    from[at(position)..at(position) + size].iter().map(|x| f64::from(*x)).collect()
                };
                let weights: Vec<f64> = (first..shared_len + tail_len)
                    .map(|position| {
                        let key = pick(&keys, &tail_keys, position);
                        let product: f64 =
                            key.iter().zip(query).map(|(k, q)| k * f64::from(*q)).sum();
                        (2.0 * (product * 0.5 / 2.0).tanh()).exp()
                    })
                    .collect();
                let sum: f64 = weights.iter().sum();
                for (lane, out) in out.iter().enumerate() {
                    let exact: f64 = weights
                        .iter()
                        .zip(first..)
                        .map(|(weight, position)| {
                            weight / sum * pick(&mixed, &tail_mixed, position)[lane]
                        })
                        .sum();
                    assert!((f64::from(*out) - exact).abs() < 1e-5, "{out} is not {exact}");
                }
            }
        }
    }
}
