//! The header of a safetensors file, checked against the file before anything is believed.
//!
//! Layout: 8 bytes of header length, that many bytes of JSON, then the data. The JSON maps each
//! name to `dtype`, `shape` and `data_offsets` (relative to the data). The data must be covered
//! exactly once, without holes or overlaps, as the format demands.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::tensors::element_count;
use crate::model::weights::StoredType;
use crate::platform::Problem;

/// The format's own limit on the header.
const LARGEST_HEADER: u64 = 100_000_000;

/// What the header says of one tensor, already checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderEntry {
    pub shape: Vec<usize>,
    /// The type's name in the file; `stored` is `None` when Tiller has no use for that type.
    pub dtype: String,
    pub stored: Option<StoredType>,
    /// Absolute place in the file.
    pub offset: usize,
    pub byte_length: usize,
}

/// Reads and checks the header of a whole file's bytes.
pub fn read_header(file: &[u8], path: &Path) -> Result<BTreeMap<String, HeaderEntry>> {
    Ok(read_header_and_metadata(file, path)?.0)
}

/// [`read_header`], and the texts its writer put into `__metadata__`.
pub fn read_header_and_metadata(
    file: &[u8],
    path: &Path,
) -> Result<(BTreeMap<String, HeaderEntry>, BTreeMap<String, String>)> {
    let refuse = |what: String| Problem::new(what).at(path);
    let Some((length_bytes, _)) = file.split_first_chunk::<8>() else {
        return Err(refuse(format!(
            "not a safetensors file: {} bytes, shorter than its header length",
            file.len()
        ))
        .hint("download it again")
        .into());
    };
    let header_length = u64::from_le_bytes(*length_bytes);
    let room = (file.len() - 8) as u64;
    if header_length > LARGEST_HEADER || header_length > room {
        return Err(refuse(format!(
            "the header length says {header_length} bytes, the file has {room} after it"
        ))
        .hint("the file is truncated or no safetensors file; download it again")
        .into());
    }
    let data_start = 8 + header_length as usize;
    let header: Value = serde_json::from_slice(&file[8..data_start])
        .map_err(|error| refuse(format!("the safetensors header is not JSON: {error}")))?;
    let Value::Object(header) = header else {
        return Err(refuse("the safetensors header is not a JSON object".into()).into());
    };
    let data_length = file.len() - data_start;
    let mut entries = BTreeMap::new();
    let mut metadata = BTreeMap::new();
    for (name, value) in &header {
        if name == "__metadata__" {
            let texts = value.as_object().into_iter().flatten();
            metadata = texts
                .filter_map(|(key, text)| Some((key.clone(), text.as_str()?.to_owned())))
                .collect();
            continue;
        }
        let entry = read_entry(value, data_start, data_length)
            .map_err(|what| refuse(format!("tensor `{name}`: {what}")))?;
        entries.insert(name.clone(), entry);
    }
    check_coverage(&entries, data_start, file.len()).map_err(refuse)?;
    Ok((entries, metadata))
}

fn read_entry(
    value: &Value,
    data_start: usize,
    data_length: usize,
) -> std::result::Result<HeaderEntry, String> {
    let dtype = value["dtype"].as_str().ok_or("`dtype` is not a string")?.to_string();
    let shape = value["shape"]
        .as_array()
        .ok_or("`shape` is not a list")?
        .iter()
        .map(|dimension| {
            dimension
                .as_u64()
                .and_then(|dimension| usize::try_from(dimension).ok())
                .ok_or_else(|| format!("`shape` holds {dimension}, which is no size"))
        })
        .collect::<std::result::Result<Vec<usize>, String>>()?;
    let offsets = value["data_offsets"]
        .as_array()
        .filter(|offsets| offsets.len() == 2)
        .ok_or("`data_offsets` is not a pair")?;
    let offset_at = |index: usize| {
        offsets[index]
            .as_u64()
            .and_then(|offset| usize::try_from(offset).ok())
            .ok_or_else(|| format!("`data_offsets` holds {}, which is no offset", offsets[index]))
    };
    let (begin, end) = (offset_at(0)?, offset_at(1)?);
    if begin > end || end > data_length {
        return Err(format!(
            "`data_offsets` {begin}..{end} lie outside the file's {data_length} bytes of data"
        ));
    }
    let bits = element_bits(&dtype).ok_or_else(|| format!("unknown `dtype` {dtype}"))?;
    let expected = element_count(&shape)
        .and_then(|elements| elements.checked_mul(bits))
        .filter(|bits| bits.is_multiple_of(8))
        .map(|bits| bits / 8)
        .ok_or_else(|| format!("`shape` {shape:?} of {dtype} is more than any memory holds"))?;
    if expected != end - begin {
        return Err(format!(
            "`shape` {shape:?} of {dtype} takes {expected} bytes, `data_offsets` give {}",
            end - begin
        ));
    }
    let stored = match dtype.as_str() {
        "F32" => Some(StoredType::F32),
        "F16" => Some(StoredType::F16),
        "BF16" => Some(StoredType::BF16),
        _ => None,
    };
    Ok(HeaderEntry { shape, dtype, stored, offset: data_start + begin, byte_length: expected })
}

/// Bits of one element of every type the format knows.
fn element_bits(dtype: &str) -> Option<usize> {
    Some(match dtype {
        "F4" => 4,
        "F6_E2M3" | "F6_E3M2" => 6,
        "BOOL" | "U8" | "I8" | "F8_E5M2" | "F8_E4M3" | "F8_E8M0" | "F8_E4M3FNUZ"
        | "F8_E5M2FNUZ" => 8,
        "I16" | "U16" | "F16" | "BF16" => 16,
        "I32" | "U32" | "F32" => 32,
        "I64" | "U64" | "F64" | "C64" => 64,
        _ => return None,
    })
}

fn check_coverage(
    entries: &BTreeMap<String, HeaderEntry>,
    data_start: usize,
    file_length: usize,
) -> std::result::Result<(), String> {
    let mut by_place: Vec<_> = entries.iter().collect();
    by_place.sort_by_key(|(_, entry)| (entry.offset, entry.byte_length));
    let mut covered = data_start;
    for (name, entry) in by_place {
        if entry.offset < covered {
            return Err(format!("tensor `{name}`: `data_offsets` overlap another tensor"));
        }
        if entry.offset > covered {
            return Err(format!("tensor `{name}`: `data_offsets` leave a hole before it"));
        }
        covered = entry.offset + entry.byte_length;
    }
    if covered != file_length {
        return Err(format!(
            "the header describes {} bytes of data, the file has {}",
            covered - data_start,
            file_length - data_start
        ));
    }
    Ok(())
}
