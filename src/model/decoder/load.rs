//! Brings a checkpoint into memory as a decoder: everything is checked before anything is read.

use anyhow::{Context, Result};
use candle_core::Device;

use super::block::Block;
use super::cache::{Cache, Frame};
use super::embedding::Lookup;
use super::names::{Names, Wanted, is_known_surplus};
use super::norm::Norm;
use super::run::Decoder;
use super::spec::{DecoderSpec, NormKind, Positions};
use super::vectors::Attached;
use crate::model::checkpoint::Checkpoint;
use crate::model::linear::{Embedding, Linear, StoredMatrix, Weight};
use crate::model::loaded::Progress;
use crate::model::weights::WeightForm;
use crate::platform::{Cancelled, Problem};

impl Decoder {
    /// Loads the weights a spec asks for, in `form` on `device`, with room for `cache_length`
    /// positions.
    ///
    /// Errors name the file, the tensor and both shapes; `Cancelled` when `progress` says false.
    pub fn load(
        checkpoint: &Checkpoint,
        spec: DecoderSpec,
        device: &Device,
        form: WeightForm,
        cache_length: usize,
        progress: Progress<'_>,
    ) -> Result<Decoder> {
        let names = names(checkpoint, &spec);
        let bytes_total = check(checkpoint, &spec, &names)?;
        let capacity = match spec.positions {
            // There is no row to add beyond the last learned position.
            Positions::Learned => cache_length.min(spec.context_length),
            Positions::Rotary(_) => cache_length,
        };
        if capacity == 0 {
            return Err(Problem::new("a context of no positions at all was asked for").into());
        }
        let mut loading =
            Loading { checkpoint, spec: &spec, device, form, bytes_done: 0, bytes_total, progress };
        // An embedding of its own is only looked up: it stays as stored. A tied one is the head,
        // too, and takes the form of the other weights.
        let own_form = if spec.tied_head { form } else { WeightForm::Stored };
        let table = Embedding::new(loading.weight(&names.embedding, own_form)?);
        let head = if spec.tied_head { Some(table.tied_head()) } else { None };
        let stored = checkpoint.tensors[&names.embedding].dtype;
        let embedding = Lookup::new(table, spec.embedding_scale, stored);
        let positions = match spec.positions {
            Positions::Learned => {
                let table = loading.weight(&names.positions, WeightForm::Stored)?;
                Some(Lookup::new(Embedding::new(table), None, stored))
            }
            Positions::Rotary(_) => None,
        };
        let blocks = (0..spec.layers.len())
            .map(|index| loading.block(&names, index))
            .collect::<Result<Vec<_>>>()?;
        let final_norm = loading.norm(&names.final_norm)?;
        let head = match head {
            Some(tied) => tied,
            None => Linear::new(loading.weight(&names.head, form)?),
        };
        head.prepare()?;
        let frequencies = match &spec.positions {
            Positions::Learned => Vec::new(),
            Positions::Rotary(ropes) => {
                ropes.iter().map(|rope| rope.frequencies(capacity)).collect()
            }
        };
        let frame = Frame {
            groups: spec.kv_head_count,
            head_size: spec.head_size,
            capacity,
            device: device.clone(),
        };
        let cache = Cache::new(spec.layers.len(), frame);
        Ok(Decoder {
            spec,
            embedding,
            positions,
            frequencies,
            blocks,
            final_norm,
            head,
            cache,
            plain: false,
            names,
            input_first: checkpoint.tensors.values().any(|tensor| tensor.input_first),
            attached: Attached::default(),
            inserted: None,
        })
    }
}

/// How this checkpoint names the tensors of the spec.
pub(super) fn names(checkpoint: &Checkpoint, spec: &DecoderSpec) -> Names {
    Names::find(spec, |name| checkpoint.tensors.contains_key(name))
}

/// Checks every tensor the spec asks for against the checkpoint's headers, and that nothing the
/// model was trained with would go unused. Returns the bytes to be read.
pub(super) fn check(checkpoint: &Checkpoint, spec: &DecoderSpec, names: &Names) -> Result<u64> {
    let mut bytes = 0;
    let mut used = std::collections::BTreeSet::new();
    names.visit(spec, |Wanted { name, shape }| {
        let stored = checkpoint
            .tensor(&name)
            .with_context(|| format!("the config asks for a {shape:?} tensor"))?;
        let turned: Vec<usize> = shape.iter().rev().copied().collect();
        let shape = if stored.input_first { turned } else { shape };
        if stored.shape != shape {
            return Err(Problem::new(format!(
                "the tensor {name} has the shape {:?} where the config asks for {shape:?}",
                stored.shape
            ))
            .at(&checkpoint.path)
            .into());
        }
        bytes += stored.byte_length as u64;
        used.insert(name);
        Ok(())
    })?;
    let surplus: Vec<&String> = checkpoint
        .tensors
        .keys()
        .filter(|name| !used.contains(*name) && !is_known_surplus(spec, name))
        .collect();
    if let Some(first) = surplus.first() {
        return Err(Problem::new(format!(
            "the checkpoint holds {} tensors that a {} of this config does not have, {first} among \
             them",
            surplus.len(),
            spec.family.name()
        ))
        .at(&checkpoint.path)
        .hint("the config is wrong, or the model is of a variant that is not supported")
        .into());
    }
    Ok(bytes)
}

