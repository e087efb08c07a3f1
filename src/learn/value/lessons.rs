//! Texts with rewards, read from lines of JSON.

use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::platform::Problem;

/// One text and its reward.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Lesson {
    pub prompt: String,
    pub response: String,
    pub reward: f32,
    /// It ended by itself: then its end is a prefix, too.
    #[serde(default = "yes")]
    pub finished: bool,
}

fn yes() -> bool {
    true
}

/// Reads a file of lessons; empty lines are passed over.
///
/// # Errors
/// With the file and the line that is wrong.
pub fn read(path: &Path) -> Result<Vec<Lesson>> {
    let file = std::fs::File::open(path)
        .with_context(|| Problem::new("the texts cannot be read").at(path))?;
    let mut lessons = Vec::new();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let at = |what: String| Problem::new(format!("line {}: {what}", number + 1)).at(path);
        let line = line.map_err(|error| at(error.to_string()))?;
        if line.trim().is_empty() {
            continue;
        }
        let lesson: Lesson = serde_json::from_str(&line).map_err(|error| {
            at(error.to_string()).hint("give {\"prompt\", \"response\", \"reward\"}")
        })?;
        if !lesson.reward.is_finite() {
            return Err(at(format!("a reward of {}", lesson.reward)).into());
        }
        lessons.push(lesson);
    }
    Ok(lessons)
}
