//! Puts an adapter's tensors beside a decoder, or takes them away again.

use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor};

use super::layer::{InsertedAttention, InsertedLayer, InsertedMlp};
use super::norm::InsertedNorm;
use super::{Inserted, RewardHead};
use crate::model::decoder::cache::{Cache, Frame};
use crate::model::decoder::norm::Norm;
use crate::model::decoder::run::Decoder;
use crate::model::decoder::spec::{NormKind, NormSpec};
use crate::model::linear::{Linear, Weight};
use crate::model::reward::{Adapter, Precision, Shape};

impl Decoder {
    /// See `Runner::insert`.
    pub(in crate::model::decoder) fn insert_adapter(
        &mut self,
        adapter: Option<&Adapter>,
    ) -> Result<()> {
        let inserted = match adapter {
            None => None,
            Some(adapter) => {
                let shape = adapter.check_shapes(&self.spec)?;
                let device = self.cache.frame().device.clone();
                let capacity = self.cache.capacity();
                let building = Building { adapter, shape: &shape, device: &device };
                Some(building.inserted(capacity)?)
            }
        };
        // What is held has no inserted keys: it is computed again with them, or without for good.
        if inserted.is_some() {
            self.cache.truncate(0);
        }
        self.inserted = inserted;
        Ok(())
    }
}

struct Building<'a> {
    adapter: &'a Adapter,
    shape: &'a Shape<'a>,
    device: &'a Device,
}

impl Building<'_> {
    fn inserted(&self, capacity: usize) -> Result<Inserted> {
        let (spec, insertion) = (self.shape.spec, self.shape.insertion);
        let layers = insertion.first_layer..spec.layers.len();
        let layers = layers.map(|layer| self.layer(layer)).collect::<Result<_>>()?;
        let heads = self.shape.heads;
        let experts = if heads.experts {
            Some(self.stacked(&["head.expert", "head.antiexpert"])?)
        } else {
            None
        };
        let drafts = (1..=heads.drafts).map(|j| self.linear(&format!("head.draft.{j}")));
        let frame = Frame {
            groups: self.shape.sizes.key_heads,
            head_size: spec.head_size,
            capacity,
            device: self.device.clone(),
        };
        Ok(Inserted {
            sizes: self.shape.sizes,
            first_layer: insertion.first_layer,
            start: self.adapter.facts.start,
            layers,
            final_norm: self.norm("final_norm")?,
            head: RewardHead {
                weight: self.values("head.reward.weight")?.to_vec(),
                bias: self.values("head.reward.bias")?[0],
                original: self.optional("head.reward.original").map(<[f32]>::to_vec),
            },
            experts,
            drafts: drafts.collect::<Result<_>>()?,
            wanted: [true; 2],
            cache: Cache::new(spec.layers.len(), frame),
        })
    }

    fn layer(&self, layer: usize) -> Result<InsertedLayer> {
        let (spec, insertion) = (self.shape.spec, self.shape.insertion);
        let of = |name: &str| format!("layers.{layer}.{name}");
        let post = |name: &str| -> Result<Option<InsertedNorm>> {
            if spec.post_norms { self.norm(&of(name)).map(Some) } else { Ok(None) }
        };
        let per_head = |name: &str| -> Result<Option<Norm>> {
            if !spec.query_key_norm {
                return Ok(None);
            }
            let weight = self.values(&of(&format!("{name}.weight")))?.to_vec();
            // The weights are factors as they are, whatever the base adds to its own.
            let plain = NormSpec { kind: NormKind::RootMeanSquare, ..spec.norm };
            Norm::new(plain, weight, None, self.device).map(Some)
        };
        let attention = if insertion.attention {
            Some(InsertedAttention {
                norm: self.norm(&of("attention_norm"))?,
                query_key_value: self.stacked(&[&of("query"), &of("key"), &of("value")])?,
                query_norm: per_head("query_norm")?,
                key_norm: per_head("key_norm")?,
                output: self.linear(&of("output"))?,
                post_norm: post("attention_post_norm")?,
            })
        } else {
            None
        };
        let mlp = if insertion.mlp {
            let gate_up = match spec.mlp.gated {
                true => self.stacked(&[&of("gate"), &of("up")])?,
                false => self.linear(&of("up"))?,
            };
            Some(InsertedMlp {
                norm: self.norm(&of("mlp_norm"))?,
                gate_up,
                down: self.linear(&of("down"))?,
                post_norm: post("mlp_post_norm")?,
            })
        } else {
            None
        };
        Ok(InsertedLayer { attention, mlp })
    }

    fn values(&self, name: &str) -> Result<&[f32]> {
        self.optional(name).with_context(|| format!("the adapter has no `{name}`"))
    }

    fn optional(&self, name: &str) -> Option<&[f32]> {
        self.adapter.tensors.get(name).map(|tensor| tensor.values.as_slice())
    }

    fn norm(&self, name: &str) -> Result<InsertedNorm> {
        let weight = self.values(&format!("{name}.weight"))?.to_vec();
        let bias = self.optional(&format!("{name}.bias")).map(<[f32]>::to_vec);
        InsertedNorm::new(self.shape.spec.norm, weight, bias, self.device)
    }

    fn linear(&self, name: &str) -> Result<Linear> {
        self.stacked(&[name])
    }

    /// Matrices that read the same input as one, held in the file's own type.
    fn stacked(&self, names: &[&str]) -> Result<Linear> {
        let dtype = match self.adapter.precision {
            Precision::F32 => DType::F32,
            Precision::F16 => DType::F16,
            Precision::BF16 => DType::BF16,
        };
        let mut parts = Vec::with_capacity(names.len());
        let mut biases = Vec::new();
        for name in names {
            let weight = format!("{name}.weight");
            let columns = self.adapter.tensors.get(&weight).and_then(|has| has.shape.get(1));
            let columns = *columns.with_context(|| format!("`{weight}` is no matrix"))?;
            let values = self.values(&weight)?;
            let shape = (values.len() / columns, columns);
            let part = Tensor::from_slice(values, shape, &Device::Cpu)?.to_dtype(dtype)?;
            parts.push(part.to_device(self.device)?);
            biases.extend(self.optional(&format!("{name}.bias")).into_iter().flatten());
        }
        let weight = if parts.len() == 1 { parts.remove(0) } else { Tensor::cat(&parts, 0)? };
        let linear = Linear::new(Weight::from_tensor(&weight)?);
        if biases.is_empty() { Ok(linear) } else { linear.with_bias(biases) }
    }
}
