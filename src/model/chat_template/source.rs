//! Makes a template's source ready for the engine.

use anyhow::Result;

use crate::platform::Problem;

/// The longest published templates have some 30 kB.
const LONGEST_SOURCE: usize = 1 << 20;

/// Checks the length and replaces what the engine does not know.
///
/// `{% generation %}` marks the assistant's text for training and has no effect on a prompt; it
/// becomes a block that is always taken.
pub fn prepare(source: &str) -> Result<String> {
    if source.len() > LONGEST_SOURCE {
        return Err(Problem::new("the chat template is larger than a megabyte").into());
    }
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("{%") {
        let (before, tag) = rest.split_at(at);
        out.push_str(before);
        match marker(tag) {
            Some((replacement, length)) => {
                out.push_str(&replacement);
                rest = &tag[length..];
            }
            None => {
                out.push_str("{%");
                rest = &tag[2..];
            }
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// `{%- generation +%}` at the start of a text: what stands for it, and its length.
fn marker(tag: &str) -> Option<(String, usize)> {
    let end = tag.find("%}")?;
    let inner = &tag[2..end];
    let sign = |letter: Option<char>| letter.filter(|letter| matches!(letter, '-' | '+'));
    let open = sign(inner.chars().next());
    let inner = &inner[open.map_or(0, char::len_utf8)..];
    let close = sign(inner.chars().next_back());
    let inner = &inner[..inner.len() - close.map_or(0, char::len_utf8)];
    let replacement = match inner.trim() {
        "generation" => "if true",
        "endgeneration" => "endif",
        _ => return None,
    };
    let text = |sign: Option<char>| sign.map_or_else(String::new, String::from);
    Some((format!("{{%{} {replacement} {}%}}", text(open), text(close)), end + 2))
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
}
