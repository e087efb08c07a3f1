//! AdamW: Adam with decoupled weight decay, one fused pass over each parameter on the CPU.

use anyhow::{Context, Result};
use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, DType, InplaceOp2, Layout, Tensor, Var, bail};
use parking_lot::Mutex;
use rayon::prelude::*;

use crate::learn::network::Network;

/// Something with parameters that steps move.
pub trait Trained {
    /// What is trained, by name, in a fixed order.
    fn trained(&self) -> Vec<(String, &Var)>;
}

impl Trained for Network {
    fn trained(&self) -> Vec<(String, &Var)> {
        self.trained()
    }
}

/// What a step is made with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepSize {
    pub learning_rate: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    /// Applied to matrices, not to norm gains.
    pub weight_decay: f64,
    /// Gradients are scaled down to this norm when theirs is larger.
    pub clip_norm: f64,
}

impl Default for StepSize {
    fn default() -> Self {
        Self {
            learning_rate: 2e-3,
            beta1: 0.9,
            beta2: 0.98,
            epsilon: 1e-8,
            weight_decay: 0.05,
            clip_norm: 1.0,
        }
    }
}

/// First and second moments of one parameter.
enum Moments {
    Cpu(Mutex<(Vec<f32>, Vec<f32>)>),
    Device(Tensor, Tensor),
}

/// The optimiser's state: moments in the order of what is trained, and the step count.
pub struct AdamW {
    moments: Vec<Moments>,
    pub steps: u64,
}

impl AdamW {
    /// Moments of zero.
    pub fn fresh(model: &impl Trained) -> Result<Self> {
        Self::with(model, 0, |_, count| Ok((vec![0.0; count], vec![0.0; count])))
    }

    /// Moments that a function gives, by parameter name and length.
    pub fn with(
        model: &impl Trained,
        steps: u64,
        mut values: impl FnMut(&str, usize) -> Result<(Vec<f32>, Vec<f32>)>,
    ) -> Result<Self> {
        let mut moments = Vec::new();
        for (name, var) in model.trained() {
            let (first, second) = values(&name, var.elem_count())?;
            moments.push(match var.device().is_cpu() {
                true => Moments::Cpu(Mutex::new((first, second))),
                false => Moments::Device(
                    Tensor::from_vec(first, var.shape(), var.device())?,
                    Tensor::from_vec(second, var.shape(), var.device())?,
                ),
            });
        }
        Ok(Self { moments, steps })
    }

    /// The moments of every parameter, for a checkpoint.
    pub fn values(&self) -> Result<Vec<(Vec<f32>, Vec<f32>)>> {
        let read = |t: &Tensor| t.flatten_all()?.to_vec1::<f32>();
        let of = |moments: &Moments| match moments {
            Moments::Cpu(both) => Ok(both.lock().clone()),
            Moments::Device(first, second) => Ok((read(first)?, read(second)?)),
        };
        self.moments.iter().map(of).collect()
    }

    /// Moves everything that is trained against the sum of its gradients; returns their norm before clipping.
    ///
    /// # Errors
    /// When a parameter has no gradient, or the norm is not finite (nothing is changed then).
    pub fn step(
        &mut self,
        model: &impl Trained,
        grads: &[GradStore],
        size: &StepSize,
    ) -> Result<f64> {
        let parameters = model.trained();
        let mut found = Vec::new();
        let mut total = 0.0;
        for (name, var) in &parameters {
            let parts = grads.iter().map(|g| g.get(var)).collect::<Option<Vec<_>>>();
            let parts = parts.with_context(|| format!("no gradient for {name}"))?;
            let mut grad = parts.first().context("no gradients")?.contiguous()?;
            for part in &parts[1..] {
                grad = (grad + *part)?;
            }
            total += sum_of_squares(&grad)?;
            found.push(grad);
        }
        let norm = total.sqrt();
        anyhow::ensure!(norm.is_finite(), "the gradients are no longer finite");
        self.steps += 1;
        let clip = (size.clip_norm / norm.max(1e-12)).min(1.0);
        for (((_, var), grad), moments) in parameters.iter().zip(found).zip(&mut self.moments) {
            let decay = if var.rank() > 1 { size.weight_decay } else { 0.0 };
            let update = Update {
                size,
                clip,
                keep: 1.0 - size.learning_rate * decay,
                correction1: 1.0 - size.beta1.powi(self.steps as i32),
                correction2: 1.0 - size.beta2.powi(self.steps as i32),
            };
            match moments {
                Moments::Cpu(both) => {
                    var.inplace_op2(&grad, &InPlace { update: &update, both })?;
                }
                Moments::Device(first, second) => update.on_device(var, &grad, first, second)?,
            }
        }
        Ok(norm)
    }
}

