//! Reading training text: plain files, and conversations one JSON object to a line.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::markup;
use crate::platform::Problem;

/// One document: a conversation with its turn markers, or a stretch of plain text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    messages: Option<Vec<Message>>,
    text: Option<String>,
}

/// One turn of a conversation line.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, serde::Serialize)]
pub struct Message {
    pub role: String,
    pub content: String,
}

/// Reads every file, in the order given. `.jsonl` files hold `{"messages": [{"role", "content"}]}`
/// or `{"text"}` lines; anything else is plain text, a document to each stretch between lines that
/// hold only `<|endoftext|>` (one document when there are none).
///
/// # Errors
/// When a file cannot be read, is empty, or a line of it is not understood.
pub fn read(files: &[PathBuf]) -> Result<Vec<Document>> {
    let mut documents = Vec::new();
    for file in files {
        let before = documents.len();
        let text = std::fs::read_to_string(file)
            .with_context(|| Problem::new("cannot read this text").at(file))?;
        if file.extension().is_some_and(|e| e.eq_ignore_ascii_case("jsonl")) {
            read_lines(file, &text, &mut documents)?;
        } else {
            let parts = text.split(markup::END_OF_TEXT).map(str::trim).filter(|p| !p.is_empty());
            documents.extend(parts.map(|p| Document { text: markup::plain_document(p) }));
        }
        if documents.len() == before {
            return Err(Problem::new("there is no text in this file").at(file).into());
        }
    }
    Ok(documents)
}

fn read_lines(file: &Path, text: &str, documents: &mut Vec<Document>) -> Result<()> {
    for (number, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        let refused = |why: String| {
            Problem::new(format!("line {}: {why}", number + 1))
                .at(file)
                .hint("each line is {\"messages\": [{\"role\", \"content\"}]} or {\"text\"}")
        };
        let line: Line = serde_json::from_str(line).map_err(|e| refused(e.to_string()))?;
        let text = match line {
            Line { messages: Some(messages), text: None } => markup::conversation(&messages)
                .map_err(|role| refused(format!("`{role}` is no role")))?,
            Line { messages: None, text: Some(text) } => markup::plain_document(&text),
            _ => return Err(refused("either messages or text".to_owned()).into()),
        };
        documents.push(Document { text });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversations_and_plain_text_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let lines = dir.path().join("a.jsonl");
        std::fs::write(
            &lines,
            "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"},\
             {\"role\":\"assistant\",\"content\":\"Hello.\"}]}\n\n{\"text\":\"A line.\"}\n",
        )
        .unwrap();
        let plain = dir.path().join("b.txt");
        std::fs::write(&plain, "One.\n<|endoftext|>\nTwo.\n").unwrap();
        let texts: Vec<String> =
            read(&[lines, plain]).unwrap().into_iter().map(|d| d.text).collect();
        assert_eq!(
            texts,
            [
                "<|user|>Hi<|end|><|assistant|>Hello.<|end|>",
                "A line.<|endoftext|>",
                "One.<|endoftext|>",
                "Two.<|endoftext|>"
            ]
        );
    }

    #[test]
    fn a_bad_line_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.jsonl");
        for bad in ["{\"messages\":[{\"role\":\"king\",\"content\":\"x\"}]}", "{}", "nonsense"] {
            std::fs::write(&file, format!("{{\"text\":\"fine\"}}\n{bad}\n")).unwrap();
            let error = read(std::slice::from_ref(&file)).unwrap_err().to_string();
            assert!(error.contains("line 2") && error.contains("a.jsonl"), "{error}");
        }
    }
}
