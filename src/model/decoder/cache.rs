//! Keys and values of every layer: one shared part and one tail per row.
//!
//! Buffers grow by doubling up to the length the decoder was loaded with, so appending n positions
//! copies O(n) values in all. Layers with a sliding window keep everything and mask, which keeps
//! rolling back exact.

use anyhow::{Result, anyhow};
use candle_core::{DType, Device, Tensor};

use super::rows::{Gathering, Rows};

/// Positions the shared part starts out with.
const FIRST_SHARED: usize = 256;
/// Positions a tail starts out with.
const FIRST_TAIL: usize = 32;

/// The whole cache.
pub(super) struct Cache {
    pub(super) rows: Rows,
    frame: Frame,
    /// Keys and values of each layer.
    layers: Vec<[Buffers; 2]>,
}

/// What all buffers have in common.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    /// Key heads.
    pub(super) groups: usize,
    pub(super) head_size: usize,
    /// Most positions a row may hold.
    pub(super) capacity: usize,
    pub(super) device: Device,
}

/// The keys (or values) of one layer.
#[derive(Default)]
struct Buffers {
    /// `[groups, positions, head_size]`.
    shared: Option<Tensor>,
    /// `[groups, rows, positions, head_size]`; only with more than one row.
    tails: Option<Tensor>,
}

/// What one layer's attention reads, the positions just fed included.
pub(super) struct Held<'a> {
    pub(super) keys: &'a Tensor,
    pub(super) values: &'a Tensor,
    pub(super) shared_len: usize,
    pub(super) tails: Option<Tails<'a>>,
}

/// The tails of all rows.
pub(super) struct Tails<'a> {
    pub(super) keys: &'a Tensor,
    pub(super) values: &'a Tensor,
    pub(super) len: usize,
}

impl Cache {
    pub(super) fn new(layers: usize, frame: Frame) -> Self {
        let layers = (0..layers).map(|_| Default::default()).collect();
        Self { rows: Rows::new(), frame, layers }
    }

    /// What all buffers have in common.
    pub(super) fn frame(&self) -> &Frame {
        &self.frame
    }

    /// Another one for the same model, with nothing in it.
    pub(super) fn another(&self) -> Self {
        Self::new(self.layers.len(), self.frame.clone())
    }

    /// Most positions a row may hold.
    pub(super) fn capacity(&self) -> usize {
        self.frame.capacity
    }

    /// Writes what a pass computed for one layer behind what is held, and returns all of it.
    ///
    /// `keys` and `values` are `[groups, count, head_size]`: `count` positions of the single row,
    /// or one position of each of several rows. Nothing counts as held until `rows` says so, so a
    /// pass that fails midway leaves the cache as it was.
    pub(super) fn write(
        &mut self,
        layer: usize,
        keys: &Tensor,
        values: &Tensor,
    ) -> Result<Held<'_>> {
        let [own_keys, own_values] = &mut self.layers[layer];
        own_keys.write(&self.frame, &self.rows, keys)?;
        own_values.write(&self.frame, &self.rows, values)?;
        let (one, shared_len) = (self.rows.count() == 1, self.rows.shared_len());
        let [own_keys, own_values] = &self.layers[layer];
        Ok(Held {
            keys: own_keys.shared()?,
            values: own_values.shared()?,
            shared_len: if one { shared_len + keys.dim(1)? } else { shared_len },
            tails: if one {
                None
            } else {
                let len = self.rows.tail_len() + 1;
                Some(Tails { keys: own_keys.tails()?, values: own_values.tails()?, len })
            },
        })
    }

    /// Row i becomes a copy of row `parents[i]`.
    pub(super) fn gather(&mut self, parents: &[usize]) -> Result<()> {
        let gathering = self.rows.gathering(parents)?;
        if self.rows.tail_len() > 0 {
            match &gathering {
                Gathering::Nothing => {}
                Gathering::Settle(parent) => {
                    for buffers in self.layers.iter_mut().flatten() {
                        buffers.settle(&self.frame, &self.rows, *parent)?;
                    }
                }
                Gathering::Copy(parents) => {
                    let parents: Vec<u32> = parents.iter().map(|parent| *parent as u32).collect();
                    let parents = Tensor::new(parents, &self.frame.device)?;
                    // All copies first: an allocation that fails must leave every layer as it was.
                    let mut copies = Vec::with_capacity(2 * self.layers.len());
                    for buffers in self.layers.iter().flatten() {
                        copies.push(buffers.tails()?.index_select(&parents, 1)?);
                    }
                    for (buffers, copy) in self.layers.iter_mut().flatten().zip(copies) {
                        buffers.tails = Some(copy);
                    }
                }
            }
        }
        self.rows.gather(&gathering, parents.len());
        self.drop_empty_tails();
        Ok(())
    }

    /// Forgets every position from `len` on.
    pub(super) fn truncate(&mut self, len: usize) {
        self.rows.truncate(len);
        self.drop_empty_tails();
    }

    /// Everything the buffers hold, for tests that compare bits.
    #[cfg(test)]
    pub(super) fn values(&self) -> Vec<Vec<f32>> {
        let tensors = self.layers.iter().flatten().flat_map(|held| [&held.shared, &held.tails]);
        let values = |tensor: &Tensor| tensor.flatten_all().and_then(|all| all.to_vec1());
        tensors.flatten().map(|tensor| values(tensor).unwrap_or_default()).collect()
    }

    /// Empty tails may be of another number of rows by the next step.
    fn drop_empty_tails(&mut self) {
        if self.rows.tail_len() == 0 {
            self.layers.iter_mut().flatten().for_each(|buffers| buffers.tails = None);
        }
    }
}

