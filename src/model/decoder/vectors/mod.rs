//! Alignment vectors beside the decoder's weights: attached as packed additions, dialled by
//! strengths. The weights are never written (arXiv 2410.19206; spec section 10).

mod places;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result};

use super::block::Block;
use super::norm::Norm;
use super::run::Decoder;
use crate::model::linear::{Addition, Additions, Delta, Linear, Strengths};
use crate::model::vector::{Part, Vector};
use crate::platform::Problem;
use places::{Place, Places, Target};

/// Most bytes of full matrices that are multiplied beside the weights: at such a size every token
/// takes as long as in a model twice as large.
const MOST_FULL_BYTES: u64 = 8 << 30;

/// What is attached, and how much of it is in play.
#[derive(Default)]
pub(super) struct Attached {
    vectors: usize,
    /// Sets of strengths in play: one for all rows, or one for each; 0 when all are 0.
    sets: usize,
}

impl Attached {
    /// Errors when there are strengths for another number of rows than are in play.
    pub(super) fn check_rows(&self, rows: usize, prefill: bool) -> Result<()> {
        let rows = if prefill { 1 } else { rows };
        if self.sets <= 1 || self.sets == rows {
            return Ok(());
        }
        let sets = self.sets;
        Err(Problem::new(format!("strengths are set for {sets} rows and {rows} are in play"))
            .hint("set one strength per vector, or one per vector and row")
            .into())
    }
}

/// Deltas for one tensor of one dimension: vector and values.
type SmallDeltas = Vec<(usize, Vec<f32>)>;

/// Parts sorted by what they are for.
#[derive(Default)]
struct Sorted {
    linears: BTreeMap<Target, Vec<Addition>>,
    norm_weights: BTreeMap<Target, SmallDeltas>,
    norm_biases: BTreeMap<Target, SmallDeltas>,
    embedding: Vec<(usize, Arc<Vector>, String)>,
    positions: Vec<(usize, Arc<Vector>, String)>,
    full_bytes: u64,
}

impl Decoder {
    /// See `Runner::attach`.
    pub(super) fn attach_vectors(&mut self, vectors: &[Arc<Vector>]) -> Result<()> {
        let stacked: Vec<[bool; 2]> = self
            .blocks
            .iter()
            .map(|block| [block.query_key_value.len() == 1, block.gate_up.len() == 1])
            .collect();
        let places = Places::of(&self.spec, &self.names, &stacked, self.input_first);
        let mut sorted = Sorted::default();
        for (index, vector) in vectors.iter().enumerate() {
            for (name, part) in &vector.parts {
                sort(&mut sorted, &places, index, vector, name, part).with_context(|| {
                    format!("the vector {} does not fit this model", vector.name)
                })?;
            }
        }
        if sorted.full_bytes > MOST_FULL_BYTES {
            let gb = |bytes: u64| bytes as f64 / 1e9;
            let what = format!(
                "the vectors hold {:.1} GB of full matrices, and at most {:.1} GB are applied \
                 while the model speaks",
                gb(sorted.full_bytes),
                gb(MOST_FULL_BYTES)
            );
            return Err(Problem::new(what).hint("extract them as low-rank vectors").into());
        }
        // Everything is packed before anything is changed.
        let mut packed: BTreeMap<Target, Additions> = BTreeMap::new();
        for_each_linear(&mut self.blocks, &mut self.head, |target, linear| {
            let parts = sorted.linears.remove(&target).unwrap_or_default();
            if let Some(additions) = linear.prepare_additions(vectors.len(), parts)? {
                packed.insert(target, additions);
            }
            Ok(())
        })?;
        for_each_linear(&mut self.blocks, &mut self.head, |target, linear| {
            linear.attach(packed.remove(&target));
            Ok(())
        })?;
        for_each_norm(&mut self.blocks, &mut self.final_norm, |target, norm| {
            let weight = sorted.norm_weights.remove(&target).unwrap_or_default();
            norm.attach(weight, sorted.norm_biases.remove(&target).unwrap_or_default());
        });
        self.embedding.attach(sorted.embedding);
        if let Some(positions) = &mut self.positions {
            positions.attach(sorted.positions);
        }
        self.attached = Attached { vectors: vectors.len(), sets: 0 };
        Ok(())
    }

    /// See `Runner::set_strengths`.
    pub(super) fn set_vector_strengths(&mut self, strengths: &[f32]) -> Result<()> {
        let vectors = self.attached.vectors;
        if vectors == 0 && strengths.is_empty() {
            return Ok(());
        }
        if let Some(wrong) = strengths.iter().find(|strength| !strength.is_finite()) {
            return Err(Problem::new(format!("a strength of {wrong} means nothing")).into());
        }
        let given = Strengths::new(strengths, vectors).ok_or_else(|| {
            let count = strengths.len();
            Problem::new(format!("{count} strengths were given for {vectors} vectors"))
        })?;
        let in_play = (0..vectors).any(|vector| given.in_play(vector)).then_some(given);
        for_each_linear(&mut self.blocks, &mut self.head, |_, linear| {
            linear.set_strengths(in_play)
        })?;
        for_each_norm(&mut self.blocks, &mut self.final_norm, |_, norm| {
            norm.set_strengths(in_play);
        });
        self.embedding.set_strengths(in_play);
        if let Some(positions) = &mut self.positions {
            positions.set_strengths(in_play);
        }
        self.attached.sets = in_play.map_or(0, |strengths| strengths.sets());
        Ok(())
    }
}

