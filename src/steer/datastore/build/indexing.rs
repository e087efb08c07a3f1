//! Makes the graph over a large store's keys, some hundred at a time, and measures how much of
//! what exact search finds it finds.

use std::path::Path;

use anyhow::Result;

use crate::platform::random;
use crate::steer::datastore::approximate::{Index, IndexFacts};
use crate::steer::datastore::calibration::NEIGHBOURS;
use crate::steer::datastore::{Datastore, Manifest, Neighbour, open, search};

/// Keys taken in by one advance.
const AT_ONCE: usize = 512;
/// Queries that recall is measured on.
const QUERIES: usize = 64;

/// A graph under way.
pub struct Indexing {
    store: Datastore,
    index: Index,
    /// Entries beside which queries are still to be made.
    left: Vec<usize>,
    queries: Vec<(Vec<f32>, Vec<Neighbour>)>,
}

impl Indexing {
    /// # Errors
    /// When the store cannot be opened.
    pub fn begin(folder: &Path) -> Result<Self> {
        let store = Datastore::open(folder)?;
        let index = Index::begin(store.keys(), store.len());
        let count = store.len();
        let left = (0..QUERIES.min(count)).map(|at| at * count / QUERIES.min(count)).collect();
        Ok(Self { store, index, left, queries: Vec::new() })
    }

    /// The graph's facts once it is whole and written.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn advance(&mut self) -> Result<Option<IndexFacts>> {
        if !self.index.grow(AT_ONCE) {
            return Ok(None);
        }
        if let Some(entry) = self.left.pop() {
            let blocks = self.store.blocks();
            if let Some(key) = search::key_of(&blocks, entry, self.store.width()) {
                let query = self.beside(entry, key);
                let exact = search::nearest(&blocks, &query, 1, NEIGHBOURS, &(0..0)).remove(0);
                self.queries.push((query, exact));
            }
            return Ok(None);
        }
        let (pool, recall) = self.index.measure(&self.queries);
        self.index.save(&self.store.folder, open::INDEX)?;
        Ok(Some(IndexFacts {
            entries: self.store.len(),
            sources: open::fingerprint(&self.store.manifest),
            pool,
            recall,
            queries: self.queries.len(),
        }))
    }

    /// A query as far from an entry as its nearest neighbour usually is: one that lies in the graph
    /// itself would be found too easily.
    fn beside(&self, entry: usize, key: &[half::f16]) -> Vec<f32> {
        let near = self.store.manifest.calibration.map_or(0.0, |facts| facts.near.median());
        let deviation = (near / key.len().max(1) as f64).max(0.0).sqrt() as f32;
        let moved = |(at, value): (usize, &half::f16)| {
            value.to_f32() + deviation * random::normal(7, entry as u64, at as u64)
        };
        key.iter().enumerate().map(moved).collect()
    }
}

/// Whether a store of this many entries and more needs a graph made.
pub fn is_wanted(manifest: &Manifest, from: usize) -> bool {
    let is_of = |facts: &IndexFacts| facts.sources == open::fingerprint(manifest);
    manifest.entries() >= from && !manifest.index.as_ref().is_some_and(is_of)
}
