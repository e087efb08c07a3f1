//! A parsed message: blocks of styled text, owned, so that it outlives the text it came from.

use std::ops::Range;

/// One block of a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    Paragraph(Inline),
    Heading {
        /// 1 to 6.
        level: u8,
        text: Inline,
    },
    Code {
        /// The first word of the info string; empty when there is none.
        language: String,
        /// Without the last line break.
        text: String,
    },
    Quote(Vec<Block>),
    List {
        /// The first number of an ordered list.
        start: Option<u64>,
        items: Vec<Item>,
    },
    Table(Table),
    Rule,
    /// HTML, shown as the text it is.
    Html(String),
}

/// One entry of a list.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Item {
    /// Whether it is done, for an entry with a check box.
    pub done: Option<bool>,
    pub blocks: Vec<Block>,
}

/// A table; every row has as many cells as there are columns.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    pub columns: Vec<ColumnAlign>,
    pub header: Vec<Inline>,
    pub rows: Vec<Vec<Inline>>,
}

/// How a column's text is placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColumnAlign {
    #[default]
    Start,
    Middle,
    End,
}

/// Styled running text.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Inline {
    pub text: String,
    /// In order, without gaps, covering `text`.
    pub spans: Vec<Span>,
    /// Where the links of the spans lead.
    pub links: Vec<String>,
}

/// A stretch of text in one style.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Bytes of the text.
    pub range: Range<usize>,
    pub style: Style,
}

/// How a stretch of text looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    pub strong: bool,
    pub emphasis: bool,
    pub struck: bool,
    pub code: bool,
    /// Stands for something that is not drawn, such as an image.
    pub substitute: bool,
    /// Index into [`Inline::links`].
    pub link: Option<usize>,
}

impl Inline {
    /// Text in the plain style.
    pub fn plain(text: &str) -> Self {
        let mut inline = Self::default();
        inline.push(text, Style::default());
        inline
    }

    /// Append text, joining it to the last span where the style is the same.
    pub fn push(&mut self, text: &str, style: Style) {
        if text.is_empty() {
            return;
        }
        let start = self.text.len();
        self.text.push_str(text);
        let end = self.text.len();
        match self.spans.last_mut() {
            Some(last) if last.style == style => last.range.end = end,
            _ => self.spans.push(Span { range: start..end, style }),
        }
    }
}
