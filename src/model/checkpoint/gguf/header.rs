//! The header of a GGUF file, checked against the file before anything is believed.
//!
//! Layout: magic, version, counts, metadata, tensor descriptions, padding, data. Every count and
//! length is compared with what is left of the file before it is used; lists of the metadata
//! (a tokenizer's vocabulary) are only measured here and read when asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

use anyhow::Result;
use candle_core::quantized::GgmlDType;

use super::cursor::{Cursor, Refusal};
use crate::model::checkpoint::tensors::byte_length;
use crate::model::weights::StoredType;
use crate::platform::Problem;

/// The first four bytes of every GGUF file.
pub const MAGIC: &[u8; 4] = b"GGUF";
/// Dimensions a tensor may have.
const MOST_DIMENSIONS: u32 = 4;
/// Lists within lists.
const DEEPEST_LIST: usize = 4;

/// One value of the metadata.
#[derive(Debug, Clone, PartialEq)]
pub enum MetaValue {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
    Text(String),
    List(MetaList),
}

/// A list left where it lies: `count` values of one kind at `place` in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaList {
    pub kind: u32,
    pub count: usize,
    pub place: Range<usize>,
}

/// Kinds of values, by their number in the file.
pub mod kind {
    pub const U8: u32 = 0;
    pub const I8: u32 = 1;
    pub const U16: u32 = 2;
    pub const I16: u32 = 3;
    pub const U32: u32 = 4;
    pub const I32: u32 = 5;
    pub const F32: u32 = 6;
    pub const BOOL: u32 = 7;
    pub const TEXT: u32 = 8;
    pub const LIST: u32 = 9;
    pub const U64: u32 = 10;
    pub const I64: u32 = 11;
    pub const F64: u32 = 12;
}

/// One tensor as described, already checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorEntry {
    pub name: String,
    /// Rows first: the reverse of the order in the file.
    pub shape: Vec<usize>,
    pub dtype: StoredType,
    /// Absolute place in the file.
    pub offset: usize,
    pub byte_length: usize,
}

/// A whole header.
#[derive(Debug)]
pub struct Header {
    pub version: u32,
    pub metadata: BTreeMap<String, MetaValue>,
    pub tensors: Vec<TensorEntry>,
}

/// Reads and checks the header of a whole file's bytes.
pub fn read_header(file: &[u8], path: &Path) -> Result<Header> {
    read(file).map_err(|refusal| {
        let problem = Problem::new(refusal.what).at(path);
        match refusal.hint {
            Some(hint) => problem.hint(hint).into(),
            None => problem.into(),
        }
    })
}

fn read(file: &[u8]) -> Result<Header, Refusal> {
    let mut cursor = Cursor::new(file);
    if cursor.take(4, "the magic")? != MAGIC {
        return Err(Refusal::new("not a GGUF file: it does not begin with `GGUF`"));
    }
    let version = cursor.u32("`version`")?;
    match version {
        2 | 3 => {}
        1 => return Err(Refusal::new("GGUF version 1 is not supported").hint("convert it again")),
        swapped if matches!(swapped.swap_bytes(), 2 | 3) => {
            return Err(Refusal::new("the GGUF file is big-endian, which is not supported"));
        }
        other => {
            return Err(Refusal::new(format!("`version` {other} is unknown; 2 and 3 are known")));
        }
    }
    // The shortest tensor description takes 24 bytes, the shortest pair 13.
    let tensor_count = cursor.count("`tensor_count`", 24)?;
    let pair_count = cursor.count("`metadata_kv_count`", 13)?;
    let mut metadata = BTreeMap::new();
    for index in 0..pair_count {
        let key = cursor.text(&format!("the key of metadata pair {index}"))?.into_owned();
        let kind = cursor.u32(&key)?;
        let value = read_value(&mut cursor, kind, &key)?;
        if metadata.insert(key.clone(), value).is_some() {
            return Err(Refusal::new(format!("metadata key `{key}` is there twice")));
        }
    }
    let alignment = read_alignment(&metadata)?;
    let mut described = Vec::new();
    for index in 0..tensor_count {
        described.push(read_tensor(&mut cursor, index)?);
    }
    let data_start = cursor
        .position()
        .checked_next_multiple_of(alignment)
        .filter(|start| *start <= file.len() || described.is_empty())
        .ok_or_else(|| Refusal::truncated("the padding before the tensors' data"))?;
    let tensors = described
        .into_iter()
        .map(|tensor| tensor.place(data_start, alignment, file.len()))
        .collect::<Result<Vec<_>, _>>()?;
    check_apart(&tensors)?;
    Ok(Header { version, metadata, tensors })
}

