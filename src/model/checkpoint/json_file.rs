//! Small JSON files beside the weights: read whole, bounded, with the file named in every error.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;

use crate::platform::Problem;

/// No configuration, index or template comes near this; a tokenizer may.
const LARGEST_BYTES: u64 = 512 << 20;

/// Reads a file whole. `None` when it does not exist.
pub fn read_optional(path: &Path) -> Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(error).with_context(|| Problem::new("the file cannot be opened").at(path));
        }
    };
    let mut bytes = Vec::new();
    file.take(LARGEST_BYTES + 1)
        .read_to_end(&mut bytes)
        .with_context(|| Problem::new("the file cannot be read").at(path))?;
    if bytes.len() as u64 > LARGEST_BYTES {
        return Err(Problem::new("the file is larger than any of its kind").at(path).into());
    }
    Ok(Some(bytes))
}

/// Reads a JSON file. `None` when it does not exist; an error naming file and place when it is
/// not what it should be.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let Some(bytes) = read_optional(path)? else { return Ok(None) };
    parse_json(&bytes, path).map(Some)
}

/// Parses the bytes of a JSON file.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8], path: &Path) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| {
        Problem::new(format!("not the JSON it should be: {error}")).at(path).into()
    })
}
