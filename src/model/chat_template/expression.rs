//! Finds the operators of a template's expressions that can make text grow, and puts a guard on
//! each of their operands.

use std::ops::Range;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A name, number or string.
    Word,
    Text,
    Mark,
}

struct Token<'a> {
    kind: Kind,
    text: &'a str,
    end: usize,
}

/// Where the code of a tag lies: after `{%-`, before `-%}`. `None` when the tag is not closed.
/// `tag` begins with the tag's two opening characters.
pub fn closing(tag: &str) -> Option<Range<usize>> {
    let bytes = tag.as_bytes();
    let last: &[u8] = if bytes.starts_with(b"{%") { b"%}" } else { b"}}" };
    let start = if matches!(bytes.get(2), Some(b'-' | b'+')) { 3 } else { 2 };
    let mut at = start;
    let mut depth = 0usize;
    while at < bytes.len() {
        if depth == 0 && bytes[at..].starts_with(last) {
            return Some(start..at);
        }
        let signed = matches!(bytes[at], b'-' | b'+') && bytes[at + 1..].starts_with(last);
        if depth == 0 && signed {
            return Some(start..at);
        }
        match bytes[at] {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => depth = depth.saturating_sub(1),
            b'\'' | b'"' => at = string_end(bytes, at)? - 1,
            _ => {}
        }
        at += 1;
    }
    None
}

/// One past the closing quote of the string that begins at `at`.
fn string_end(bytes: &[u8], at: usize) -> Option<usize> {
    let mut place = at + 1;
    loop {
        match *bytes.get(place)? {
            b'\\' => place += 2,
            byte if byte == bytes[at] => return Some(place + 1),
            _ => place += 1,
        }
    }
}

/// The code with a guard on every operand of `~`, `+` and `*` and on every filter's result.
pub fn guarded(code: &str) -> String {
    let tokens = tokenize(code);
    let mut guards: Vec<(usize, &str)> = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let guard = match token.text {
            _ if token.kind != Kind::Mark => continue,
            "~" => " | tiller_text",
            "+" => " | tiller_part",
            "*" => " | tiller_factor",
            "|" => {
                guards.push((filter_end(&tokens, index), " | tiller_part"));
                continue;
            }
            _ => continue,
        };
        // Without an operand before it, it is a sign or spreads arguments.
        if index > 0 && ends_operand(&tokens[index - 1]) {
            guards.push((index - 1, guard));
            if let Some(last) = operand_end(&tokens, index + 1) {
                guards.push((last, guard));
            }
        }
    }
    guards.sort_by_key(|(index, _)| *index);
    let mut out = String::with_capacity(code.len() + guards.len() * 16);
    let mut copied = 0;
    for (index, guard) in guards {
        let end = tokens[index].end;
        out.push_str(&code[copied..end]);
        out.push_str(guard);
        copied = end;
    }
    out.push_str(&code[copied..]);
    out
}

fn tokenize(code: &str) -> Vec<Token<'_>> {
    let bytes = code.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
    while at < bytes.len() {
        let start = at;
        let kind = match bytes[at] {
            byte if byte.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            b'\'' | b'"' => {
                at = string_end(bytes, at).unwrap_or(bytes.len());
                Kind::Text
            }
            byte if is_word(byte) => {
                let number = byte.is_ascii_digit();
                at += bytes[at..].iter().take_while(|byte| is_word(**byte)).count();
                // `1.5` is one word, `a.b` is three tokens.
                let fraction = bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
                if number && bytes.get(at) == Some(&b'.') && fraction {
                    at += 1;
                    at += bytes[at..].iter().take_while(|byte| is_word(**byte)).count();
                }
                Kind::Word
            }
            _ => {
                let pair = matches!(
                    bytes.get(at..at + 2),
                    Some(b"**" | b"//" | b"==" | b"!=" | b"<=" | b">=")
                );
                at += if pair { 2 } else { 1 };
                Kind::Mark
            }
        };
        // Never within a character: words take all bytes of one, marks and quotes are ASCII.
        let text = code.get(start..at).unwrap_or("");
        tokens.push(Token { kind, text, end: at });
    }
    tokens
}

