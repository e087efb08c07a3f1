//! A pass that shows what every layer computed on its way: what training an inserted stream reads
//! of its base.

use anyhow::Result;
use candle_core::{Device, Tensor};

use super::block::{Pass, Seen};
use super::heads::Angles;
use super::run::Decoder;

/// One thing a pass came by, `[positions, columns]` each.
pub enum Observed<'a> {
    /// A layer: the residual stream before it, and what it saw.
    Layer { layer: usize, before: &'a Tensor, seen: &'a Seen },
    /// The residual stream behind the last layer, and behind the final norm.
    End { state: &'a Tensor, normed: &'a Tensor },
}

impl Decoder {
    /// The device its weights are on.
    pub fn device(&self) -> Device {
        self.cache.frame().device.clone()
    }

    /// Runs a text alone through the layers, telling `each` what they compute, and forgets it.
    /// There are no logits and no inserted stream in such a pass.
    ///
    /// # Errors
    /// When the text does not fit the context or holds unknown ids, or `each` fails.
    pub fn observe(
        &mut self,
        ids: &[u32],
        each: &mut dyn FnMut(Observed<'_>) -> Result<()>,
    ) -> Result<()> {
        self.cache.truncate(0);
        self.check_ids(ids, ids.len())?;
        let positions: Vec<usize> = (0..ids.len()).collect();
        let angles: Vec<Angles> = self
            .frequencies
            .iter()
            .map(|(frequencies, scale)| Angles::at(&positions, frequencies, *scale))
            .collect();
        let (count, plain) = (ids.len(), self.plain);
        let pass = Pass { spec: &self.spec, angles: &angles, count, prefill: true, plain };
        let mut x = self.embed(ids, &positions)?;
        for (layer, block) in self.blocks.iter().enumerate() {
            let (out, seen) = block.forward(&x, layer, &pass, &mut self.cache)?;
            each(Observed::Layer { layer, before: &x, seen: &seen })?;
            x = out;
        }
        let normed = self.final_norm.forward(&x, self.plain)?;
        each(Observed::End { state: &x, normed: &normed })?;
        // No ids were appended: what the buffers hold is written over by the next pass.
        self.cache.truncate(0);
        Ok(())
    }
}
