//! A store in memory: its sources mapped, searched as one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use candle_core::Device;
use half::f16;

use super::Source;
use super::approximate::{ENOUGH, Index, Keys};
use super::distance;
use super::manifest::Manifest;
use super::probes::{self, Probe};
use super::resident::Resident;
use super::search::{self, Block, Neighbour};
use super::segment::Segment;
use crate::documents::Place;
use crate::platform::{Problem, fnv};

/// Bytes of text shown around what an entry stands for.
const SHOWN_BEFORE: usize = 120;
const SHOWN_AFTER: usize = 80;

/// The name of the files of the graph over a large store's entries.
pub const INDEX: &str = "index";

/// A store ready to be asked.
#[derive(Debug)]
pub struct Datastore {
    pub folder: PathBuf,
    pub manifest: Manifest,
    /// Sources that are listed as done and cannot be used, with the reason.
    pub lost: Vec<Problem>,
    segments: Arc<Segments>,
    count: usize,
    /// The graph over its entries and how many candidates are kept while it is walked.
    index: Option<(Index, usize)>,
    /// A copy of the keys beside the model, where that is not in main memory.
    resident: Option<Resident>,
}

/// The sources' files.
#[derive(Debug)]
struct Segments {
    width: usize,
    /// Of each: its first entry, its place in the manifest, its file.
    all: Vec<(usize, usize, Segment)>,
}

impl Segments {
    fn find(&self, entry: usize) -> Option<(usize, &Segment, usize)> {
        let at = self.all.partition_point(|(first, ..)| *first <= entry).checked_sub(1)?;
        let (first, source, segment) = &self.all[at];
        (entry - first < segment.len()).then_some((*source, segment, entry - first))
    }
}

impl Keys for Segments {
    fn key(&self, entry: usize) -> Option<&[f16]> {
        let (_, segment, entry) = self.find(entry)?;
        segment.keys().get(entry * self.width..(entry + 1) * self.width)
    }
}

/// A fingerprint of what a store's entries are, in their order.
pub fn fingerprint(manifest: &Manifest) -> String {
    let mut text = manifest.facts.model_fingerprint.clone();
    for source in manifest.sources.iter().filter(|source| source.is_done()) {
        text += &format!("\n{} {} {}", source.id, source.hash, source.entries);
    }
    format!("{:016x}", fnv::hash(text.bytes()))
}

/// Where an entry came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    pub path: PathBuf,
    pub place: Option<Place>,
    /// The text around it, and in it the bytes that the entry's value stands for.
    pub text: String,
    pub value: std::ops::Range<usize>,
}

impl Datastore {
    /// Opens a store. A source that has lost its file is left out and named in `lost`.
    ///
    /// # Errors
    /// When the folder is no store, or none of its sources can be used.
    pub fn open(folder: &Path) -> Result<Self> {
        let manifest = Manifest::read(folder)?.ok_or_else(|| {
            let problem = Problem::new("there is no datastore in this folder").at(folder);
            problem.hint("build one with tiller store build")
        })?;
        let (mut segments, mut lost, mut count) = (Vec::new(), Vec::new(), 0);
        for (at, source) in manifest.sources.iter().enumerate().filter(|(_, s)| s.is_done()) {
            match open_source(folder, &manifest, source) {
                Ok(segment) => {
                    let first = count;
                    count += segment.len();
                    segments.push((first, at, segment));
                }
                Err(error) => lost.push(
                    Problem::new(format!("its entries cannot be used: {error:#}")).at(&source.path),
                ),
            }
        }
        if let (true, Some(problem)) = (segments.is_empty(), lost.first()) {
            return Err(problem.clone().into());
        }
        let segments = Arc::new(Segments { width: manifest.facts.hidden_size, all: segments });
        let mut store = Self {
            folder: folder.to_path_buf(),
            manifest,
            lost,
            segments,
            count,
            index: None,
            resident: None,
        };
        store.index = store.open_index();
        Ok(store)
    }

    /// The graph, if there is one over these very entries that finds enough. Without it all keys
    /// are looked at: the answers are the same, later.
    fn open_index(&self) -> Option<(Index, usize)> {
        let facts = self.manifest.index.as_ref()?;
        let is_of = self.lost.is_empty() && facts.sources == fingerprint(&self.manifest);
        if !is_of || facts.recall < ENOUGH {
            return None;
        }
        match Index::load(&self.folder, INDEX, self.keys(), self.count) {
            Ok(index) => Some((index, facts.pool)),
            Err(error) => {
                tracing::warn!("{error:#}");
                None
            }
        }
    }