struct Loading<'a> {
    checkpoint: &'a Checkpoint,
    spec: &'a DecoderSpec,
    device: &'a Device,
    form: WeightForm,
    bytes_done: u64,
    bytes_total: u64,
    progress: Progress<'a>,
}

impl Loading<'_> {
    fn done(&mut self, name: &str) -> Result<()> {
        self.bytes_done += self.checkpoint.tensor(name)?.byte_length as u64;
        if (self.progress)(self.bytes_done.min(self.bytes_total), self.bytes_total) {
            Ok(())
        } else {
            Err(Cancelled.into())
        }
    }

    fn matrix<'b>(&self, name: &str, bytes: &'b [u8]) -> StoredMatrix<'b> {
        let stored = &self.checkpoint.tensors[name];
        let columns = stored.shape.last().copied().unwrap_or(1);
        let rows = stored.shape.iter().rev().skip(1).product();
        StoredMatrix { stored: stored.dtype, rows, columns, bytes }
    }

    /// A matrix in `form`, `[out, in]` however it is stored.
    fn weight(&mut self, name: &str, form: WeightForm) -> Result<Weight> {
        let bytes = self.checkpoint.bytes(name)?;
        let matrix = self.matrix(name, &bytes);
        let weight = if self.checkpoint.tensors[name].input_first {
            Weight::from_transposed(&matrix, form, self.device)?
        } else {
            Weight::from_stored(&matrix, form, self.device)?
        };
        self.done(name)?;
        Ok(weight)
    }

    /// A small tensor as f32, whatever it is stored as.
    fn vector(&mut self, name: &str) -> Result<Vec<f32>> {
        let bytes = self.checkpoint.bytes(name)?;
        let matrix = self.matrix(name, &bytes);
        matrix.check()?;
        let mut values = vec![0.0; matrix.columns];
        matrix.widen_rows(0, &mut values)?;
        self.done(name)?;
        Ok(values)
    }

    fn norm(&mut self, name: &str) -> Result<Norm> {
        let weight = self.vector(&format!("{name}.weight"))?;
        let bias = match self.spec.norm.kind {
            NormKind::Layer => Some(self.vector(&format!("{name}.bias"))?),
            NormKind::RootMeanSquare | NormKind::RootMeanSquarePlusOne => None,
        };
        Norm::new(self.spec.norm, weight, bias, self.device)
    }

    fn projection(&mut self, name: &str, bias: bool) -> Result<Linear> {
        let linear = Linear::new(self.weight(&format!("{name}.weight"), self.form)?);
        if bias { linear.with_bias(self.vector(&format!("{name}.bias"))?) } else { Ok(linear) }
    }

    fn block(&mut self, names: &Names, index: usize) -> Result<Block> {
        let spec = self.spec;
        let names = names.layer(spec, index);
        // What reads the same input becomes one product where the weights' types allow it: fewer
        // and larger products keep the threads busy.
        let mut projections = |names: &[String], bias: bool| -> Result<Vec<Linear>> {
            let apart: Vec<Linear> =
                names.iter().map(|name| self.projection(name, bias)).collect::<Result<_>>()?;
            match Linear::stack(&apart.iter().collect::<Vec<_>>())? {
                Some(stacked) if apart.len() > 1 => prepared(vec![stacked]),
                _ => prepared(apart),
            }
        };
        let query_key_value = projections(&names.query_key_value, spec.query_key_value_bias)?;
        let gate_up = projections(&names.gate_up, spec.mlp.bias)?;
        let output = self.projection(&names.output, spec.output_bias)?;
        output.prepare()?;
        let down = self.projection(&names.down, spec.mlp.bias)?;
        down.prepare()?;
        let mut optional = |name: &str, there: bool| -> Result<Option<Norm>> {
            if there { self.norm(name).map(Some) } else { Ok(None) }
        };
        let query_norm = optional(&names.query_norm, spec.query_key_norm)?;
        let key_norm = optional(&names.key_norm, spec.query_key_norm)?;
        let attention_post_norm = optional(&names.attention_post_norm, spec.post_norms)?;
        let mlp_post_norm = optional(&names.mlp_post_norm, spec.post_norms)?;
        Ok(Block {
            attention_norm: self.norm(&names.attention_norm)?,
            query_key_value,
            query_norm,
            key_norm,
            output,
            attention_post_norm,
            mlp_norm: self.norm(&names.mlp_norm)?,
            gate_up,
            down,
            mlp_post_norm,
        })
    }
}

/// Makes what the first product would make, so that the first token does not wait for it.
fn prepared(linears: Vec<Linear>) -> Result<Vec<Linear>> {
    linears.iter().try_for_each(Linear::prepare)?;
    Ok(linears)
}
