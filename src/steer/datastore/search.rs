//! The k nearest keys, exactly: every key is looked at once by all threads in f32, and the best of
//! them and a margin are measured anew in f64. With several heads each contiguous slice of the
//! vector has neighbours of its own (the paper's multi-head variant, section 5 of our notes).

use std::collections::BinaryHeap;

use half::f16;
use rayon::prelude::*;

use super::distance;

/// Keys that lie together: rows of a matrix with the number of the first.
#[derive(Debug, Clone, Copy)]
pub struct Block<'a> {
    pub first: usize,
    /// Row-major `[rows, width]`.
    pub keys: &'a [f16],
}

/// A key near a query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    pub entry: usize,
    /// Squared, of the slice that was searched.
    pub distance: f64,
}

/// Beyond k, how many more are measured exactly: f32 sums may change places near the edge.
pub(super) const MARGIN: usize = 16;
/// Rows one thread takes at a time.
const ROWS_AT_ONCE: usize = 2048;

/// In f32 and by entry, the farthest first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Candidate(pub f32, pub usize);

impl Eq for Candidate {}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0).then(self.1.cmp(&other.1))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// For each head the k nearest, nearest first, lower entry first on ties. Fewer when there are
/// fewer keys. `skip` leaves out entries (0..0 for none).
///
/// # Panics
/// When `heads` does not divide the query's length; `Reference` and the plan check that.
pub fn nearest(
    blocks: &[Block<'_>],
    query: &[f32],
    heads: usize,
    k: usize,
    skip: &std::ops::Range<usize>,
) -> Vec<Vec<Neighbour>> {
    let width = query.len();
    assert!(heads > 0 && width.is_multiple_of(heads), "{heads} heads do not divide {width}");
    if k == 0 || width == 0 {
        return vec![Vec::new(); heads];
    }
    let pieces: Vec<Block<'_>> = blocks
        .iter()
        .flat_map(|block| {
            let pieces = block.keys.chunks(ROWS_AT_ONCE * width).enumerate();
            pieces.map(|(at, keys)| Block { first: block.first + at * ROWS_AT_ONCE, keys })
        })
        .collect();
    let keep = k.saturating_add(MARGIN);
    let scan = |piece: &Block<'_>| scan(piece, query, heads, keep, skip);
    let none = || vec![BinaryHeap::new(); heads];
    let heaps = match pieces.as_slice() {
        [] => none(),
        [piece] => scan(piece),
        pieces => pieces.par_iter().map(scan).reduce(none, |a, b| merged(a, b, keep)),
    };
    measured(heaps, blocks, query, k)
}

/// The k nearest of each head's candidates, by distances in f64.
pub(super) fn measured(
    heaps: Vec<BinaryHeap<Candidate>>,
    blocks: &[Block<'_>],
    query: &[f32],
    k: usize,
) -> Vec<Vec<Neighbour>> {
    let (width, slice) = (query.len(), query.len() / heaps.len().max(1));
    heaps
        .into_iter()
        .enumerate()
        .map(|(head, heap)| {
            let columns = head * slice..(head + 1) * slice;
            let mut found: Vec<Neighbour> = heap
                .into_iter()
                .filter_map(|Candidate(_, entry)| {
                    let key = &key_of(blocks, entry, width)?[columns.clone()];
                    let distance = distance::exactly(&query[columns.clone()], key);
                    Some(Neighbour { entry, distance })
                })
                .collect();
            found.sort_by(|a, b| a.distance.total_cmp(&b.distance).then(a.entry.cmp(&b.entry)));
            found.truncate(k);
            found
        })
        .collect()
}

/// The key of an entry.
pub fn key_of<'a>(blocks: &[Block<'a>], entry: usize, width: usize) -> Option<&'a [f16]> {
    let block = blocks.get(blocks.partition_point(|block| block.first <= entry).checked_sub(1)?)?;
    let start = (entry - block.first) * width;
    block.keys.get(start..start + width)
}

fn scan(
    piece: &Block<'_>,
    query: &[f32],
    heads: usize,
    keep: usize,
    skip: &std::ops::Range<usize>,
) -> Vec<BinaryHeap<Candidate>> {
    let slice = query.len() / heads;
    let mut heaps = vec![BinaryHeap::with_capacity(keep + 1); heads];
    for (row, key) in piece.keys.chunks_exact(query.len()).enumerate() {
        let entry = piece.first + row;
        if skip.contains(&entry) {
            continue;
        }
        for (head, heap) in heaps.iter_mut().enumerate() {
            let columns = head * slice..(head + 1) * slice;
            let distance = distance::squared(&query[columns.clone()], &key[columns]);
            offer(heap, Candidate(distance, entry), keep);
        }
    }
    heaps
}

pub(super) fn offer(heap: &mut BinaryHeap<Candidate>, candidate: Candidate, keep: usize) {
    if heap.len() < keep {
        heap.push(candidate);
    } else if heap.peek().is_some_and(|worst| candidate < *worst) {
        heap.pop();
        heap.push(candidate);
    }
}

fn merged(
    mut into: Vec<BinaryHeap<Candidate>>,
    from: Vec<BinaryHeap<Candidate>>,
    keep: usize,
) -> Vec<BinaryHeap<Candidate>> {
    for (into, from) in into.iter_mut().zip(from) {
        for candidate in from {
            offer(into, candidate, keep);
        }
    }
    into
}
