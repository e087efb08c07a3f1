//! How much text one rendering may make, counted wherever text grows.

use std::cell::Cell;
use std::io::{self, Write};

use minijinja::value::{Value, ValueKind};
use minijinja::{Error, ErrorKind};

/// Bytes one rendering may make in all, captured parts and intermediate texts included.
const LEAST_BYTES: u64 = 32 << 20;

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

/// What a value takes: a text its bytes, a list its items. Texts within are shared, not copied.
pub fn size(value: &Value) -> usize {
    match value.kind() {
        ValueKind::String => value.as_str().map_or(0, str::len),
        ValueKind::Seq => value.len().unwrap_or(0).saturating_mul(size_of::<Value>()),
        _ => 0,
    }
}

/// Counts a value on its way through an expression.
pub fn counted(value: Value) -> Result<Value, Error> {
    spend(size(&value))?;
    Ok(value)
}

/// Whether the limit was what ended a rendering.
pub fn is_limit(error: &Error) -> bool {
    error.detail() == Some(TOO_LONG)
}

/// What a conversation of so many messages and bytes may honestly make: a template that builds
/// its prompt piece by piece copies all of it once per message.
pub fn allowance(messages: usize, bytes: usize) -> u64 {
    LEAST_BYTES.saturating_add((messages as u64).saturating_mul(bytes as u64).saturating_mul(4))
}

/// Runs one rendering into a text, with a fresh allowance of bytes.
pub fn limited(
    allowance: u64,
    render: impl FnOnce(&mut LimitedText) -> Result<(), Error>,
) -> Result<String, Error> {
    LEFT.set(allowance);
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
