//! The reference's log-probabilities: the base's own, before anything is trained, computed once.

use anyhow::Result;

use super::batch::{PairBatch, shares};
use super::encoding::Encoded;
use crate::learn::base::gradients::Workers;
use crate::learn::network::Network;

/// Pairs whose answers are scored in one pass.
const AT_ONCE: usize = 16;

/// The log-probability of both answers of every pair, chosen before rejected, in nats.
///
/// # Errors
/// `platform::Cancelled` when `after` says to stop; when a pass fails.
pub fn log_probabilities(
    network: &Network,
    workers: &Workers,
    pairs: &[&Encoded],
    mut after: impl FnMut(usize) -> Result<()>,
) -> Result<Vec<f32>> {
    let mut values = Vec::with_capacity(2 * pairs.len());
    for some in pairs.chunks(AT_ONCE) {
        let lengths: Vec<usize> = some.iter().map(|pair| pair.tokens()).collect();
        let parts = workers.each(&shares(&lengths, workers.count()), |part| {
            let PairBatch { batch, owners, answers } = PairBatch::new(&some[part.clone()]);
            let sums = network.answer_log_probabilities(&batch, &owners, answers)?;
            Ok(sums.detach().to_vec1::<f32>()?)
        })?;
        values.extend(parts.concat());
        after(values.len() / 2)?;
    }
    Ok(values)
}
