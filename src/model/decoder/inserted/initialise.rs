//! How inserted weights begin: as copies of the base's own ("mirror", spec section 6), at random,
//! or as zeros.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use crate::model::checkpoint::Checkpoint;
use crate::model::decoder::load::names;
use crate::model::decoder::names::Names;
use crate::model::decoder::spec::{DecoderSpec, NormKind};
use crate::model::linear::StoredMatrix;
use crate::model::reward::{Initialisation, Shape, Values};
use crate::platform::random;

/// Standard deviation of random matrices.
const SPREAD: f32 = 0.02;

/// All tensors of an adapter before it has learned anything. With the mirror, and an insertion in
/// both attention and MLP that starts from the hidden state, the inserted stream is the first
/// features of the original one at every layer. The reward head is `normal(0, 0.01 / √width)`
/// (zero for [`Initialisation::Zero`]), its bias 0.
///
/// # Errors
/// When a tensor of the base cannot be read.
pub fn initialise(
    checkpoint: &Checkpoint,
    shape: &Shape<'_>,
    how: Initialisation,
    seed: u64,
) -> Result<BTreeMap<String, Values>> {
    let mut base = Base { checkpoint, spec: shape.spec, names: names(checkpoint, shape.spec) };
    let mut tensors = BTreeMap::new();
    for (stream, wanted) in shape.tensors().into_iter().enumerate() {
        let count = wanted.shape.iter().product();
        let normal = |spread: f32| -> Vec<f32> {
            let draw = |at| spread * random::normal(seed, stream as u64, at);
            (0..count as u64).map(draw).collect()
        };
        let is_norm = wanted.name.contains("norm.weight");
        let values = match (how, wanted.name.as_str()) {
            (_, "head.reward.bias") => vec![0.0; count],
            (Initialisation::Mirror | Initialisation::Random, "head.reward.weight") => {
                normal(0.01 / (shape.sizes.width as f32).sqrt())
            }
            (_, name) if name.starts_with("head.reward") => vec![0.0; count],
            (Initialisation::Mirror, name) => base.mirror(name, &wanted.shape)?,
            (_, name) if is_norm && !name.ends_with("bias") => vec![1.0; count],
            (Initialisation::Random, name) if name.ends_with(".weight") => normal(SPREAD),
            _ => vec![0.0; count],
        };
        ensure!(values.len() == count, "`{}` began with {} values", wanted.name, values.len());
        tensors.insert(wanted.name, Values { shape: wanted.shape, values });
    }
    Ok(tensors)
}

/// The base's own weights.
struct Base<'a> {
    checkpoint: &'a Checkpoint,
    spec: &'a DecoderSpec,
    names: Names,
}

