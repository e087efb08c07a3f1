//! A graph over a large store's keys (hierarchical navigable small world, Malkov and Yashunin 2016,
//! by the `hnsw_rs` library), so that a query looks at some thousands of them instead of all. The
//! graph holds entry numbers; the keys stay where they are, mapped from the sources' files. What it
//! finds is measured exactly, and how much it finds is measured too.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use half::f16;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use hnsw_rs::prelude::{AnnT, Distance, Hnsw, HnswIo};
use serde::{Deserialize, Serialize};

use super::distance;
use super::search::Neighbour;
use crate::platform::Problem;

/// Stores of this many entries and more get a graph; below, looking at all keys is quick enough.
pub const INDEX_FROM: usize = 500_000;
/// The share of the exact neighbours that a graph must find to be used.
pub const ENOUGH: f64 = 0.95;
/// Candidates kept while the graph is walked; the first that finds enough is taken.
pub const POOLS: [usize; 6] = [64, 128, 256, 512, 1024, 2048];
/// Links of an entry, and candidates for them.
const LINKS: usize = 16;
const CANDIDATES: usize = 100;
const LAYERS: usize = 16;
/// How many more than k are measured exactly.
const MARGIN: usize = 16;
/// An entry as the graph holds it: the two halves of its number. A query is as long as a key.
const NUMBER: usize = 2;

/// Rows of a matrix, wherever they lie.
pub trait Keys: Send + Sync {
    /// The key of an entry.
    fn key(&self, entry: usize) -> Option<&[f16]>;
}

/// What is known of a graph; kept in the store's list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndexFacts {
    /// Entries it was made over, and a fingerprint of the sources they are of.
    pub entries: usize,
    pub sources: String,
    /// Candidates kept while it is walked.
    pub pool: usize,
    /// The share of the exact neighbours found so, over how many queries.
    pub recall: f64,
    pub queries: usize,
}

/// Squared distances between entries, and between a query and entries.
struct ByEntry(Arc<dyn Keys>);

impl ByEntry {
    fn row<'a>(&'a self, row: &'a [u16]) -> &'a [f16] {
        match row {
            [low, high] => {
                self.0.key(usize::from(*low) | usize::from(*high) << 16).unwrap_or_default()
            }
            query => query.reinterpret_cast(),
        }
    }
}

impl Distance<u16> for ByEntry {
    fn eval(&self, a: &[u16], b: &[u16]) -> f32 {
        distance::between(self.row(a), self.row(b))
    }
}

/// A graph.
pub struct Index {
    graph: Hnsw<'static, u16, ByEntry>,
    keys: Arc<dyn Keys>,
    count: usize,
    done: usize,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").field("count", &self.count).field("done", &self.done).finish()
    }
}

impl Index {
    /// An empty graph that will hold this many entries.
    pub fn begin(keys: Arc<dyn Keys>, count: usize) -> Self {
        let distance = ByEntry(Arc::clone(&keys));
        let graph = Hnsw::new(LINKS, count.max(1), LAYERS, CANDIDATES, distance);
        Self { graph, keys, count, done: 0 }
    }

    /// Entries it holds.
    pub fn len(&self) -> usize {
        self.done
    }

    pub fn is_empty(&self) -> bool {
        self.done == 0
    }

    /// Takes in up to this many more, on all threads; true when all are in.
    pub fn grow(&mut self, most: usize) -> bool {
        let end = self.count.min(self.done + most);
        let numbers: Vec<[u16; NUMBER]> =
            (self.done..end).map(|entry| [entry as u16, (entry >> 16) as u16]).collect();
        let rows: Vec<(&[u16], usize)> =
            numbers.iter().enumerate().map(|(at, row)| (&row[..], self.done + at)).collect();
        self.graph.parallel_insert_slice(&rows);
        self.done = end;
        end == self.count
    }

    /// The k nearest that the graph finds, nearest first, lower entry first on ties; measured in
    /// f64 as exact search does. `pool` is how many candidates are kept on the way.
    pub fn nearest(&self, query: &[f32], k: usize, pool: usize) -> Vec<Neighbour> {
        if k == 0 || query.len() <= NUMBER {
            return Vec::new();
        }
        let halves: Vec<f16> = query.iter().map(|value| f16::from_f32(*value)).collect();
        let wanted = k.saturating_add(MARGIN);
        let found = self.graph.search(halves.reinterpret_cast(), wanted, pool.max(wanted));
        let mut found: Vec<Neighbour> = found
            .into_iter()
            .filter_map(|near| {
                let distance = distance::exactly(query, self.keys.key(near.d_id)?);
                Some(Neighbour { entry: near.d_id, distance })
            })
            .collect();
        found.sort_by(|a, b| a.distance.total_cmp(&b.distance).then(a.entry.cmp(&b.entry)));
        found.truncate(k);
        found
    }

    /// The smallest pool with which the graph finds enough of what exact search finds for these
    /// queries, and the share it then finds; the largest pool when none does.
    pub fn measure(&self, queries: &[(Vec<f32>, Vec<Neighbour>)]) -> (usize, f64) {
        let mut last = (POOLS[0], 0.0);
        for pool in POOLS {
            let (mut hits, mut all) = (0, 0);
            for (query, exact) in queries {
                let found = self.nearest(query, exact.len(), pool);
                // Of keys that are equally far any is as good: texts repeat themselves.
                let farthest = exact.last().map_or(0.0, |near| near.distance);
                hits += found.iter().filter(|near| near.distance <= farthest).count();
                all += exact.len();
            }
            last = (pool, f64::from(hits as u32) / f64::from(all.max(1) as u32));
            if last.1 >= ENOUGH {
                break;
            }
        }
        last
    }

