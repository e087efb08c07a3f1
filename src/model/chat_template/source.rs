//! Makes a template's source ready for the engine: what the engine does not know is replaced, and
//! guards are put wherever text can grow.
//!
//! The engine counts steps, but one step may double a text (`x ~ x`), so thirty of them fill any
//! memory. The guards are filters that change nothing and count what passes through them. Nothing
//! inserted holds a line break, so line numbers in errors stay true.

use anyhow::Result;

use super::expression;
use crate::platform::Problem;

/// The longest published templates have some 30 kB.
const LONGEST_SOURCE: usize = 1 << 20;
/// Plain text between tags that is short enough to go uncounted.
const SHORT_TEXT: usize = 32;
/// White space alone cannot be counted without changing how it is trimmed.
const LONGEST_SPACE: usize = 4096;

/// Checks the length, replaces `{% generation %}` and inserts the guards.
///
/// `{% generation %}` marks the assistant's text for training and has no effect on a prompt; it
/// becomes a block that is always taken.
pub fn prepare(source: &str) -> Result<String> {
    if source.len() > LONGEST_SOURCE {
        return Err(Problem::new("the chat template is larger than a megabyte").into());
    }
    let mut out = String::with_capacity(source.len() * 2);
    let mut rest = source;
    while let Some(at) = next_tag(rest) {
        copy_text(&rest[..at], &mut out)?;
        let tag = &rest[at..];
        let length = match tag.as_bytes()[1] {
            b'#' => tag.find("#}").map_or(tag.len(), |end| end + 2),
            _ => match expression::closing(tag) {
                Some(code) => {
                    let inner = &tag[code.clone()];
                    let raw = tag.starts_with("{%") && inner.trim() == "raw";
                    if raw {
                        let length = code.end + end_of_raw(&tag[code.end..]);
                        copy_raw(&tag[..length])?;
                        out.push_str(&tag[..length]);
                        rest = &tag[length..];
                        continue;
                    }
                    let end = code.end + tag[code.end..].find('}').map_or(0, |brace| brace + 1);
                    out.push_str(&tag[..code.start]);
                    copy_code(tag.starts_with("{%"), inner, &mut out);
                    out.push_str(&tag[code.end..end]);
                    rest = &tag[end..];
                    continue;
                }
                // An unclosed tag is the engine's to report.
                None => tag.len(),
            },
        };
        out.push_str(&tag[..length]);
        rest = &tag[length..];
    }
    copy_text(rest, &mut out)?;
    Ok(out)
}

fn next_tag(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    (0..bytes.len().saturating_sub(1))
        .find(|at| bytes[*at] == b'{' && matches!(bytes[*at + 1], b'%' | b'{' | b'#'))
}

fn copy_code(block: bool, code: &str, out: &mut String) {
    match code.trim() {
        "generation" if block => out.push_str(" if true "),
        "endgeneration" if block => out.push_str(" endif "),
        _ => out.push_str(&expression::guarded(code)),
    }
}

/// Plain text, with its length counted by an output of nothing after its first visible character,
/// where no trimming can notice.
fn copy_text(text: &str, out: &mut String) -> Result<()> {
    let visible = |(_, letter): &(usize, char)| !letter.is_whitespace() && *letter != '{';
    let place = match text.char_indices().find(visible) {
        _ if text.len() <= SHORT_TEXT => None,
        Some((at, letter)) => Some(at + letter.len_utf8()),
        None if text.len() > LONGEST_SPACE => {
            let what = "the chat template holds thousands of spaces in a row";
            return Err(Problem::new(what).into());
        }
        None => None,
    };
    let (before, after) = text.split_at(place.unwrap_or(0));
    out.push_str(before);
    if place.is_some() {
        out.push_str(&format!("{{{{ tiller_spend({}) }}}}", text.len()));
    }
    out.push_str(after);
    Ok(())
}

/// Raw blocks hold what looks like tags; nothing is inserted, so they must be short.
fn copy_raw(block: &str) -> Result<()> {
    if block.len() > LONGEST_SPACE {
        return Err(Problem::new("the chat template has a raw block of many kilobytes").into());
    }
    Ok(())
}

/// Length up to the end of `{% endraw %}`.
fn end_of_raw(text: &str) -> usize {
    let mut from = 0;
    while let Some(at) = text[from..].find("{%").map(|at| from + at) {
        if let Some(code) = expression::closing(&text[at..])
            && text[at..][code.clone()].trim() == "endraw"
        {
            let end = at + code.end;
            return end + text[end..].find('}').map_or(0, |brace| brace + 1);
        }
        from = at + 2;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_generation_markers_change() {
        let source = "a{%- generation -%}b{% endgeneration +%}{% if generation %}{% endif %}{%";
        let expected = "a{%- if true -%}b{% endif +%}{% if generation %}{% endif %}{%";
        assert_eq!(prepare(source).unwrap(), expected);
    }

    #[test]
    fn comments_raw_blocks_and_strings_stay_as_they_are() {
        for source in [
            "{# a ~ b #}{% raw %}{{ a ~ b }}{% endraw %}",
            "{{ '}} ~ %}' }}{{ {'a': {}} }}{{ \"\\\" + \" }}",
            "{%- raw -%} {% if %} {%- endraw -%} x",
            "{{ -1 }}{{ f(*rest) }}{% set x = +2 +%}{{",
        ] {
            assert_eq!(prepare(source).unwrap(), source);
        }
    }

    #[test]
    fn long_text_is_counted_after_its_first_visible_character() {
        let text = format!("  {}\n", "word ".repeat(10));
        let out = prepare(&text).unwrap();
        assert_eq!(out, text.replacen("  w", "  w{{ tiller_spend(53) }}", 1));
    }
}