fn ends_operand(token: &Token<'_>) -> bool {
    const KEYWORDS: [&str; 14] = [
        "and",
        "or",
        "not",
        "in",
        "is",
        "if",
        "else",
        "elif",
        "set",
        "for",
        "print",
        "do",
        "call",
        "recursive",
    ];
    match token.kind {
        Kind::Text => true,
        Kind::Word => !KEYWORDS.contains(&token.text),
        Kind::Mark => matches!(token.text, ")" | "]" | "}"),
    }
}

/// The last token of the operand that begins at `index`: signs, a primary, what follows it closely.
fn operand_end(tokens: &[Token<'_>], mut index: usize) -> Option<usize> {
    let text = |index: usize| tokens.get(index).map(|token: &Token<'_>| token.text);
    while matches!(text(index), Some("-" | "+" | "not")) {
        index += 1;
    }
    let first = tokens.get(index)?;
    let mut last = match (first.kind, first.text) {
        (Kind::Mark, "(" | "[" | "{") => group_end(tokens, index)?,
        (Kind::Mark, _) => return None,
        (Kind::Text, _) => {
            let more = tokens[index..].iter().take_while(|token| token.kind == Kind::Text);
            index + more.count() - 1
        }
        (Kind::Word, _) => index,
    };
    loop {
        last = match text(last + 1) {
            Some("." | "|") if tokens[last + 1].kind == Kind::Mark && last + 2 < tokens.len() => {
                last + 2
            }
            Some("(" | "[") if tokens[last + 1].kind == Kind::Mark => group_end(tokens, last + 1)?,
            _ => return Some(last),
        };
    }
}

/// The last token of the filter whose `|` is at `index`.
fn filter_end(tokens: &[Token<'_>], index: usize) -> usize {
    let mut last = (index + 1).min(tokens.len() - 1);
    while tokens.get(last + 1).is_some_and(|token| token.text == ".") && last + 2 < tokens.len() {
        last += 2;
    }
    match tokens.get(last + 1) {
        Some(token) if token.kind == Kind::Mark && token.text == "(" => {
            group_end(tokens, last + 1).unwrap_or(last)
        }
        _ => last,
    }
}

/// The bracket that closes the one at `index`.
fn group_end(tokens: &[Token<'_>], index: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (place, token) in tokens.iter().enumerate().skip(index) {
        if token.kind != Kind::Mark {
            continue;
        }
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return Some(place);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operand_is_guarded_once_on_each_side() {
        let short = |code: &str| {
            guarded(code)
                .replace(" | tiller_text", "^t")
                .replace(" | tiller_part", "^p")
                .replace(" | tiller_factor", "^f")
        };
        assert_eq!(short("a ~ b"), "a^t ~ b^t");
        assert_eq!(short("a['x'] + f(b)|trim"), "a['x']^p + f(b)|trim^p^p");
        assert_eq!(short("'a' 'b' ~ -c.d[0].e if x else y"), "'a' 'b'^t ~ -c.d[0].e^t if x else y");
        assert_eq!(short("(a * 2) ~ {'k': [1]}"), "(a^f * 2^f)^t ~ {'k': [1]}^t");
        assert_eq!(short("x | default('~') | upper"), "x | default('~')^p | upper^p");
        assert_eq!(short("-1 if not +2 else f(*c, **d)"), "-1 if not +2 else f(*c, **d)");
        assert_eq!(short("1.5 + 2"), "1.5^p + 2^p");
        assert_eq!(short("äöü ~ '日' ~"), "äöü^t ~ '日'^t^t ~");
    }

    #[test]
    fn a_tag_ends_outside_strings_and_brackets() {
        assert_eq!(closing("{{- {'a': {}} -}} x"), Some(3..14));
        assert_eq!(closing("{% set a = '%}' +%}"), Some(2..16));
        assert_eq!(closing("{{ 'open }}"), None);
    }
}
