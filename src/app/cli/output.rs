//! Standard output that may close at any time.

use std::io::{self, Write};

use anyhow::Result;

/// Writes and flushes; a closed pipe is an error that ends the verb with success.
pub fn put(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// `put` with a line end.
pub fn put_line(text: &str) -> Result<()> {
    put(&format!("{text}\n"))
}

/// One JSON object on a line, out of names and values that are JSON already: going through
/// `serde_json::Value` would widen every f32 and print it with sixteen digits.
pub fn put_object(parts: &[(&str, String)]) -> Result<()> {
    let parts: Vec<String> =
        parts.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    put_line(&format!("{{{}}}", parts.join(",")))
}

/// True when whoever read standard output has closed it.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
    })
}
