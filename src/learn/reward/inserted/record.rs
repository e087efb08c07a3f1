//! What the inserted stream reads of the base, text by text: normed states, the outputs of the
//! original heads, inner activations, and the statistics of the norms.
//!
//! They are constants of training (spec section 7), so each text goes through the base once.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use candle_core::{Device, Tensor};

use crate::model::decoder::{DecoderSpec, NormKind};
use crate::model::reward::{Insertion, Sizes, Start};

/// The two halves of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    Attention,
    Mlp,
}

/// One of the things recorded; every one is `[positions, columns]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The first features of the state before the layer where an insertion begins.
    Start(usize),
    /// What a half reads: the normed state `a` or `b`.
    Normed(usize, Half),
    /// One over the root of the mean square (or variance) of that half's state.
    Scale(usize, Half),
    /// Its mean, with a layer norm.
    Mean(usize, Half),
    /// What the half's last projection reads: the heads' outputs `o`, or the inner activations `i`.
    Inner(usize, Half),
    /// The scale of what that projection gives, with post norms.
    PostScale(usize, Half),
    /// The scale and mean of the last state, and its norm.
    EndScale,
    EndMean,
    End,
}

/// Which fields there are, how many columns each has and where it lies in a text's record.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    fields: Vec<(Field, usize)>,
}

impl Layout {
    /// The fields that an insertion reads of a base.
    pub fn new(
        spec: &DecoderSpec,
        sizes: Sizes,
        insertion: Insertion,
        start: Start,
        reads_original: bool,
    ) -> Self {
        let centred = spec.norm.kind == NormKind::Layer;
        let mut fields = Vec::new();
        if start == Start::Hidden {
            fields.push((Field::Start(insertion.first_layer), sizes.width));
        }
        let halves = [
            (Half::Attention, insertion.attention, spec.query_width()),
            (Half::Mlp, insertion.mlp, spec.mlp.intermediate_size),
        ];
        for layer in insertion.first_layer..spec.layers.len() {
            for (half, _, inner) in halves.into_iter().filter(|(_, inserted, _)| *inserted) {
                fields.push((Field::Normed(layer, half), spec.hidden_size));
                fields.push((Field::Scale(layer, half), 1));
                if centred {
                    fields.push((Field::Mean(layer, half), 1));
                }
                fields.push((Field::Inner(layer, half), inner));
                if spec.post_norms {
                    fields.push((Field::PostScale(layer, half), 1));
                }
            }
        }
        fields.push((Field::EndScale, 1));
        if centred {
            fields.push((Field::EndMean, 1));
        }
        if reads_original {
            fields.push((Field::End, spec.hidden_size));
        }
        Self { fields }
    }

    /// What either has: several streams beside one base read the same records.
    #[must_use]
    pub fn with(mut self, other: &Self) -> Self {
        for (field, columns) in &other.fields {
            match self.fields.iter_mut().find(|(has, _)| has == field) {
                // Of the first features the widest holds the others.
                Some((_, has)) => *has = (*has).max(*columns),
                None => self.fields.push((*field, *columns)),
            }
        }
        self
    }

    /// Where a field stands among the others, and its columns; `None` when nothing reads it.
    pub fn find(&self, field: Field) -> Option<(usize, usize)> {
        let at = self.fields.iter().position(|(other, _)| *other == field)?;
        Some((at, self.fields[at].1))
    }

    /// Values per position.
    pub fn width(&self) -> usize {
        self.fields.iter().map(|(_, columns)| columns).sum()
    }
}

/// One text's record: field after field, each `[positions, columns]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub positions: usize,
    pub values: Vec<f32>,
}

impl Record {
    /// A record yet to be filled.
    pub fn empty(layout: &Layout, positions: usize) -> Self {
        Self { positions, values: vec![f32::NAN; positions * layout.width()] }
    }

    /// Takes in some positions of a field from `first` on, row-major; a field that the layout does
    /// not have is passed over.
    ///
    /// # Errors
    /// When they are too many.
    pub fn put(
        &mut self,
        layout: &Layout,
        field: Field,
        first: usize,
        values: &[f32],
    ) -> Result<()> {
        let mut offset = 0;
        for (other, columns) in &layout.fields {
            if *other == field {
                let from = offset * self.positions + first * columns;
                let end = (offset + columns) * self.positions;
                ensure!(from + values.len() <= end, "{field:?} has too many values");
                self.values[from..from + values.len()].copy_from_slice(values);
                return Ok(());
            }
            offset += columns;
        }
        Ok(())
    }
}

/// The records of some texts, one behind the other.
pub struct Packed {
    layout: Layout,
    tensors: Vec<Tensor>,
    /// Positions of each text.
    pub lengths: Vec<usize>,
    /// For each position where its text begins.
    pub starts: Arc<Vec<u32>>,
}

impl Packed {
    /// Puts what `layout` asks for side by side on a device, out of records that were `recorded`
    /// with that and perhaps more.
    ///
    /// # Errors
    /// When the device has no room, or something was not recorded.
    pub fn new(
        layout: &Layout,
        recorded: &Layout,
        records: &[Arc<Record>],
        device: &Device,
    ) -> Result<Self> {
        let lengths: Vec<usize> = records.iter().map(|record| record.positions).collect();
        let all: usize = lengths.iter().sum();
        let mut tensors = Vec::with_capacity(layout.fields.len());
        for (field, columns) in &layout.fields {
            let (at, wide) =
                recorded.find(*field).with_context(|| format!("{field:?} was not recorded"))?;
            ensure!(*columns <= wide, "{field:?} was recorded too narrow");
            let offset: usize = recorded.fields[..at].iter().map(|(_, columns)| columns).sum();
            let mut values = Vec::with_capacity(all * columns);
            for record in records {
                let from = offset * record.positions;
                let of = &record.values[from..from + wide * record.positions];
                match wide == *columns {
                    true => values.extend_from_slice(of),
                    false => of.chunks_exact(wide).for_each(|row| {
                        values.extend_from_slice(&row[..*columns]);
                    }),
                }
            }
            tensors.push(Tensor::from_vec(values, (all, *columns), device)?);
        }
        let mut starts = Vec::with_capacity(all);
        for length in &lengths {
            starts.extend(std::iter::repeat_n(starts.len() as u32, *length));
        }
        Ok(Self { layout: layout.clone(), tensors, lengths, starts: Arc::new(starts) })
    }

    /// A field over all positions, `[positions, columns]`.
    ///
    /// # Errors
    /// When the layout has no such field.
    pub fn field(&self, field: Field) -> Result<&Tensor> {
        let (at, _) =
            self.layout.find(field).with_context(|| format!("{field:?} was not recorded"))?;
        Ok(&self.tensors[at])
    }
}
