//! Splits projected rows into heads, normalises and rotates them, and puts heads back into rows.

use anyhow::Result;
use candle_core::Tensor;

use super::host;
use super::norm::Norm;

/// Cosine and sine for the positions of one pass: `[rows, rotary_size / 2]` each.
#[derive(Debug, Clone)]
pub(super) struct Angles {
    pub(super) cosine: Vec<f32>,
    pub(super) sine: Vec<f32>,
    /// Rotated pairs per head.
    pub(super) pairs: usize,
}

impl Angles {
    /// The angles at `positions`; `scale` multiplies cosine and sine.
    pub(super) fn at(positions: &[usize], frequencies: &[f32], scale: f32) -> Self {
        let pairs = frequencies.len();
        let mut cosine = Vec::with_capacity(positions.len() * pairs);
        let mut sine = Vec::with_capacity(positions.len() * pairs);
        for position in positions {
            for frequency in frequencies {
                // The angle is rounded to f32 as in the reference, its sine and cosine are exact.
                let angle = f64::from(*position as f32 * frequency);
                cosine.push(angle.cos() as f32 * scale);
                sine.push(angle.sin() as f32 * scale);
            }
        }
        Self { cosine, sine, pairs }
    }
}

/// Where a set of heads stands in projected rows, and what is done to each of them.
pub(super) struct Heads<'a> {
    /// The first column.
    pub(super) column: usize,
    /// Key heads, and how many neighbouring heads belong to each (1 for keys and values).
    pub(super) groups: usize,
    pub(super) group_size: usize,
    pub(super) head_size: usize,
    pub(super) norm: Option<&'a Norm>,
    pub(super) angles: Option<&'a Angles>,
}

impl Heads<'_> {
    /// `[rows, columns]` to `[groups, rows · group_size, head_size]`, contiguous.
    pub(super) fn split(&self, projected: &Tensor, plain: bool) -> Result<Tensor> {
        if plain || !host::is_here(projected) {
            return self.split_plain(projected);
        }
        let (rows, columns) = projected.dims2()?;
        let (size, group) = (self.head_size, self.group_size);
        let mut out = vec![0.0; rows * self.groups * group * size];
        let work = 2 * out.len();
        host::read(projected, |projected| {
            host::for_each_row(&mut out, size, work, |index, to| {
                let (member, block) = (index % group, index / group);
                let (row, of) = (block % rows, block / rows);
                let from = row * columns + self.column + (of * group + member) * size;
                to.copy_from_slice(&projected[from..from + size]);
                if let Some(norm) = self.norm {
                    norm.row_in_place(row, to);
                }
                if let Some(angles) = self.angles {
                    rotate(to, angles, row);
                }
            });
        })?;
        host::tensor(out, (self.groups, rows * group, size))
    }

    fn split_plain(&self, projected: &Tensor) -> Result<Tensor> {
        let rows = projected.dim(0)?;
        let (groups, group, size) = (self.groups, self.group_size, self.head_size);
        let mut x = projected.narrow(1, self.column, groups * group * size)?.reshape((
            rows,
            groups * group,
            size,
        ))?;
        if let Some(norm) = self.norm {
            x = norm.forward_plain(&x)?;
        }
        if let Some(angles) = self.angles {
            let pairs = angles.pairs;
            let shape = (rows, 1, pairs);
            let cosine = Tensor::from_slice(&angles.cosine, shape, x.device())?;
            let sine = Tensor::from_slice(&angles.sine, shape, x.device())?;
            let (first, second) = (x.narrow(2, 0, pairs)?, x.narrow(2, pairs, pairs)?);
            let turned_first = (first.broadcast_mul(&cosine)? - second.broadcast_mul(&sine)?)?;
            let turned_second = (second.broadcast_mul(&cosine)? + first.broadcast_mul(&sine)?)?;
            let rest = x.narrow(2, 2 * pairs, size - 2 * pairs)?;
            x = if 2 * pairs == size {
                Tensor::cat(&[turned_first, turned_second], 2)?
            } else {
                Tensor::cat(&[turned_first, turned_second, rest], 2)?
            };
        }
        let x = x.reshape((rows, groups, group, size))?.transpose(0, 1)?.contiguous()?;
        Ok(x.reshape((groups, rows * group, size))?)
    }
}

/// Turns the first `2 · pairs` values of a head by the angles of one row.
fn rotate(head: &mut [f32], angles: &Angles, row: usize) {
    let pairs = angles.pairs;
    let cosine = &angles.cosine[row * pairs..(row + 1) * pairs];
    let sine = &angles.sine[row * pairs..(row + 1) * pairs];
    let (first, rest) = head.split_at_mut(pairs);
    for (((a, b), cosine), sine) in first.iter_mut().zip(rest).zip(cosine).zip(sine) {
        let (x, y) = (*a, *b);
        *a = x * cosine - y * sine;
        *b = y * cosine + x * sine;
    }
}

/// `[groups, rows · group_size, head_size]` back to `[rows, groups · group_size · head_size]`.
pub(super) fn join(heads: &Tensor, rows: usize, plain: bool) -> Result<Tensor> {
    let (groups, per_group, size) = heads.dims3()?;
    let group = per_group / rows;
    let columns = groups * group * size;
    if rows == 1 {
        return Ok(heads.reshape((1, columns))?);
    }
    if plain || !host::is_here(heads) {
        let heads = heads.reshape((groups, rows, group * size))?;
        return Ok(heads.transpose(0, 1)?.contiguous()?.reshape((rows, columns))?);
    }
    let block = group * size;
    let mut out = vec![0.0; rows * columns];
    host::read(heads, |heads| {
        for (index, to) in out.chunks_exact_mut(block).enumerate() {
            let (row, of) = (index / groups, index % groups);
            let from = (of * rows + row) * block;
            to.copy_from_slice(&heads[from..from + block]);
        }
    })?;
    host::tensor(out, (rows, columns))
}
