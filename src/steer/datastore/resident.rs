//! Exact search where the model is: keys are copied to its device once, the distances of a query
//! come from one product over all of them, and the nearest are chosen here, among a margin that is
//! measured anew in f64 as everywhere. Only the order of f32 sums differs from the search in main
//! memory, and the margin is there for that.

use std::collections::BinaryHeap;

use anyhow::{Result, ensure};
use candle_core::{DType, Device, Tensor};

use super::search::{self, Block, Candidate, Neighbour};

/// Up to here keys are held as f32, twice their size in the file, and used as they lie.
const WIDE_BYTES: usize = 1 << 30;
/// Beyond it they are held as f16, and so many rows at a time are widened for a product.
const ROWS_AT_ONCE: usize = 1 << 16;

/// The keys of a store on a device.
#[derive(Debug)]
pub struct Resident {
    width: usize,
    device: Device,
    /// In order of their entries.
    parts: Vec<Part>,
}

/// Rows that lie together.
#[derive(Debug)]
struct Part {
    first: usize,
    /// `[rows, width]`, f16 or f32.
    keys: Tensor,
    /// Squared, `[rows, 1]`, f32; of the whole rows.
    norms: Tensor,
}

impl Resident {
    /// Copies the keys to a device.
    ///
    /// # Errors
    /// When there is no room for them.
    pub fn upload(blocks: &[Block<'_>], width: usize, device: &Device) -> Result<Self> {
        let rows: usize = blocks.iter().map(|block| block.keys.len() / width.max(1)).sum();
        let dtype = if 4 * rows * width <= WIDE_BYTES { DType::F32 } else { DType::F16 };
        Self::upload_as(blocks, width, device, dtype)
    }

    fn upload_as(
        blocks: &[Block<'_>],
        width: usize,
        device: &Device,
        dtype: DType,
    ) -> Result<Self> {
        ensure!(width > 0, "keys without columns");
        let mut parts = Vec::new();
        for block in blocks {
            for (at, keys) in block.keys.chunks(ROWS_AT_ONCE * width).enumerate() {
                let rows = keys.len() / width;
                let keys = Tensor::from_slice(keys, (rows, width), device)?;
                let wide = keys.to_dtype(DType::F32)?;
                let norms = wide.sqr()?.sum_keepdim(1)?;
                let keys = if dtype == DType::F32 { wide } else { keys };
                parts.push(Part { first: block.first + at * ROWS_AT_ONCE, keys, norms });
            }
        }
        Ok(Self { width, device: device.clone(), parts })
    }

    /// Whether it lies on this device.
    pub fn is_on(&self, device: &Device) -> bool {
        self.device.same_device(device)
    }

    /// For each head the k nearest, as [`search::nearest`] gives them. `blocks` are the same keys in
    /// main memory.
    ///
    /// # Errors
    /// When the query has another width, `heads` does not divide it, or the device fails.
    pub fn nearest(
        &self,
        blocks: &[Block<'_>],
        query: &[f32],
        heads: usize,
        k: usize,
    ) -> Result<Vec<Vec<Neighbour>>> {
        ensure!(query.len() == self.width, "a query of {} columns", query.len());
        ensure!(heads > 0 && self.width.is_multiple_of(heads), "{heads} heads of {}", self.width);
        if k == 0 {
            return Ok(vec![Vec::new(); heads]);
        }
        let keep = k.saturating_add(search::MARGIN);
        let mut heaps = vec![BinaryHeap::with_capacity(keep + 1); heads];
        let slices = self.slices(query, heads)?;
        for part in &self.parts {
            let distances = self.distances(part, query, &slices, heads)?;
            for (row, distances) in distances.chunks_exact(heads).enumerate() {
                for (heap, distance) in heaps.iter_mut().zip(distances) {
                    search::offer(heap, Candidate(*distance, part.first + row), keep);
                }
            }
        }
        Ok(search::measured(heaps, blocks, query, k))
    }

    /// A column for each head, `[width, heads]`: the query's slice where the head looks, 0
    /// elsewhere, so that one product serves any number of heads.
    fn slices(&self, query: &[f32], heads: usize) -> Result<Tensor> {
        let slice = self.width / heads;
        let mut columns = vec![0_f32; self.width * heads];
        for (at, value) in query.iter().enumerate() {
            columns[at * heads + at / slice] = *value;
        }
        Ok(Tensor::from_vec(columns, (self.width, heads), &self.device)?)
    }

    /// `|k|² − 2 k·q + |q|²` of every row and head, row-major `[rows, heads]`, in main memory.
    fn distances(
        &self,
        part: &Part,
        query: &[f32],
        slices: &Tensor,
        heads: usize,
    ) -> Result<Vec<f32>> {
        let wide = part.keys.to_dtype(DType::F32)?;
        let products = wide.matmul(slices)?;
        let norms = match heads {
            1 => part.norms.clone(),
            // Of each slice; cheap beside the product, and held by nobody.
            heads => {
                let rows = part.keys.dim(0)?;
                wide.sqr()?.reshape((rows, heads, self.width / heads))?.sum(2)?
            }
        };
        let own: Vec<f32> = query
            .chunks(self.width / heads)
            .map(|slice| slice.iter().map(|value| value * value).sum())
            .collect();
        let own = Tensor::from_vec(own, (1, heads), &self.device)?;
        let distances = (norms - (products * 2.0)?)?.broadcast_add(&own)?;
        Ok(distances.flatten_all()?.to_vec1()?)
    }
}

#[cfg(test)]
mod tests {
    use half::f16;

    use super::*;
    use crate::platform::random::normal;

    /// Keys far from the origin and near each other, as states after a norm are: an expansion loses
    /// what a direct sum keeps.
    fn keys(rows: usize, width: usize) -> Vec<f16> {
        let value = |at: usize| {
            let column = at % width;
            4.0 * normal(1, 0, column as u64) + 0.3 * normal(2, at as u64, 1)
        };
        (0..rows * width).map(|at| f16::from_f32(value(at))).collect()
    }

    #[test]
    fn the_neighbours_are_those_of_the_search_in_main_memory() {
        let (rows, width) = (700, 24);
        let keys = keys(rows, width);
        let (front, back) = keys.split_at(300 * width);
        let blocks = [Block { first: 0, keys: front }, Block { first: 300, keys: back }];
        for dtype in [DType::F32, DType::F16] {
            let resident = Resident::upload_as(&blocks, width, &Device::Cpu, dtype).unwrap();
            assert!(resident.is_on(&Device::Cpu));
            for number in 0..20 {
                let query: Vec<f32> = keys[number * 30 * width..(number * 30 + 1) * width]
                    .iter()
                    .enumerate()
                    .map(|(at, key)| key.to_f32() + 0.2 * normal(3, number as u64, at as u64))
                    .collect();
                for (heads, k) in [(1, 1), (1, 32), (4, 8), (24, 3), (1, 5000), (2, 0)] {
                    let there = resident.nearest(&blocks, &query, heads, k).unwrap();
                    let here = search::nearest(&blocks, &query, heads, k, &(0..0));
                    assert_eq!(there, here, "{heads} heads, {k} neighbours, to the bit");
                }
            }
            assert!(resident.nearest(&blocks, &[0.0; 5], 1, 4).is_err());
            assert!(resident.nearest(&blocks, &[0.0; 24], 5, 4).is_err());
        }
        let none = Resident::upload(&[], width, &Device::Cpu).unwrap();
        assert!(none.nearest(&[], &[0.0; 24], 1, 4).unwrap()[0].is_empty());
    }

    #[test]
    fn they_are_those_of_scikit_learn() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/neighbours.safetensors");
        let bytes = std::fs::read(path).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let data = |name: &str| file.tensor(name).unwrap().data().to_vec();
        let words = |name: &str| -> Vec<u32> {
            data(name).chunks(4).map(|b| u32::from_le_bytes(b.try_into().unwrap())).collect()
        };
        let shape = file.tensor("queries").unwrap().shape().to_vec();
        let (count, width) = (shape[0], shape[1]);
        let keys: Vec<f16> =
            data("keys").chunks(2).map(|b| f16::from_le_bytes(b.try_into().unwrap())).collect();
        let queries: Vec<f32> =
            data("queries").chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        let blocks = [Block { first: 0, keys: &keys }];
        let resident = Resident::upload(&blocks, width, &Device::Cpu).unwrap();
        for heads in [1, 4] {
            let expected = words(&format!("found.{heads}"));
            let k = expected.len() / count / heads;
            for (number, query) in queries.chunks(width).enumerate() {
                let found = resident.nearest(&blocks, query, heads, k).unwrap();
                let entries: Vec<u32> = found.iter().flatten().map(|n| n.entry as u32).collect();
                assert_eq!(entries, expected[number * heads * k..(number + 1) * heads * k]);
            }
        }
    }
}
