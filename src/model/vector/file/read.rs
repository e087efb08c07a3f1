//! Reading a vector's file.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;

use super::{FORMAT, Record};
use crate::model::checkpoint::{HeaderEntry, MappedFile, read_header_and_metadata};
use crate::model::vector::values::widen;
use crate::model::vector::{About, Facts, Part, Vector};
use crate::platform::Problem;

/// Reads a vector and its facts.
///
/// # Errors
/// When the file is no vector of ours, its header lies, a factor has no partner, or a value is not
/// finite.
pub fn read(path: &Path) -> Result<(Vector, Facts)> {
    let file = MappedFile::open(path)?;
    let (entries, record) = read_record(&file, path)?;
    let refuse = |what: String| Problem::new(what).at(path);
    let values = |name: &str| -> Result<Option<(Vec<usize>, Vec<f32>)>> {
        let Some(entry) = entries.get(name) else { return Ok(None) };
        if entry.dtype == "F64" && name.ends_with(".delta") {
            let values = wide_values(&file, entry).map(|value| value as f32).collect();
            return Ok(Some((entry.shape.clone(), values)));
        }
        let Some(stored) = entry.stored else {
            return Err(refuse(format!("`{name}` is {}, not f32, f16 or bf16", entry.dtype)).into());
        };
        let bytes = &file.bytes()[entry.offset..entry.offset + entry.byte_length];
        Ok(Some((entry.shape.clone(), widen(stored, bytes)?)))
    };
    let mut parts = BTreeMap::new();
    for name in entries.keys() {
        let (parameter, end) = name.rsplit_once('.').unwrap_or((name, ""));
        let part = match end {
            "down" | "up" => {
                let other = format!("{parameter}.{}", if end == "up" { "down" } else { "up" });
                if !entries.contains_key(&other) {
                    return Err(refuse(format!("`{name}` has no `{other}` beside it")).into());
                }
                if end == "up" {
                    continue;
                }
                let (down, up) = (values(name)?, values(&other)?);
                let (Some((down_shape, down)), Some((up_shape, up))) = (down, up) else { continue };
                let scale = record.scales.get(parameter).copied().unwrap_or(1.0);
                match (down_shape.as_slice(), up_shape.as_slice()) {
                    (&[rank, inputs], &[outputs, columns]) if rank == columns => {
                        Part::LowRank { down, up, rank, inputs, outputs, scale }
                    }
                    _ => {
                        let shapes = format!("{down_shape:?} and {up_shape:?}");
                        let what = format!("`{parameter}`: factors of {shapes} do not multiply");
                        return Err(refuse(what).into());
                    }
                }
            }
            "delta" | "replacement" => match values(name)? {
                Some((shape, values)) if end == "delta" => Part::Full { shape, values },
                Some((shape, values)) => Part::Replacement { shape, values },
                None => continue,
            },
            _ => return Err(refuse(format!("`{name}` is no tensor of a vector")).into()),
        };
        part.check(parameter).map_err(|error| refuse(error.to_string()))?;
        if parts.insert(parameter.to_owned(), part).is_some() {
            return Err(refuse(format!("`{parameter}` is there in two forms")).into());
        }
    }
    let vector = Vector {
        name: record.name,
        base_fingerprint: record.base_fingerprint,
        base_name: record.base_name,
        parts,
    };
    Ok((vector, record.facts))
}

/// Reads the facts alone, without the numbers.
///
/// # Errors
/// As [`read`], as far as the header goes.
pub fn read_facts(path: &Path) -> Result<Facts> {
    Ok(read_about(path)?.facts)
}

/// Reads all that the metadata says.
///
/// # Errors
/// As [`read_facts`].
pub fn read_about(path: &Path) -> Result<About> {
    let file = MappedFile::open(path)?;
    let record = read_record(&file, path)?.1;
    Ok(About {
        name: record.name,
        base_fingerprint: record.base_fingerprint,
        base_name: record.base_name,
        facts: record.facts,
    })
}

/// The differences a file keeps in f64.
#[derive(Debug)]
pub struct WideDeltas {
    file: MappedFile,
    entries: BTreeMap<String, HeaderEntry>,
}

impl WideDeltas {
    /// Opens one of our files.
    ///
    /// # Errors
    /// As [`read`], as far as the header goes.
    pub fn open(path: &Path) -> Result<Self> {
        let file = MappedFile::open(path)?;
        let (entries, _) = read_record(&file, path)?;
        Ok(Self { file, entries })
    }

    /// A parameter's difference, when the file keeps it in f64.
    pub fn get(&self, parameter: &str) -> Option<Vec<f64>> {
        let entry = self.entries.get(&format!("{parameter}.delta"))?;
        (entry.dtype == "F64").then(|| wide_values(&self.file, entry).collect())
    }
}

fn wide_values(file: &MappedFile, entry: &HeaderEntry) -> impl Iterator<Item = f64> {
    let bytes = &file.bytes()[entry.offset..entry.offset + entry.byte_length];
    bytes.as_chunks().0.iter().map(|value| f64::from_le_bytes(*value))
}

/// The header, checked, and what the metadata says.
pub(super) fn read_record(
    file: &MappedFile,
    path: &Path,
) -> Result<(BTreeMap<String, HeaderEntry>, Record)> {
    let (entries, metadata) = read_header_and_metadata(file.bytes(), path)?;
    let refuse = |what: String| Problem::new(what).at(path);
    match metadata.get("format").map(String::as_str) {
        Some(FORMAT) => {}
        Some(other) if other.starts_with("tiller vector") => {
            let what = format!("this is a `{other}`, newer than this program");
            return Err(refuse(what).hint("use a newer Tiller").into());
        }
        _ => {
            let hint = "make one with `tiller vector extract` or give a LoRA adapter's folder";
            return Err(refuse("this is no alignment vector".into()).hint(hint).into());
        }
    }
    let facts = metadata.get("facts").map_or("", String::as_str);
    let record = serde_json::from_str(facts)
        .map_err(|error| refuse(format!("`facts` are not what they should be: {error}")))?;
    Ok((entries, record))
}
