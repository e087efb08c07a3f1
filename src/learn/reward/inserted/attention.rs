//! The inserted heads' attention: the fused operation where the base's layer is an ordinary one,
//! candle's own operations for windows, soft caps, partial rotation and normed queries and keys.

use std::sync::Arc;

use anyhow::Result;
use candle_core::{D, Tensor};

use super::record::Packed;
use crate::learn::ops::{self, AttentionShape, Rotary};
use crate::model::decoder::{DecoderSpec, LayerSpec};
use crate::model::reward::Sizes;

/// The attention of one layer.
pub struct Attention<'a> {
    pub spec: &'a DecoderSpec,
    pub layer: LayerSpec,
    pub sizes: Sizes,
    /// Of the layer's rotary embedding; `None` with learned positions.
    pub rotary: Option<&'a Rotary>,
    /// Factors on normed queries and keys, where the base norms them: `[head_size]` each.
    pub norms: Option<[&'a Tensor; 2]>,
}

impl Attention<'_> {
    /// Joint rows [positions, (nq + 2·nk)·head_size], queries, keys, values, give
    /// [positions, nq·head_size]; every text of the packing sees only itself.
    pub fn forward(&self, joint: &Tensor, packed: &Packed) -> Result<Tensor> {
        if let Some(rotary) = self.rotary.filter(|rotary| self.is_ordinary(rotary)) {
            let shape = AttentionShape {
                batch: 1,
                sequence: packed.starts.len(),
                heads: self.sizes.query_heads,
                key_heads: self.sizes.key_heads,
                head_dim: self.spec.head_size,
                rope_theta: 0.0,
                rotary: Some(Arc::new(rotary.clone())),
                starts: packed.starts.clone(),
            };
            return Ok(ops::causal_attention(joint, &shape)?);
        }
        let mut parts = Vec::with_capacity(packed.lengths.len());
        let mut from = 0;
        for length in &packed.lengths {
            parts.push(self.one(&joint.narrow(0, from, *length)?, *length)?);
            from += length;
        }
        Ok(Tensor::cat(&parts, 0)?)
    }

    fn is_ordinary(&self, rotary: &Rotary) -> bool {
        let usual = 1.0 / (self.spec.head_size as f32).sqrt();
        self.layer.window.is_none()
            && self.spec.attention_soft_cap.is_none()
            && self.norms.is_none()
            && 2 * rotary.frequencies.len() == self.spec.head_size
            && (self.layer.attention_scale - usual).abs() <= 1e-7 * usual
    }

    /// The attention of one text.
    fn one(&self, joint: &Tensor, length: usize) -> Result<Tensor> {
        let (heads, key_heads, size) =
            (self.sizes.query_heads, self.sizes.key_heads, self.spec.head_size);
        let split = |first: usize, count: usize| -> Result<Tensor> {
            let heads = joint.narrow(1, first * size, count * size)?.contiguous()?;
            Ok(heads.reshape((length, count, size))?.transpose(0, 1)?.contiguous()?)
        };
        let [query_norm, key_norm] = match self.norms {
            Some(norms) => norms.map(Some),
            None => [None, None],
        };
        let queries = self.rotated(self.normed(split(0, heads)?, query_norm)?, length)?;
        let repeat = |x: Tensor| -> Result<Tensor> {
            let group = heads / key_heads;
            let wide = x.unsqueeze(1)?.broadcast_as((key_heads, group, length, size))?;
            Ok(wide.contiguous()?.reshape((heads, length, size))?)
        };
        let keys = repeat(self.rotated(self.normed(split(heads, key_heads)?, key_norm)?, length)?)?;
        let values = repeat(split(heads + key_heads, key_heads)?)?;
        let scale = f64::from(self.layer.attention_scale);
        let mut scores = queries.matmul(&keys.transpose(1, 2)?)?.affine(scale, 0.0)?;
        if let Some(cap) = self.spec.attention_soft_cap.map(f64::from) {
            scores = scores.affine(1.0 / cap, 0.0)?.tanh()?.affine(cap, 0.0)?;
        }
        let mut mask = vec![f32::NEG_INFINITY; length * length];
        for (position, row) in mask.chunks_exact_mut(length).enumerate() {
            let window = self.layer.window.unwrap_or(length);
            row[(position + 1).saturating_sub(window)..=position].fill(0.0);
        }
        let mask = Tensor::from_vec(mask, (1, length, length), joint.device())?;
        let scores = scores.broadcast_add(&mask)?;
        let top = scores.max_keepdim(D::Minus1)?.detach();
        let exponentials = scores.broadcast_sub(&top)?.exp()?;
        let total = exponentials.sum_keepdim(D::Minus1)?;
        let mixed = exponentials.broadcast_div(&total)?.matmul(&values)?;
        Ok(mixed.transpose(0, 1)?.contiguous()?.reshape((length, heads * size))?)
    }

    /// Each head by its own root mean square (Qwen 3, Gemma 3).
    fn normed(&self, x: Tensor, factor: Option<&Tensor>) -> Result<Tensor> {
        let Some(factor) = factor else { return Ok(x) };
        let mean = x.sqr()?.mean_keepdim(D::Minus1)?;
        let root = (mean + f64::from(self.spec.norm.epsilon))?.sqrt()?;
        Ok(x.broadcast_div(&root)?.broadcast_mul(factor)?)
    }

    /// Rotary positions on `[heads, positions, head_size]`; columns beyond the rotated stay.
    fn rotated(&self, x: Tensor, length: usize) -> Result<Tensor> {
        let Some(Rotary { frequencies, scale }) = self.rotary else { return Ok(x) };
        let pairs = frequencies.len();
        let turn = |of: fn(f64) -> f64| -> Result<Tensor> {
            let angle = |i: usize| f64::from((i / pairs) as f32 * frequencies[i % pairs]);
            let values = (0..length * pairs).map(|i| of(angle(i)) as f32 * scale).collect();
            Ok(Tensor::from_vec(values, (1, length, pairs), x.device())?)
        };
        let (cos, sin) = (turn(f64::cos)?, turn(f64::sin)?);
        let (low, high) = (x.narrow(2, 0, pairs)?, x.narrow(2, pairs, pairs)?);
        let turned_low = (low.broadcast_mul(&cos)? - high.broadcast_mul(&sin)?)?;
        let turned_high = (high.broadcast_mul(&cos)? + low.broadcast_mul(&sin)?)?;
        let size = self.spec.head_size;
        Ok(match size - 2 * pairs {
            0 => Tensor::cat(&[turned_low, turned_high], 2)?,
            rest => Tensor::cat(&[turned_low, turned_high, x.narrow(2, 2 * pairs, rest)?], 2)?,
        })
    }
}
