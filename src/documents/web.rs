//! Web pages: the text a reader sees, paragraph by paragraph.

use html2text::config;

use super::encoding;
use super::{Document, Format, Place};
use crate::platform::Problem;

/// Wider than any paragraph: lines are not broken.
const WIDTH: usize = 1 << 20;

/// The page's text; every block is a paragraph.
pub fn read(bytes: &[u8]) -> Result<Document, Problem> {
    let mut document = Document::new(Format::Html);
    let text = text_of(bytes)?;
    let blocks = text.split("\n\n").map(str::trim).filter(|block| !block.is_empty());
    for (number, block) in blocks.enumerate() {
        document.text.place(Place::Paragraph(number as u32 + 1));
        document.text.push(block)?;
        document.text.push("\n\n")?;
    }
    Ok(document)
}

/// The text of a page, blocks parted by empty lines.
pub fn text_of(bytes: &[u8]) -> Result<String, Problem> {
    let html = encoding::decode(bytes, declared(bytes).as_deref())?;
    let text = config::plain_no_decorate()
        .no_table_borders()
        .allow_width_overflow()
        .string_from_read(html.as_bytes(), WIDTH)
        .map_err(|error| Problem::new(format!("the page cannot be read: {error}")))?;
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

/// The encoding that the page's head names.
fn declared(bytes: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(2048)]).to_lowercase();
    let at = ["charset=", "encoding="]
        .iter()
        .find_map(|word| head.find(word).map(|at| at + word.len()))?;
    let rest = head[at..].trim_start_matches(['"', '\'']);
    let label: String =
        rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_:".contains(*c)).collect();
    (!label.is_empty()).then_some(label)
}
