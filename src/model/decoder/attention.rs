//! Attention over the cache: many positions of one row (prefill), or one position of many rows.
//!
//! Scores, softmax and sums are f32. A prefill works through matrix products, in blocks of
//! positions so that scores stay bounded. A step on the CPU runs the loops of `kernel`; keys and
//! values of the shared part are read where they lie, once for all rows.

use anyhow::Result;
use candle_core::{CpuStorage, D, InplaceOp1, Layout, Tensor};

use super::cache::{Held, Tails};
use super::kernel::{self, Part};
use super::spec::DecoderSpec;
use super::{activation, host};

/// Most scores one block of a prefill may have: 32 MiB of them.
const MOST_SCORES: usize = 1 << 23;

/// How scores are made and which keys a query sees.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scoring {
    pub(super) scale: f32,
    pub(super) soft_cap: Option<f32>,
    /// Keys a query sees, itself included.
    pub(super) window: Option<usize>,
}

impl Scoring {
    /// As one layer of a model has it.
    pub(super) fn of(spec: &DecoderSpec, layer: usize) -> Self {
        let settings = spec.layers[layer];
        Self {
            scale: settings.attention_scale,
            soft_cap: spec.attention_soft_cap,
            window: settings.window,
        }
    }

    /// The first key the query at `position` sees.
    pub(super) fn first_key(self, position: usize) -> usize {
        self.window.map_or(0, |window| (position + 1).saturating_sub(window))
    }
}

/// Attention of `count` new positions of the single row, which are the last ones held.
///
/// `queries` is `[groups, count · group_size, head_size]`, and so is the result.
pub(super) fn prefill(
    queries: &Tensor,
    held: &Held<'_>,
    count: usize,
    scoring: Scoring,
    plain: bool,
) -> Result<Tensor> {
    let (groups, per_group, _) = queries.dims3()?;
    let group = per_group / count;
    let first = held.shared_len - count;
    let block = (MOST_SCORES / (groups * group * held.shared_len)).clamp(1, count);
    let mut blocks = Vec::with_capacity(count.div_ceil(block));
    for from in (0..count).step_by(block) {
        let rows = block.min(count - from);
        let low = scoring.first_key(first + from);
        let keys = first + from + rows - low;
        let queries = queries.narrow(1, from * group, rows * group)?;
        let scores = queries.matmul(&held.keys.narrow(1, low, keys)?.t()?)?;
        let softmax = CausalSoftmax { scoring, group, position: first + from, first_key: low };
        let weights = if plain || !host::is_here(&scores) {
            softmax.plain(&scores)?
        } else {
            scores.inplace_op1(&softmax)?;
            scores
        };
        blocks.push(weights.matmul(&held.values.narrow(1, low, keys)?)?);
    }
    Ok(if blocks.len() == 1 { blocks.remove(0) } else { Tensor::cat(&blocks, 1)? })
}

/// Softmax over the keys each query of a block may see; zero on the others.
struct CausalSoftmax {
    scoring: Scoring,
    group: usize,
    /// Position of the block's first query.
    position: usize,
    /// Position of the block's first key.
    first_key: usize,
}

impl CausalSoftmax {
    /// The keys a query sees, as columns of the block.
    fn visible(&self, query: usize) -> std::ops::Range<usize> {
        let position = self.position + query;
        let from = self.scoring.first_key(position).max(self.first_key);
        from - self.first_key..position + 1 - self.first_key
    }

    fn plain(&self, scores: &Tensor) -> Result<Tensor> {
        let (groups, per_group, keys) = scores.dims3()?;
        let rows = per_group / self.group;
        let mut mask = vec![f32::NEG_INFINITY; rows * keys];
        for (query, row) in mask.chunks_mut(keys).enumerate() {
            row[self.visible(query)].fill(0.0);
        }
        let mask = Tensor::from_vec(mask, (1, rows, 1, keys), scores.device())?;
        let scores = scores.reshape((groups, rows, self.group, keys))?;
        let scores = cap_and_scale(&scores, self.scoring)?.broadcast_add(&mask)?;
        Ok(softmax(&scores)?.reshape((groups, per_group, keys))?)
    }
}