/// Finds where one part belongs and checks that it fits there.
fn sort(
    sorted: &mut Sorted,
    places: &Places,
    index: usize,
    vector: &Arc<Vector>,
    name: &str,
    part: &Part,
) -> Result<()> {
    let place = places.find(name)?;
    part.check(name)?;
    if !matches!(part, Part::LowRank { .. } | Part::Full { .. }) {
        let what = format!("its tensor {name} was not compared with the base model's");
        return Err(Problem::new(what).hint("fit the vector to its base first").into());
    }
    let shape = part.shape();
    let misfit = |wanted: &[usize]| -> anyhow::Error {
        let what = format!("its tensor {name} has the shape {shape:?}, the model's is {wanted:?}");
        Problem::new(what).hint("take a vector made for this model").into()
    };
    let small = |width: usize| match part {
        Part::Full { shape, values } if *shape == [width] => Ok(values.clone()),
        _ => Err(misfit(&[width])),
    };
    let as_it_is = || Delta::Part { of: Arc::clone(vector), name: name.to_owned() };
    match place {
        Place::Weight { target, outputs, inputs, input_first } => {
            let wanted = [outputs.len(), inputs];
            let delta = match part {
                Part::Full { values, .. } => {
                    sorted.full_bytes += 4 * values.len() as u64;
                    let turned = [inputs, outputs.len()];
                    match input_first {
                        true if shape == turned => Delta::Turned(Arc::new(turn(values, inputs))),
                        true => return Err(misfit(&turned)),
                        false if shape == wanted => as_it_is(),
                        false => return Err(misfit(&wanted)),
                    }
                }
                _ if shape == wanted => as_it_is(),
                _ => return Err(misfit(&wanted)),
            };
            let addition = Addition { vector: index, outputs, delta };
            sorted.linears.entry(target).or_default().push(addition);
        }
        Place::Bias { target, outputs } => {
            small(outputs.len())?;
            let addition = Addition { vector: index, outputs, delta: as_it_is() };
            sorted.linears.entry(target).or_default().push(addition);
        }
        Place::NormWeight { target, width } => {
            sorted.norm_weights.entry(target).or_default().push((index, small(width)?));
        }
        Place::NormBias { target, width } => {
            sorted.norm_biases.entry(target).or_default().push((index, small(width)?));
        }
        Place::Embedding { rows, columns } => {
            if shape != [rows, columns] {
                return Err(misfit(&[rows, columns]));
            }
            sorted.embedding.push((index, Arc::clone(vector), name.to_owned()));
            // A tied head moves with its embedding, unless the vector says otherwise of the head.
            if places.tied && !vector.parts.keys().any(|name| places.is_head(name)) {
                if let Part::Full { values, .. } = part {
                    sorted.full_bytes += 4 * values.len() as u64;
                }
                let addition = Addition { vector: index, outputs: 0..rows, delta: as_it_is() };
                sorted.linears.entry(Target::Head).or_default().push(addition);
            }
        }
        Place::Positions { rows, columns } => {
            if shape != [rows, columns] {
                return Err(misfit(&[rows, columns]));
            }
            sorted.positions.push((index, Arc::clone(vector), name.to_owned()));
        }
    }
    Ok(())
}

/// `[inputs, outputs]` to `[outputs, inputs]`.
fn turn(values: &[f32], inputs: usize) -> Vec<f32> {
    let outputs = values.len() / inputs.max(1);
    let mut turned = Vec::with_capacity(values.len());
    for output in 0..outputs {
        turned.extend((0..inputs).map(|input| values[input * outputs + output]));
    }
    turned
}

/// Calls `each` for every projection, in a fixed order; the first error ends it.
fn for_each_linear(
    blocks: &mut [Block],
    head: &mut Linear,
    mut each: impl FnMut(Target, &mut Linear) -> Result<()>,
) -> Result<()> {
    for (layer, block) in blocks.iter_mut().enumerate() {
        for (index, linear) in block.query_key_value.iter_mut().enumerate() {
            each(Target::QueryKeyValue(layer, index), linear)?;
        }
        each(Target::Output(layer), &mut block.output)?;
        for (index, linear) in block.gate_up.iter_mut().enumerate() {
            each(Target::GateUp(layer, index), linear)?;
        }
        each(Target::Down(layer), &mut block.down)?;
    }
    each(Target::Head, head)
}

/// Calls `each` for every norm, in a fixed order.
fn for_each_norm(blocks: &mut [Block], last: &mut Norm, mut each: impl FnMut(Target, &mut Norm)) {
    for (layer, block) in blocks.iter_mut().enumerate() {
        let norms = [
            Some(&mut block.attention_norm),
            block.query_norm.as_mut(),
            block.key_norm.as_mut(),
            block.attention_post_norm.as_mut(),
            Some(&mut block.mlp_norm),
            block.mlp_post_norm.as_mut(),
        ];
        for (kind, norm) in norms.into_iter().enumerate() {
            if let Some(norm) = norm {
                each(Target::Norm(layer, kind), norm);
            }
        }
    }
    each(Target::FinalNorm, last);
}
