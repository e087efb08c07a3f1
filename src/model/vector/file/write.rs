//! Writing a vector's file, and writing other facts into one.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::read::read_record;
use super::{FORMAT, Precision, Record};
use crate::model::checkpoint::MappedFile;
use crate::model::vector::values::narrow;
use crate::model::vector::{Facts, Part, Vector};
use crate::model::weights::StoredType;
use crate::platform::{Problem, atomic};

/// One tensor to be written.
struct Piece<'a> {
    name: String,
    shape: Vec<usize>,
    values: &'a [f32],
    /// The parameter, where its difference is written in f64.
    wide: Option<&'a str>,
}

impl Piece<'_> {
    fn dtype(&self, stored: StoredType) -> (&'static str, usize) {
        match (self.wide, stored) {
            (Some(_), _) => ("F64", 8),
            (None, StoredType::F16) => ("F16", 2),
            (None, _) => ("F32", 4),
        }
    }
}

/// Gives the difference of a parameter in f64, where f32 is not enough.
pub type Wide<'a> = &'a dyn Fn(&str) -> Result<Option<Vec<f64>>>;

/// Writes a vector, at once whole or not at all.
///
/// # Errors
/// When a part's sizes do not go together, a value is not finite (also after rounding to f16), or
/// the file cannot be written.
pub fn write(path: &Path, vector: &Vector, facts: &Facts, precision: Precision) -> Result<()> {
    write_wide(path, vector, facts, precision, &|_| Ok(None))
}

/// [`write`], with differences in f64 where `wide` gives them. It is asked twice for each, so that
/// no two need be in memory at once.
///
/// # Errors
/// As [`write`], and when `wide` fails.
pub fn write_wide(
    path: &Path,
    vector: &Vector,
    facts: &Facts,
    precision: Precision,
    wide: Wide<'_>,
) -> Result<()> {
    let mut scales = BTreeMap::new();
    let mut pieces = Vec::new();
    for (name, part) in &vector.parts {
        part.check(name).map_err(|error| Problem::new(error.to_string()).at(path))?;
        let full = matches!(part, Part::Full { .. });
        let in_f64 = if full { wide(name)?.map(|_| name.as_str()) } else { None };
        let mut piece = |end: &str, shape: &[usize], values| {
            let (name, shape) = (format!("{name}.{end}"), shape.to_vec());
            pieces.push(Piece { name, shape, values, wide: in_f64 });
        };
        match part {
            Part::LowRank { down, up, rank, inputs, outputs, scale } => {
                piece("down", &[*rank, *inputs], down);
                piece("up", &[*outputs, *rank], up);
                if *scale != 1.0 {
                    scales.insert(name.clone(), *scale);
                }
            }
            Part::Full { shape, values } => piece("delta", shape, values),
            Part::Replacement { shape, values } => piece("replacement", shape, values),
        }
    }
    let stored = precision.stored();
    if stored == StoredType::F16 {
        let overflows = |piece: &&Piece<'_>| {
            piece.wide.is_none()
                && piece.values.iter().any(|value| half::f16::from_f32(*value).is_infinite())
        };
        if let Some(piece) = pieces.iter().find(overflows) {
            let what = format!("`{}` holds a value too large for f16", piece.name);
            return Err(Problem::new(what).at(path).hint("write it in f32").into());
        }
    }
    let record = Record {
        name: vector.name.clone(),
        base_fingerprint: vector.base_fingerprint.clone(),
        base_name: vector.base_name.clone(),
        scales,
        facts: facts.clone(),
    };
    let header = header(&record, &pieces, stored)?;
    atomic::write_with(path, |out| {
        write_header(out, &header)?;
        let mut bytes = Vec::new();
        for piece in &pieces {
            bytes.clear();
            match piece.wide.map(wide).transpose().map_err(io::Error::other)?.flatten() {
                Some(values) => values.iter().for_each(|value| bytes.extend(value.to_le_bytes())),
                None => narrow(piece.values, stored, &mut bytes).map_err(io::Error::other)?,
            }
            out.write_all(&bytes)?;
        }
        Ok(())
    })?;
    Ok(())
}

fn header(record: &Record, pieces: &[Piece<'_>], stored: StoredType) -> Result<Map<String, Value>> {
    let mut header = Map::new();
    header.insert("__metadata__".into(), metadata(record)?);
    let mut at = 0;
    for piece in pieces {
        let (dtype, bytes) = piece.dtype(stored);
        let end = at + piece.values.len() * bytes;
        let entry = json!({ "dtype": dtype, "shape": piece.shape, "data_offsets": [at, end] });
        header.insert(piece.name.clone(), entry);
        at = end;
    }
    Ok(header)
}

fn metadata(record: &Record) -> Result<Value> {
    Ok(json!({ "format": FORMAT, "facts": serde_json::to_string(record)? }))
}

fn write_header(out: &mut dyn Write, header: &Map<String, Value>) -> io::Result<()> {
    let mut text = serde_json::to_vec(header)?;
    text.resize(text.len().next_multiple_of(8), b' ');
    out.write_all(&(text.len() as u64).to_le_bytes())?;
    out.write_all(&text)
}

/// Puts other facts (a new calibration, say) into a vector's file; its numbers stay as they are.
///
/// # Errors
/// When the file is no vector of ours or cannot be written.
pub fn replace_facts(path: &Path, facts: Facts) -> Result<()> {
    let file = MappedFile::open(path)?;
    let (entries, mut record) = read_record(&file, path)?;
    record.facts = facts;
    let start = entries.values().map(|entry| entry.offset).min().unwrap_or(file.bytes().len());
    let mut header = Map::new();
    header.insert("__metadata__".into(), metadata(&record)?);
    for (name, entry) in &entries {
        let (from, to) = (entry.offset - start, entry.offset - start + entry.byte_length);
        let value =
            json!({ "dtype": entry.dtype, "shape": entry.shape, "data_offsets": [from, to] });
        header.insert(name.clone(), value);
    }
    let data = file.bytes()[start..].to_vec();
    // Some systems do not rename over a file that is mapped.
    drop(file);
    atomic::write_with(path, |out| {
        write_header(out, &header)?;
        out.write_all(&data)
    })?;
    Ok(())
}
