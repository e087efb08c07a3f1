//! Plain text with source spans out of a person's files. A file that cannot be read is one line
//! that says why; nothing a file holds ends the program or fills the memory.

mod archive;
mod contained;
mod document;
mod encoding;
mod epub;
mod format;
mod markup;
mod office;
mod pdf;
mod records;
mod table;
#[cfg(test)]
mod tests;
mod web;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

pub use document::{Choice, Document, Pair, Place, Text};
pub use format::Format;

use crate::platform::Problem;

/// Largest file of plain text that is read. A larger one is a log or a dump, not a document.
pub const MOST_TEXT_BYTES: u64 = 64 << 20;
/// Largest packed file (PDF, docx, odt, epub) that is read.
pub const MOST_PACKED_BYTES: u64 = 256 << 20;
/// Most text that is kept of one file, however it was packed.
pub const MOST_KEPT_BYTES: usize = 32 << 20;
/// A reader that takes longer than this has lost its way in a broken file.
const PATIENCE: Duration = Duration::from_secs(180);

/// A file as it was when its bytes were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub path: PathBuf,
    pub byte_count: u64,
    /// When it was last changed, in nanoseconds since 1970: with whole seconds, two versions of one
    /// length written soon after each other would be taken for the same.
    pub modified_nanos: u64,
    /// SHA-256 over its bytes, 64 hexadecimal digits.
    pub hash: String,
}

/// Reads a file: what it was, and the text in it.
///
/// # Errors
/// When it cannot be opened, is too large, is no text, or is broken, encrypted or without text; the
/// message names the file and says what to do.
pub fn read(path: &Path) -> Result<(Origin, Document), Problem> {
    let (origin, bytes) = read_bytes(path)?;
    let format = Format::of(path, &bytes).map_err(|problem| problem.at(path))?;
    let document = contained::run(PATIENCE, move || read_as(format, &bytes));
    let document = document.map_err(|problem| problem.at(path))?;
    if document.is_empty() {
        let problem = Problem::new("there is no text in this file").at(path);
        return Err(match format {
            Format::Pdf => problem.hint("it may be scanned pictures: run text recognition on it"),
            _ => problem.hint("leave it out"),
        });
    }
    Ok((origin, document))
}

/// What a file is now, without reading its text: its length, and when it was last changed in
/// nanoseconds since 1970. `None` when it is not there.
pub fn looked_at(path: &Path) -> Option<(u64, u64)> {
    let facts = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    Some((facts.len(), nanos(facts.modified().ok())))
}

fn read_bytes(path: &Path) -> Result<(Origin, Vec<u8>), Problem> {
    let refuse = |what: String| Problem::new(what).at(path);
    let file = File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => refuse("there is no such file".into()),
        _ => refuse(format!("the file cannot be opened: {error}")),
    })?;
    let facts =
        file.metadata().map_err(|error| refuse(format!("the file cannot be examined: {error}")))?;
    if !facts.is_file() {
        return Err(refuse("this is not a plain file".into()).hint("give files, not folders"));
    }
    let most = Format::most_bytes(path);
    let too_large = |bytes: u64| {
        let what = format!("the file has {} MiB, and {} is the most", bytes >> 20, most >> 20);
        refuse(what).hint("cut out the part that matters")
    };
    if facts.len() > most {
        return Err(too_large(facts.len()));
    }
    // A file may grow while it is read: one byte more than allowed is enough to know.
    let mut bytes = Vec::with_capacity(facts.len() as usize);
    file.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| refuse(format!("the file cannot be read: {error}")))?;
    if bytes.len() as u64 > most {
        return Err(too_large(bytes.len() as u64));
    }
    let hash = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let origin = Origin {
        path: path.to_path_buf(),
        byte_count: bytes.len() as u64,
        modified_nanos: nanos(facts.modified().ok()),
        hash,
    };
    Ok((origin, bytes))
}

fn nanos(time: Option<SystemTime>) -> u64 {
    time.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok())
        .map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

fn read_as(format: Format, bytes: &[u8]) -> Result<Document, Problem> {
    match format {
        Format::Pdf => pdf::read(bytes),
        Format::Docx => office::read_docx(bytes),
        Format::Odt => office::read_odt(bytes),
        Format::Epub => epub::read(bytes),
        Format::Html => web::read(bytes),
        Format::Csv => table::read(bytes, b','),
        Format::Tsv => table::read(bytes, b'\t'),
        Format::JsonLines => records::read(bytes),
        Format::Text | Format::Markdown | Format::Code => {
            let text = encoding::decode(bytes, None)?;
            let mut document = Document::new(format);
            for (number, line) in text.lines().enumerate() {
                document.text.place(Place::Line(number as u32 + 1));
                document.text.push(line)?;
                document.text.push("\n")?;
            }
            Ok(document)
        }
    }
}
