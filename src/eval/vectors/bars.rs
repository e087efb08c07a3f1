//! The acceptance bars, each with its figure, and whether it holds.

/// One bar.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    pub what: String,
    /// The figures that decide.
    pub figures: String,
    pub holds: bool,
}

impl Bar {
    /// A bar with its verdict.
    pub fn new(what: &str, figures: String, holds: bool) -> Self {
        Self { what: what.to_owned(), figures, holds }
    }

    /// One line of the report.
    pub fn line(&self) -> String {
        let verdict = if self.holds { "holds" } else { "FAILS" };
        format!("{verdict}  {}: {}", self.what, self.figures)
    }
}