impl Buffers {
    fn shared(&self) -> Result<&Tensor> {
        self.shared.as_ref().ok_or_else(|| anyhow!("the cache holds no positions yet"))
    }

    fn tails(&self) -> Result<&Tensor> {
        self.tails.as_ref().ok_or_else(|| anyhow!("the cache holds no tails yet"))
    }

    fn write(&mut self, frame: &Frame, rows: &Rows, new: &Tensor) -> Result<()> {
        let (count, groups, size) = (rows.count(), frame.groups, frame.head_size);
        let shared_len = rows.shared_len();
        if count == 1 {
            let needed = shared_len + new.dim(1)?;
            self.reserve_shared(frame, shared_len, needed)?;
            return Ok(self.shared()?.slice_set(new, 1, shared_len)?);
        }
        let len = rows.tail_len();
        let held = self.tails.as_ref().map_or(0, |tails| tails.dims()[2]);
        if held < len + 1 {
            let most = frame.capacity - shared_len;
            let grown = (2 * held).max(FIRST_TAIL).min(most).max(len + 1);
            let tails = Tensor::zeros((groups, count, grown, size), DType::F32, &frame.device)?;
            if let Some(old) = &self.tails {
                tails.slice_set(old, 2, 0)?;
            }
            self.tails = Some(tails);
        }
        // Several rows may be in play before anything is shared at all.
        self.reserve_shared(frame, shared_len, 1)?;
        Ok(self.tails()?.slice_set(&new.reshape((groups, count, 1, size))?, 2, len)?)
    }

    fn reserve_shared(&mut self, frame: &Frame, len: usize, needed: usize) -> Result<()> {
        let held = self.shared.as_ref().map_or(0, |shared| shared.dims()[1]);
        if held >= needed {
            return Ok(());
        }
        let grown = (2 * held).max(FIRST_SHARED).min(frame.capacity).max(needed);
        let shape = (frame.groups, grown, frame.head_size);
        let shared = Tensor::zeros(shape, DType::F32, &frame.device)?;
        if let Some(old) = self.shared.as_ref().filter(|_| len > 0) {
            shared.slice_set(&old.narrow(1, 0, len)?.contiguous()?, 1, 0)?;
        }
        self.shared = Some(shared);
        Ok(())
    }

    /// Appends the tail of one row to the shared part.
    fn settle(&mut self, frame: &Frame, rows: &Rows, parent: usize) -> Result<()> {
        let (shared_len, len) = (rows.shared_len(), rows.tail_len());
        let tail = self.tails()?.narrow(1, parent, 1)?.narrow(2, 0, len)?.contiguous()?;
        let tail = tail.reshape((frame.groups, len, frame.head_size))?;
        self.reserve_shared(frame, shared_len, shared_len + len)?;
        Ok(self.shared()?.slice_set(&tail, 1, shared_len)?)
    }
}