fn sum_of_squares(grad: &Tensor) -> Result<f64> {
    if !grad.device().is_cpu() {
        return Ok(f64::from(grad.sqr()?.sum_all()?.to_dtype(DType::F32)?.to_scalar::<f32>()?));
    }
    let total = crate::learn::ops::with_slice(grad, |grad| {
        // Chunks of a fixed size, added in order: the same sum whatever the number of threads.
        let parts: Vec<f64> =
            grad.par_chunks(1 << 14).map(|c| f64::from(crate::learn::ops::squares(c))).collect();
        Ok(parts.iter().sum())
    })?;
    Ok(total)
}

struct Update<'a> {
    size: &'a StepSize,
    clip: f64,
    keep: f64,
    correction1: f64,
    correction2: f64,
}

impl Update<'_> {
    fn on_device(
        &self,
        var: &Var,
        grad: &Tensor,
        first: &mut Tensor,
        second: &mut Tensor,
    ) -> Result<()> {
        let StepSize { learning_rate, beta1, beta2, epsilon, .. } = *self.size;
        let grad = grad.affine(self.clip, 0.0)?;
        *first = (first.affine(beta1, 0.0)? + grad.affine(1.0 - beta1, 0.0)?)?;
        *second = (second.affine(beta2, 0.0)? + grad.sqr()?.affine(1.0 - beta2, 0.0)?)?;
        let root = (second.affine(1.0 / self.correction2, 0.0)?.sqrt()? + epsilon)?;
        let change = first.affine(learning_rate / self.correction1, 0.0)?.div(&root)?;
        var.set(&(var.as_tensor().affine(self.keep, 0.0)? - change)?)?;
        Ok(())
    }
}

struct InPlace<'a> {
    update: &'a Update<'a>,
    both: &'a Mutex<(Vec<f32>, Vec<f32>)>,
}

impl InplaceOp2 for InPlace<'_> {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn cpu_fwd(
        &self,
        s1: &mut CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<()> {
        let CpuStorage::F32(weights) = s1 else { bail!("adamw: parameters are f32") };
        let (Some((from, to)), Some((grad_from, grad_to))) =
            (l1.contiguous_offsets(), l2.contiguous_offsets())
        else {
            bail!("adamw: parameters and gradients are contiguous")
        };
        let grad = &s2.as_slice::<f32>()?[grad_from..grad_to];
        let mut both = self.both.lock();
        let (first, second) = &mut *both;
        let Update { size, clip, keep, correction1, correction2 } = *self.update;
        let (beta1, beta2, epsilon) = (size.beta1 as f32, size.beta2 as f32, size.epsilon as f32);
        let (clip, keep) = (clip as f32, keep as f32);
        let rate = (size.learning_rate / correction1) as f32;
        let correction = (1.0 / correction2) as f32;
        weights[from..to]
            .par_chunks_mut(1 << 14)
            .zip(grad.par_chunks(1 << 14))
            .zip(first.par_chunks_mut(1 << 14).zip(second.par_chunks_mut(1 << 14)))
            .for_each(|((weights, grad), (first, second))| {
                crate::learn::ops::wide(
                    #[inline(always)]
                    || {
                        let moments = first.iter_mut().zip(second.iter_mut());
                        for ((w, g), (m, v)) in weights.iter_mut().zip(grad).zip(moments) {
                            let g = g * clip;
                            *m = beta1 * *m + (1.0 - beta1) * g;
                            *v = beta2 * *v + (1.0 - beta2) * g * g;
                            *w = *w * keep - rate * *m / ((*v * correction).sqrt() + epsilon);
                        }
                    },
                );
            });
        Ok(())
    }
}
