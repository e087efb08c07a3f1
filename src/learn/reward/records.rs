//! The base run over texts and what the inserted stream reads of it, kept in memory for the batch
//! at hand and, where asked for, on disk for the next time.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use candle_core::{D, Tensor};
use parking_lot::Mutex;

use super::cache::Cache;
use super::inserted::record::{Field, Half, Layout, Record};
use super::texts::Text;
use crate::model::decoder::{Decoder, DecoderSpec, NormKind, Observed};
use crate::model::{Runner, Wanted};

/// The base and its records.
pub struct Records {
    base: Mutex<Decoder>,
    layout: Layout,
    texts: Arc<Vec<Text>>,
    at_hand: Mutex<HashMap<usize, Arc<Record>>>,
    cache: Mutex<Option<Cache>>,
}

impl Records {
    /// Nothing yet recorded.
    pub fn new(base: Decoder, layout: Layout, texts: Arc<Vec<Text>>) -> Self {
        let (at_hand, cache) = (Mutex::default(), Mutex::new(None));
        Self { base: Mutex::new(base), layout, texts, at_hand, cache }
    }

    /// What every record holds.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What the base is.
    pub fn spec(&self) -> DecoderSpec {
        self.base.lock().spec().clone()
    }

    /// The base's context, which some rotary embeddings go by.
    pub fn context(&self) -> usize {
        self.base.lock().context_length()
    }

    /// Keeps records on disk from now on, in a file of this folder that goes with the value.
    ///
    /// # Errors
    /// When the folder or the file cannot be made.
    pub fn keep_in(&self, folder: &Path) -> Result<u64> {
        let positions: Vec<usize> = self.texts.iter().map(|text| text.ids.len()).collect();
        let cache = Cache::new(folder, &positions, self.layout.width())?;
        let bytes = cache.bytes();
        *self.cache.lock() = Some(cache);
        Ok(bytes)
    }

    /// Makes these texts ready and lets go of the others. Says why where the cache had to be given
    /// up: without it everything goes on, only slower.
    ///
    /// # Errors
    /// When the base cannot be run over a text.
    pub fn ready(&self, texts: &[usize]) -> Result<Option<anyhow::Error>> {
        let mut at_hand = self.at_hand.lock();
        at_hand.retain(|number, _| texts.contains(number));
        let mut given_up = None;
        for number in texts {
            if at_hand.contains_key(number) {
                continue;
            }
            let positions = self.texts[*number].ids.len();
            let mut cache = self.cache.lock();
            let kept = cache.as_mut().and_then(|cache| cache.read(*number));
            let record = match kept {
                Some(values) => Record { positions, values },
                None => {
                    let record = self.record(&self.texts[*number].ids)?;
                    let write = cache.as_mut().map(|cache| cache.write(*number, &record.values));
                    if let Some(Err(error)) = write {
                        (*cache, given_up) = (None, Some(error));
                    }
                    record
                }
            };
            at_hand.insert(*number, Arc::new(record));
        }
        Ok(given_up)
    }

    /// The records of texts that are ready.
    ///
    /// # Errors
    /// When one is not.
    pub fn of(&self, texts: &[usize]) -> Result<Vec<Arc<Record>>> {
        let at_hand = self.at_hand.lock();
        let one = |number: &usize| at_hand.get(number).cloned().context("a text is not ready");
        texts.iter().map(one).collect()
    }

    /// The record of any ids.
    ///
    /// # Errors
    /// When the base cannot be run over them.
    pub fn record(&self, ids: &[u32]) -> Result<Record> {
        let mut base = self.base.lock();
        let norm = base.spec().norm;
        let layout = &self.layout;
        let mut record = Record::empty(layout, ids.len());
        let mut put = |field: Field, values: &Tensor| -> Result<()> {
            if layout.find(field).is_none() {
                return Ok(());
            }
            record.put(layout, field, 0, &values.flatten_all()?.to_vec1::<f32>()?)
        };
        let statistics = |x: &Tensor| -> Result<(Tensor, Tensor)> {
            let mean = x.mean_keepdim(D::Minus1)?;
            let centred = match norm.kind {
                NormKind::Layer => x.broadcast_sub(&mean)?,
                _ => x.clone(),
            };
            let square = (centred.sqr()?.mean_keepdim(D::Minus1)? + f64::from(norm.epsilon))?;
            Ok((square.sqrt()?.recip()?, mean))
        };
        base.truncate(0)?;
        base.observe(ids, &mut |observed| {
            match observed {
                Observed::Layer { layer, before, seen } => {
                    if let Some((_, width)) = layout.find(Field::Start(layer)) {
                        put(Field::Start(layer), &before.narrow(1, 0, width)?)?;
                    }
                    for (half, x, normed, inner, out) in [
                        (Half::Attention, before, &seen.normed, &seen.heads, &seen.attended),
                        (Half::Mlp, &seen.middle, &seen.mlp_normed, &seen.inner, &seen.mlp_out),
                    ] {
                        if layout.find(Field::Scale(layer, half)).is_none() {
                            continue;
                        }
                        let (scale, mean) = statistics(x)?;
                        put(Field::Scale(layer, half), &scale)?;
                        put(Field::Mean(layer, half), &mean)?;
                        put(Field::Normed(layer, half), normed)?;
                        put(Field::Inner(layer, half), inner)?;
                        if layout.find(Field::PostScale(layer, half)).is_some() {
                            put(Field::PostScale(layer, half), &statistics(out)?.0)?;
                        }
                    }
                }
                Observed::End { state, normed } => {
                    let (scale, mean) = statistics(state)?;
                    put(Field::EndScale, &scale)?;
                    put(Field::EndMean, &mean)?;
                    put(Field::End, normed)?;
                }
            }
            Ok(())
        })?;
        Ok(record)
    }

    /// The base's logits behind some ids.
    ///
    /// # Errors
    /// When the base cannot be run over them.
    pub fn logits(&self, ids: &[u32]) -> Result<Vec<f32>> {
        let mut base = self.base.lock();
        base.truncate(0)?;
        Ok(base.prefill(ids, Wanted::Last)?.logits)
    }
}
