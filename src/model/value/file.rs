//! A score head as a file of its own, for a trunk that stays as it is.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Pooling, SCORE_HEAD, ValueHead};
use crate::model::checkpoint::{MappedFile, read_header_and_metadata};
use crate::model::vector::values::widen;
use crate::platform::{Problem, atomic};

/// The key of the metadata, and what stands there first.
const KEY: &str = "tiller";
const FORMAT: &str = "tiller-value-head-1";
const BIAS: &str = "score_head.bias";

/// What a head's file says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HeadFacts {
    pub trunk_name: String,
    pub trunk_fingerprint: String,
    /// Where the trunk lies; in the file, from the file's own folder where the two lie together.
    pub trunk_path: PathBuf,
    pub how_made: String,
    pub created: String,
}

#[derive(Serialize, Deserialize)]
struct Record {
    format: String,
    #[serde(default)]
    pooling: Pooling,
    facts: HeadFacts,
}

/// Writes a head with one output, at once whole or not at all.
///
/// # Errors
/// When a number is not finite or the file cannot be written.
pub fn write(path: &Path, head: &ValueHead, facts: &HeadFacts) -> Result<()> {
    if let Some(wrong) = head.weight.iter().chain([&head.bias]).find(|value| !value.is_finite()) {
        return Err(Problem::new(format!("the head holds {wrong}")).at(path).into());
    }
    let record = Record { format: FORMAT.to_owned(), pooling: head.pooling, facts: facts.clone() };
    let end = 4 * head.weight.len();
    let header = json!({
        "__metadata__": { KEY: serde_json::to_string(&record)? },
        SCORE_HEAD: {
            "dtype": "F32", "shape": [head.outputs(), head.width], "data_offsets": [0, end],
        },
        BIAS: { "dtype": "F32", "shape": [1], "data_offsets": [end, end + 4] },
    });
    let mut header = header.to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.extend(head.weight.iter().chain([&head.bias]).flat_map(|value| value.to_le_bytes()));
    atomic::write(path, &bytes)?;
    Ok(())
}

/// Whether this is the whole file of a head.
pub fn is_head(path: &Path) -> bool {
    matches!(read(path), Ok(Some(_)))
}

/// Reads such a file; `None` when it is something else.
///
/// # Errors
/// When it says it is one, and is not.
pub fn read(path: &Path) -> Result<Option<ValueHead>> {
    let named = path.extension().is_some_and(|extension| extension == "safetensors");
    if !named || !path.is_file() {
        return Ok(None);
    }
    let file = MappedFile::open(path)?;
    let (entries, metadata) = read_header_and_metadata(file.bytes(), path)?;
    let record = metadata.get(KEY).and_then(|text| serde_json::from_str::<Record>(text).ok());
    let Some(record) = record.filter(|record| record.format == FORMAT) else { return Ok(None) };
    let values = |name: &str| -> Result<(Vec<usize>, Vec<f32>)> {
        let what = || Problem::new(format!("{name} is missing or no float tensor")).at(path);
        let entry = entries.get(name).with_context(what)?;
        let stored = entry.stored.with_context(what)?;
        let bytes = &file.bytes()[entry.offset..entry.offset + entry.byte_length];
        Ok((entry.shape.clone(), widen(stored, bytes)?))
    };
    let ((shape, weight), (_, bias)) = (values(SCORE_HEAD)?, values(BIAS)?);
    let (&[1, width], &[bias]) = (&shape[..], &bias[..]) else {
        return Err(Problem::new(format!("{SCORE_HEAD} has the shape {shape:?}")).at(path).into());
    };
    if width == 0 || weight.iter().chain([&bias]).any(|value| !value.is_finite()) {
        let what = format!("{SCORE_HEAD} holds what is no number");
        return Err(Problem::new(what).at(path).hint("train the scorer again").into());
    }
    let (mut facts, pooling) = (record.facts, record.pooling);
    if facts.trunk_path.is_relative() {
        let beside = path.parent().unwrap_or(Path::new("")).join(&facts.trunk_path);
        facts.trunk_path = beside.canonicalize().unwrap_or(beside);
    }
    Ok(Some(ValueHead { weight, width, bias, pooling, trunk: Some(facts) }))
}
