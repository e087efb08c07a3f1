//! What a GGUF file says of itself, by key.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;

use super::cursor::Cursor;
use super::header::{MetaList, MetaValue, fixed_size, kind};
use crate::model::checkpoint::mapping::MappedFile;
use crate::platform::Problem;

/// The metadata of one file. Numbers are given whatever width they were written in.
#[derive(Debug)]
pub struct Metadata {
    pub(super) values: BTreeMap<String, MetaValue>,
    pub(super) file: Arc<MappedFile>,
}

impl Metadata {
    /// The file this was read from.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// A text.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.values.get(key)? {
            MetaValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A whole number that is not negative.
    pub fn unsigned(&self, key: &str) -> Option<u64> {
        match self.values.get(key)? {
            MetaValue::Unsigned(number) => Some(*number),
            MetaValue::Signed(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    /// An id of the vocabulary.
    pub fn id(&self, key: &str) -> Option<u32> {
        self.unsigned(key).and_then(|id| u32::try_from(id).ok())
    }

    /// Any number.
    pub fn number(&self, key: &str) -> Option<f64> {
        match self.values.get(key)? {
            MetaValue::Unsigned(number) => Some(*number as f64),
            MetaValue::Signed(number) => Some(*number as f64),
            MetaValue::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// A flag.
    pub fn flag(&self, key: &str) -> Option<bool> {
        match self.values.get(key)? {
            MetaValue::Bool(flag) => Some(*flag),
            _ => None,
        }
    }

    fn list(&self, key: &str) -> Option<&MetaList> {
        match self.values.get(key)? {
            MetaValue::List(list) => Some(list),
            _ => None,
        }
    }

    /// The bytes of a list as they lie in the file.
    pub fn list_bytes(&self, key: &str) -> Option<&[u8]> {
        self.list(key).map(|list| &self.file.bytes()[list.place.clone()])
    }

    /// A list of texts; what is not UTF-8 becomes `�`.
    pub fn texts(&self, key: &str) -> Option<impl Iterator<Item = Cow<'_, str>>> {
        let list = self.list(key).filter(|list| list.kind == kind::TEXT)?;
        let mut cursor = Cursor::new(&self.file.bytes()[list.place.clone()]);
        // Every length was checked when the header was read.
        Some((0..list.count).map_while(move |_| cursor.text("a list item").ok()))
    }

    /// A list of numbers of any width.
    pub fn numbers(&self, key: &str) -> Option<Vec<f64>> {
        let list = self.list(key)?;
        let size = fixed_size(list.kind)?;
        let bytes = &self.file.bytes()[list.place.clone()];
        let unsigned = |bytes: &[u8]| {
            bytes.iter().rev().fold(0u64, |number, byte| number << 8 | u64::from(*byte))
        };
        let read = |bytes: &[u8]| {
            let number = unsigned(bytes);
            match list.kind {
                kind::F32 => f64::from(f32::from_bits(number as u32)),
                kind::F64 => f64::from_bits(number),
                kind::I8 => f64::from(number as i8),
                kind::I16 => f64::from(number as i16),
                kind::I32 => f64::from(number as i32),
                kind::I64 => number as i64 as f64,
                _ => number as f64,
            }
        };
        Some(bytes.chunks_exact(size).map(read).collect())
    }

    /// An error about one key of this file.
    pub fn refuse(&self, key: &str, why: &str) -> anyhow::Error {
        Problem::new(format!("metadata key `{key}`: {why}")).at(&self.file.path).into()
    }

    /// A size a model cannot do without.
    pub fn need(&self, key: &str) -> Result<u64> {
        self.unsigned(key).ok_or_else(|| {
            let there = self.values.contains_key(key);
            self.refuse(key, if there { "it is not a whole number" } else { "it is missing" })
        })
    }
}
