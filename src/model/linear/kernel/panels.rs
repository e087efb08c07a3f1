//! Adds thin products to outputs: `y += h · upᵀ`, where `up` is `[outputs, rank]` and rank small.
//!
//! Dot products that short would spend their time adding up lanes. Here the outputs lie side by
//! side in panels instead: a panel's sums stay in registers while the ranks pass by.

use std::ops::Range;

use super::{ALONE, Columns, Element};

/// Outputs side by side in one panel.
pub const PANEL: usize = 32;

/// A matrix `[outputs, rank]` packed as `[panels, rank, 32]`, the last panel filled up with zeros.
#[derive(Debug, Clone)]
pub struct Panels<T> {
    values: Vec<T>,
    outputs: usize,
    rank: usize,
}

impl<T: Element> Panels<T> {
    /// Packs by asking for every element (output, rank).
    pub fn pack(outputs: usize, rank: usize, zero: T, of: impl Fn(usize, usize) -> T) -> Self {
        let mut values = Vec::with_capacity(outputs.div_ceil(PANEL) * rank * PANEL);
        for first in (0..outputs).step_by(PANEL) {
            for index in 0..rank {
                for output in first..first + PANEL {
                    values.push(if output < outputs { of(output, index) } else { zero });
                }
            }
        }
        Self { values, outputs, rank }
    }

    /// One panel, `[rank, 32]`.
    pub(super) fn panel(&self, index: usize) -> &[T] {
        let size = self.rank * PANEL;
        &self.values[index * size..(index + 1) * size]
    }
}

/// Ranks of a panel that are in play, and where their coordinates begin in a row of `h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    pub first: usize,
    pub count: usize,
    pub column: usize,
}

/// One packed matrix and the output columns it adds to.
pub struct Block<'a, T> {
    pub panels: &'a Panels<T>,
    pub first_output: usize,
    pub runs: &'a [Run],
}

/// Coordinates of all activation rows, `[rows, width]`.
#[derive(Clone, Copy)]
pub struct Coordinates<'a> {
    pub values: &'a [f32],
    pub rows: usize,
    pub width: usize,
}

/// Adds every block to `y`, `[rows, outputs]`, on all threads. A row's sums have the same order
/// whatever rows are beside it. The blocks' columns must not overlap.
///
/// # Panics
/// When a block reaches beyond `outputs` or a run beyond its panel or the coordinates.
pub fn add<T: Element>(blocks: &[Block<'_, T>], h: Coordinates<'_>, y: &mut [f32], outputs: usize) {
    assert!(h.values.len() == h.rows * h.width && y.len() == h.rows * outputs);
    let mut work = 0;
    for block in blocks {
        assert!(block.first_output + block.panels.outputs <= outputs);
        let fits = |run: &Run| {
            run.first + run.count <= block.panels.rank && run.column + run.count <= h.width
        };
        assert!(block.runs.iter().all(fits));
        let ranks: usize = block.runs.iter().map(|run| run.count).sum();
        work += h.rows * block.panels.outputs * ranks;
    }
    let columns = Columns::new(y, h.rows, outputs);
    let units: usize = blocks.iter().map(|block| block.panels.outputs.div_ceil(PANEL)).sum();
    let each = |range: Range<usize>| {
        for unit in range {
            let (block, panel) = locate(blocks, unit);
            // SAFETY: every unit is handed out once and has columns of its own; bounds were
            // checked above.
            unsafe { add_panel(&blocks[block], panel, h, &columns) };
        }
    };
    if work <= ALONE {
        each(0..units);
    } else {
        candle_core::utils::barrier_pool().execute_chunked(units, each);
    }
}

/// The block and the panel in it of one unit of work.
fn locate<T>(blocks: &[Block<'_, T>], mut unit: usize) -> (usize, usize) {
    for (index, block) in blocks.iter().enumerate() {
        let panels = block.panels.outputs.div_ceil(PANEL);
        if unit < panels {
            return (index, unit);
        }
        unit -= panels;
    }
    unreachable!("units are counted from the same blocks")
}

/// # Safety
/// No other thread touches the panel's columns; bounds were checked by [`add`].
unsafe fn add_panel<T: Element>(
    block: &Block<'_, T>,
    panel: usize,
    h: Coordinates<'_>,
    y: &Columns<'_>,
) {
    let values = block.panels.panel(panel);
    let first = panel * PANEL;
    let place = Place {
        column: block.first_output + first,
        count: PANEL.min(block.panels.outputs - first),
    };
    #[cfg(target_arch = "x86_64")]
    if super::avx2::available() {
        // SAFETY: the processor was asked; the rest is the caller's promise.
        return unsafe { T::panel_avx2(values, block.runs, h, y, place) };
    }
    // SAFETY: the caller's promise.
    unsafe { add_panel_plain(values, block.runs, h, y, place) }
}

/// Columns of the output that a panel adds to.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub column: usize,
    pub count: usize,
}

/// # Safety
/// As for [`add_panel`].
pub(super) unsafe fn add_panel_plain<T: Element>(
    values: &[T],
    runs: &[Run],
    h: Coordinates<'_>,
    y: &Columns<'_>,
    place: Place,
) {
    let mut wide = [0f32; PANEL];
    for row in 0..h.rows {
        let mut sums = [0f32; PANEL];
        for run in runs {
            for index in 0..run.count {
                let from = (run.first + index) * PANEL;
                T::widen_into(&values[from..from + PANEL], &mut wide);
                let scale = h.values[row * h.width + run.column + index];
                for (sum, value) in sums.iter_mut().zip(&wide) {
                    *sum += scale * value;
                }
            }
        }
        // SAFETY: the caller's promise.
        unsafe { y.add(row, place.column, &sums[..place.count]) };
    }
}