fn read_alignment(metadata: &BTreeMap<String, MetaValue>) -> Result<usize, Refusal> {
    match metadata.get("general.alignment") {
        None => Ok(32),
        Some(MetaValue::Unsigned(alignment))
            if alignment.is_power_of_two() && *alignment <= 1 << 20 =>
        {
            Ok(*alignment as usize)
        }
        Some(other) => {
            Err(Refusal::new(format!("`general.alignment` is {other:?}, which is no alignment")))
        }
    }
}

fn read_value(cursor: &mut Cursor<'_>, kind: u32, key: &str) -> Result<MetaValue, Refusal> {
    let field = &format!("metadata key `{key}`");
    Ok(match kind {
        kind::U8 => MetaValue::Unsigned(cursor.array::<1>(field)?[0].into()),
        kind::I8 => MetaValue::Signed((cursor.array::<1>(field)?[0] as i8).into()),
        kind::U16 => MetaValue::Unsigned(u16::from_le_bytes(cursor.array(field)?).into()),
        kind::I16 => MetaValue::Signed(i16::from_le_bytes(cursor.array(field)?).into()),
        kind::U32 => MetaValue::Unsigned(cursor.u32(field)?.into()),
        kind::I32 => MetaValue::Signed(i32::from_le_bytes(cursor.array(field)?).into()),
        kind::U64 => MetaValue::Unsigned(cursor.u64(field)?),
        kind::I64 => MetaValue::Signed(i64::from_le_bytes(cursor.array(field)?)),
        kind::F32 => MetaValue::Float(f32::from_le_bytes(cursor.array(field)?).into()),
        kind::F64 => MetaValue::Float(f64::from_le_bytes(cursor.array(field)?)),
        kind::BOOL => MetaValue::Bool(cursor.array::<1>(field)?[0] != 0),
        kind::TEXT => MetaValue::Text(cursor.text(field)?.into_owned()),
        kind::LIST => MetaValue::List(measure_list(cursor, field, 0)?),
        other => return Err(Refusal::new(format!("{field} is of unknown kind {other}"))),
    })
}

/// Bytes of one value of a kind of fixed size.
pub fn fixed_size(kind: u32) -> Option<usize> {
    Some(match kind {
        kind::U8 | kind::I8 | kind::BOOL => 1,
        kind::U16 | kind::I16 => 2,
        kind::U32 | kind::I32 | kind::F32 => 4,
        kind::U64 | kind::I64 | kind::F64 => 8,
        _ => return None,
    })
}

/// Steps over a list, checking every length in it, and remembers where it lies.
fn measure_list(cursor: &mut Cursor<'_>, field: &str, depth: usize) -> Result<MetaList, Refusal> {
    let kind = cursor.u32(field)?;
    let size = match kind {
        kind::TEXT => 8,
        kind::LIST if depth < DEEPEST_LIST => 12,
        kind::LIST => return Err(Refusal::new(format!("{field}: lists are nested too deeply"))),
        other => fixed_size(other)
            .ok_or_else(|| Refusal::new(format!("{field}: a list of unknown kind {other}")))?,
    };
    let count = cursor.count(field, size)?;
    let start = cursor.position();
    match kind {
        kind::TEXT => {
            for _ in 0..count {
                cursor.text_bytes(field)?;
            }
        }
        kind::LIST => {
            for _ in 0..count {
                measure_list(cursor, field, depth + 1)?;
            }
        }
        // No overflow: the count was checked against the bytes that are left.
        _ => {
            cursor.take(count * size, field)?;
        }
    }
    Ok(MetaList { kind, count, place: start..cursor.position() })
}

struct Described {
    name: String,
    shape: Vec<usize>,
    type_number: u32,
    offset: u64,
}

