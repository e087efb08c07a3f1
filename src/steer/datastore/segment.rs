//! The entries of one source as one safetensors file: `keys` f16 `[entries, hidden]`, `norms` f32
//! `[entries]` (squared), `values` u32 `[entries]`, `spans` u32 `[entries, 2]` (bytes of `text` the
//! value stands for), `places` u32 `[parts, 3]` (first byte, kind, number) and `text` u8.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use half::f16;
use serde_json::json;

use crate::documents::Place;
use crate::model::checkpoint::{HeaderEntry, MappedFile, read_header_and_metadata};
use crate::platform::Problem;
use crate::platform::atomic::Half;

const FORMAT: &str = "tiller datastore source 1";

/// What a source's file is made of besides its keys, known before the first pass.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lead {
    /// SHA-256 of the source's bytes.
    pub hash: String,
    /// The model's fingerprint.
    pub model: String,
    pub hidden_size: usize,
    pub values: Vec<u32>,
    /// First byte and end in `text` of what each value stands for.
    pub spans: Vec<[u32; 2]>,
    pub text: String,
    pub places: Vec<(usize, Place)>,
}

/// Writes a source's file key by key; nothing is to be seen of it until it is whole.
pub struct SegmentWriter {
    half: Half,
    lead: Lead,
    norms: Vec<f32>,
    row: Vec<u8>,
}

impl SegmentWriter {
    /// # Errors
    /// When the file cannot be begun.
    pub fn begin(path: &Path, lead: Lead) -> Result<Self> {
        let (count, width) = (lead.values.len(), lead.hidden_size);
        let sizes = [
            ("keys", "F16", json!([count, width]), 2 * count * width),
            ("norms", "F32", json!([count]), 4 * count),
            ("values", "U32", json!([count]), 4 * count),
            ("spans", "U32", json!([count, 2]), 8 * count),
            ("places", "U32", json!([lead.places.len(), 3]), 12 * lead.places.len()),
            ("text", "U8", json!([lead.text.len()]), lead.text.len()),
        ];
        let mut header = serde_json::Map::new();
        header.insert(
            "__metadata__".into(),
            json!({ "format": FORMAT, "source": lead.hash, "model": lead.model }),
        );
        let mut end = 0;
        for (name, dtype, shape, bytes) in sizes {
            let offsets = [end, end + bytes];
            header.insert(
                name.into(),
                json!({ "dtype": dtype, "shape": shape, "data_offsets": offsets }),
            );
            end += bytes;
        }
        let mut header = serde_json::to_vec(&header)?;
        header.resize(header.len().next_multiple_of(8), b' ');
        let mut half = Half::begin(path)?;
        half.write_all(&(header.len() as u64).to_le_bytes())
            .and_then(|()| half.write_all(&header))
            .with_context(|| Problem::new("the entries cannot be written").at(path))?;
        let norms = Vec::with_capacity(count);
        Ok(Self { half, lead, norms, row: Vec::with_capacity(2 * width) })
    }

    /// Keys there will be.
    pub fn len(&self) -> usize {
        self.lead.values.len()
    }

    /// Keys still to come.
    pub fn missing(&self) -> usize {
        self.lead.values.len() - self.norms.len()
    }

    /// Adds the next key.
    ///
    /// # Errors
    /// When it holds what f16 cannot, or the disk is full.
    pub fn push(&mut self, key: &[f32]) -> Result<()> {
        ensure!(key.len() == self.lead.hidden_size && self.missing() > 0, "a key too many");
        self.row.clear();
        let mut norm = 0_f64;
        for &value in key {
            let short = f16::from_f32(value);
            if !short.is_finite() {
                let what = format!("a hidden state of {value} does not fit half precision");
                return Err(Problem::new(what).hint("this model takes no datastores").into());
            }
            norm += f64::from(short.to_f32()).powi(2);
            self.row.extend(short.to_le_bytes());
        }
        self.norms.push(norm as f32);
        self.half.write_all(&self.row).context("the entries cannot be written")
    }

    /// Writes what is left and puts the file in its place.
    ///
    /// # Errors
    /// When keys are missing or the disk is full.
    pub fn finish(mut self) -> Result<()> {
        ensure!(self.missing() == 0, "{} keys are missing", self.missing());
        let Lead { values, spans, places, text, .. } = &self.lead;
        let places = places.iter().flat_map(|(start, place)| {
            let (kind, number) = place.parts();
            [*start as u32, kind, number]
        });
        let numbers = values.iter().copied().chain(spans.iter().flatten().copied()).chain(places);
        let mut tail: Vec<u8> = self.norms.iter().flat_map(|norm| norm.to_le_bytes()).collect();
        tail.extend(numbers.flat_map(u32::to_le_bytes));
        tail.extend(text.as_bytes());
        self.half.write_all(&tail).context("the entries cannot be written")?;
        self.half.finish()?;
        Ok(())
    }
}

/// A source's file in memory: mapped, checked, read in place.
#[derive(Debug)]
pub struct Segment {
    file: MappedFile,
    pub hash: String,
    count: usize,
    width: usize,
    keys: usize,
    values: usize,
    spans: usize,
    places: usize,
    place_count: usize,
    text: std::ops::Range<usize>,
}

