//! Replies in a file as they are made: a measurement that was stopped is taken up, and what was said
//! can be read. One JSON object to a line; the first says what they were made with.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::platform::Problem;

/// One reply of a system, and what it took.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Said {
    pub system: String,
    /// The place of its prompt, and the prompt with what was given of the reply.
    pub number: usize,
    pub prompt: String,
    pub seed: u64,
    pub text: String,
    pub tokens: usize,
    pub diversity: f64,
    pub seconds: f64,
    pub base_rows: usize,
    pub other_rows: usize,
}

#[derive(Serialize, Deserialize)]
struct MadeWith {
    made_with: String,
}

/// What has been said so far, in memory and, when there is a path, on disk.
#[derive(Debug, Default)]
pub struct Kept {
    file: Option<(PathBuf, File)>,
    said: HashMap<(String, usize, u64), Said>,
}

impl Kept {
    /// Takes up a file, or begins it; without a path everything stays in memory.
    ///
    /// # Errors
    /// When the file cannot be read or written, or its replies were made with other things.
    pub fn open(path: Option<&Path>, made_with: &str) -> Result<Self> {
        let Some(path) = path else { return Ok(Self::default()) };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => {
                let what = Problem::new("these replies cannot be read").at(path);
                return Err(anyhow::Error::new(error).context(what));
            }
        };
        // What was cut short by a kill is made again.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let mut lines = text[..whole].lines();
        let mut said = HashMap::new();
        let first = lines.next();
        if let Some(first) = first {
            let held: Option<MadeWith> = serde_json::from_str(first).ok();
            if held.is_none_or(|held| held.made_with != made_with) {
                let what = "the replies in this file were made with other models or settings";
                let hint = "name another file, or delete this one";
                return Err(Problem::new(what).at(path).hint(hint).into());
            }
        }
        for one in lines.filter_map(|line| serde_json::from_str::<Said>(line).ok()) {
            said.insert((one.system.clone(), one.number, one.seed), one);
        }
        let cannot = || Problem::new("these replies cannot be written").at(path);
        let file = OpenOptions::new().create(true).append(true).open(path).with_context(cannot)?;
        file.set_len(whole as u64).with_context(cannot)?;
        let mut kept = Self { file: Some((path.to_path_buf(), file)), said };
        if first.is_none() {
            kept.write(&MadeWith { made_with: made_with.to_owned() })?;
        }
        Ok(kept)
    }

    /// How many replies there are.
    pub fn len(&self) -> usize {
        self.said.len()
    }

    /// What a system said to a prompt, unless that is another prompt now.
    pub fn get(&self, system: &str, number: usize, prompt: &str, seed: u64) -> Option<&Said> {
        self.said.get(&(system.to_owned(), number, seed)).filter(|said| said.prompt == prompt)
    }

    /// Takes a reply.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&mut self, said: Said) -> Result<()> {
        self.write(&said)?;
        self.said.insert((said.system.clone(), said.number, said.seed), said);
        Ok(())
    }

    fn write(&mut self, line: &impl Serialize) -> Result<()> {
        let Some((path, file)) = &mut self.file else { return Ok(()) };
        let line = serde_json::to_string(line)? + "\n";
        file.write_all(line.as_bytes())
            .with_context(|| Problem::new("these replies cannot be written").at(path.as_path()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(system: &str, number: usize, seed: u64) -> Said {
        let text = format!("{system} says {number}");
        Said {
            system: system.into(),
            number,
            prompt: "Well?".into(),
            seed,
            text,
            ..Said::default()
        }
    }

    #[test]
    fn what_was_stopped_is_taken_up_and_a_half_line_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("replies.jsonl");
        let mut kept = Kept::open(Some(&path), "these").unwrap();
        for one in [said("base", 0, 1), said("base", 1, 1), said("IVG", 0, 1)] {
            kept.add(one).unwrap();
        }
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.truncate(bytes.len() - 3);
        std::fs::write(&path, bytes).unwrap();

        let mut again = Kept::open(Some(&path), "these").unwrap();
        assert_eq!(again.len(), 2);
        assert_eq!(again.get("base", 1, "Well?", 1), Some(&said("base", 1, 1)));
        assert_eq!(again.get("base", 1, "How?", 1), None, "it is another prompt now");
        assert_eq!(again.get("IVG", 0, "Well?", 1), None);
        again.add(said("IVG", 0, 1)).unwrap();
        let third = Kept::open(Some(&path), "these").unwrap();
        assert_eq!(third.get("IVG", 0, "Well?", 1), Some(&said("IVG", 0, 1)));

        let error = Kept::open(Some(&path), "others").unwrap_err().to_string();
        assert!(error.contains("replies.jsonl") && error.contains("other models"), "{error}");
    }
}
