//! Reading preference pairs: one JSON object to a line, `prompt`, `chosen`, `rejected`.
//!
//! A bad line does not end the reading: it is counted with its number and reason, and only when
//! too many are bad is the file refused.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

pub use crate::learn::text::pairs::Pair;
use crate::platform::Problem;

/// More bad lines than this share of all, and the files are refused.
const MOST_MALFORMED: f64 = 0.2;

/// A line that is no pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    pub file: PathBuf,
    /// Counted from 1.
    pub line: usize,
    pub reason: String,
}

/// What the files hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PairFiles {
    pub pairs: Vec<Pair>,
    pub malformed: Vec<Malformed>,
    /// Pairs whose two answers are the same: they teach nothing.
    pub identical: usize,
}

#[derive(Deserialize)]
struct Line {
    prompt: Option<String>,
    chosen: Option<String>,
    rejected: Option<String>,
}

/// Reads every file, in the order given; other fields of a line are passed over.
///
/// # Errors
/// When a file cannot be read, more than a fifth of the lines are bad, or no pair is left.
pub fn read(files: &[PathBuf]) -> Result<PairFiles> {
    let mut all = PairFiles::default();
    let mut lines = 0;
    for file in files {
        let bytes = std::fs::read(file)
            .with_context(|| Problem::new("cannot read these pairs").at(file))?;
        lines += read_lines(file, &bytes, &mut all);
    }
    let first = files.first().map(PathBuf::as_path).unwrap_or(Path::new(""));
    if all.malformed.len() as f64 > MOST_MALFORMED * lines as f64
        && let Some(Malformed { file, line, reason }) = all.malformed.first()
    {
        let what = format!(
            "{} of {lines} lines are no preference pair, first line {line}: {reason}",
            all.malformed.len()
        );
        return Err(Problem::new(what)
            .at(file)
            .hint("each line is {\"prompt\": \"…\", \"chosen\": \"…\", \"rejected\": \"…\"}")
            .into());
    }
    if all.pairs.is_empty() {
        return Err(Problem::new("there is no preference pair to learn from").at(first).into());
    }
    Ok(all)
}

/// Adds a file's lines; returns how many there are, empty ones aside.
fn read_lines(file: &Path, bytes: &[u8], all: &mut PairFiles) -> usize {
    let mut lines = 0;
    for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        lines += 1;
        match pair(line) {
            Ok(pair) if pair.chosen.trim() == pair.rejected.trim() => all.identical += 1,
            Ok(pair) => all.pairs.push(pair),
            Err(reason) => {
                all.malformed.push(Malformed { file: file.to_path_buf(), line: index + 1, reason })
            }
        }
    }
    lines
}

fn pair(line: &[u8]) -> Result<Pair, String> {
    let line = std::str::from_utf8(line).map_err(|_| "it is not UTF-8".to_owned())?;
    let Line { prompt, chosen, rejected } =
        serde_json::from_str(line).map_err(|error| error.to_string())?;
    let need = |name: &str, value: Option<String>| match value {
        Some(text) if !text.trim().is_empty() => Ok(text),
        Some(_) => Err(format!("`{name}` is empty")),
        None => Err(format!("`{name}` is missing")),
    };
    Ok(Pair {
        prompt: need("prompt", prompt)?,
        chosen: need("chosen", chosen)?,
        rejected: need("rejected", rejected)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(prompt: &str, chosen: &str, rejected: &str) -> String {
        let pair = serde_json::json!({ "prompt": prompt, "chosen": chosen, "rejected": rejected,
            "source": "elsewhere" });
        format!("{pair}\n")
    }

    fn file_of(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pairs.jsonl");
        std::fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    #[test]
    fn bad_lines_are_counted_with_number_and_reason_and_twins_are_skipped() {
        let mut bytes = line("a", "b", "c").repeat(12).into_bytes();
        bytes.extend(b"\nnonsense\n");
        bytes.extend(line("a", "same", " same ").into_bytes());
        bytes.extend(b"{\"prompt\": \"a\", \"chosen\": \"b\"}\n\xff\xfe\n");
        let (_folder, path) = file_of(&bytes);
        let read = read(&[path]).unwrap();
        assert_eq!((read.pairs.len(), read.identical), (12, 1));
        let found: Vec<(usize, &str)> =
            read.malformed.iter().map(|m| (m.line, m.reason.as_str())).collect();
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].0, 14);
        assert_eq!(found[1], (16, "`rejected` is missing"));
        assert_eq!(found[2], (17, "it is not UTF-8"));
    }

    #[test]
    fn more_than_a_fifth_of_bad_lines_is_refused_with_the_first_of_them() {
        let good = line("a", "b", "c").repeat(4);
        let (_folder, path) = file_of(format!("{good}{{}}\n").as_bytes());
        assert_eq!(read(&[path]).unwrap().malformed.len(), 1, "a fifth is not more");
        let (_folder, path) = file_of(format!("{good}{{}}\nx\n").as_bytes());
        let error = read(&[path]).unwrap_err().to_string();
        assert!(error.contains("2 of 6") && error.contains("line 5"), "{error}");
        assert!(error.contains("`prompt` is missing"), "{error}");
    }

    #[test]
    fn a_file_without_pairs_is_refused() {
        let (_folder, path) = file_of(b"\n\n");
        assert!(read(&[path]).unwrap_err().to_string().contains("no preference pair"));
        let (_folder, path) = file_of(line("a", "b", "b").as_bytes());
        assert!(read(&[path]).is_err());
    }
}
