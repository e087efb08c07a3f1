//! Which kind of file it is: by what it begins with where that is certain, else by its name.

use std::path::Path;

use super::{MOST_PACKED_BYTES, MOST_TEXT_BYTES};
use crate::platform::Problem;

/// The kinds of file that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Text,
    Markdown,
    Code,
    Pdf,
    Docx,
    Odt,
    Epub,
    Html,
    Csv,
    Tsv,
    JsonLines,
}

const CODE: [&str; 46] = [
    "bash", "bat", "c", "cc", "cfg", "clj", "cmake", "conf", "cpp", "cs", "css", "dart", "elm",
    "ex", "go", "h", "hpp", "hs", "ini", "java", "jl", "js", "json", "jsx", "kt", "lua", "m", "ml",
    "nim", "php", "pl", "ps1", "py", "r", "rb", "rs", "scala", "sh", "sql", "swift", "toml", "ts",
    "tsx", "yaml", "yml", "zig",
];

/// Names of what is known not to be a document, so that the refusal says so.
const REFUSED: [(&str, &str); 8] = [
    ("doc", "save it as docx"),
    ("rtf", "save it as docx or text"),
    ("pages", "export it as PDF or docx"),
    ("xls", "save the sheet as CSV"),
    ("xlsx", "save the sheet as CSV"),
    ("ods", "save the sheet as CSV"),
    ("pptx", "export it as PDF"),
    ("mobi", "convert it to epub"),
];

impl Format {
    /// What a file with this name and these bytes is.
    ///
    /// # Errors
    /// When it is known not to be readable, with what to do instead.
    pub fn of(path: &Path, bytes: &[u8]) -> Result<Self, Problem> {
        if bytes.starts_with(b"%PDF-") {
            return Ok(Self::Pdf);
        }
        let name = extension(path);
        if let Some((_, hint)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
            let what = format!("{name} files are not read");
            return Err(Problem::new(what).hint(*hint));
        }
        let named = Self::of_name(&name);
        let packed = bytes.starts_with(b"PK\x03\x04");
        match named {
            Some(Self::Pdf) => Err(Problem::new("this is no PDF, whatever its name says")),
            Some(Self::Docx | Self::Odt | Self::Epub) if !packed => {
                let what = format!("this is no {name} file, whatever its name says");
                Err(Problem::new(what))
            }
            Some(format) => Ok(format),
            // The text reader finds out whether it is one.
            None => Ok(Self::Text),
        }
    }

    /// What a name alone promises; `None` for names that promise nothing.
    pub fn of_name(extension: &str) -> Option<Self> {
        Some(match extension {
            "txt" | "text" | "log" | "rst" | "tex" | "org" | "adoc" => Self::Text,
            "md" | "markdown" | "mdx" => Self::Markdown,
            "pdf" => Self::Pdf,
            "docx" => Self::Docx,
            "odt" => Self::Odt,
            "epub" => Self::Epub,
            "html" | "htm" | "xhtml" => Self::Html,
            "csv" => Self::Csv,
            "tsv" | "tab" => Self::Tsv,
            "jsonl" | "ndjson" => Self::JsonLines,
            name if CODE.contains(&name) => Self::Code,
            _ => return None,
        })
    }

    /// Whether dropping a file of this name onto the window can only mean a document; a JSON file
    /// may be part of a model.
    pub fn is_document(path: &Path) -> bool {
        let name = extension(path);
        name != "json" && path.is_file() && Self::of_name(&name).is_some()
    }

    /// The largest file of this name that is read.
    pub fn most_bytes(path: &Path) -> u64 {
        match Self::of_name(&extension(path)) {
            Some(Self::Pdf | Self::Docx | Self::Odt | Self::Epub) => MOST_PACKED_BYTES,
            _ => MOST_TEXT_BYTES,
        }
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Markdown => "Markdown",
            Self::Code => "source code",
            Self::Pdf => "PDF",
            Self::Docx => "docx",
            Self::Odt => "odt",
            Self::Epub => "epub",
            Self::Html => "HTML",
            Self::Csv => "CSV",
            Self::Tsv => "TSV",
            Self::JsonLines => "JSON lines",
        }
    }
}

fn extension(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}
