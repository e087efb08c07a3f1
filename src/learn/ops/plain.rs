//! The same functions composed of candle's own operations: what runs on other devices, what the
//! fused ones are tested against, and the "as it comes" side of the training benchmark.

use std::sync::Arc;

use candle_core::{D, DType, Result, Tensor};

use super::{Adapter, Answers, AttentionShape, IGNORED};

/// See [`super::linear`].
pub fn linear(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    x.matmul(&weight.t()?)
}

/// See [`super::joined_linear`].
pub fn joined_linear(a: &Tensor, b: &Tensor, weight: &Tensor) -> Result<Tensor> {
    linear(&Tensor::cat(&[a, b], 1)?, weight)
}

/// See [`super::adapted_linear`].
pub fn adapted_linear(
    x: &Tensor,
    weight: &Tensor,
    down: &Tensor,
    up: &Tensor,
    adapter: &Adapter,
    strengths: Option<&Arc<Vec<f32>>>,
) -> Result<Tensor> {
    let rank = adapter.rank;
    let strengths = strengths
        .map(|values| Tensor::from_slice(values, (values.len(), 1), x.device()))
        .transpose()?;
    let mut from = 0;
    let mut parts = Vec::new();
    for (part, &count) in adapter.parts.iter().enumerate() {
        let mut thin = linear(x, &down.narrow(0, part * rank, rank)?)?;
        if let Some(strengths) = &strengths {
            thin = thin.broadcast_mul(strengths)?;
        }
        parts.push(linear(&thin, &up.narrow(0, from, count)?)?);
        from += count;
    }
    linear(x, weight)? + Tensor::cat(&parts, 1)?.affine(f64::from(adapter.scale), 0.0)?
}

/// See [`super::rms_norm`].
pub fn rms_norm(x: &Tensor, gain: &Tensor, epsilon: f32) -> Result<Tensor> {
    let mean = x.sqr()?.mean_keepdim(D::Minus1)?;
    let root = (mean + f64::from(epsilon))?.sqrt()?;
    x.broadcast_div(&root)?.broadcast_mul(gain)
}

/// See [`super::swiglu`].
pub fn swiglu(gate_up: &Tensor) -> Result<Tensor> {
    let width = gate_up.dim(1)? / 2;
    let gate = gate_up.narrow(1, 0, width)?.contiguous()?;
    let up = gate_up.narrow(1, width, width)?.contiguous()?;
    gate.silu()?.mul(&up)
}

/// Softmax over the last dimension, of operations that have a backward.
fn softmax(x: &Tensor) -> Result<Tensor> {
    let top = x.max_keepdim(D::Minus1)?.detach();
    let exponentials = x.broadcast_sub(&top)?.exp()?;
    let total = exponentials.sum_keepdim(D::Minus1)?;
    exponentials.broadcast_div(&total)
}

/// Rotary positions on `x` [batch, heads, sequence, head_dim].
fn rotate(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    let half = x.dim(3)? / 2;
    let low = x.narrow(3, 0, half)?;
    let high = x.narrow(3, half, half)?;
    let turned_low = (low.broadcast_mul(cos)? - high.broadcast_mul(sin)?)?;
    let turned_high = (high.broadcast_mul(cos)? + low.broadcast_mul(sin)?)?;
    Tensor::cat(&[turned_low, turned_high], 3)
}

/// 0 where a query may look and minus infinity elsewhere, [batch, 1, sequence, sequence].
fn mask(shape: &AttentionShape, like: &Tensor) -> Result<Tensor> {
    let length = shape.sequence;
    let mut values = vec![f32::NEG_INFINITY; shape.batch * length * length];
    for (row, (values, &start)) in
        values.chunks_exact_mut(length).zip(shape.starts.iter()).enumerate()
    {
        let position = row % length;
        values[(start as usize).min(position)..=position].fill(0.0);
    }
    Tensor::from_vec(values, (shape.batch, 1, length, length), like.device())
}

