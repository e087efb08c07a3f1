//! Perplexity on text that was held out.

use anyhow::Result;

use super::packing::Epoch;
use crate::learn::network::Network;
use crate::learn::ops::IGNORED;

/// Mean loss in nats per token over all documents, packed as in training.
pub fn mean_loss(
    network: &Network,
    documents: &[Vec<u32>],
    batch: usize,
    sequence: usize,
) -> Result<f64> {
    let epoch = Epoch::new(documents, sequence, 0, 0);
    let (mut total, mut count) = (0.0, 0_usize);
    for index in 0..epoch.batches(1).div_ceil(batch) {
        let batch = epoch.batch(index, batch);
        let targets = batch.targets.iter().filter(|&&t| t != IGNORED).count();
        total += f64::from(network.loss(&batch)?.detach().to_scalar::<f32>()?) * targets as f64;
        count += targets;
    }
    Ok(total / count.max(1) as f64)
}
