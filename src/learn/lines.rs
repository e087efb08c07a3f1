//! Reading training data line by line, one JSON object to a line.
//!
//! A bad line does not end the reading: it is kept with its number and reason, and only when too
//! many are bad are the files refused.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::platform::Problem;

/// More bad lines than this share of all, and the files are refused.
const MOST_MALFORMED: f64 = 0.2;

/// A line that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    pub file: PathBuf,
    /// Counted from 1.
    pub line: usize,
    pub reason: String,
}

/// What the files hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines<T> {
    pub items: Vec<T>,
    pub malformed: Vec<Malformed>,
}

/// What the lines should be, for the messages.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// With its article: `a preference pair`.
    pub one: &'static str,
    /// How a line is written.
    pub form: &'static str,
}

/// Reads every line of every file that is not empty, in the order given; `parse` says why a line
/// is bad.
///
/// # Errors
/// When a file cannot be read or more than a fifth of the lines are bad.
pub fn read<T>(
    files: &[PathBuf],
    kind: Kind,
    mut parse: impl FnMut(&str) -> Result<T, String>,
) -> Result<Lines<T>> {
    let (mut items, mut malformed) = (Vec::new(), Vec::new());
    let mut count = 0;
    for file in files {
        let bytes = std::fs::read(file).with_context(|| Problem::new("cannot be read").at(file))?;
        for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            count += 1;
            let text = std::str::from_utf8(line).map_err(|_| "it is not UTF-8".to_owned());
            match text.and_then(&mut parse) {
                Ok(item) => items.push(item),
                Err(reason) => {
                    malformed.push(Malformed { file: file.clone(), line: index + 1, reason });
                }
            }
        }
    }
    if malformed.len() as f64 > MOST_MALFORMED * count as f64
        && let Some(Malformed { file, line, reason }) = malformed.first()
    {
        let what = format!(
            "{} of {count} lines are not {}, first line {line}: {reason}",
            malformed.len(),
            kind.one
        );
        let form = format!("each line is {}", kind.form);
        return Err(Problem::new(what).at(file).hint(form).into());
    }
    Ok(Lines { items, malformed })
}

/// The first of the files, for messages about all of them.
pub fn first(files: &[PathBuf]) -> &Path {
    files.first().map(PathBuf::as_path).unwrap_or(Path::new(""))
}

/// Says which lines were passed over and why, each of them, and how many there were.
pub fn tell(malformed: &[Malformed], kind: Kind, tell: &mut impl FnMut(&str)) {
    for bad in malformed {
        tell(&format!("{}, line {}: {}", bad.file.display(), bad.line, bad.reason));
    }
    if !malformed.is_empty() {
        tell(&format!("{} lines passed over that are not {}", malformed.len(), kind.one));
    }
}
