//! PDF, page by page. The library panics on many broken files: each page is read in a net of its
//! own, so that one bad page costs that page.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pdf_extract::{PlainTextOutput, output_doc_page};

use super::{Document, Format, Place};
use crate::platform::Problem;

/// The text of every page that can be read.
pub fn read(bytes: &[u8]) -> Result<Document, Problem> {
    let broken = |error: &dyn std::fmt::Display| {
        Problem::new(format!("the PDF is broken: {error}")).hint("print it to a new PDF")
    };
    let locked = || Problem::new("the PDF is encrypted").hint("save it without a password first");
    let mut pdf = pdf_extract::Document::load_mem(bytes).map_err(|error| {
        // What is read of a locked file before its key is known often looks broken.
        if holds(bytes, b"/Encrypt") { locked() } else { broken(&error) }
    })?;
    // Many files are locked with an empty password: everybody may read them.
    if pdf.trailer.get(b"Encrypt").is_ok() && pdf.decrypt("").is_err() {
        return Err(locked());
    }
    let mut document = Document::new(Format::Pdf);
    let numbers: Vec<u32> = pdf.get_pages().keys().copied().collect();
    for number in numbers {
        let mut page = String::new();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            output_doc_page(&pdf, &mut PlainTextOutput::new(&mut page), number)
        }));
        if !matches!(outcome, Ok(Ok(()))) {
            document.notes.push(format!("page {number} cannot be read whole"));
        }
        let page = page.trim();
        if page.is_empty() {
            continue;
        }
        document.text.place(Place::Page(number));
        for line in page.lines() {
            document.text.push(line.trim_end())?;
            document.text.push("\n")?;
        }
        document.text.push("\n")?;
    }
    Ok(document)
}

fn holds(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}
