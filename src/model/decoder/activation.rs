//! The nonlinearity of the MLP, gated or plain, and the soft cap.

use anyhow::Result;
use candle_core::Tensor;

use super::host;
use super::lanes::{exponential, for_this_processor};
use super::spec::{Activation, MlpSpec};

impl Activation {
    /// Applies it to one value.
    #[inline(always)]
    fn of<const FUSED: bool>(self, x: f32) -> f32 {
        match self {
            Activation::Silu => x * logistic::<FUSED>(x),
            Activation::GeluTanh => {
                const ROOT_2_OVER_PI: f32 = 0.797_884_6;
                let inner = ROOT_2_OVER_PI * (x + 0.044_715 * x * x * x);
                // 0.5·(1 + tanh y) is the logistic function of 2y: one exponential instead of two.
                x * logistic::<FUSED>(2.0 * inner)
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
/// (fused or stacked), or the up projection alone (not gated).
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
    let work = 8 * out.len();
    match projected.get(1) {
        Some(up) => host::read(first, |gate| {
            host::read(up, |up| {
                host::for_each_row(&mut out, width, work, |row, out| {
                    let row = row * width..(row + 1) * width;
                    activate_row(spec, &gate[row.clone()], &up[row], out);
                });
            })
        })??,
        None => host::read(first, |both| {
            let columns = if spec.gated { 2 * width } else { width };
            host::for_each_row(&mut out, width, work, |row, out| {
                let (gate, up) = both[row * columns..(row + 1) * columns].split_at(width);
                activate_row(spec, gate, up, out);
            });
        })?,
    }
    host::tensor(out, (rows, width))
}

for_this_processor! {
    /// Fills one output row from its gate and up rows (`up` is empty when there is no gate).
    activate_row(spec: MlpSpec, gate: &[f32], up: &[f32], out: &mut [f32]) = activate_row_body
}

#[inline(always)]
fn activate_row_body<const FUSED: bool>(spec: MlpSpec, gate: &[f32], up: &[f32], out: &mut [f32]) {
    // One loop per kind, so that each becomes a loop over registers.
    match spec.activation {
        Activation::Silu => row::<FUSED>(Activation::Silu, gate, out),
        Activation::GeluTanh => row::<FUSED>(Activation::GeluTanh, gate, out),
        Activation::Gelu => row::<FUSED>(Activation::Gelu, gate, out),
        Activation::Relu => row::<FUSED>(Activation::Relu, gate, out),
    }
    if spec.gated {
        for (out, up) in out.iter_mut().zip(up) {
            *out *= up;
        }
    }
}

#[inline(always)]
fn row<const FUSED: bool>(activation: Activation, from: &[f32], to: &mut [f32]) {
    for (to, x) in to.iter_mut().zip(from) {
        *to = activation.of::<FUSED>(*x);
    }
}

#[inline(always)]
fn logistic<const FUSED: bool>(x: f32) -> f32 {
    1.0 / (1.0 + exponential::<FUSED>(-x))
}

/// `cap · tanh(x / cap)`.
#[inline(always)]
pub(super) fn capped<const FUSED: bool>(x: f32, cap: f32) -> f32 {
    // tanh y is 2 · logistic(2y) - 1, but near zero that loses what the odd series keeps.
    let y = x / cap;
    let square = y * y;
    let near = y * (1.0 + square * (-1.0 / 3.0 + square * (2.0 / 15.0 - square * (17.0 / 315.0))));
    let far = 1.0 - 2.0 / (1.0 + exponential::<FUSED>(2.0 * y));
    cap * if square < 0.02 { near } else { far }
}

for_this_processor! {
    /// `cap · tanh(x / cap)` on every value.
    soft_cap(values: &mut [f32], cap: f32) = soft_cap_body
}

#[inline(always)]
fn soft_cap_body<const FUSED: bool>(values: &mut [f32], cap: f32) {
    for x in values {
        *x = capped::<FUSED>(*x, cap);
    }
}

/// The same through candle operations.
pub(super) fn soft_cap_plain(x: &Tensor, cap: f32) -> Result<Tensor> {
    let cap = f64::from(cap);
    Ok(((x / cap)?.tanh()? * cap)?)
}
