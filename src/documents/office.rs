//! Word processor files: docx (Office Open XML) and odt (OpenDocument), paragraph by paragraph.

use super::archive::Archive;
use super::markup::{Step, walk};
use super::{Document, Format, Place};
use crate::platform::Problem;

/// A document of Office Open XML. Footnotes, comments and headers are left out.
pub fn read_docx(bytes: &[u8]) -> Result<Document, Problem> {
    let xml = Archive::open(bytes)?.needed("word/document.xml")?;
    let mut paragraphs = Paragraphs::new(Format::Docx);
    let mut in_text = false;
    let mut deleted = 0_usize;
    walk(&xml, |step| {
        match step {
            Step::Open(tag) => match tag.name.as_str() {
                "del" => deleted += 1,
                "t" => in_text = true,
                "tc" => paragraphs.in_row = true,
                "tab" => paragraphs.line.push('\t'),
                "br" | "cr" => paragraphs.line.push('\n'),
                _ => {}
            },
            Step::Close(name) => match name.as_str() {
                "del" => deleted = deleted.saturating_sub(1),
                "t" => in_text = false,
                "p" => return paragraphs.end(),
                "tr" => return paragraphs.row_ended(),
                _ => {}
            },
            Step::Text(text) if in_text && deleted == 0 => paragraphs.line.push_str(&text),
            Step::Text(_) => {}
        }
        Ok(())
    })?;
    Ok(paragraphs.document)
}

/// A document of OpenDocument text.
pub fn read_odt(bytes: &[u8]) -> Result<Document, Problem> {
    let mut archive = Archive::open(bytes)?;
    let manifest = archive.member("META-INF/manifest.xml")?.unwrap_or_default();
    if String::from_utf8_lossy(&manifest).contains("encryption-data") {
        return Err(Problem::new("the file is encrypted").hint("save it without a password first"));
    }
    let xml = archive.needed("content.xml")?;
    let mut paragraphs = Paragraphs::new(Format::Odt);
    // Paragraphs and headings may hold notes, whose own paragraphs are no part of the text.
    let (mut depth, mut notes) = (0_usize, 0_usize);
    walk(&xml, |step| {
        match step {
            Step::Open(tag) => match tag.name.as_str() {
                "note" | "annotation" | "tracked-changes" => notes += 1,
                _ if notes > 0 => {}
                "p" | "h" => depth += 1,
                "table-cell" => paragraphs.in_row = true,
                "tab" => paragraphs.line.push('\t'),
                "line-break" => paragraphs.line.push('\n'),
                "s" => {
                    let count = tag.attribute("c").and_then(|count| count.parse().ok());
                    let count: usize = count.unwrap_or(1);
                    paragraphs.line.push_str(&" ".repeat(count.min(1000)));
                }
                _ => {}
            },
            Step::Close(name) => match name.as_str() {
                "note" | "annotation" | "tracked-changes" => notes = notes.saturating_sub(1),
                _ if notes > 0 => {}
                "p" | "h" => {
                    depth = depth.saturating_sub(1);
                    return paragraphs.end();
                }
                "table-row" => return paragraphs.row_ended(),
                _ => {}
            },
            Step::Text(text) if depth > 0 && notes == 0 => paragraphs.line.push_str(&text),
            Step::Text(_) => {}
        }
        Ok(())
    })?;
    Ok(paragraphs.document)
}

/// Paragraphs as they come; those of a table's row stand on one line.
struct Paragraphs {
    document: Document,
    line: String,
    row: Vec<String>,
    in_row: bool,
    count: u32,
}

impl Paragraphs {
    fn new(format: Format) -> Self {
        let document = Document::new(format);
        Self { document, line: String::new(), row: Vec::new(), in_row: false, count: 0 }
    }

    fn end(&mut self) -> Result<(), Problem> {
        self.count += 1;
        let line = std::mem::take(&mut self.line);
        if self.in_row {
            self.row.push(line);
            return Ok(());
        }
        self.put(&line)
    }

    fn row_ended(&mut self) -> Result<(), Problem> {
        let line = self.row.drain(..).filter(|cell| !cell.trim().is_empty()).collect::<Vec<_>>();
        self.in_row = false;
        self.put(&line.join("\t"))
    }

    fn put(&mut self, line: &str) -> Result<(), Problem> {
        if line.trim().is_empty() {
            return Ok(());
        }
        self.document.text.place(Place::Paragraph(self.count));
        self.document.text.push(line.trim_end())?;
        self.document.text.push("\n\n")
    }
}
