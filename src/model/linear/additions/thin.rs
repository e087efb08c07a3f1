//! The stacked factors of one layer on the CPU, packed for the kernels, with their gains.
//!
//! The factors lie vector by vector, so that those in play are few runs whatever the others are.

use std::ops::Range;

use half::f16;

use super::super::kernel::{self, Block, Coordinates, Element, Panels, Product, Run};
use super::super::strengths::Strengths;
use super::{Addition, Factors};

/// Stacked factors: in f16 where that changes nothing, or nothing that the base could show.
#[derive(Debug, Clone)]
pub enum Thin {
    Wide(Stack<f32>),
    Half(Stack<f16>),
}

impl Thin {
    /// Packs factors whose sizes were checked. With a base held in f32 they are rounded only if
    /// every value survives it.
    pub fn pack(inputs: usize, parts: &[Addition], is_wide: bool) -> Self {
        if is_wide && !parts.iter().all(survives_f16) {
            return Self::Wide(Stack::pack(inputs, parts, 0.0, |value| value));
        }
        Self::Half(Stack::pack(inputs, parts, f16::ZERO, f16::from_f32))
    }

    /// False when values are so large that their products are beyond f32.
    pub fn is_finite(&self) -> bool {
        let gain = match self {
            Self::Wide(stack) => &stack.gain,
            Self::Half(stack) => &stack.gain,
        };
        gain.iter().all(|gain| gain.is_finite())
    }

    /// Takes up strengths.
    pub fn set(&mut self, strengths: Option<Strengths<'_>>) {
        match self {
            Self::Wide(stack) => stack.set(strengths),
            Self::Half(stack) => stack.set(strengths),
        }
    }

    /// Adds what is in play to `y`, `[rows, outputs]`.
    pub fn add(&self, x: &[f32], rows: usize, y: &mut [f32], outputs: usize) {
        match self {
            Self::Wide(stack) => stack.add(x, rows, y, outputs),
            Self::Half(stack) => stack.add(x, rows, y, outputs),
        }
    }
}

/// A power of two that brings the largest of these values to 1 or just below: multiplying by it
/// loses nothing, and what was small no longer falls out of a 16-bit float's range.
fn normal(values: impl Iterator<Item = f32>) -> f32 {
    let most = values.fold(0f32, |most, value| most.max(value.abs()));
    if most == 0.0 { 1.0 } else { 2f32.powi(-(most.log2().ceil() as i32).clamp(-100, 100)) }
}

fn column(up: &[f32], rank: usize, index: usize) -> impl Iterator<Item = f32> + '_ {
    up.iter().skip(index).step_by(rank).copied()
}

/// True when every value, scaled as it will be, is an f16.
fn survives_f16(part: &Addition) -> bool {
    let Some(Factors { down, up, rank, .. }) = part.delta.factors() else { return false };
    let survives = |value: f32| f16::from_f32(value).to_f32() == value;
    down.chunks_exact(down.len() / rank).enumerate().all(|(index, row)| {
        let (along, across) = (normal(row.iter().copied()), normal(column(up, rank, index)));
        row.iter().all(|value| survives(value * along))
            && column(up, rank, index).all(|value| survives(value * across))
    })
}

/// Where the factors of one part are.
#[derive(Debug, Clone)]
struct Span {
    vector: usize,
    block: usize,
    /// First of its rows in `down`.
    row: usize,
    /// First of its ranks in the block's panels.
    rank: usize,
    count: usize,
}

/// The factors of every part for one layer.
#[derive(Debug, Clone)]
pub struct Stack<T> {
    inputs: usize,
    /// `[rows, inputs]`, vector by vector.
    down: Vec<T>,
    /// The gain of each row at strength 1.
    gain: Vec<f32>,
    blocks: Vec<(Range<usize>, Panels<T>)>,
    spans: Vec<Span>,
    /// Rows of `down` in play, as runs.
    active: Vec<Range<usize>>,
    /// Of each block, what is in play.
    runs: Vec<Vec<Run>>,
    /// `[sets, rows in play]`.
    gains: Vec<f32>,
    width: usize,
}

