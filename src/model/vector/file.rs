//! A vector's file: one safetensors file with the facts in its metadata.
//!
//! Tensors are `<parameter>.down` and `.up` (factors), `.delta` (every value) or `.replacement`
//! (the parameter as training left it), in f32, f16 or bf16. The metadata holds `format`
//! (`tiller vector 1`) and `facts`, a JSON object.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::values::{narrow, widen};
use super::{About, Facts, Part, Vector};
use crate::model::checkpoint::{HeaderEntry, MappedFile, read_header_and_metadata};
use crate::model::weights::StoredType;
use crate::platform::{Problem, atomic};

const FORMAT: &str = "tiller vector 1";

/// The type the numbers are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    #[default]
    F32,
    F16,
}

impl Precision {
    fn stored(self) -> StoredType {
        match self {
            Self::F32 => StoredType::F32,
            Self::F16 => StoredType::F16,
        }
    }
}

/// The metadata's JSON: the facts, and what [`Vector`] holds besides its numbers.
#[derive(Serialize, Deserialize)]
struct Record {
    name: String,
    #[serde(default)]
    base_fingerprint: Option<String>,
    #[serde(default)]
    base_name: String,
    /// Scales of factors where they are not 1.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    scales: BTreeMap<String, f32>,
    #[serde(flatten)]
    facts: Facts,
}

/// One tensor to be written.
struct Piece<'a> {
    name: String,
    shape: Vec<usize>,
    values: &'a [f32],
}

/// Writes a vector, at once whole or not at all.
///
/// # Errors
/// When a part's sizes do not go together, a value is not finite (also after rounding to f16), or
/// the file cannot be written.
pub fn write(path: &Path, vector: &Vector, facts: &Facts, precision: Precision) -> Result<()> {
    let mut scales = BTreeMap::new();
    let mut pieces = Vec::new();
    for (name, part) in &vector.parts {
        part.check(name).map_err(|error| Problem::new(error.to_string()).at(path))?;
        let mut piece = |end: &str, shape: &[usize], values| {
            pieces.push(Piece { name: format!("{name}.{end}"), shape: shape.to_vec(), values });
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
            piece.values.iter().any(|value| half::f16::from_f32(*value).is_infinite())
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
            narrow(piece.values, stored, &mut bytes).map_err(io::Error::other)?;
            out.write_all(&bytes)?;
        }
        Ok(())
    })?;
    Ok(())
}

fn header(record: &Record, pieces: &[Piece<'_>], stored: StoredType) -> Result<Map<String, Value>> {
    let mut header = Map::new();
    header.insert("__metadata__".into(), metadata(record)?);
    let dtype = if stored == StoredType::F16 { "F16" } else { "F32" };
    let mut at = 0;
    for piece in pieces {
        let end = at + piece.values.len() * stored.block_bytes();
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

fn read_record(file: &MappedFile, path: &Path) -> Result<(BTreeMap<String, HeaderEntry>, Record)> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn vector() -> Vector {
        let factors = Part::LowRank {
            down: vec![1.0, 2.0, 3.0],
            up: vec![0.5, -0.25],
            rank: 1,
            inputs: 3,
            outputs: 2,
            scale: 2.0,
        };
        let gains = Part::Full { shape: vec![2], values: vec![0.125, -1.0] };
        let bias = Part::Replacement { shape: vec![2], values: vec![4.0, 0.0] };
        Vector {
            name: "medical".into(),
            base_fingerprint: Some("ab".into()),
            base_name: "starter".into(),
            parts: [
                ("model.layers.0.self_attn.q_proj.weight", factors),
                ("model.norm.weight", gains),
                ("model.layers.0.self_attn.q_proj.bias", bias),
            ]
            .map(|(name, part)| (name.to_owned(), part))
            .into(),
        }
    }

    #[test]
    fn comes_back_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("medical.safetensors");
        let facts = Facts {
            domain: "medical".into(),
            kept_energy: [("x".to_owned(), 0.99)].into(),
            calibration: Some(super::super::Calibration {
                safe_range: Some([-1.0, 1.25]),
                leak: [("legal".to_owned(), 0.1)].into(),
                ..Default::default()
            }),
            ..Facts::default()
        };
        for precision in [Precision::F32, Precision::F16] {
            write(&path, &vector(), &facts, precision).unwrap();
            assert_eq!(read(&path).unwrap(), (vector(), facts.clone()));
            assert_eq!(read_facts(&path).unwrap(), facts);
        }
        let other = Facts { how_made: "by hand".into(), ..Facts::default() };
        replace_facts(&path, other.clone()).unwrap();
        assert_eq!(read(&path).unwrap(), (vector(), other));
        // Any reader of the format can read it.
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(safetensors::SafeTensors::deserialize(&bytes).unwrap().len(), 4);
    }

    /// Writes a file of the given tensors, all zeros, under our format.
    fn written(path: &Path, tensors: &[(&str, &[usize])]) {
        let data: Vec<u8> = vec![0; 1024];
        let views: Vec<_> = tensors
            .iter()
            .map(|(name, shape)| {
                let bytes = &data[..4 * shape.iter().product::<usize>()];
                let dtype = safetensors::Dtype::F32;
                let view = safetensors::tensor::TensorView::new(dtype, shape.to_vec(), bytes);
                (*name, view.unwrap())
            })
            .collect();
        let metadata = [("format", FORMAT), ("facts", r#"{"name": "x", "kind": "lora"}"#)]
            .map(|(key, value)| (key.to_owned(), value.to_owned()));
        let bytes = safetensors::serialize(views, Some(metadata.into())).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    #[test]
    fn what_is_no_whole_vector_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bad.safetensors");
        type Tensors<'a> = &'a [(&'a str, &'a [usize])];
        let cases: [(Tensors<'_>, &str); 5] = [
            (&[("a.weight.down", &[2, 3])], "a.weight.up"),
            (&[("a.weight.up", &[2, 3])], "a.weight.down"),
            (&[("a.weight.down", &[2, 3]), ("a.weight.up", &[3, 1])], "do not multiply"),
            (&[("a.weight", &[2])], "`a.weight` is no tensor"),
            (&[("a.delta", &[2]), ("a.replacement", &[2])], "two forms"),
        ];
        for (tensors, said) in cases {
            written(&path, tensors);
            let line = read(&path).unwrap_err().to_string();
            assert!(line.contains(said) && line.contains("bad.safetensors"), "{line}");
        }
        written(&path, &[]);
        assert_eq!(read(&path).unwrap().0.parts.len(), 0);
    }

    #[test]
    fn values_that_no_file_should_hold_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        let mut bad = vector();
        bad.parts.insert("n".into(), Part::Full { shape: vec![1], values: vec![1e9] });
        let error = write(&path, &bad, &Facts::default(), Precision::F16).unwrap_err();
        assert!(error.to_string().contains("`n.delta`"), "{error}");
        write(&path, &bad, &Facts::default(), Precision::F32).unwrap();
        // One bit pattern in the file turned into an infinity.
        let mut bytes = std::fs::read(&path).unwrap();
        let at = bytes.windows(4).rposition(|four| four == 1e9_f32.to_le_bytes()).unwrap();
        bytes[at..at + 4].copy_from_slice(&f32::INFINITY.to_le_bytes());
        std::fs::write(&path, &bytes).unwrap();
        let line = read(&path).unwrap_err().to_string();
        assert!(line.contains("`n`") && line.contains("not finite"), "{line}");
        bad.parts.insert("n".into(), Part::Full { shape: vec![1], values: vec![f32::NAN] });
        assert!(write(&path, &bad, &Facts::default(), Precision::F32).is_err());
    }
}