impl Segment {
    /// Maps a file and checks all that can be without reading the keys.
    ///
    /// # Errors
    /// When it is missing, no such file, or was made with another model.
    pub fn open(path: &Path, model: &str, width: usize) -> Result<Self> {
        let file = MappedFile::open(path)?;
        let (entries, metadata) = read_header_and_metadata(file.bytes(), path)?;
        let refuse = |what: &str| -> anyhow::Error {
            Problem::new(what)
                .at(path)
                .hint("build the store again: only this file is redone")
                .into()
        };
        if metadata.get("format").map(String::as_str) != Some(FORMAT) {
            return Err(refuse("this is no source of a datastore"));
        }
        if metadata.get("model").map(String::as_str) != Some(model) {
            return Err(refuse("these entries were made with another model"));
        }
        let tensor = |name: &str, dtype: &str| -> Result<HeaderEntry> {
            let entry = entries.get(name).filter(|entry| entry.dtype == dtype);
            entry.cloned().ok_or_else(|| refuse(&format!("there are no {name} in it")))
        };
        let keys = tensor("keys", "F16")?;
        let count = keys.shape.first().copied().unwrap_or(0);
        if keys.shape != [count, width] || keys.offset % 2 != 0 {
            return Err(refuse("its keys have another width than the model's hidden states"));
        }
        let (norms, values) = (tensor("norms", "F32")?, tensor("values", "U32")?);
        let (spans, places) = (tensor("spans", "U32")?, tensor("places", "U32")?);
        let text = tensor("text", "U8")?;
        let parts = places.shape.first().copied().unwrap_or(0);
        if norms.shape != [count]
            || values.shape != [count]
            || spans.shape != [count, 2]
            || places.shape != [parts, 3]
        {
            return Err(refuse("its parts do not fit each other"));
        }
        let text = text.offset..text.offset + text.byte_length;
        if std::str::from_utf8(&file.bytes()[text.clone()]).is_err() {
            return Err(refuse("its text is damaged"));
        }
        let hash = metadata.get("source").cloned().unwrap_or_default();
        Ok(Self {
            hash,
            count,
            width,
            keys: keys.offset,
            values: values.offset,
            spans: spans.offset,
            places: places.offset,
            place_count: parts,
            text,
            file,
        })
    }

    /// Entries.
    pub fn len(&self) -> usize {
        self.count
    }

    /// The keys, row-major `[entries, hidden]`.
    pub fn keys(&self) -> &[f16] {
        let bytes = &self.file.bytes()[self.keys..self.keys + 2 * self.count * self.width];
        // SAFETY: any two bytes are an f16, and `open` has checked that the offset is even in a map
        // that begins at a page.
        let (before, keys, after) = unsafe { bytes.align_to::<f16>() };
        debug_assert!(before.is_empty() && after.is_empty());
        keys
    }

    fn number(&self, offset: usize, at: usize) -> u32 {
        let start = offset + 4 * at;
        self.file.bytes()[start..start + 4].try_into().map_or(0, u32::from_le_bytes)
    }

    /// The token that came next.
    pub fn value(&self, entry: usize) -> u32 {
        self.number(self.values, entry)
    }

    /// The bytes of [`Self::text`] that the value stands for, cut to whole characters.
    pub fn span(&self, entry: usize) -> std::ops::Range<usize> {
        let text = self.text();
        let cut = |at: u32| {
            let at = (at as usize).min(text.len());
            (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
        };
        let start = cut(self.number(self.spans, 2 * entry));
        start..cut(self.number(self.spans, 2 * entry + 1)).max(start)
    }

    /// Bytes of the text whose tokens are entries, one behind the other, with how many entries.
    pub fn runs(&self) -> Vec<(std::ops::Range<usize>, usize)> {
        let mut runs: Vec<(std::ops::Range<usize>, usize)> = Vec::new();
        for entry in 0..self.count {
            let start = self.number(self.spans, 2 * entry) as usize;
            let end = self.number(self.spans, 2 * entry + 1) as usize;
            match runs.last_mut() {
                Some((run, count)) if run.end == start => {
                    run.end = end.max(start);
                    *count += 1;
                }
                _ => runs.push((start..end.max(start), 1)),
            }
        }
        runs
    }

    /// The source's text as it was read.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.file.bytes()[self.text.clone()]).unwrap_or_default()
    }

    /// Pages and chapters that begin within these bytes of the text, with where.
    pub fn headings(&self, within: std::ops::Range<usize>) -> Vec<(usize, Place)> {
        let number = |at: usize, part: usize| self.number(self.places, 3 * at + part);
        let all = (0..self.place_count)
            .map(|at| (number(at, 0) as usize, Place::of_parts(number(at, 1), number(at, 2))));
        let is_heading = |(start, place): &(usize, Place)| {
            within.contains(start) && matches!(place, Place::Page(_) | Place::Chapter(_))
        };
        all.filter(is_heading).collect()
    }

    /// Where in the source a byte of the text came from.
    pub fn place(&self, byte: usize) -> Option<Place> {
        let part = |at: usize| self.number(self.places, 3 * at);
        let (mut low, mut high) = (0, self.place_count);
        while low < high {
            let middle = usize::midpoint(low, high);
            if part(middle) as usize <= byte { low = middle + 1 } else { high = middle }
        }
        let at = low.checked_sub(1)?;
        let (kind, number) =
            (self.number(self.places, 3 * at + 1), self.number(self.places, 3 * at + 2));
        Some(Place::of_parts(kind, number))
    }
}
