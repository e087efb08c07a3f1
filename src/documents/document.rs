//! What is kept of a file: its text with the places it came from, question–answer pairs and
//! multiple-choice questions.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Format, MOST_KEPT_BYTES};
use crate::platform::Problem;

/// Where in a file something stands; numbers count from 1, as a person counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    Line(u32),
    Page(u32),
    Paragraph(u32),
    Chapter(u32),
    Row(u32),
}

impl Place {
    /// Kind and number, for a file: 0 line, 1 page, 2 paragraph, 3 chapter, 4 row.
    pub fn parts(self) -> (u32, u32) {
        match self {
            Self::Line(number) => (0, number),
            Self::Page(number) => (1, number),
            Self::Paragraph(number) => (2, number),
            Self::Chapter(number) => (3, number),
            Self::Row(number) => (4, number),
        }
    }

    /// The place of these parts; an unknown kind counts as a line.
    pub fn of_parts(kind: u32, number: u32) -> Self {
        match kind {
            1 => Self::Page(number),
            2 => Self::Paragraph(number),
            3 => Self::Chapter(number),
            4 => Self::Row(number),
            _ => Self::Line(number),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(number) => write!(f, "line {number}"),
            Self::Page(number) => write!(f, "page {number}"),
            Self::Paragraph(number) => write!(f, "paragraph {number}"),
            Self::Chapter(number) => write!(f, "chapter {number}"),
            Self::Row(number) => write!(f, "row {number}"),
        }
    }
}

/// Text that knows where each part of it came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text {
    text: String,
    /// From this byte on the text came from this place; rising.
    places: Vec<(usize, Place)>,
}

impl Text {
    /// What follows comes from this place.
    pub fn place(&mut self, place: Place) {
        match self.places.last_mut() {
            Some(last) if last.1 == place => {}
            Some(last) if last.0 == self.text.len() => last.1 = place,
            _ => self.places.push((self.text.len(), place)),
        }
    }

    /// Adds text.
    ///
    /// # Errors
    /// When it grows beyond what is kept of one file.
    pub fn push(&mut self, text: &str) -> Result<(), Problem> {
        if self.text.len() + text.len() > MOST_KEPT_BYTES {
            let what = format!("more than {} MiB of text come out of it", MOST_KEPT_BYTES >> 20);
            return Err(Problem::new(what).hint("cut out the part that matters"));
        }
        self.text.push_str(text);
        Ok(())
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Where each part came from: first byte and place, rising.
    pub fn places(&self) -> &[(usize, Place)] {
        &self.places
    }
}

/// A question and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    pub question: String,
    pub answer: String,
    pub place: Place,
}

/// A question with options, one of which is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    pub question: String,
    pub options: Vec<String>,
    /// Index of the right option.
    pub answer: usize,
    pub place: Place,
}

/// What came out of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub format: Format,
    pub text: Text,
    pub pairs: Vec<Pair>,
    pub choices: Vec<Choice>,
    /// What was left out, one line each.
    pub notes: Vec<String>,
}

impl Document {
    /// Nothing yet.
    pub fn new(format: Format) -> Self {
        let (pairs, choices, notes) = Default::default();
        Self { format, text: Text::default(), pairs, choices, notes }
    }

    /// True when there is nothing to read in it.
    pub fn is_empty(&self) -> bool {
        self.text.as_str().trim().is_empty() && self.pairs.is_empty() && self.choices.is_empty()
    }
}
