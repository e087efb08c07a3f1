//! Keeps mathematics whole: `\(…\)` and `\[…\]` would lose their backslashes as Markdown escapes.

use std::borrow::Cow;
use std::ops::Range;

/// The text with every `\(`, `\)`, `\[`, `\]` that encloses mathematics turned into `$$`, outside
/// the ranges `code`. Every byte keeps its place, so that the parser's ranges find the original.
pub fn protect<'a>(text: &'a str, code: &[Range<usize>]) -> Cow<'a, str> {
    let mut result = None;
    for (open, close) in [("\\(", "\\)"), ("\\[", "\\]")] {
        let mut from = 0;
        while let Some(start) = text[from..].find(open).map(|at| at + from) {
            from = start + 2;
            if code.iter().any(|range| range.contains(&start)) || is_escaped(text, start) {
                continue;
            }
            let Some(end) = closing(text, from, close) else { continue };
            let bytes = result.get_or_insert_with(|| text.as_bytes().to_vec());
            bytes[start..start + 2].copy_from_slice(b"$$");
            bytes[end..end + 2].copy_from_slice(b"$$");
            from = end + 2;
        }
    }
    match result.map(String::from_utf8) {
        Some(Ok(text)) => Cow::Owned(text),
        _ => Cow::Borrowed(text),
    }
}

/// True where `text` holds what `protect` looks for.
pub fn is_likely(text: &str) -> bool {
    text.contains("\\(") || text.contains("\\[")
}

/// The closing mark after `from`, in the same paragraph.
fn closing(text: &str, from: usize, close: &str) -> Option<usize> {
    let end = text[from..].find(close)? + from;
    let inside = &text[from..end];
    let whole = !inside.trim().is_empty() && !inside.contains("\n\n") && !inside.contains('$');
    whole.then_some(end)
}

fn is_escaped(text: &str, at: usize) -> bool {
    let backslashes = text[..at].bytes().rev().take_while(|byte| *byte == b'\\').count();
    backslashes % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_both_pairs_into_dollars_of_the_same_length() {
        let text = r"so \(a_1\) and \[b\\c\]";
        let protected = protect(text, &[]);
        assert_eq!(protected, r"so $$a_1$$ and $$b\\c$$");
        assert_eq!(protected.len(), text.len());
    }

    #[test]
    fn leaves_code_unpaired_and_escaped_marks_alone() {
        assert_eq!(protect(r"`\(a\)`", std::slice::from_ref(&(0..7))), r"`\(a\)`");
        assert_eq!(protect(r"\(a", &[]), r"\(a");
        assert_eq!(protect(r"\\(a\\)", &[]), r"\\(a\\)");
        assert_eq!(protect("\\(a\n\nb\\)", &[]), "\\(a\n\nb\\)");
    }
}
