//! Reads little-endian values one after another and never past the end.

use std::borrow::Cow;

/// Why a header is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub what: String,
    pub hint: Option<&'static str>,
}

impl Refusal {
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), hint: None }
    }

    pub fn hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }

    /// The file ends before what it promises.
    pub fn truncated(field: &str) -> Self {
        Self::new(format!("{field} lies beyond the file's end"))
            .hint("the file is truncated or corrupt; download it again")
    }
}

/// A place in a file's bytes.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    pub fn position(&self) -> usize {
        self.position
    }

    /// The next `length` bytes of `field`.
    pub fn take(&mut self, length: usize, field: &str) -> Result<&'a [u8], Refusal> {
        let rest = &self.bytes[self.position..];
        let taken = rest.get(..length).ok_or_else(|| Refusal::truncated(field))?;
        self.position += length;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self, field: &str) -> Result<[u8; N], Refusal> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, field)?);
        Ok(array)
    }

    pub fn u32(&mut self, field: &str) -> Result<u32, Refusal> {
        self.array(field).map(u32::from_le_bytes)
    }

    pub fn u64(&mut self, field: &str) -> Result<u64, Refusal> {
        self.array(field).map(u64::from_le_bytes)
    }

    /// A number of things of at least `size` bytes each, which must fit in what is left.
    pub fn count(&mut self, field: &str, size: usize) -> Result<usize, Refusal> {
        let count = self.u64(field)?;
        let room = (self.bytes.len() - self.position) / size;
        match usize::try_from(count) {
            Ok(count) if count <= room => Ok(count),
            _ => Err(Refusal::new(format!("{field} says {count}, the file has room for {room}"))
                .hint("the file is truncated or corrupt; download it again")),
        }
    }

    /// A length and that many bytes.
    pub fn text_bytes(&mut self, field: &str) -> Result<&'a [u8], Refusal> {
        let length = self.count(field, 1)?;
        self.take(length, field)
    }

    /// A text; what is not UTF-8 in it becomes `�`.
    pub fn text(&mut self, field: &str) -> Result<Cow<'a, str>, Refusal> {
        self.text_bytes(field).map(String::from_utf8_lossy)
    }
}
