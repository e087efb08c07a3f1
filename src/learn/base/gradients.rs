//! The gradients of one batch: all threads on one product at a time, or a part of the batch for
//! each worker. The second loses nothing to waiting on a busy machine.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use candle_core::backprop::GradStore;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::learn::network::{Batch, Network};
use crate::learn::ops::IGNORED;
use crate::platform::Problem;

/// Who computes a batch.
pub enum Workers {
    /// Every thread works on every operation.
    Together,
    /// Each has a pool of one thread and its own sequences.
    Apart(Vec<ThreadPool>),
}

impl Workers {
    /// `count` workers apart; together when `count` is 1 or less.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn new(count: usize) -> Result<Self> {
        if count <= 1 {
            return Ok(Self::Together);
        }
        let pool = |i| {
            let name = move |_| format!("tiller-learn-{i}");
            ThreadPoolBuilder::new().num_threads(1).thread_name(name).build()
        };
        let pools: Result<Vec<_>, _> = (0..count).map(pool).collect();
        Ok(Self::Apart(pools.context(Problem::new("no threads for the workers"))?))
    }

    /// The loss of a batch and the gradients of its parts, to be added in this order.
    ///
    /// # Errors
    /// When an operation fails.
    pub fn compute(&self, network: &Network, batch: &Batch) -> Result<(f64, Vec<GradStore>)> {
        let pools = match self {
            Self::Apart(pools) if batch.size > 1 => pools,
            _ => {
                let loss = network.loss(batch)?;
                let grads = loss.backward()?;
                return Ok((f64::from(loss.to_scalar::<f32>()?), vec![grads]));
            }
        };
        let counted = |b: &Batch| b.targets.iter().filter(|&&t| t != IGNORED).count();
        let all = counted(batch).max(1) as f64;
        let results = self.each(&split(batch, pools.len()), |part: &Batch| {
            // Each part's mean counts by its targets, so that the sum is the batch's mean.
            let share = counted(part) as f64 / all;
            let loss = network.loss(part)?.affine(share, 0.0)?;
            Ok((f64::from(loss.to_scalar::<f32>()?), loss.backward()?))
        })?;
        let (losses, grads): (Vec<f64>, Vec<GradStore>) = results.into_iter().unzip();
        Ok((losses.iter().sum(), grads))
    }

    /// How many work side by side.
    pub fn count(&self) -> usize {
        match self {
            Self::Together => 1,
            Self::Apart(pools) => pools.len(),
        }
    }

    /// Does some work for each part, side by side where workers are apart; at most as many parts
    /// as there are workers then. The results in the order of the parts.
    ///
    /// # Errors
    /// When the work fails for any part.
    pub fn each<P: Sync, R: Send>(
        &self,
        parts: &[P],
        work: impl Fn(&P) -> Result<R> + Sync,
    ) -> Result<Vec<R>> {
        let pools = match self {
            Self::Apart(pools) if pools.len() >= parts.len() => pools,
            _ => return parts.iter().map(work).collect(),
        };
        let work = &work;
        std::thread::scope(|scope| {
            let running: Vec<_> = parts
                .iter()
                .zip(pools)
                .map(|(part, pool)| {
                    // Only waits for its pool, which does the work.
                    let name = "tiller-learn-wait".to_owned();
                    let wait = move || pool.install(|| work(part));
                    std::thread::Builder::new().name(name).spawn_scoped(scope, wait)
                })
                .collect();
            running
                .into_iter()
                .map(|thread| thread?.join().unwrap_or_else(|_| bail!("a worker broke off")))
                .collect()
        })
    }
}

/// Cuts a batch into at most `count` batches of whole sequences.
fn split(batch: &Batch, count: usize) -> Vec<Batch> {
    let rows = batch.size.div_ceil(count);
    let mut parts = Vec::new();
    for from in (0..batch.size).step_by(rows.max(1)) {
        let to = (from + rows).min(batch.size);
        let range = from * batch.sequence..to * batch.sequence;
        parts.push(Batch {
            size: to - from,
            sequence: batch.sequence,
            ids: batch.ids[range.clone()].to_vec(),
            targets: Arc::new(batch.targets[range.clone()].to_vec()),
            starts: Arc::new(batch.starts[range.clone()].to_vec()),
            strengths: batch.strengths.as_ref().map(|s| Arc::new(s[range].to_vec())),
        });
    }
    parts
}
