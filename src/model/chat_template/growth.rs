//! How much text one rendering may make, counted wherever text grows.

use std::cell::Cell;
use std::io::{self, Write};

use minijinja::value::{Value, ValueKind};
use minijinja::{Error, ErrorKind};

/// Bytes one rendering may make in all, captured parts included.
const LARGEST_BYTES: u64 = 64 << 20;

/// What the error says when a template makes more.
pub const TOO_LONG: &str = "it makes more text than any prompt holds";

thread_local! {
    static LEFT: Cell<u64> = const { Cell::new(0) };
}

/// Takes bytes from what this rendering has left.
pub fn spend(bytes: usize) -> Result<(), Error> {
    let left = LEFT.get().checked_sub(bytes as u64);
    LEFT.set(left.unwrap_or(0));
    match left {
        Some(_) => Ok(()),
        None => Err(Error::new(ErrorKind::InvalidOperation, TOO_LONG)),
    }
}

/// Counts a value a filter or method made: a text by its bytes, a list by its items.
pub fn counted(value: Value) -> Result<Value, Error> {
    let size = match value.kind() {
        ValueKind::String => value.as_str().map_or(0, str::len),
        ValueKind::Seq => value.len().unwrap_or(0).saturating_mul(size_of::<Value>()),
        _ => 0,
    };
    spend(size)?;
    Ok(value)
}

/// Whether the limit was what ended a rendering.
pub fn is_limit(error: &Error) -> bool {
    error.detail() == Some(TOO_LONG)
}

/// Runs one rendering into a text, with a fresh allowance.
pub fn limited(
    render: impl FnOnce(&mut LimitedText) -> Result<(), Error>,
) -> Result<String, Error> {
    LEFT.set(LARGEST_BYTES);
    let mut out = LimitedText { bytes: Vec::new() };
    render(&mut out)?;
    String::from_utf8(out.bytes)
        .map_err(|_| Error::new(ErrorKind::BadSerialization, "the prompt is not UTF-8"))
}

/// What a template writes into.
pub struct LimitedText {
    bytes: Vec<u8>,
}

impl Write for LimitedText {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        spend(bytes.len()).map_err(|_| io::Error::other(TOO_LONG))?;
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