impl<T: Element> Stack<T> {
    fn pack(inputs: usize, parts: &[Addition], zero: T, narrow: impl Fn(f32) -> T) -> Self {
        let mut ordered: Vec<(&Addition, Factors<'_>)> =
            parts.iter().filter_map(|part| Some((part, part.delta.factors()?))).collect();
        ordered.sort_by_key(|(part, _)| (part.vector, part.outputs.start));
        let mut places: Vec<Range<usize>> =
            ordered.iter().map(|(part, _)| part.outputs.clone()).collect();
        places.sort_by_key(|outputs| (outputs.start, outputs.end));
        places.dedup();

        let (mut down, mut gain, mut spans) = (Vec::new(), Vec::new(), Vec::new());
        let mut ranks = vec![0; places.len()];
        for (part, factors) in &ordered {
            let block = places.iter().position(|outputs| *outputs == part.outputs).unwrap_or(0);
            let count = factors.rank;
            let (vector, row, rank) = (part.vector, gain.len(), ranks[block]);
            spans.push(Span { vector, block, row, rank, count });
            ranks[block] += count;
            for (index, values) in factors.down.chunks_exact(inputs.max(1)).enumerate() {
                let scale = normal(values.iter().copied());
                down.extend(values.iter().map(|value| narrow(value * scale)));
                let up = normal(column(factors.up, count, index));
                gain.push(factors.scale / scale / up);
            }
        }
        let blocks = places
            .into_iter()
            .enumerate()
            .map(|(block, outputs)| {
                let own: Vec<(Factors<'_>, usize, f32)> = ordered
                    .iter()
                    .filter(|(part, _)| part.outputs == outputs)
                    .flat_map(|(_, factors)| {
                        (0..factors.rank).map(|index| {
                            (*factors, index, normal(column(factors.up, factors.rank, index)))
                        })
                    })
                    .collect();
                let panels = Panels::pack(outputs.len(), ranks[block], zero, |output, rank| {
                    let (factors, index, scale) = own[rank];
                    narrow(factors.up[output * factors.rank + index] * scale)
                });
                (outputs, panels)
            })
            .collect::<Vec<_>>();
        let runs = blocks.iter().map(|_| Vec::with_capacity(spans.len())).collect();
        let (active, gains) = (Vec::with_capacity(spans.len()), Vec::with_capacity(gain.len()));
        Self { inputs, down, gain, blocks, spans, active, runs, gains, width: 0 }
    }

    fn set(&mut self, strengths: Option<Strengths<'_>>) {
        self.active.clear();
        self.gains.clear();
        self.runs.iter_mut().for_each(Vec::clear);
        self.width = 0;
        let Some(strengths) = strengths else { return };
        for span in self.spans.iter().filter(|span| strengths.in_play(span.vector)) {
            let rows = span.row..span.row + span.count;
            match self.active.last_mut() {
                Some(last) if last.end == rows.start => last.end = rows.end,
                _ => self.active.push(rows),
            }
            let run = Run { first: span.rank, count: span.count, column: self.width };
            self.runs[span.block].push(run);
            self.width += span.count;
        }
        for set in 0..strengths.sets() {
            for span in self.spans.iter().filter(|span| strengths.in_play(span.vector)) {
                let strength = strengths.of(set, span.vector);
                let gains = &self.gain[span.row..span.row + span.count];
                self.gains.extend(gains.iter().map(|gain| strength * gain));
            }
        }
    }

    fn add(&self, x: &[f32], rows: usize, y: &mut [f32], outputs: usize) {
        if self.width == 0 {
            return;
        }
        let (m, k, width) = (rows, self.inputs, self.width);
        let mut h = vec![0f32; m * width];
        let mut part = Vec::new();
        let mut column = 0;
        for active in &self.active {
            let n = active.len();
            let w = &self.down[active.start * k..active.end * k];
            let product = Product { x, w, bias: None, m, n, k };
            if n == width {
                product.run(&mut h);
                break;
            }
            part.resize(m * n, 0.0);
            product.run(&mut part);
            for (h, part) in h.chunks_exact_mut(width).zip(part.chunks_exact(n)) {
                h[column..column + n].copy_from_slice(part);
            }
            column += n;
        }
        let sets = self.gains.len() / width;
        for (row, h) in h.chunks_exact_mut(width).enumerate() {
            let set = super::set_of(sets, row);
            let gains = &self.gains[set * width..(set + 1) * width];
            h.iter_mut().zip(gains).for_each(|(h, gain)| *h *= gain);
        }
        let blocks: Vec<Block<'_, T>> = self
            .blocks
            .iter()
            .zip(&self.runs)
            .filter(|(_, runs)| !runs.is_empty())
            .map(|((outputs, panels), runs)| Block { panels, first_output: outputs.start, runs })
            .collect();
        kernel::add_panels(&blocks, Coordinates { values: &h, rows, width }, y, outputs);
    }
}