fn read_tensor(cursor: &mut Cursor<'_>, index: usize) -> Result<Described, Refusal> {
    let name = cursor.text(&format!("the name of tensor {index}"))?.into_owned();
    let field = format!("tensor `{name}`");
    let dimensions = cursor.u32(&field)?;
    if dimensions > MOST_DIMENSIONS {
        return Err(Refusal::new(format!("{field}: {dimensions} dimensions; at most 4 are known")));
    }
    let mut shape = Vec::new();
    for _ in 0..dimensions {
        let size = cursor.u64(&field)?;
        shape.push(usize::try_from(size).map_err(|_| {
            Refusal::new(format!("{field}: a dimension of {size} is more than any memory holds"))
        })?);
    }
    shape.reverse();
    let type_number = cursor.u32(&field)?;
    let offset = cursor.u64(&field)?;
    Ok(Described { name, shape, type_number, offset })
}

impl Described {
    fn place(
        self,
        data_start: usize,
        alignment: usize,
        file_length: usize,
    ) -> Result<TensorEntry, Refusal> {
        let Self { name, shape, type_number, offset } = self;
        let dtype = stored_type(type_number).ok_or_else(|| {
            Refusal::new(format!(
                "tensor `{name}` is stored as {}, which Tiller cannot multiply",
                foreign_type_name(type_number)
            ))
            .hint("use another quantisation of this model, such as Q4_K_M or Q8_0")
        })?;
        let byte_length = byte_length(dtype, &shape).ok_or_else(|| {
            Refusal::new(format!(
                "tensor `{name}`: shape {shape:?} is no whole number of {dtype} blocks, or more \
                 than any memory holds"
            ))
        })?;
        let offset = usize::try_from(offset)
            .ok()
            .filter(|offset| offset.is_multiple_of(alignment))
            .ok_or_else(|| {
                Refusal::new(format!(
                    "tensor `{name}`: offset {offset} is not aligned to {alignment}"
                ))
            })?;
        let end = data_start.checked_add(offset).and_then(|start| start.checked_add(byte_length));
        if end.is_none_or(|end| end > file_length) {
            return Err(Refusal::truncated(&format!(
                "tensor `{name}`: {byte_length} bytes at offset {offset}"
            )));
        }
        Ok(TensorEntry { name, shape, dtype, offset: data_start + offset, byte_length })
    }
}

fn check_apart(tensors: &[TensorEntry]) -> Result<(), Refusal> {
    let mut names = BTreeSet::new();
    for tensor in tensors {
        if !names.insert(&tensor.name) {
            return Err(Refusal::new(format!("tensor `{}` is there twice", tensor.name)));
        }
    }
    let mut by_place: Vec<&TensorEntry> = tensors.iter().collect();
    by_place.sort_by_key(|tensor| (tensor.offset, tensor.byte_length));
    for pair in by_place.windows(2) {
        if pair[0].offset + pair[0].byte_length > pair[1].offset {
            return Err(Refusal::new(format!(
                "tensor `{}`: its offset lies within tensor `{}`",
                pair[1].name, pair[0].name
            )));
        }
    }
    Ok(())
}

fn stored_type(number: u32) -> Option<StoredType> {
    use GgmlDType::*;
    Some(StoredType::from_ggml(match number {
        0 => F32,
        1 => F16,
        2 => Q4_0,
        3 => Q4_1,
        6 => Q5_0,
        7 => Q5_1,
        8 => Q8_0,
        9 => Q8_1,
        10 => Q2K,
        11 => Q3K,
        12 => Q4K,
        13 => Q5K,
        14 => Q6K,
        15 => Q8K,
        30 => BF16,
        _ => return None,
    }))
}

fn foreign_type_name(number: u32) -> String {
    let name = match number {
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        20 => "IQ4_NL",
        21 => "IQ3_S",
        22 => "IQ2_S",
        23 => "IQ4_XS",
        24 => "I8",
        25 => "I16",
        26 => "I32",
        27 => "I64",
        28 => "F64",
        29 => "IQ1_M",
        34 => "TQ1_0",
        35 => "TQ2_0",
        39 => "MXFP4",
        other => return format!("type {other}"),
    };
    name.to_string()
}
