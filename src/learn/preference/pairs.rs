//! Reading preference pairs: one JSON object to a line, `prompt`, `chosen`, `rejected`.
//!
//! What becomes of bad lines is `lines`' affair.

use std::path::PathBuf;

use anyhow::Result;
use serde::Deserialize;

pub use crate::learn::lines::Malformed;
use crate::learn::lines::{self, Kind, Lines};
pub use crate::learn::text::pairs::Pair;
use crate::platform::Problem;

/// What a line of such a file is.
pub const KIND: Kind = Kind {
    one: "a preference pair",
    form: "{\"prompt\": \"…\", \"chosen\": \"…\", \"rejected\": \"…\"}",
};

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
    let Lines { items: mut pairs, malformed } = lines::read(files, KIND, pair)?;
    let all = pairs.len();
    pairs.retain(|pair| pair.chosen.trim() != pair.rejected.trim());
    if pairs.is_empty() {
        let what = "there is no preference pair to learn from";
        return Err(Problem::new(what).at(lines::first(files)).into());
    }
    Ok(PairFiles { identical: all - pairs.len(), pairs, malformed })
}

fn pair(line: &str) -> Result<Pair, String> {
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
