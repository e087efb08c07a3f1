//! Colours for code in any language: comments, strings, numbers and the words most languages
//! share. It never claims to understand; what it does not know stays plain.

use std::ops::Range;

/// What a stretch of code is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Plain,
    Keyword,
    Text,
    Number,
    Comment,
}

const KEYWORDS: &str = " abstract and as async await auto bool boolean break case catch char class const \
    continue def default defer delete do double elif else end enum except export extends extern \
    false final finally float fn for foreach from func function global go goto if impl implements \
    import in include inline instanceof int interface is lambda let local long loop match mod module \
    move mut namespace new nil none not null nullptr or override package pass priv private protected \
    pub public raise ref return self sizeof static string struct super switch template then this \
    throw trait true try type typedef typeof union unless unsafe until use using val var virtual void \
    where while with yield None True False SELECT FROM WHERE INSERT INTO UPDATE DELETE CREATE TABLE \
    JOIN ON GROUP BY ORDER LIMIT AND OR NOT NULL AS VALUES ";

/// Every stretch of `code`, in order and without gaps.
pub fn stretches(code: &str, language: &str) -> Vec<(Range<usize>, Kind)> {
    if matches!(
        language,
        "" | "text" | "txt" | "plain" | "markdown" | "md" | "console" | "html" | "xml"
    ) {
        return vec![(0..code.len(), Kind::Plain)];
    }
    let mut stretches: Vec<(Range<usize>, Kind)> = Vec::new();
    let mut at = 0;
    while let Some(first) = code[at..].chars().next() {
        let (length, kind) = next(&code[at..], first, code[..at].chars().next_back(), language);
        let end = at + length;
        match stretches.last_mut() {
            Some((range, last)) if *last == kind => range.end = end,
            _ => stretches.push((at..end, kind)),
        }
        at = end;
    }
    stretches
}

/// The length and kind of the stretch `rest` begins with.
fn next(rest: &str, first: char, before: Option<char>, language: &str) -> (usize, Kind) {
    let line = || rest.find('\n').unwrap_or(rest.len());
    if rest.starts_with("/*") {
        return (rest.find("*/").map_or(rest.len(), |end| end + 2), Kind::Comment);
    }
    let starts_word = before.is_none_or(char::is_whitespace);
    let comment = match language {
        "python" | "py" | "bash" | "sh" | "shell" | "ruby" | "rb" | "toml" | "yaml" | "yml"
        | "r" | "perl" | "make" | "makefile" | "dockerfile" | "elixir" | "nix" => {
            first == '#' && starts_word
        }
        "sql" | "lua" | "haskell" | "hs" | "ada" | "elm" => rest.starts_with("--"),
        "tex" | "latex" | "matlab" | "erlang" | "prolog" => first == '%',
        "lisp" | "scheme" | "clojure" | "ini" | "asm" => first == ';',
        _ => rest.starts_with("//"),
    };
    if comment {
        return (line(), Kind::Comment);
    }
    if matches!(first, '"' | '\'' | '`') {
        return match string_end(rest, first) {
            Some(end) => (end, Kind::Text),
            None => (first.len_utf8(), Kind::Plain),
        };
    }
    if first.is_alphabetic() || first == '_' {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let word = &rest[..end];
        let known = KEYWORDS.split(' ').any(|keyword| keyword == word) && !word.is_empty();
        return (end, if known { Kind::Keyword } else { Kind::Plain });
    }
    if first.is_ascii_digit() {
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '_')
            .unwrap_or(rest.len());
        return (end, Kind::Number);
    }
    (first.len_utf8(), Kind::Plain)
}

/// Where a string that ends on its own line ends (three quotes may span lines); `None` where the
/// mark is something else, such as an apostrophe or a Rust lifetime.
fn string_end(rest: &str, quote: char) -> Option<usize> {
    let triple = match quote {
        '"' => "\"\"\"",
        '\'' => "'''",
        _ => "",
    };
    if !triple.is_empty() && rest.starts_with(triple) {
        return rest[3..].find(triple).map(|end| end + 6);
    }
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            '\n' if quote != '`' => return None,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return Some(at + c.len_utf8()),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(code: &str, language: &str) -> Vec<(String, Kind)> {
        stretches(code, language)
            .into_iter()
            .filter(|(_, kind)| *kind != Kind::Plain)
            .map(|(range, kind)| (code[range].to_owned(), kind))
            .collect()
    }

    #[test]
    fn finds_words_strings_numbers_and_comments() {
        let found = kinds("let x = 42; // \"so\"\nf(\"a\\\"b\")", "rust");
        let expected = [
            ("let", Kind::Keyword),
            ("42", Kind::Number),
            ("// \"so\"", Kind::Comment),
            ("\"a\\\"b\"", Kind::Text),
        ];
        assert_eq!(found, expected.map(|(text, kind)| (text.to_owned(), kind)));
    }

    #[test]
    fn covers_every_byte_in_order() {
        for code in ["", "é'ö \"", "'a", "/* open", "x\u{0301}😀 # c\n`", "\"\"\"a\nb\"\"\" 1.5e3"]
        {
            for language in ["", "rust", "python", "sql"] {
                let mut at = 0;
                for (range, _) in stretches(code, language) {
                    assert_eq!(range.start, at);
                    at = range.end;
                }
                assert_eq!(at, code.len());
            }
        }
    }
}
