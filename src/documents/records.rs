//! JSON lines: question–answer pairs, questions with options, texts, or records with fields.

use serde_json::{Map, Value};

use super::encoding;
use super::{Choice, Document, Format, Pair, Place};
use crate::platform::Problem;

const QUESTIONS: [&str; 4] = ["question", "prompt", "instruction", "query"];
const ANSWERS: [&str; 5] = ["answer", "completion", "response", "output", "gold"];
const OPTIONS: [&str; 2] = ["options", "choices"];
/// A letter for each; more options than this have no names.
const MOST_OPTIONS: usize = 26;
/// Notes kept of lines that cannot be read.
const MOST_NOTES: usize = 20;

/// Every line that is an object; the others are named in the notes.
pub fn read(bytes: &[u8]) -> Result<Document, Problem> {
    let text = encoding::decode(bytes, None)?;
    let mut document = Document::new(Format::JsonLines);
    let mut left_out = 0_usize;
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let number = at as u32 + 1;
        let taken = match serde_json::from_str::<Value>(line) {
            Ok(Value::Object(record)) => take(&mut document, &record, Place::Line(number))?,
            Ok(_) => Err("is no object".to_owned()),
            Err(error) => Err(format!("is no JSON: {error}")),
        };
        if let Err(why) = taken {
            left_out += 1;
            if left_out <= MOST_NOTES {
                document.notes.push(format!("line {number} {why}"));
            }
        }
    }
    if left_out > MOST_NOTES {
        document.notes.push(format!("{left_out} lines in all are left out"));
    }
    Ok(document)
}

fn take(
    document: &mut Document,
    record: &Map<String, Value>,
    place: Place,
) -> Result<Result<(), String>, Problem> {
    let field = |names: &[&str]| names.iter().find_map(|name| record.get(*name));
    let question = field(&QUESTIONS).and_then(Value::as_str).map(str::trim);
    if let (Some(question), Some(options)) = (question, field(&OPTIONS)) {
        return Ok(choice(question, options, field(&ANSWERS), place).map(|choice| {
            document.choices.push(choice);
        }));
    }
    if let (Some(question), Some(answer)) = (question, field(&ANSWERS).and_then(Value::as_str)) {
        let answer = answer.trim();
        if question.is_empty() || answer.is_empty() {
            return Ok(Err("has an empty question or answer".into()));
        }
        let (question, answer) = (question.to_owned(), answer.to_owned());
        document.pairs.push(Pair { question, answer, place });
        return Ok(Ok(()));
    }
    let plain = |value: &Value| match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let text = match record.get("text").and_then(Value::as_str) {
        Some(text) => text.trim().to_owned(),
        None => record
            .iter()
            .map(|(name, value)| (name, plain(value)))
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}: {value}"))
            .collect::<Vec<_>>()
            .join("; "),
    };
    if text.is_empty() {
        return Ok(Err("holds nothing".into()));
    }
    document.text.place(place);
    document.text.push(&text)?;
    document.text.push("\n")?;
    Ok(Ok(()))
}

/// The right option is given by its index, its letter or its own text.
fn choice(
    question: &str,
    options: &Value,
    answer: Option<&Value>,
    place: Place,
) -> Result<Choice, String> {
    let options: Vec<String> = options
        .as_array()
        .map(|list| {
            list.iter().filter_map(Value::as_str).map(|text| text.trim().to_owned()).collect()
        })
        .unwrap_or_default();
    if options.len() < 2 || options.len() > MOST_OPTIONS || options.iter().any(String::is_empty) {
        return Err(format!("needs from 2 to {MOST_OPTIONS} options, each with text"));
    }
    let answer = match answer {
        Some(Value::Number(number)) => number.as_u64().and_then(|at| usize::try_from(at).ok()),
        Some(Value::String(text)) => {
            let text = text.trim();
            options.iter().position(|option| option == text).or_else(|| match text.as_bytes() {
                [letter] => Some(usize::from(letter.to_ascii_uppercase().wrapping_sub(b'A'))),
                _ => None,
            })
        }
        _ => None,
    };
    match answer.filter(|at| *at < options.len()) {
        Some(answer) if !question.is_empty() => {
            Ok(Choice { question: question.to_owned(), options, answer, place })
        }
        _ => Err("does not say which option is right".into()),
    }
}
