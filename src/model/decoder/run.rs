//! The decoder as a `Runner`: passes over the cache, one row or many.

use std::sync::Arc;

use anyhow::Result;
use candle_core::{Device, Tensor};

use super::activation;
use super::block::{Block, Pass};
use super::cache::Cache;
use super::embedding::Lookup;
use super::heads::Angles;
use super::host;
use super::inserted::{Inserted, Signals};
use super::names::Names;
use super::norm::Norm;
use super::spec::DecoderSpec;
use super::vectors::Attached;
use crate::model::linear::Linear;
use crate::model::reward::Adapter;
use crate::model::runner::{Runner, StepOutput, Wanted};
use crate::model::vector::Vector;
use crate::platform::Problem;

/// A loaded model with its KV cache.
pub struct Decoder {
    pub(super) spec: DecoderSpec,
    pub(super) embedding: Lookup,
    /// Learned positions.
    pub(super) positions: Option<Lookup>,
    /// Frequencies and the factor on cosine and sine, per rotary embedding.
    pub(super) frequencies: Vec<(Vec<f32>, f32)>,
    pub(super) blocks: Vec<Block>,
    pub(super) final_norm: Norm,
    pub(super) head: Linear,
    pub(super) cache: Cache,
    /// Candle operations even on the CPU.
    pub(super) plain: bool,
    /// How its checkpoint names tensors.
    pub(super) names: Names,
    /// That checkpoint stores projections `[inputs, outputs]`, as GPT-2's do in a folder and not
    /// in a GGUF file.
    pub(super) input_first: bool,
    /// The alignment vectors beside the weights.
    pub(super) attached: Attached,
    /// A reward adapter's stream beside the layers, with keys and values of its own.
    pub(super) inserted: Option<Inserted>,
}

impl Decoder {
    /// What the model is made of.
    pub fn spec(&self) -> &DecoderSpec {
        &self.spec
    }

    /// Makes every pass go through candle operations, as it does on devices other than the CPU,
    /// so that a test can compare the two on the CPU.
    pub fn use_plain_operations(&mut self, plain: bool) {
        self.plain = plain;
    }

    pub(super) fn check_ids(&self, ids: &[u32], positions: usize) -> Result<()> {
        if let Some(id) = ids.iter().find(|id| **id as usize >= self.spec.vocab_size) {
            let most = self.spec.vocab_size;
            return Err(
                Problem::new(format!("token id {id} is outside the vocabulary of {most}")).into()
            );
        }
        let (held, room) = (self.cache.rows.len(), self.cache.capacity());
        if positions > room - held {
            return Err(Problem::new(format!(
                "the context is full: {held} of {room} positions are held and {positions} more \
                 were fed"
            ))
            .hint("load the model with a longer context, or start a new conversation")
            .into());
        }
        Ok(())
    }

    /// Keeps the inserted keys and values in step with the original ones.
    fn each_cache(&mut self, change: impl Fn(&mut Cache)) {
        change(&mut self.cache);
        if let Some(inserted) = &mut self.inserted {
            change(&mut inserted.cache);
        }
    }

    /// Embeds ids at their positions: `[ids, hidden]`.
    pub(super) fn embed(&self, ids: &[u32], positions: &[usize]) -> Result<Tensor> {
        let x = self.embedding.rows(ids)?;
        match &self.positions {
            None => Ok(x),
            Some(learned) => {
                let positions: Vec<u32> =
                    positions.iter().map(|position| *position as u32).collect();
                Ok((x + learned.rows(&positions)?)?)
            }
        }
    }

    /// One pass; the caller appends the ids to the rows once it has succeeded.
    fn pass(&mut self, ids: &[u32], prefill: bool, wanted: Wanted) -> Result<StepOutput> {
        self.attached.check_rows(ids.len(), prefill)?;
        let held = self.cache.rows.len();
        let positions: Vec<usize> =
            if prefill { (held..held + ids.len()).collect() } else { vec![held; ids.len()] };
        let angles: Vec<Angles> = self
            .frequencies
            .iter()
            .map(|(frequencies, scale)| Angles::at(&positions, frequencies, *scale))
            .collect();
        let pass = Pass {
            spec: &self.spec,
            angles: &angles,
            count: ids.len(),
            prefill,
            plain: self.plain,
        };
        let mut x = self.embed(ids, &positions)?;
        let mut stream = None;
        for (layer, block) in self.blocks.iter().enumerate() {
            let (out, seen) = block.forward(&x, layer, &pass, &mut self.cache)?;
            if let Some(inserted) = &mut self.inserted {
                stream = inserted.follow(stream, &x, &seen, layer, &pass)?;
            }
            x = out;
        }
        if wanted == Wanted::Last && prefill {
            let last = |all: &Tensor| all.narrow(0, ids.len() - 1, 1);
            x = last(&x)?;
            stream = stream.as_ref().map(last).transpose()?;
        }
        let hidden = self.final_norm.forward(&x, self.plain)?;
        let signals = match (&self.inserted, &stream) {
            (Some(inserted), Some(stream)) => inserted.signals(stream, &x, &hidden, self.plain)?,
            _ => Signals::default(),
        };
        let mut logits = match wanted {
            Wanted::Hidden => Vec::new(),
            _ => to_host(&self.head.forward(&hidden)?)?,
        };
        if let Some(cap) = self.spec.logit_soft_cap {
            activation::soft_cap(&mut logits, cap);
        }
        let Signals { reward, detox, drafts } = signals;
        Ok(StepOutput {
            rows: hidden.dim(0)?,
            logits,
            hidden: to_host(&hidden)?,
            reward,
            detox,
            drafts,
        })
    }
}

