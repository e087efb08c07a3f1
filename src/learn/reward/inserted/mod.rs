//! The inserted stream as it is trained: the same forward pass as at run time, over what was
//! recorded of the base, with gradients to every inserted tensor and to nothing else.

mod attention;
pub mod record;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use candle_core::{Device, Tensor, Var};

use attention::Attention;
use record::{Field, Half, Layout, Packed};

use crate::learn::base::optimizer::Trained;
use crate::learn::ops::{self, Rotary};
use crate::model::decoder::{Activation, DecoderSpec, NormKind, Positions};
use crate::model::reward::{Adapter, Facts, Heads, Precision, Shape, Start, Values};

/// The inserted tensors as variables, beside the description of their base.
pub struct Inserted {
    pub spec: DecoderSpec,
    /// Sizes, insertion and start; the rest is filled in when the adapter is written.
    pub facts: Facts,
    pub heads: Heads,
    pub layout: Layout,
    pub device: Device,
    /// One for each rotary embedding of the base.
    rotary: Vec<Rotary>,
    /// In the order of [`Shape::tensors`].
    names: Vec<String>,
    variables: BTreeMap<String, Var>,
}

impl Inserted {
    /// A stream whose tensors a function gives, by number, name and shape. `context` is what the
    /// base's cache holds: some rotary embeddings go by it.
    ///
    /// # Errors
    /// When sizes and base do not go together.
    pub fn with(
        spec: &DecoderSpec,
        facts: Facts,
        heads: Heads,
        context: usize,
        device: &Device,
        mut values: impl FnMut(u64, &str, &[usize]) -> Result<Vec<f32>>,
    ) -> Result<Self> {
        let shape = Shape::new(&facts, heads, spec)?;
        let (mut names, mut variables) = (Vec::new(), BTreeMap::new());
        for (number, tensor) in shape.tensors().into_iter().enumerate() {
            let of = values(number as u64, &tensor.name, &tensor.shape)?;
            let made = Tensor::from_vec(of, tensor.shape, device)?;
            variables.insert(tensor.name.clone(), Var::from_tensor(&made)?);
            names.push(tensor.name);
        }
        let rotary = match &spec.positions {
            Positions::Learned => Vec::new(),
            Positions::Rotary(ropes) => {
                let of = ropes.iter().map(|rope| rope.frequencies(context));
                of.map(|(frequencies, scale)| Rotary { frequencies, scale }).collect()
            }
        };
        let layout =
            Layout::new(spec, facts.sizes, facts.insertion, facts.start, heads.reads_original);
        let (spec, device) = (spec.clone(), device.clone());
        Ok(Self { spec, facts, heads, layout, device, rotary, names, variables })
    }

    /// The tensors as they stand.
    ///
    /// # Errors
    /// When they cannot be read back from their device.
    pub fn adapter(&self, precision: Precision) -> Result<Adapter> {
        let mut tensors = BTreeMap::new();
        for (name, var) in &self.variables {
            let values = var.flatten_all()?.to_vec1::<f32>()?;
            tensors.insert(name.clone(), Values { shape: var.dims().to_vec(), values });
        }
        Ok(Adapter { facts: self.facts.clone(), tensors, precision })
    }

    fn tensor(&self, name: &str) -> Result<&Tensor> {
        let var = self.variables.get(name).with_context(|| format!("no inserted `{name}`"))?;
        Ok(var.as_tensor())
    }

    /// Rewards at some positions of a packing, `[reads]`.
    ///
    /// # Errors
    /// When an operation fails.
    pub fn rewards(&self, packed: &Packed, reads: &[u32]) -> Result<Tensor> {
        self.rewards_of(&self.stream(packed)?, packed, reads)
    }

    /// The stream behind its last layer, `[positions, width]`.
    ///
    /// # Errors
    /// When an operation fails.
    pub fn stream(&self, packed: &Packed) -> Result<Tensor> {
        let width = self.facts.sizes.width;
        let mut g = match self.facts.start {
            Start::Hidden => packed.field(Field::Start(self.facts.insertion.first_layer))?.clone(),
            Start::Zeros => {
                let shape = (packed.starts.len(), width);
                Tensor::zeros(shape, candle_core::DType::F32, &self.device)?
            }
        };
        for layer in self.facts.insertion.first_layer..self.spec.layers.len() {
            if self.facts.insertion.attention {
                g = (&g + self.attention(&g, layer, packed)?)?;
            }
            if self.facts.insertion.mlp {
                g = (&g + self.mlp(&g, layer, packed)?)?;
            }
        }
        Ok(g)
    }

    /// What heads read: the stream's final norm at some positions, `[reads, width]`.
    fn last(&self, g: &Tensor, packed: &Packed, at: &Tensor) -> Result<Tensor> {
        let pick = |x: &Tensor| x.index_select(at, 0);
        let (scale, mean) = (packed.field(Field::EndScale)?, packed.field(Field::EndMean).ok());
        let mean = mean.map(pick).transpose()?;
        self.norm(&pick(g)?, &pick(scale)?, mean.as_ref(), "final_norm")
    }

    /// Rewards at some positions, given the stream; `[reads]`.
    ///
    /// # Errors
    /// When an operation fails.
    pub fn rewards_of(&self, g: &Tensor, packed: &Packed, reads: &[u32]) -> Result<Tensor> {
        let at = Tensor::new(reads, &self.device)?;
        let last = self.last(g, packed, &at)?;
        let column = |name: &str| -> Result<Tensor> { Ok(self.tensor(name)?.unsqueeze(1)?) };
        let mut rewards = last.matmul(&column("head.reward.weight")?)?;
        if self.heads.reads_original {
            let end = packed.field(Field::End)?.index_select(&at, 0)?;
            rewards = (rewards + end.matmul(&column("head.reward.original")?)?)?;
        }
        Ok(rewards.squeeze(1)?.broadcast_add(self.tensor("head.reward.bias")?)?)
    }

