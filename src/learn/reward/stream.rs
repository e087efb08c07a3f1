//! An inserted stream beside a base whose records it reads: what `learn reward` trains by default.

use std::sync::Arc;

use anyhow::{Context, Result};
use candle_core::{Device, Tensor, Var};
use parking_lot::Mutex;

use super::arguments::StreamArgs;
use super::inserted::Inserted;
use super::inserted::record::{Layout, Packed};
use super::learner::{Read, Rewarder};
use super::records::Records;
use super::signals::Signal;
use super::texts::{RatingScale, Text};
use crate::learn::base::optimizer::Trained;
use crate::model::ModelFacts;
use crate::model::checkpoint::Checkpoint;
use crate::model::decoder::{Decoder, DecoderSpec, initialise};
use crate::model::reward::{Base, Facts, Heads, Precision, Shape, Values};

/// The stream and the records it reads.
pub struct Stream {
    pub inserted: Inserted,
    pub records: Arc<Records>,
    /// Why the cache on disk was given up, until somebody says so.
    pub given_up: Mutex<Option<anyhow::Error>>,
}

impl Stream {
    /// A stream as it begins beside a base in memory that it has for itself.
    ///
    /// # Errors
    /// As for [`Stream::beside`].
    pub fn begin(
        args: &StreamArgs,
        seed: u64,
        base: Decoder,
        checkpoint: &Checkpoint,
        model: &ModelFacts,
        texts: Arc<Vec<Text>>,
        device: &Device,
    ) -> Result<Self> {
        let layout = layout(args, base.spec());
        let records = Arc::new(Records::new(base, layout, texts));
        Self::beside(args, seed, records, checkpoint, model, device)
    }

    /// A stream as it begins beside a base that others may read, too.
    ///
    /// # Errors
    /// When sizes and base do not go together, or a tensor of the base cannot be read.
    pub fn beside(
        args: &StreamArgs,
        seed: u64,
        records: Arc<Records>,
        checkpoint: &Checkpoint,
        model: &ModelFacts,
        device: &Device,
    ) -> Result<Self> {
        let spec = records.spec();
        let facts = Facts {
            base: Base {
                fingerprint: model.fingerprint.clone(),
                name: model.name.clone(),
                stored_as: model.stored_as.clone(),
                rounded_to: model.rounded_to.clone(),
                template_fingerprint: model.template_fingerprint.clone(),
            },
            sizes: args.sizes(&spec),
            insertion: args.insertion(&spec),
            start: args.start(),
            initialisation: args.initialisation(),
            ..Facts::default()
        };
        let heads = args.heads();
        let shape = Shape::new(&facts, heads, &spec)?;
        let mut tensors = initialise(checkpoint, &shape, facts.initialisation, seed)?;
        let context = records.context();
        let inserted = Inserted::with(&spec, facts, heads, context, device, |_, name, _| {
            let Values { values, .. } =
                tensors.remove(name).with_context(|| format!("`{name}` has no beginning"))?;
            Ok(values)
        })?;
        Ok(Self { inserted, records, given_up: Mutex::default() })
    }

    /// The reward after the last of each of some ids.
    ///
    /// # Errors
    /// When a pass fails.
    pub fn of_ids(&self, texts: &[Vec<u32>]) -> Result<Vec<f32>> {
        let mut records = Vec::with_capacity(texts.len());
        let mut reads = Vec::with_capacity(texts.len());
        let mut from = 0;
        for ids in texts {
            records.push(Arc::new(self.records.record(ids)?));
            from += ids.len() as u32;
            reads.push(from - 1);
        }
        let inserted = &self.inserted;
        let recorded = self.records.layout();
        let packed = Packed::new(&inserted.layout, recorded, &records, &inserted.device)?;
        Ok(inserted.rewards(&packed, &reads)?.detach().to_vec1()?)
    }

    /// The records of some texts, and where each begins.
    fn packed(&self, texts: &[usize]) -> Result<(Packed, Vec<usize>)> {
        let records = self.records.of(texts)?;
        let (mut firsts, mut next) = (Vec::with_capacity(records.len()), 0);
        for record in &records {
            firsts.push(next);
            next += record.positions;
        }
        let (inserted, recorded) = (&self.inserted, self.records.layout());
        Ok((Packed::new(&inserted.layout, recorded, &records, &inserted.device)?, firsts))
    }

    /// Gives rewards in the units the ratings had.
    ///
    /// # Errors
    /// When a variable cannot be set.
    pub fn rescale(&self, scale: RatingScale) -> Result<()> {
        for (name, var) in self.trained() {
            let shift = if name == "head.reward.bias" { scale.mean } else { 0.0 };
            if name.starts_with("head.reward.") {
                var.set(&var.as_tensor().affine(scale.deviation, shift)?.detach())?;
            }
        }
        Ok(())
    }

    /// Rounds the matrices as their file will, so that what is measured is what is written.
    ///
    /// # Errors
    /// When a variable cannot be set.
    pub fn round(&self, precision: Precision) -> Result<()> {
        let dtype = match precision {
            Precision::F32 => return Ok(()),
            Precision::F16 => candle_core::DType::F16,
            Precision::BF16 => candle_core::DType::BF16,
        };
        for (_, var) in self.trained() {
            if var.rank() == 2 {
                let rounded = var.as_tensor().detach().to_dtype(dtype)?;
                var.set(&rounded.to_dtype(candle_core::DType::F32)?)?;
            }
        }
        Ok(())
    }
}

impl Trained for Stream {
    fn trained(&self) -> Vec<(String, &Var)> {
        self.inserted.trained()
    }
}

impl Rewarder for Stream {
    fn ready(&self, texts: &[usize]) -> Result<()> {
        if let Some(error) = self.records.ready(texts)? {
            *self.given_up.lock() = Some(error);
        }
        Ok(())
    }

    fn rewards(&self, texts: &[usize], reads: &[(usize, usize)]) -> Result<Tensor> {
        let (packed, firsts) = self.packed(texts)?;
        let g = self.inserted.stream(&packed)?;
        self.inserted.rewards_of(&g, &packed, &flat(&firsts, reads))
    }

    fn heads(&self) -> Heads {
        self.inserted.heads
    }

    fn read(
        &self,
        texts: &[usize],
        reads: &[(usize, usize)],
        signals: &[Signal],
        compares: bool,
    ) -> Result<Read> {
        let (packed, firsts) = self.packed(texts)?;
        let inserted = &self.inserted;
        let g = inserted.stream(&packed)?;
        let rewards = match reads {
            [] => None,
            reads => Some(inserted.rewards_of(&g, &packed, &flat(&firsts, reads))?),
        };
        let said = |signal: &Signal| {
            let (reads, targets) = (flat(&firsts, &signal.reads), &signal.targets);
            inserted.said(&g, &packed, &signal.head, &reads, targets, compares)
        };
        Ok(Read { rewards, signals: signals.iter().map(said).collect::<Result<_>>()? })
    }
}

/// What a stream like this reads of a base.
pub fn layout(args: &StreamArgs, spec: &DecoderSpec) -> Layout {
    let (sizes, insertion) = (args.sizes(spec), args.insertion(spec));
    Layout::new(spec, sizes, insertion, args.start(), args.reads_original)
}

/// Reads as rows of a packing.
fn flat(firsts: &[usize], reads: &[(usize, usize)]) -> Vec<u32> {
    reads.iter().map(|(text, position)| (firsts[*text] + position) as u32).collect()
}
