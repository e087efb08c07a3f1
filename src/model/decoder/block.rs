//! One decoder layer: attention and MLP, each in a residual branch.

use anyhow::Result;
use candle_core::Tensor;

use super::activation;
use super::attention::{self, Scoring};
use super::cache::Cache;
use super::heads::{self, Angles, Heads};
use super::norm::Norm;
use super::spec::DecoderSpec;
use crate::model::linear::Linear;

/// The weights of one layer; a copy shares them.
#[derive(Clone)]
pub(super) struct Block {
    pub(super) attention_norm: Norm,
    /// One projection (fused in the file or stacked at load), or query, key and value.
    pub(super) query_key_value: Vec<Linear>,
    pub(super) query_norm: Option<Norm>,
    pub(super) key_norm: Option<Norm>,
    pub(super) output: Linear,
    pub(super) attention_post_norm: Option<Norm>,
    pub(super) mlp_norm: Norm,
    /// One projection (fused, stacked, or not gated), or gate and up.
    pub(super) gate_up: Vec<Linear>,
    pub(super) down: Linear,
    pub(super) mlp_post_norm: Option<Norm>,
}

/// What one layer computed on its way: shared references for whatever reads along. Rows as in `x`.
pub struct Seen {
    /// The layer's input behind the attention's norm.
    pub normed: Tensor,
    /// Every head's output, side by side: what the output projection reads.
    pub heads: Tensor,
    /// The output projection's result, before any post norm.
    pub attended: Tensor,
    /// The residual stream between attention and MLP.
    pub middle: Tensor,
    /// The same behind the MLP's norm.
    pub mlp_normed: Tensor,
    /// What the MLP's last projection reads.
    pub inner: Tensor,
    /// Its result, before any post norm.
    pub mlp_out: Tensor,
}

/// What a pass knows at every layer.
pub(super) struct Pass<'a> {
    pub(super) spec: &'a DecoderSpec,
    /// One per rotary embedding of the spec; empty with learned positions.
    pub(super) angles: &'a [Angles],
    /// Rows of `x`.
    pub(super) count: usize,
    /// True when the rows are positions of one row, false when each is a row of its own.
    pub(super) prefill: bool,
    /// Candle operations even where slices could be read.
    pub(super) plain: bool,
}

impl Block {
    /// `[count, hidden]` to the same, writing this layer's keys and values into the cache; and what
    /// was seen on the way.
    pub(super) fn forward(
        &self,
        x: &Tensor,
        layer: usize,
        pass: &Pass<'_>,
        cache: &mut Cache,
    ) -> Result<(Tensor, Seen)> {
        let plain = pass.plain;
        let normed = self.attention_norm.forward(x, plain)?;
        let heads = self.attention(&normed, layer, pass, cache)?;
        let attended = self.output.forward(&heads)?;
        let middle = (x + post_normed(&attended, self.attention_post_norm.as_ref(), plain)?)?;

        let mlp_normed = self.mlp_norm.forward(&middle, plain)?;
        let projected: Vec<Tensor> =
            self.gate_up.iter().map(|linear| linear.forward(&mlp_normed)).collect::<Result<_>>()?;
        let inner = activation::activate(pass.spec.mlp, &projected, plain)?;
        let mlp_out = self.down.forward(&inner)?;
        let out = (&middle + post_normed(&mlp_out, self.mlp_post_norm.as_ref(), plain)?)?;
        Ok((out, Seen { normed, heads, attended, middle, mlp_normed, inner, mlp_out }))
    }

    /// Every head's output, side by side.
    fn attention(
        &self,
        x: &Tensor,
        layer: usize,
        pass: &Pass<'_>,
        cache: &mut Cache,
    ) -> Result<Tensor> {
        let spec = pass.spec;
        let settings = spec.layers[layer];
        let projected: Vec<Tensor> =
            self.query_key_value.iter().map(|linear| linear.forward(x)).collect::<Result<_>>()?;
        let angles = pass.angles.get(settings.rope);
        let keys = |column: usize, norm, angles| Heads {
            column,
            groups: spec.kv_head_count,
            group_size: 1,
            head_size: spec.head_size,
            norm,
            angles,
        };
        let queries =
            Heads { group_size: spec.group_size(), ..keys(0, self.query_norm.as_ref(), angles) };
        let (of_keys, of_values, key_column, value_column) = match projected.as_slice() {
            [_, of_keys, of_values] => (of_keys, of_values, 0, 0),
            fused => {
                let query = spec.query_width();
                (&fused[0], &fused[0], query, query + spec.key_width())
            }
        };
        let queries = queries.split(&projected[0], pass.plain)?;
        let new_keys =
            keys(key_column, self.key_norm.as_ref(), angles).split(of_keys, pass.plain)?;
        let new_values = keys(value_column, None, None).split(of_values, pass.plain)?;
        let held = cache.write(layer, &new_keys, &new_values)?;

        let scoring = Scoring::of(spec, layer);
        let mixed = if pass.prefill && pass.count > 1 {
            attention::prefill(&queries, &held, pass.count, scoring, pass.plain)?
        } else {
            attention::step(&queries, &held, pass.count, scoring, pass.plain)?
        };
        heads::join(&mixed, pass.count, pass.plain)
    }
}

fn post_normed(x: &Tensor, norm: Option<&Norm>, plain: bool) -> Result<Tensor> {
    match norm {
        None => Ok(x.clone()),
        Some(norm) => norm.forward(x, plain),
    }
}