impl Base<'_> {
    /// The first rows and columns of what the tensor stands beside; zeros for inserted inputs.
    fn mirror(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let (module, end) = name.rsplit_once('.').unwrap_or((name, "weight"));
        if let Some(kind) = module.strip_prefix("head.") {
            let of = |weight: &str| self.matrix(weight, 0, 0, shape, shape[1]);
            return match kind {
                "expert" | "antiexpert" if self.spec.tied_head => of(&self.names.embedding),
                "expert" | "antiexpert" => of(&self.names.head),
                _ if self.spec.tied_head => of(&self.names.embedding),
                _ => of(&self.names.head),
            };
        }
        if module == "final_norm" {
            return self.vector(&self.names.final_norm, end, 0, shape[0], true);
        }
        let mut parts = module.split('.').skip(1);
        let layer = parts.next().and_then(|layer| layer.parse().ok()).unwrap_or(0);
        let part = parts.next().unwrap_or_default();
        let spec = self.spec;
        let own = self.names.layer(spec, layer);
        let (query, key) = (spec.query_width(), spec.key_width());
        let inner = spec.mlp.intermediate_size;
        // Which module of the base, from which output on, and how many of its inputs there are.
        let of_three = |index: usize, from: usize| match own.query_key_value.as_slice() {
            [fused] => (fused.clone(), from),
            apart => (apart[index].clone(), 0),
        };
        let (module, first, inputs) = match part {
            "query" => (own.query_key_value[0].clone(), 0, spec.hidden_size),
            "key" => {
                let (name, from) = of_three(1, query);
                (name, from, spec.hidden_size)
            }
            "value" => {
                let (name, from) = of_three(2, query + key);
                (name, from, spec.hidden_size)
            }
            "output" => (own.output, 0, query),
            "gate" => (own.gate_up[0].clone(), 0, spec.hidden_size),
            "up" => match own.gate_up.as_slice() {
                [fused] if spec.mlp.gated => (fused.clone(), inner, spec.hidden_size),
                apart => (apart[apart.len() - 1].clone(), 0, spec.hidden_size),
            },
            "down" => (own.down, 0, inner),
            "attention_norm" => return self.vector(&own.attention_norm, end, 0, shape[0], true),
            "mlp_norm" => return self.vector(&own.mlp_norm, end, 0, shape[0], true),
            "query_norm" => return self.vector(&own.query_norm, end, 0, shape[0], true),
            "key_norm" => return self.vector(&own.key_norm, end, 0, shape[0], true),
            "attention_post_norm" => {
                return self.vector(&own.attention_post_norm, end, 0, shape[0], true);
            }
            "mlp_post_norm" => return self.vector(&own.mlp_post_norm, end, 0, shape[0], true),
            other => anyhow::bail!("nothing in the base stands beside `{other}`"),
        };
        if end == "bias" {
            return self.vector(&module, end, first, shape[0], false);
        }
        self.matrix(&format!("{module}.weight"), first, 0, shape, inputs)
    }

    /// `shape` of a matrix `[outputs, inputs]` from this output on: its first columns, and zeros
    /// behind the base's own inputs.
    fn matrix(
        &self,
        name: &str,
        first: usize,
        column: usize,
        shape: &[usize],
        inputs: usize,
    ) -> Result<Vec<f32>> {
        let stored = self.checkpoint.tensor(name)?;
        let bytes = self.checkpoint.bytes(name)?;
        let &[a, b] = stored.shape.as_slice() else {
            anyhow::bail!("`{name}` is no matrix");
        };
        let matrix = StoredMatrix { stored: stored.dtype, rows: a, columns: b, bytes: &bytes };
        matrix.check()?;
        let (rows, columns) = (shape[0], shape[1]);
        let copied = columns.min(inputs);
        let mut out = vec![0.0; rows * columns];
        if stored.input_first {
            let mut line = vec![0.0; b];
            for input in 0..copied {
                matrix.widen_rows(column + input, &mut line)?;
                for row in 0..rows {
                    out[row * columns + input] = line[first + row];
                }
            }
        } else {
            let mut line = vec![0.0; b];
            for (row, out) in out.chunks_exact_mut(columns).enumerate() {
                matrix.widen_rows(first + row, &mut line)?;
                out[..copied].copy_from_slice(&line[column..column + copied]);
            }
        }
        Ok(out)
    }

    /// Some values of a norm's weight (as a factor) or of a bias.
    fn vector(
        &self,
        module: &str,
        end: &str,
        first: usize,
        count: usize,
        is_norm: bool,
    ) -> Result<Vec<f32>> {
        let name = format!("{module}.{end}");
        let stored = self.checkpoint.tensor(&name)?;
        let bytes = self.checkpoint.bytes(&name)?;
        let columns = stored.element_count();
        let matrix = StoredMatrix { stored: stored.dtype, rows: 1, columns, bytes: &bytes };
        matrix.check()?;
        let mut values = vec![0.0; columns];
        matrix.widen_rows(0, &mut values)?;
        ensure!(first + count <= columns, "`{name}` is shorter than {}", first + count);
        let mut values = values[first..first + count].to_vec();
        let plus_one = self.spec.norm.kind == NormKind::RootMeanSquarePlusOne;
        if is_norm && end == "weight" && plus_one {
            values.iter_mut().for_each(|value| *value += 1.0);
        }
        Ok(values)
    }
}
