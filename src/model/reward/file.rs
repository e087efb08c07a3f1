//! An adapter's file: written whole or not at all, believed only after its header was checked.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use serde_json::{Map, json};

use super::{About, Adapter, Facts, Heads, Precision, Values};
use crate::model::checkpoint::{HeaderEntry, MappedFile, read_header_and_metadata};
use crate::model::vector::values::{narrow, widen};
use crate::model::weights::StoredType;
use crate::platform::{Problem, atomic};

const FORMAT: &str = "tiller reward 1";

/// Writes an adapter: matrices in its own precision, everything else in f32.
///
/// # Errors
/// When a value is not finite (also once rounded), or the file cannot be written.
pub fn write(path: &Path, adapter: &Adapter) -> Result<()> {
    adapter.check_values().map_err(|problem| problem.at(path))?;
    let mut header = Map::new();
    let facts = serde_json::to_string(&adapter.facts)?;
    header.insert("__metadata__".into(), json!({ "format": FORMAT, "facts": facts }));
    let mut data = Vec::new();
    for (name, tensor) in &adapter.tensors {
        let stored =
            if tensor.shape.len() == 2 { adapter.precision.stored() } else { StoredType::F32 };
        let rounds_away = stored == StoredType::F16
            && tensor.values.iter().any(|value| half::f16::from_f32(*value).is_infinite());
        if rounds_away {
            let what = format!("`{name}` holds a value too large for f16");
            return Err(Problem::new(what).at(path).hint("write it in bf16 or f32").into());
        }
        let begin = data.len();
        narrow(&tensor.values, stored, &mut data)?;
        let dtype = stored.to_string().to_uppercase();
        let offsets = [begin, data.len()];
        let entry = json!({ "dtype": dtype, "shape": tensor.shape, "data_offsets": offsets });
        header.insert(name.clone(), entry);
    }
    let mut text = serde_json::to_vec(&header)?;
    text.resize(text.len().next_multiple_of(8), b' ');
    atomic::write_with(path, |out| {
        out.write_all(&(text.len() as u64).to_le_bytes())?;
        out.write_all(&text)?;
        out.write_all(&data)
    })?;
    Ok(())
}

/// Reads an adapter whole. Whether it fits a base is not looked at here.
///
/// # Errors
/// When the file is no adapter of ours, its header lies, or a value is not finite.
pub fn read(path: &Path) -> Result<Adapter> {
    let file = MappedFile::open(path)?;
    let (entries, facts) = read_record(&file, path)?;
    let refuse = |what: String| Problem::new(what).at(path);
    let mut tensors = BTreeMap::new();
    let mut precision = None;
    for (name, entry) in entries {
        let stored = match entry.stored {
            Some(StoredType::F32) => Precision::F32,
            Some(StoredType::F16) => Precision::F16,
            Some(StoredType::BF16) => Precision::BF16,
            _ => {
                let what = format!("`{name}` is {}, not f32, f16 or bf16", entry.dtype);
                return Err(refuse(what).into());
            }
        };
        if entry.shape.len() == 2 && *precision.get_or_insert(stored) != stored {
            let what = format!("`{name}` is {}, and other matrices are not", entry.dtype);
            return Err(refuse(what).into());
        }
        let bytes = &file.bytes()[entry.offset..entry.offset + entry.byte_length];
        let values = widen(stored.stored(), bytes)?;
        tensors.insert(name, Values { shape: entry.shape, values });
    }
    let adapter = Adapter { facts, tensors, precision: precision.unwrap_or_default() };
    adapter.check_values().map_err(|problem| problem.at(path))?;
    Ok(adapter)
}

/// Reads what the metadata says, without the numbers.
///
/// # Errors
/// As [`read`], as far as the header goes.
pub fn read_facts(path: &Path) -> Result<Facts> {
    Ok(read_record(&MappedFile::open(path)?, path)?.1)
}

/// Reads what the header says of the adapter: facts, heads and size.
///
/// # Errors
/// As [`read`], as far as the header goes.
pub fn read_about(path: &Path) -> Result<About> {
    let (entries, facts) = read_record(&MappedFile::open(path)?, path)?;
    let heads = Heads::among(|name| entries.contains_key(name));
    let bytes = entries.values().map(|entry| entry.byte_length as u64).sum();
    Ok(About { facts, heads, bytes })
}

/// True for a file whose metadata says that it is an adapter, whatever its version.
pub fn is_adapter(path: &Path) -> bool {
    let says = || -> Result<bool> {
        let file = MappedFile::open(path)?;
        let (_, metadata) = read_header_and_metadata(file.bytes(), path)?;
        Ok(metadata.get("format").is_some_and(|format| format.starts_with("tiller reward")))
    };
    path.is_file() && says().unwrap_or(false)
}

fn read_record(file: &MappedFile, path: &Path) -> Result<(BTreeMap<String, HeaderEntry>, Facts)> {
    let (entries, metadata) = read_header_and_metadata(file.bytes(), path)?;
    let refuse = |what: String| Problem::new(what).at(path);
    match metadata.get("format").map(String::as_str) {
        Some(FORMAT) => {}
        Some(other) if other.starts_with("tiller reward") => {
            let what = format!("this is a `{other}`, newer than this program");
            return Err(refuse(what).hint("use a newer Tiller").into());
        }
        _ => {
            let hint = "make one with `tiller learn reward`";
            return Err(refuse("this is no reward adapter".into()).hint(hint).into());
        }
    }
    let facts = metadata.get("facts").map_or("", String::as_str);
    let facts = serde_json::from_str(facts)
        .map_err(|error| refuse(format!("`facts` are not what they should be: {error}")))?;
    Ok((entries, facts))
}
