//! Thin trained factors beside the network's frozen linear layers (LoRA), and the alignment-vector
//! parts they stand for.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use candle_core::{Device, Tensor, Var};

use super::{NetworkShape, names};
use crate::learn::ops::Adapter;
use crate::learn::random;
use crate::model::vector::Part;

/// The factors of one linear layer.
pub struct Factors {
    /// `[parts·rank, inputs]`.
    pub down: Var,
    /// `[outputs, rank]`.
    pub up: Var,
    pub adapter: Adapter,
}

/// Factors for every linear layer of the blocks (embedding and head have none).
pub struct Adapters {
    layers: BTreeMap<String, Factors>,
}

impl Adapters {
    /// Factors as an adapter begins: `down` uniform within ±1/√inputs, `up` zero, so that nothing
    /// is added yet.
    pub fn fresh(
        shape: &NetworkShape,
        rank: usize,
        alpha: f32,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        Self::with(shape, rank, alpha, device, |index, name, dims| {
            let count = dims.iter().product::<usize>() as u64;
            let bound = 1.0 / (dims[1] as f64).sqrt();
            let value =
                |i| (bound * (2.0 * random::unit(seed, 0x6C6F_7261 + index, i) - 1.0)) as f32;
            Ok(match name.ends_with(".down_factor") {
                true => (0..count).map(value).collect(),
                false => vec![0.0; count as usize],
            })
        })
    }

    /// Factors whose values a function gives, by number, name and shape.
    pub fn with(
        shape: &NetworkShape,
        rank: usize,
        alpha: f32,
        device: &Device,
        mut values: impl FnMut(u64, &str, &[usize]) -> Result<Vec<f32>>,
    ) -> Result<Self> {
        ensure!(rank > 0, "the rank of an adapter is at least 1");
        let mut layers = BTreeMap::new();
        let mut number = 0;
        for (name, dims) in shape.parameters() {
            let linear = ["joint", "attention_out", "gate_up", "down"];
            let kind = name.split_once('.').map_or("", |(_, kind)| kind);
            let (true, &[outputs, inputs]) = (linear.contains(&kind), dims.as_slice()) else {
                continue;
            };
            let parts: Vec<usize> =
                names::stored(shape, &name).iter().map(|(_, dims)| dims[0]).collect();
            let mut variable = |suffix: &str, dims: [usize; 2]| -> Result<Var> {
                let values = values(number, &format!("{name}.{suffix}"), &dims)?;
                number += 1;
                Ok(Var::from_tensor(&Tensor::from_vec(values, &dims, device)?)?)
            };
            let down = variable("down_factor", [parts.len() * rank, inputs])?;
            let up = variable("up_factor", [outputs, rank])?;
            let adapter = Adapter { parts, rank, scale: alpha / rank as f32 };
            layers.insert(name, Factors { down, up, adapter });
        }
        Ok(Self { layers })
    }

    /// The factors of one of the network's parameters.
    pub fn of(&self, parameter: &str) -> Option<&Factors> {
        self.layers.get(parameter)
    }

    /// Every factor by name.
    pub fn variables(&self) -> Vec<(String, &Var)> {
        let mut all = Vec::new();
        for (name, factors) in &self.layers {
            all.push((format!("{name}.down_factor"), &factors.down));
            all.push((format!("{name}.up_factor"), &factors.up));
        }
        all
    }

    /// What they add to the tensors of the model's folder at strength 1.
    pub fn parts(&self, shape: &NetworkShape) -> Result<BTreeMap<String, Part>> {
        let mut all = BTreeMap::new();
        for (parameter, Factors { down, up, adapter }) in &self.layers {
            let rank = adapter.rank;
            let read = |var: &Var| var.flatten_all()?.to_vec1::<f32>();
            let (down, up) = (read(down)?, read(up)?);
            let mut row = 0;
            for (part, (name, dims)) in names::stored(shape, parameter).into_iter().enumerate() {
                let (outputs, inputs) = (dims[0], dims[1]);
                let low_rank = Part::LowRank {
                    down: down[part * rank * inputs..][..rank * inputs].to_vec(),
                    up: up[row * rank..][..outputs * rank].to_vec(),
                    rank,
                    inputs,
                    outputs,
                    scale: adapter.scale,
                };
                row += outputs;
                all.insert(name, low_rank);
            }
        }
        Ok(all)
    }
}
