//! Tables as text: every row as `heading: value` sentences, so that a row read by itself still says
//! what its values mean. Columns called question and answer make pairs.

use csv::ReaderBuilder;

use super::encoding;
use super::{Document, Format, Pair, Place};
use crate::platform::Problem;

/// Headings that make a table a list of pairs.
const QUESTIONS: [&str; 3] = ["question", "prompt", "instruction"];
const ANSWERS: [&str; 4] = ["answer", "completion", "response", "output"];

/// A table whose first row holds the headings.
pub fn read(bytes: &[u8], delimiter: u8) -> Result<Document, Problem> {
    let text = encoding::decode(bytes, None)?;
    let delimiter = match delimiter {
        // Where the comma parts decimals, tables are parted by semicolons.
        b',' if by_semicolon(&text) => b';',
        given => given,
    };
    let mut document = Document::new(if delimiter == b'\t' { Format::Tsv } else { Format::Csv });
    let mut reader =
        ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(text.as_bytes());
    let headings = match reader.headers() {
        Ok(headings) => headings.clone(),
        Err(error) => return Err(Problem::new(format!("the table cannot be read: {error}"))),
    };
    let column = |names: &[&str]| {
        headings.iter().position(|heading| names.contains(&heading.trim().to_lowercase().as_str()))
    };
    let pairs = column(&QUESTIONS).zip(column(&ANSWERS));
    for (at, record) in reader.records().enumerate() {
        let number = at as u32 + 2;
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                document.notes.push(format!("row {number} cannot be read: {error}"));
                continue;
            }
        };
        let place = Place::Row(number);
        if let Some((question, answer)) = pairs
            && let (Some(question), Some(answer)) = (record.get(question), record.get(answer))
            && !question.trim().is_empty()
            && !answer.trim().is_empty()
        {
            let (question, answer) = (question.trim().to_owned(), answer.trim().to_owned());
            document.pairs.push(Pair { question, answer, place });
            continue;
        }
        let cells: Vec<String> = record
            .iter()
            .enumerate()
            .filter(|(_, cell)| !cell.trim().is_empty())
            .map(|(at, cell)| match headings.get(at).map(str::trim) {
                Some(heading) if !heading.is_empty() => format!("{heading}: {}", cell.trim()),
                _ => cell.trim().to_owned(),
            })
            .collect();
        if cells.is_empty() {
            continue;
        }
        document.text.place(place);
        document.text.push(&cells.join("; "))?;
        document.text.push("\n")?;
    }
    Ok(document)
}

fn by_semicolon(text: &str) -> bool {
    let first = text.lines().next().unwrap_or_default();
    first.matches(';').count() > first.matches(',').count()
}
