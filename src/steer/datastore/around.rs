//! A passage with the page around it, out of what a store keeps of its file: the text is the one
//! the entries were made of, also when the file has changed or is gone.

use std::path::Path;

use anyhow::Result;

use super::Manifest;
use super::segment::Segment;
use crate::platform::Problem;

/// Bytes shown before and after the passage, about two pages in all.
const AROUND: usize = 3000;

/// The text before a passage, the passage, and the text after it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Around {
    pub before: String,
    pub passage: String,
    pub after: String,
    /// Where in the three together a page or chapter begins, in bytes, and which.
    pub headings: Vec<(usize, String)>,
    /// What this text is not any more, in one line; empty when the file is as it was read.
    pub note: String,
}

/// Finds a passage in what a store keeps of a file. `place` chooses between equal ones.
///
/// # Errors
/// When the store, the file's entries or the passage are not there any more.
pub fn around(folder: &Path, file: &Path, passage: &str, place: &str) -> Result<Around> {
    let gone = || Problem::new("the store this came from is not there any more").at(folder);
    let manifest = Manifest::read(folder)?.ok_or_else(gone)?;
    let source = manifest.sources.iter().find(|source| source.path == file && source.is_done());
    let source = source
        .ok_or_else(|| Problem::new("the store holds nothing of this file any more").at(file))?;
    let facts = &manifest.facts;
    let path = Manifest::file_of(folder, source);
    let segment = Segment::open(&path, &facts.model_fingerprint, facts.hidden_size)?;
    let text = segment.text();
    let placed = |start: &usize| {
        let stands = start + passage.len() / 2;
        segment.place(stands).is_some_and(|at| at.to_string() == place)
    };
    let starts = || text.match_indices(passage).map(|(start, _)| start);
    let start = starts().find(placed).or_else(|| starts().next()).ok_or_else(|| {
        Problem::new("the file was read anew since, and this passage is not in it").at(file)
    })?;
    let end = start + passage.len();
    let mut from = start.saturating_sub(AROUND);
    while !text.is_char_boundary(from) {
        from -= 1;
    }
    let mut to = (end + AROUND).min(text.len());
    while !text.is_char_boundary(to) {
        to += 1;
    }
    let headings = segment.headings(from..to).into_iter();
    let headings = headings.map(|(at, place)| (at - from, place.to_string())).collect();
    let note = match (file.is_file(), source.is_outdated()) {
        (false, _) => "The file is not there any more; this is what was read of it",
        (true, true) => "The file has changed since; this is what was read of it",
        (true, false) => "",
    };
    Ok(Around {
        before: text[from..start].to_owned(),
        passage: passage.to_owned(),
        after: text[end..to].to_owned(),
        headings,
        note: note.to_owned(),
    })
}
