//! One layer of the inserted stream. Reads what the original layer saw, writes its own stream and
//! its own keys and values, and nothing else (spec section 3.5).

use anyhow::Result;
use candle_core::Tensor;

use super::norm::InsertedNorm;
use crate::model::decoder::activation;
use crate::model::decoder::attention::{self, Scoring};
use crate::model::decoder::block::{Pass, Seen};
use crate::model::decoder::cache::Cache;
use crate::model::decoder::heads::{self, Heads};
use crate::model::decoder::host;
use crate::model::decoder::norm::Norm;
use crate::model::linear::Linear;
use crate::model::reward::Sizes;

/// What stands beside the stream at one layer.
pub(super) struct Original<'a> {
    /// The original stream before the layer, `[rows, d]`.
    pub(super) x: &'a Tensor,
    pub(super) seen: &'a Seen,
    pub(super) layer: usize,
    pub(super) pass: &'a Pass<'a>,
    pub(super) sizes: Sizes,
}

/// The inserted weights of one layer.
pub(super) struct InsertedLayer {
    pub(super) attention: Option<InsertedAttention>,
    pub(super) mlp: Option<InsertedMlp>,
}

pub(super) struct InsertedAttention {
    pub(super) norm: InsertedNorm,
    /// Queries, keys and values one below the other.
    pub(super) query_key_value: Linear,
    pub(super) query_norm: Option<Norm>,
    pub(super) key_norm: Option<Norm>,
    pub(super) output: Linear,
    pub(super) post_norm: Option<InsertedNorm>,
}

pub(super) struct InsertedMlp {
    pub(super) norm: InsertedNorm,
    /// Gate above up, or up alone.
    pub(super) gate_up: Linear,
    pub(super) down: Linear,
    pub(super) post_norm: Option<InsertedNorm>,
}

impl InsertedLayer {
    /// The stream, `[rows, width]`, behind this layer.
    pub(super) fn forward(
        &self,
        stream: Tensor,
        original: &Original<'_>,
        cache: &mut Cache,
    ) -> Result<Tensor> {
        let mut stream = stream;
        if let Some(attention) = &self.attention {
            let added = attention.forward(&stream, original, cache)?;
            stream = (stream + added)?;
        }
        if let Some(mlp) = &self.mlp {
            let added = mlp.forward(&stream, original)?;
            stream = (stream + added)?;
        }
        Ok(stream)
    }
}

impl InsertedAttention {
    fn forward(
        &self,
        stream: &Tensor,
        original: &Original<'_>,
        cache: &mut Cache,
    ) -> Result<Tensor> {
        let Original { x, seen, layer, pass, sizes } = *original;
        let plain = pass.plain;
        let spec = pass.spec;
        let settings = spec.layers[layer];
        let normed = self.norm.forward(x, stream, plain)?;
        let both = beside(&seen.normed, &normed, plain)?;
        let projected = self.query_key_value.forward(&both)?;
        let angles = pass.angles.get(settings.rope);
        let keys = |column: usize, norm, angles| Heads {
            column,
            groups: sizes.key_heads,
            group_size: 1,
            head_size: spec.head_size,
            norm,
            angles,
        };
        let group_size = sizes.query_heads / sizes.key_heads;
        let queries = Heads { group_size, ..keys(0, self.query_norm.as_ref(), angles) };
        let key_column = sizes.query_heads * spec.head_size;
        let value_column = key_column + sizes.key_heads * spec.head_size;
        let queries = queries.split(&projected, plain)?;
        let new_keys = keys(key_column, self.key_norm.as_ref(), angles).split(&projected, plain)?;
        let new_values = keys(value_column, None, None).split(&projected, plain)?;
        let held = cache.write(layer, &new_keys, &new_values)?;
        let scoring = Scoring::of(spec, layer);
        let mixed = if pass.prefill && pass.count > 1 {
            attention::prefill(&queries, &held, pass.count, scoring, plain)?
        } else {
            attention::step(&queries, &held, pass.count, scoring, plain)?
        };
        let heads = heads::join(&mixed, pass.count, plain)?;
        let out = self.output.forward(&beside(&seen.heads, &heads, plain)?)?;
        post_normed(out, &seen.attended, self.post_norm.as_ref(), plain)
    }
}

impl InsertedMlp {
    fn forward(&self, stream: &Tensor, original: &Original<'_>) -> Result<Tensor> {
        let Original { seen, pass, sizes, .. } = *original;
        let plain = pass.plain;
        let normed = self.norm.forward(&seen.middle, stream, plain)?;
        let projected = self.gate_up.forward(&beside(&seen.mlp_normed, &normed, plain)?)?;
        let mut mlp = pass.spec.mlp;
        mlp.intermediate_size = sizes.inner;
        let inner = activation::activate(mlp, &[projected], plain)?;
        let out = self.down.forward(&beside(&seen.inner, &inner, plain)?)?;
        post_normed(out, &seen.mlp_out, self.post_norm.as_ref(), plain)
    }
}

fn post_normed(
    out: Tensor,
    original: &Tensor,
    norm: Option<&InsertedNorm>,
    plain: bool,
) -> Result<Tensor> {
    match norm {
        None => Ok(out),
        Some(norm) => norm.forward(original, &out, plain),
    }
}

/// `[original; inserted]`, row by row.
fn beside(original: &Tensor, inserted: &Tensor, plain: bool) -> Result<Tensor> {
    if plain || !host::is_here(original) {
        return Ok(Tensor::cat(&[original, inserted], 1)?);
    }
    let (rows, left) = original.dims2()?;
    let right = inserted.dim(1)?;
    let mut out = Vec::with_capacity(rows * (left + right));
    host::read(original, |original| {
        host::read(inserted, |inserted| {
            for row in 0..rows {
                out.extend_from_slice(&original[row * left..(row + 1) * left]);
                out.extend_from_slice(&inserted[row * right..(row + 1) * right]);
            }
        })
    })??;
    host::tensor(out, (rows, left + right))
}