    /// Writes it into a folder under this name, over an older one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, folder: &Path, name: &str) -> Result<()> {
        remove(folder, name);
        let failed =
            |why: String| Problem::new(format!("the graph cannot be written: {why}")).at(folder);
        let written = self.graph.file_dump(folder, name);
        match written.map_err(|error| failed(error.to_string()))? {
            given if given == name => Ok(()),
            other => {
                remove(folder, &other);
                Err(failed("an older one is in use".into()).into())
            }
        }
    }

    /// Reads it back.
    ///
    /// # Errors
    /// When it is not there, damaged, or over another number of entries.
    pub fn load(folder: &Path, name: &str, keys: Arc<dyn Keys>, count: usize) -> Result<Self> {
        let distance = ByEntry(Arc::clone(&keys));
        let read = || -> Result<Hnsw<'static, u16, ByEntry>> {
            // The library ties a graph to its reader, which is a path and a name: it stays for good.
            let reader: &'static HnswIo = Box::leak(Box::new(HnswIo::new(folder, name)));
            reader.load_hnsw_with_dist(distance)
        };
        // What the library asserts of a file that is damaged is an error here.
        let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(read));
        let graph = read.map_err(|_| anyhow!("its file is damaged")).flatten();
        let graph = graph.with_context(|| {
            let hint = "build the store again: only the graph is made anew";
            Problem::new("the graph over the entries cannot be read").at(folder).hint(hint)
        })?;
        if graph.get_nb_point() != count {
            let what = "the graph is over another number of entries";
            return Err(Problem::new(what).at(folder).into());
        }
        Ok(Self { graph, keys, count, done: count })
    }
}

/// Removes a graph's files.
pub fn remove(folder: &Path, name: &str) {
    for ending in ["graph", "data"] {
        std::fs::remove_file(folder.join(format!("{name}.hnsw.{ending}"))).ok();
    }
}

/// Keys in memory: for tests and measurements.
#[derive(Debug, Clone, Default)]
pub struct Matrix {
    pub keys: Vec<f16>,
    pub width: usize,
}

impl Keys for Matrix {
    fn key(&self, entry: usize) -> Option<&[f16]> {
        self.keys.get(entry * self.width..(entry + 1) * self.width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::random;
    use crate::steer::datastore::search::{Block, nearest};

    const WIDTH: usize = 48;

    /// Keys around centres, as hidden states of like contexts are, and queries near keys.
    fn made(count: usize) -> (Arc<Matrix>, Vec<Vec<f32>>) {
        let value =
            |seed: u64, row: usize, column: usize| random::normal(seed, row as u64, column as u64);
        let row = |entry: usize, column: usize| {
            value(1, entry % 61, column) * 3.0 + value(2, entry, column)
        };
        let keys = (0..count * WIDTH).map(|at| f16::from_f32(row(at / WIDTH, at % WIDTH)));
        let keys = Arc::new(Matrix { keys: keys.collect(), width: WIDTH });
        let queries = (0..40).map(|query| {
            let near = query * 37 % count;
            (0..WIDTH).map(|c| row(near, c) + 0.5 * value(3, query, c)).collect()
        });
        (keys, queries.collect())
    }

    fn exact(keys: &Matrix, queries: &[Vec<f32>]) -> Vec<(Vec<f32>, Vec<Neighbour>)> {
        let blocks = [Block { first: 0, keys: &keys.keys }];
        let found = |query: &Vec<f32>| nearest(&blocks, query, 1, 32, &(0..0)).remove(0);
        queries.iter().map(|query| (query.clone(), found(query))).collect()
    }

    #[test]
    fn a_graph_finds_what_exact_search_finds_and_comes_back_from_disk() {
        let (keys, queries) = made(3000);
        let mut index = Index::begin(keys.clone(), 3000);
        while !index.grow(700) {}
        assert_eq!(index.len(), 3000);
        let exact = exact(&keys, &queries);
        let (pool, recall) = index.measure(&exact);
        assert!(recall >= ENOUGH, "{recall} with {pool}");
        for (query, exact) in &exact {
            let found = index.nearest(query, 32, pool);
            assert!(found.is_sorted_by(|a, b| a.distance <= b.distance));
            // What both found is equally far, to the bit.
            for near in &found {
                let same = exact.iter().find(|e| e.entry == near.entry);
                assert!(same.is_none_or(|same| same.distance == near.distance));
            }
        }
        let folder = tempfile::tempdir().unwrap();
        index.save(folder.path(), "index").unwrap();
        index.save(folder.path(), "index").unwrap();
        let read = Index::load(folder.path(), "index", keys.clone(), 3000).unwrap();
        for query in &queries {
            assert_eq!(read.nearest(query, 8, pool), index.nearest(query, 8, pool));
        }
        assert!(Index::load(folder.path(), "index", keys.clone(), 2999).is_err());
        let file = folder.path().join("index.hnsw.graph");
        let whole = std::fs::read(&file).unwrap();
        for length in [0, 10, whole.len() / 2] {
            std::fs::write(&file, &whole[..length]).unwrap();
            let error = Index::load(folder.path(), "index", keys.clone(), 3000).unwrap_err();
            assert!(error.to_string().contains("graph"), "{error:#}");
        }
    }

    #[test]
    fn an_empty_graph_and_no_neighbours_are_no_matter() {
        let keys = Arc::new(Matrix { keys: Vec::new(), width: WIDTH });
        let index = Index::begin(keys, 0);
        assert!(index.is_empty() && index.nearest(&[0.0; WIDTH], 8, 64).is_empty());
    }
}
