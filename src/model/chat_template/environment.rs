//! The template engine set up as the reference implementation sets up its own.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior};

use super::{growth, guards, python};

/// Steps of the engine one rendering may take; a thousand messages take some hundred thousand.
const MOST_STEPS: u64 = 2_000_000;
/// Macros calling macros.
const DEEPEST_RECURSION: usize = 100;

/// An environment without any template.
pub fn new() -> Environment<'static> {
    let mut environment = Environment::new();
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true);
    if let Ok(syntax) = syntax.build() {
        environment.set_syntax(syntax);
    }
    environment.set_undefined_behavior(UndefinedBehavior::Lenient);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(MOST_STEPS));
    environment.set_recursion_limit(DEEPEST_RECURSION);
    environment.set_formatter(format_value);
    guards::add_to(&mut environment);
    environment.add_function("raise_exception", raise_exception);
    environment.add_function("strftime_now", strftime_now);
    environment.add_filter("tojson", to_json);
    environment.add_filter("e", escape);
    environment.add_filter("escape", escape);
    environment
}

/// Prints as Python does: `None`, `True`, lists and dictionaries with quoted strings.
fn format_value(out: &mut Output<'_>, _: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let written = match value.kind() {
        ValueKind::Undefined => return Ok(()),
        ValueKind::String => match value.as_str() {
            Some(text) => {
                growth::spend(text.len())?;
                out.write_str(text)
            }
            None => write!(out, "{value}"),
        },
        _ => {
            let text = python::text(value)?;
            growth::spend(text.len())?;
            out.write_str(&text)
        }
    };
    written.map_err(Error::from)
}

/// HTML escapes as the reference's library writes them.
fn escape(value: Value) -> Result<Value, Error> {
    let mut escaped = String::new();
    for letter in python::text(&value)?.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&#34;"),
            '\'' => escaped.push_str("&#39;"),
            letter => escaped.push(letter),
        }
    }
    growth::counted(Value::from(escaped))
}

fn raise_exception(message: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message))
}

/// Today's date or time in a template's own format, in local time as the reference gives it.
fn strftime_now(format: String) -> Result<String, Error> {
    let now = jiff::Zoned::now();
    jiff::fmt::strtime::format(&format, &now)
        .map_err(|error| Error::new(ErrorKind::InvalidOperation, format!("strftime_now: {error}")))
}

fn to_json(value: Value, options: Kwargs) -> Result<Value, Error> {
    let indent = options.get::<Option<Value>>("indent")?;
    let ascii = options.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false);
    let sort_keys = options.get::<Option<bool>>("sort_keys")?.unwrap_or(false);
    let separators = options.get::<Option<Vec<String>>>("separators")?;
    options.assert_all_used()?;
    let indent = match indent {
        None => None,
        Some(indent) if indent.is_none() || indent.is_undefined() => None,
        Some(indent) => Some(match indent.as_str() {
            Some(text) => text.to_string(),
            None => " ".repeat(usize::try_from(indent).unwrap_or(0).min(64)),
        }),
    };
    let separators = match separators.as_deref() {
        None => None,
        Some([item, key]) => Some((item.clone(), key.clone())),
        Some(_) => {
            return Err(Error::new(ErrorKind::InvalidOperation, "separators is not a pair"));
        }
    };
    let style = python::JsonStyle { indent, ascii, sort_keys, separators };
    growth::counted(Value::from(python::json(&value, &style)?))
}
