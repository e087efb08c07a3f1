//! The nonlinearity of the MLP, gated or plain, and the soft cap.

use anyhow::Result;
use candle_core::Tensor;
use rayon::prelude::*;

use super::host;
use super::spec::{Activation, MlpSpec};

impl Activation {
    /// Applies it to one value.
    pub(super) fn of(self, x: f32) -> f32 {
        match self {
            Activation::Silu => x / (1.0 + (-x).exp()),
            Activation::GeluTanh => {
                const ROOT_2_OVER_PI: f32 = 0.797_884_6;
                let inner = ROOT_2_OVER_PI * (x + 0.044_715 * x * x * x);
                // 0.5·(1 + tanh y) is the logistic function of 2y: one exponential instead of two.
                x / (1.0 + (-2.0 * inner).exp())
            }
            Activation::Gelu => {
                let error = candle_core::cpu::erf::erf_f32(x * std::f32::consts::FRAC_1_SQRT_2);
                0.5 * x * (1.0 + error)
            }
            Activation::Relu => x.max(0.0),
        }
    }

    fn plain(self, x: &Tensor) -> Result<Tensor> {
        Ok(match self {
            Activation::Silu => x.silu()?,
            Activation::GeluTanh => x.gelu()?,
            Activation::Gelu => x.gelu_erf()?,
            Activation::Relu => x.relu()?,
        })
    }
}

/// What goes into the MLP's last projection: `[rows, intermediate]`.
///
/// `projected` is the gate and up projections as two tensors, as one tensor with gate columns first
/// (fused), or the up projection alone (not gated).
pub(super) fn activate(spec: MlpSpec, projected: &[Tensor], plain: bool) -> Result<Tensor> {
    let width = spec.intermediate_size;
    let first = &projected[0];
    if plain || !host::is_here(first) {
        if !spec.gated {
            return spec.activation.plain(first);
        }
        let (gate, up) = match projected.get(1) {
            Some(up) => (first.clone(), up.clone()),
            None => (first.narrow(1, 0, width)?, first.narrow(1, width, width)?),
        };
        return Ok((spec.activation.plain(&gate.contiguous()?)? * up)?);
    }
    let rows = first.dim(0)?;
    let mut out = vec![0.0; rows * width];
    match projected.get(1) {
        Some(up) => host::read(first, |gate| {
            host::read(up, |up| {
                let rows = gate.chunks(width).zip(up.chunks(width));
                fill(&mut out, width, rows.collect(), spec);
            })
        })??,
        None => host::read(first, |both| {
            let columns = if spec.gated { 2 * width } else { width };
            let rows = both.chunks(columns).map(|row| row.split_at(width));
            fill(&mut out, width, rows.collect(), spec);
        })?,
    }
    host::tensor(out, (rows, width))
}

/// Fills each output row from its gate and up rows.
fn fill(out: &mut [f32], width: usize, rows: Vec<(&[f32], &[f32])>, spec: MlpSpec) {
    let row = |(to, (gate, up)): (&mut [f32], &(&[f32], &[f32]))| {
        if spec.gated {
            for ((to, gate), up) in to.iter_mut().zip(*gate).zip(*up) {
                *to = spec.activation.of(*gate) * up;
            }
        } else {
            to.iter_mut().zip(*gate).for_each(|(to, x)| *to = spec.activation.of(*x));
        }
    };
    if out.len() < host::PARALLEL_FROM {
        out.chunks_mut(width).zip(&rows).for_each(row);
    } else {
        out.par_chunks_mut(width).zip(&rows).for_each(row);
    }
}

/// `cap · tanh(x / cap)` on every value.
pub(super) fn soft_cap(values: &mut [f32], cap: f32) {
    values.iter_mut().for_each(|x| *x = cap * (*x / cap).tanh());
}

/// The same through candle operations.
pub(super) fn soft_cap_plain(x: &Tensor, cap: f32) -> Result<Tensor> {
    let cap = f64::from(cap);
    Ok(((x / cap)?.tanh()? * cap)?)
}