pub(super) fn to_host(tensor: &Tensor) -> Result<Vec<f32>> {
    if host::is_here(tensor) && tensor.is_contiguous() {
        return host::read(tensor, <[f32]>::to_vec);
    }
    Ok(tensor.flatten_all()?.to_vec1()?)
}

impl Runner for Decoder {
    fn vocab_size(&self) -> usize {
        self.spec.vocab_size
    }

    fn hidden_size(&self) -> usize {
        self.spec.hidden_size
    }

    fn context_length(&self) -> usize {
        self.cache.capacity()
    }

    fn device(&self) -> Device {
        Self::device(self)
    }

    fn rows(&self) -> usize {
        self.cache.rows.count()
    }

    fn len(&self) -> usize {
        self.cache.rows.len()
    }

    fn ids(&self) -> &[u32] {
        self.cache.rows.ids()
    }

    fn prefill(&mut self, ids: &[u32], wanted: Wanted) -> Result<StepOutput> {
        if self.rows() > 1 {
            let rows = self.rows();
            return Err(Problem::new(format!("a prefill needs one row in play, not {rows}")).into());
        }
        if ids.is_empty() {
            return Err(Problem::new("a prefill needs at least one token").into());
        }
        self.check_ids(ids, ids.len())?;
        let output = self.pass(ids, true, wanted)?;
        self.each_cache(|cache| cache.rows.append_shared(ids));
        Ok(output)
    }

    fn step(&mut self, ids: &[u32]) -> Result<StepOutput> {
        let rows = self.rows();
        if ids.len() != rows {
            let fed = ids.len();
            return Err(Problem::new(format!("a step over {rows} rows was fed {fed} ids")).into());
        }
        self.check_ids(ids, 1)?;
        let output = self.pass(ids, false, Wanted::All)?;
        self.each_cache(|cache| match rows {
            1 => cache.rows.append_shared(ids),
            _ => cache.rows.append_tails(ids),
        });
        Ok(output)
    }

    fn gather(&mut self, parents: &[usize]) -> Result<()> {
        self.cache.gather(parents)?;
        let Some(inserted) = &mut self.inserted else { return Ok(()) };
        let mirrored = inserted.cache.gather(parents);
        if mirrored.is_err() {
            // The two must hold the same rows, if need be none.
            self.each_cache(|cache| cache.truncate(0));
        }
        mirrored
    }

    fn truncate(&mut self, len: usize) -> Result<()> {
        self.each_cache(|cache| cache.truncate(len));
        Ok(())
    }

    fn insert(&mut self, adapter: Option<&Adapter>) -> Result<()> {
        self.insert_adapter(adapter)
    }

    fn want_heads(&mut self, experts: bool, drafts: bool) {
        if let Some(inserted) = &mut self.inserted {
            inserted.wanted = [experts, drafts];
        }
    }

    fn twin(&self) -> Option<Box<dyn Runner>> {
        let mut twin = Self {
            spec: self.spec.clone(),
            embedding: self.embedding.clone(),
            positions: self.positions.clone(),
            frequencies: self.frequencies.clone(),
            blocks: self.blocks.clone(),
            final_norm: self.final_norm.clone(),
            head: self.head.clone(),
            cache: self.cache.another(),
            plain: self.plain,
            names: self.names.clone(),
            input_first: self.input_first,
            attached: Attached::default(),
            inserted: None,
        };
        // Taking everything off cannot fail.
        twin.attach_vectors(&[]).ok()?;
        Some(Box::new(twin))
    }

    fn attach(&mut self, vectors: &[Arc<Vector>]) -> Result<()> {
        self.attach_vectors(vectors)
    }

    fn set_strengths(&mut self, strengths: &[f32]) -> Result<()> {
        self.set_vector_strengths(strengths)
    }
}