    /// Copies the keys to the device the model is on, so that they are searched there; where that is
    /// the CPU they stay where they are. Without room for them the search stays here, too.
    pub fn put_on(&mut self, device: &Device) {
        if device.is_cpu() || self.is_empty() || self.is_indexed() {
            self.resident = None;
        } else if !self.resident.as_ref().is_some_and(|there| there.is_on(device)) {
            let uploaded = Resident::upload(&self.blocks(), self.width(), device);
            match uploaded {
                Ok(there) => self.resident = Some(there),
                Err(error) => tracing::warn!("keys stay in main memory: {error:#}"),
            }
        }
    }

    /// Its keys, to be held by others too.
    pub fn keys(&self) -> Arc<dyn Keys> {
        Arc::clone(&self.segments) as Arc<dyn Keys>
    }

    /// Whether a graph finds the neighbours.
    pub fn is_indexed(&self) -> bool {
        self.index.is_some()
    }

    /// Entries.
    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Columns of a key.
    pub fn width(&self) -> usize {
        self.manifest.facts.hidden_size
    }

    /// Bytes of keys.
    pub fn key_bytes(&self) -> u64 {
        2 * (self.count * self.width()) as u64
    }

    /// The keys as blocks of rows.
    pub fn blocks(&self) -> Vec<Block<'_>> {
        let all = self.segments.all.iter();
        all.map(|(first, _, s)| Block { first: *first, keys: s.keys() }).collect()
    }

    /// For each head the k nearest of a query, see [`search::nearest`]; of a very large store, and
    /// with one head, those that its graph finds.
    pub fn nearest(&self, query: &[f32], heads: usize, k: usize) -> Vec<Vec<Neighbour>> {
        if let (Some((index, pool)), 1) = (&self.index, heads) {
            return vec![index.nearest(query, k, *pool)];
        }
        if let Some(there) = &self.resident {
            match there.nearest(&self.blocks(), query, heads, k) {
                Ok(found) => return found,
                Err(error) => tracing::warn!("keys are searched in main memory: {error:#}"),
            }
        }
        search::nearest(&self.blocks(), query, heads, k, &(0..0))
    }

    /// The squared distance of the whole vector to the nearest of these neighbours, whatever slices
    /// found them.
    pub fn nearest_whole(&self, query: &[f32], found: &[Vec<Neighbour>]) -> f64 {
        if let [found] = found {
            return found.first().map_or(f64::INFINITY, |neighbour| neighbour.distance);
        }
        let blocks = self.blocks();
        let mut entries: Vec<usize> = found.iter().flatten().map(|n| n.entry).collect();
        entries.sort_unstable();
        entries.dedup();
        let keys = entries.iter().filter_map(|e| search::key_of(&blocks, *e, query.len()));
        keys.map(|key| distance::exactly(query, key)).fold(f64::INFINITY, f64::min)
    }

    fn find(&self, entry: usize) -> Option<(&Source, &Segment, usize)> {
        let (source, segment, entry) = self.segments.find(entry)?;
        Some((&self.manifest.sources[source], segment, entry))
    }

    /// Questions made of its own text.
    pub fn probes(&self) -> Vec<Probe> {
        probes::of(self.segments.all.iter().map(|(_, _, segment)| segment))
    }

    /// The token that came next in the source.
    pub fn value(&self, entry: usize) -> u32 {
        self.find(entry).map_or(0, |(_, segment, entry)| segment.value(entry))
    }

    /// Where an entry came from, with the text around it.
    pub fn passage(&self, entry: usize) -> Option<Passage> {
        let (source, segment, entry) = self.find(entry)?;
        let (text, span) = (segment.text(), segment.span(entry));
        let mut start = span.start.saturating_sub(SHOWN_BEFORE);
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let mut end = (span.end + SHOWN_AFTER).min(text.len());
        while !text.is_char_boundary(end) {
            end += 1;
        }
        Some(Passage {
            path: source.path.clone(),
            place: segment.place(span.start),
            text: text[start..end].to_owned(),
            value: span.start - start..span.end - start,
        })
    }
}

fn open_source(folder: &Path, manifest: &Manifest, source: &Source) -> Result<Segment> {
    let facts = &manifest.facts;
    let path = Manifest::file_of(folder, source);
    let segment = Segment::open(&path, &facts.model_fingerprint, facts.hidden_size)?;
    if segment.hash != source.hash || segment.len() != source.entries {
        let problem = Problem::new("its entries are of another version of the file").at(path);
        return Err(problem.hint("build the store again: only this file is redone").into());
    }
    Ok(segment)
}