    /// The mean cross-entropy of what a head over the vocabulary is to say at some positions and,
    /// where `compares`, how often it would say just that.
    ///
    /// # Errors
    /// When an operation fails.
    pub fn said(
        &self,
        g: &Tensor,
        packed: &Packed,
        head: &str,
        reads: &[u32],
        targets: &[u32],
        compares: bool,
    ) -> Result<(Tensor, f64)> {
        let last = self.last(g, packed, &Tensor::new(reads, &self.device)?)?;
        let head = self.tensor(head)?;
        let loss = ops::head_cross_entropy(&last, head, &Arc::new(targets.to_vec()))?;
        if !compares {
            return Ok((loss, 0.0));
        }
        let logits = last.detach().matmul(&head.detach().t()?)?;
        let likeliest = logits.argmax(1)?.to_vec1::<u32>()?;
        let right = likeliest.iter().zip(targets).filter(|(said, wanted)| said == wanted).count();
        Ok((loss, right as f64))
    }

    /// `g`'s norm by the statistics of the original (spec 3.1).
    fn norm(
        &self,
        g: &Tensor,
        scale: &Tensor,
        mean: Option<&Tensor>,
        name: &str,
    ) -> Result<Tensor> {
        let weight = self.tensor(&format!("{name}.weight"))?;
        let g = match mean {
            Some(mean) => g.broadcast_sub(mean)?,
            None => g.clone(),
        };
        let normed = g.broadcast_mul(scale)?.broadcast_mul(weight)?;
        Ok(match self.spec.norm.kind {
            NormKind::Layer => normed.broadcast_add(self.tensor(&format!("{name}.bias"))?)?,
            _ => normed,
        })
    }

    /// `name` · [original; own] and its bias.
    fn linear(&self, original: &Tensor, own: &Tensor, name: &str) -> Result<Tensor> {
        let y = ops::joined_linear(original, own, self.tensor(&format!("{name}.weight"))?)?;
        Ok(match self.variables.get(&format!("{name}.bias")) {
            Some(bias) => y.broadcast_add(bias.as_tensor())?,
            None => y,
        })
    }

    /// What a half reads: the original's normed state and `g`'s.
    fn read<'p>(
        &self,
        g: &Tensor,
        layer: usize,
        half: Half,
        norm: &str,
        packed: &'p Packed,
    ) -> Result<(&'p Tensor, Tensor)> {
        let mean = packed.field(Field::Mean(layer, half)).ok();
        let own = self.norm(g, packed.field(Field::Scale(layer, half))?, mean, norm)?;
        Ok((packed.field(Field::Normed(layer, half))?, own))
    }

    /// The post norm of a half, where the base has one.
    fn post(
        &self,
        y: Tensor,
        layer: usize,
        half: Half,
        name: &str,
        packed: &Packed,
    ) -> Result<Tensor> {
        if !self.spec.post_norms {
            return Ok(y);
        }
        self.norm(&y, packed.field(Field::PostScale(layer, half))?, None, name)
    }

    fn attention(&self, g: &Tensor, layer: usize, packed: &Packed) -> Result<Tensor> {
        let of = |name: &str| format!("layers.{layer}.{name}");
        let (a, own) = self.read(g, layer, Half::Attention, &of("attention_norm"), packed)?;
        let parts = [
            self.linear(a, &own, &of("query"))?,
            self.linear(a, &own, &of("key"))?,
            self.linear(a, &own, &of("value"))?,
        ];
        let norms = match self.spec.query_key_norm {
            true => {
                Some([self.tensor(&of("query_norm.weight"))?, self.tensor(&of("key_norm.weight"))?])
            }
            false => None,
        };
        let settings = self.spec.layers[layer];
        let rotary = self.rotary.get(settings.rope);
        let attention =
            Attention { spec: &self.spec, layer: settings, sizes: self.facts.sizes, rotary, norms };
        let mixed = attention.forward(&Tensor::cat(&parts, 1)?, packed)?;
        let o = packed.field(Field::Inner(layer, Half::Attention))?;
        let y = self.linear(o, &mixed, &of("output"))?;
        self.post(y, layer, Half::Attention, &of("attention_post_norm"), packed)
    }

    fn mlp(&self, g: &Tensor, layer: usize, packed: &Packed) -> Result<Tensor> {
        let of = |name: &str| format!("layers.{layer}.{name}");
        let (b, own) = self.read(g, layer, Half::Mlp, &of("mlp_norm"), packed)?;
        let up = self.linear(b, &own, &of("up"))?;
        let inner = match self.spec.mlp.gated {
            true => (self.activate(&self.linear(b, &own, &of("gate"))?)? * up)?,
            false => self.activate(&up)?,
        };
        let i = packed.field(Field::Inner(layer, Half::Mlp))?;
        let y = self.linear(i, &inner, &of("down"))?;
        self.post(y, layer, Half::Mlp, &of("mlp_post_norm"), packed)
    }

    fn activate(&self, x: &Tensor) -> Result<Tensor> {
        Ok(match self.spec.mlp.activation {
            Activation::Silu => x.silu()?,
            Activation::GeluTanh => x.gelu()?,
            Activation::Gelu => x.gelu_erf()?,
            Activation::Relu => x.relu()?,
        })
    }
}

impl Trained for Inserted {
    fn trained(&self) -> Vec<(String, &Var)> {
        let find = |name: &String| self.variables.get(name).map(|var| (name.clone(), var));
        self.names.iter().filter_map(find).collect()
    }
}