/// See [`super::causal_attention`].
pub fn causal_attention(joint: &Tensor, shape: &AttentionShape) -> Result<Tensor> {
    let AttentionShape { batch, sequence, heads, key_heads, head_dim, .. } = *shape;
    let split = |first: usize, count: usize| {
        joint
            .narrow(1, first * head_dim, count * head_dim)?
            .reshape((batch, sequence, count, head_dim))?
            .transpose(1, 2)?
            .contiguous()
    };
    let (cos, sin) = shape.rotary_table();
    let cos = Tensor::from_vec(cos, (sequence, head_dim / 2), joint.device())?;
    let sin = Tensor::from_vec(sin, (sequence, head_dim / 2), joint.device())?;
    let queries = rotate(&split(0, heads)?, &cos, &sin)?;
    let repeat = |x: Tensor| {
        let group = heads / key_heads;
        x.unsqueeze(2)?
            .broadcast_as((batch, key_heads, group, sequence, head_dim))?
            .contiguous()?
            .reshape((batch, heads, sequence, head_dim))
    };
    let keys = repeat(rotate(&split(heads, key_heads)?, &cos, &sin)?)?;
    let values = repeat(split(heads + key_heads, key_heads)?)?;
    let scores =
        queries.matmul(&keys.transpose(2, 3)?)?.affine(1.0 / (head_dim as f64).sqrt(), 0.0)?;
    let scores = scores.broadcast_add(&mask(shape, joint)?)?;
    softmax(&scores)?
        .matmul(&values)?
        .transpose(1, 2)?
        .contiguous()?
        .reshape((batch * sequence, heads * head_dim))
}

/// See [`super::head_cross_entropy`].
pub fn head_cross_entropy(
    hidden: &Tensor,
    head: &Tensor,
    targets: &Arc<Vec<u32>>,
) -> Result<Tensor> {
    let rows: Vec<u32> =
        (0..targets.len() as u32).filter(|&i| targets[i as usize] != IGNORED).collect();
    if rows.is_empty() {
        return Tensor::zeros((), DType::F32, hidden.device());
    }
    let wanted: Vec<u32> = rows.iter().map(|&i| targets[i as usize]).collect();
    let count = rows.len();
    let hidden = hidden.index_select(&Tensor::from_vec(rows, count, hidden.device())?, 0)?;
    let logits = linear(&hidden, head)?;
    let top = logits.max_keepdim(D::Minus1)?.detach();
    let shifted = logits.broadcast_sub(&top)?;
    let log_total = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
    let wanted = Tensor::from_vec(wanted, (count, 1), hidden.device())?;
    let chosen = shifted.gather(&wanted, 1)?;
    (log_total - chosen)?.mean_all()
}

/// See [`super::head_log_probabilities`].
pub fn head_log_probabilities(hidden: &Tensor, head: &Tensor, answers: &Answers) -> Result<Tensor> {
    let device = hidden.device();
    let rows: Vec<u32> = answers.rows().into_iter().map(|row| row as u32).collect();
    let count = rows.len();
    let of = |values: &[u32]| rows.iter().map(|&row| values[row as usize]).collect::<Vec<_>>();
    let (wanted, owners) = (of(&answers.targets), of(&answers.owners));
    let hidden = hidden.index_select(&Tensor::from_vec(rows.clone(), count, device)?, 0)?;
    let logits = linear(&hidden, head)?;
    let top = logits.max_keepdim(D::Minus1)?.detach();
    let shifted = logits.broadcast_sub(&top)?;
    let log_total = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
    let chosen = shifted.gather(&Tensor::from_vec(wanted, (count, 1), device)?, 1)?;
    let values = (chosen - log_total)?.squeeze(1)?;
    let owners = Tensor::from_vec(owners, count, device)?;
    Tensor::zeros(answers.count, DType::F32, device)?.index_add(&owners, &values, 0)
}