impl InplaceOp1 for CausalSoftmax {
    fn name(&self) -> &'static str {
        "causal-softmax"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let (_, per_group, keys) = layout.shape().dims3()?;
        let CpuStorage::F32(scores) = storage else { candle_core::bail!("scores are f32") };
        let work = scores.len();
        host::for_each_row(scores, keys, work, |index, row| {
            let visible = self.visible(index % per_group / self.group);
            row[..visible.start].fill(0.0);
            row[visible.end..].fill(0.0);
            kernel::softmax(&mut row[visible], self.scoring);
        });
        Ok(())
    }
}

/// Attention of the newest position of every row: `[groups, rows · group_size, head_size]`.
pub(super) fn step(
    queries: &Tensor,
    held: &Held<'_>,
    rows: usize,
    scoring: Scoring,
    plain: bool,
) -> Result<Tensor> {
    if plain || !host::is_here(queries) {
        return match &held.tails {
            None => prefill(queries, held, 1, scoring, true),
            Some(tails) => step_plain(queries, held, tails, rows, scoring),
        };
    }
    let (groups, per_group, size) = queries.dims3()?;
    let group = per_group / rows;
    let out = host::read(queries, |queries| {
        read_part(held.keys, held.values, |keys, values, capacity| {
            let shared = Part { keys, values, capacity, len: held.shared_len };
            match &held.tails {
                None => {
                    Ok(kernel::attend(queries, shared, None, [groups, rows, group, size], scoring))
                }
                Some(tails) => read_part(tails.keys, tails.values, |keys, values, capacity| {
                    let tails = Part { keys, values, capacity, len: tails.len };
                    let shape = [groups, rows, group, size];
                    Ok(kernel::attend(queries, shared, Some(tails), shape, scoring))
                }),
            }
        })
    })??;
    host::tensor(out, (groups, per_group, size))
}

/// Reads keys and values together, with the positions their buffers have room for.
fn read_part<R>(
    keys: &Tensor,
    values: &Tensor,
    with: impl FnOnce(&[f32], &[f32], usize) -> Result<R>,
) -> Result<R> {
    let dims = keys.dims();
    let capacity = dims[dims.len() - 2];
    host::read(keys, |keys| host::read(values, |values| with(keys, values, capacity)))??
}

/// The same through candle operations: scores over the shared part and over the tails side by
/// side, one softmax over both.
fn step_plain(
    queries: &Tensor,
    held: &Held<'_>,
    tails: &Tails<'_>,
    rows: usize,
    scoring: Scoring,
) -> Result<Tensor> {
    let (groups, per_group, size) = queries.dims3()?;
    let group = per_group / rows;
    let first = scoring.first_key(held.shared_len + tails.len - 1);
    let low = first.min(held.shared_len);
    let shared = held.shared_len - low;
    let tail_low = first - low;
    let tail = tails.len - tail_low;

    let by_row = queries.reshape((groups, rows, group, size))?;
    let tail_keys = tails.keys.narrow(2, tail_low, tail)?;
    let tail_scores = by_row.matmul(&tail_keys.t()?)?;
    let scores = if shared > 0 {
        let keys = held.keys.narrow(1, low, shared)?;
        let scores = queries.matmul(&keys.t()?)?.reshape((groups, rows, group, shared))?;
        Tensor::cat(&[scores, tail_scores], 3)?
    } else {
        tail_scores
    };
    let weights = softmax(&cap_and_scale(&scores, scoring)?)?;
    let tail_weights = weights.narrow(3, shared, tail)?.contiguous()?;
    let out = tail_weights.matmul(&tails.values.narrow(2, tail_low, tail)?)?;
    let out = out.reshape((groups, per_group, size))?;
    if shared == 0 {
        return Ok(out);
    }
    let weights = weights.narrow(3, 0, shared)?.contiguous()?;
    let weights = weights.reshape((groups, per_group, shared))?;
    Ok((out + weights.matmul(&held.values.narrow(1, low, shared)?)?)?)
}

fn cap_and_scale(scores: &Tensor, scoring: Scoring) -> Result<Tensor> {
    let scores = (scores * f64::from(scoring.scale))?;
    match scoring.soft_cap {
        None => Ok(scores),
        Some(cap) => activation::soft_cap_plain(&scores, cap),
    }
}

fn softmax(scores: &Tensor) -> Result<Tensor> {
    let shifted = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?.exp()?;
    Ok(shifted.broadcast_div(&shifted.sum_keepdim(D::Minus1)?)?)
}
