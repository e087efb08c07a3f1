//! One weight file of a merged model.

use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use super::{MergeReport, Share, Watch};
use crate::model::checkpoint::{Checkpoint, MappedFile, read_header_and_metadata};
use crate::model::vector::Part;
use crate::model::vector::fit::{HEAD, embedding, stored_values};
use crate::model::vector::values::{narrow_wide, widen};
use crate::platform::{Cancelled, Problem, atomic};

/// One weight file and what goes into it.
pub struct Shard<'a> {
    pub base: &'a Checkpoint,
    pub shares: &'a [Share],
    pub path: &'a Path,
    /// Also holds the head of a model whose embeddings were tied.
    pub with_head: bool,
}

impl Shard<'_> {
    /// Writes the file anew. `done` counts bytes over all files.
    pub fn write(
        &self,
        target: &Path,
        done: &mut u64,
        watch: Watch<'_>,
        report: &mut MergeReport,
    ) -> Result<()> {
        let file = MappedFile::open(self.path)?;
        let (entries, metadata) = read_header_and_metadata(file.bytes(), self.path)?;
        let mut by_place: Vec<_> = entries.iter().collect();
        by_place.sort_by_key(|(_, entry)| entry.offset);
        let mut header = Map::new();
        if !metadata.is_empty() {
            header.insert("__metadata__".into(), json!(metadata));
        }
        let mut at = 0;
        for (name, entry) in &by_place {
            let end = at + entry.byte_length;
            let value =
                json!({ "dtype": entry.dtype, "shape": entry.shape, "data_offsets": [at, end] });
            header.insert((*name).clone(), value);
            at = end;
        }
        let head = if self.with_head { embedding(self.base) } else { None };
        if let Some(tensor) = head.map(|name| self.base.tensor(name)).transpose()? {
            let dtype = tensor.dtype.to_string().to_uppercase();
            let offsets = [at, at + tensor.byte_length];
            let value = json!({ "dtype": dtype, "shape": tensor.shape, "data_offsets": offsets });
            header.insert(HEAD.into(), value);
        }
        let total = self.base.weight_bytes();
        let mut stopped = None;
        let written = atomic::write_with(target, |out| {
            let mut body = || -> Result<()> {
                write_header(out, &header)?;
                for (name, entry) in &by_place {
                    if !watch(*done, total) {
                        return Err(Cancelled.into());
                    }
                    *done += entry.byte_length as u64;
                    match self.sum(name, name)? {
                        Some(bytes) => {
                            report.changed += 1;
                            out.write_all(&bytes)?;
                        }
                        None => {
                            report.copied += 1;
                            let range = entry.offset..entry.offset + entry.byte_length;
                            out.write_all(&file.bytes()[range])?;
                        }
                    }
                }
                if let Some(embedding) = head {
                    report.changed += 1;
                    out.write_all(&self.sum(HEAD, embedding)?.context("no head to write")?)?;
                }
                Ok(())
            };
            body().map_err(|error| {
                let text = error.to_string();
                stopped = Some(error);
                io::Error::other(text)
            })
        });
        // The error as it was, not as the file system's.
        match stopped {
            Some(error) => Err(error),
            None => Ok(written?),
        }
    }

    /// The bytes of a parameter with every share added; `None` when none has a part of it.
    /// `stored` is the tensor it starts from: the embedding's for an untied head, to which a share
    /// without a part of the head's own adds what it adds to the embedding.
    fn sum(&self, name: &str, stored: &str) -> Result<Option<Vec<u8>>> {
        let tensor = self.base.tensor(stored)?;
        let mut sum: Option<Vec<f64>> = None;
        for share in self.shares.iter().filter(|share| share.strength != 0.0) {
            let of = |name| Some((name, share.vector.parts.get(name)?));
            let Some((part_name, part)) = of(name).or_else(|| of(stored)) else { continue };
            let sum = match &mut sum {
                Some(sum) => sum,
                none => {
                    let start = widen(tensor.dtype, &self.base.bytes(stored)?)?;
                    none.insert(start.into_iter().map(f64::from).collect())
                }
            };
            let wide = share.wide.as_ref().and_then(|wide| wide.get(part_name));
            let delta = match (wide, part) {
                (Some(wide), Part::Full { .. }) if wide.len() == sum.len() => wide,
                (_, part) => self.difference(part, stored)?,
            };
            if delta.len() != sum.len() {
                bail!("`{part_name}` has {} values for {}", delta.len(), sum.len());
            }
            let strength = f64::from(share.strength);
            sum.iter_mut().zip(&delta).for_each(|(sum, delta)| *sum += strength * delta);
        }
        let Some(sum) = sum else { return Ok(None) };
        let mut bytes = Vec::with_capacity(tensor.byte_length);
        narrow_wide(&sum, tensor.dtype, &mut bytes);
        if widen(tensor.dtype, &bytes)?.iter().any(|value| !value.is_finite()) {
            let what = format!("`{name}` leaves the range of {} at these strengths", tensor.dtype);
            return Err(Problem::new(what).at(&self.base.path).hint("choose smaller ones").into());
        }
        Ok(Some(bytes))
    }

    /// A part's difference to the base's tensor, in its orientation.
    fn difference(&self, part: &Part, stored: &str) -> Result<Vec<f64>> {
        let tensor = self.base.tensor(stored)?;
        if let Part::Replacement { values, .. } = part {
            let from = widen(tensor.dtype, &self.base.bytes(stored)?)?;
            let pairs = values.iter().zip(&from);
            return Ok(pairs.map(|(to, from)| f64::from(*to) - f64::from(*from)).collect());
        }
        let values = stored_values(part.clone(), tensor.input_first)?;
        Ok(values.into_iter().map(f64::from).collect())
    }
}

fn write_header(out: &mut dyn Write, header: &Map<String, Value>) -> io::Result<()> {
    let mut text = serde_json::to_vec(header)?;
    text.resize(text.len().next_multiple_of(8), b' ');
    out.write_all(&(text.len() as u64).to_le_bytes())?;
    out.write_all(&text)
}
