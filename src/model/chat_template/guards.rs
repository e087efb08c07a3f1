//! The guards `source` and `expression` insert, and the filters whose one step makes much text,
//! with their results counted before they are made.

use minijinja::value::{Rest, Value, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, State, filters};
use minijinja_contrib::pycompat;

use super::{growth, python};

/// The most a text or list is repeated by one `*`.
const MOST_REPEATS: i64 = 10_000;

/// Adds guards and counting filters to an environment.
pub fn add_to(environment: &mut Environment<'static>) {
    environment.add_filter("tiller_text", text_operand);
    environment.add_filter("tiller_part", growth::counted);
    environment.add_filter("tiller_factor", factor);
    environment.add_function("tiller_spend", |bytes: usize| -> Result<&'static str, Error> {
        growth::spend(bytes).map(|()| "")
    });
    environment.add_filter("string", |value: Value| python::text(&value).map(Value::from));
    environment.add_filter("join", |value: Value, joiner: Option<Value>| {
        spend_join(&value, joiner.as_ref())?;
        let joiner = joiner.map(|joiner| python::text(&joiner)).transpose()?.unwrap_or_default();
        join(&value, &joiner)
    });
    environment.add_filter("replace", |value: Value, from: Value, to: Value| {
        let (text, from, to) = (python::text(&value)?, python::text(&from)?, python::text(&to)?);
        spend_replace(&text, &from, &to)?;
        Ok::<_, Error>(text.replace(&from, &to))
    });
    environment.add_filter(
        "indent",
        |text: String, width: Value, first: Option<bool>, blank: Option<bool>| {
            let indent = match width.as_str() {
                Some(text) => text.to_string(),
                None => " ".repeat(usize::try_from(width.clone()).unwrap_or(4).min(1000)),
            };
            growth::spend(text.lines().count().saturating_mul(indent.len()))?;
            Ok::<_, Error>(indented(&text, &indent, first.unwrap_or(false), blank.unwrap_or(false)))
        },
    );
    environment.add_filter("format", format);
    environment.set_unknown_method_callback(|state, value, method, arguments| {
        match (method, value.as_str()) {
            ("join", Some(_)) => {
                if let Some(items) = arguments.first() {
                    spend_join(items, Some(value))?;
                }
            }
            ("replace", Some(text)) => {
                let part =
                    |index: usize| arguments.get(index).and_then(Value::as_str).unwrap_or("");
                spend_replace(text, part(0), part(1))?;
            }
            ("format", Some(text)) => spend_format(text, '{', arguments)?,
            _ => {}
        }
        growth::counted(pycompat::unknown_method_callback(state, value, method, arguments)?)
    });
}

fn format(
    state: &mut State<'_, '_>,
    text: Value,
    values: Rest<ValueOrKwargs>,
) -> Result<Value, Error> {
    let given: Vec<Value> = values.iter().map(|value| Value::clone(value)).collect();
    spend_format(text.as_str().unwrap_or(""), '%', &given)?;
    filters::format(state, &text, values)
}

/// An operand of `~`: always a text, written as Python writes it.
fn text_operand(value: Value) -> Result<Value, Error> {
    if value.is_undefined() || value.as_str().is_some() {
        return growth::counted(value);
    }
    growth::counted(Value::from(python::text(&value)?))
}

/// An operand of `*`: numbers stay small enough for texts to be repeated, texts pay for it.
fn factor(value: Value) -> Result<Value, Error> {
    match value.kind() {
        ValueKind::Number => {
            let whole = i64::try_from(value.clone()).ok();
            if whole.is_some_and(|whole| whole > MOST_REPEATS) {
                growth::spend(usize::MAX)?;
            }
        }
        _ => growth::spend(growth::size(&value).saturating_mul(MOST_REPEATS as usize))?,
    }
    Ok(value)
}

/// The texts of a list and what stands between them.
fn spend_join(items: &Value, joiner: Option<&Value>) -> Result<(), Error> {
    let between = joiner.map_or(0, growth::size);
    if items.kind() == ValueKind::Undefined {
        return Ok(());
    }
    for item in items.try_iter()? {
        growth::spend(between.saturating_add(growth::size(&item)).saturating_add(1))?;
    }
    Ok(())
}

fn join(items: &Value, joiner: &str) -> Result<Value, Error> {
    if items.is_undefined() {
        return Ok(Value::from(""));
    }
    let texts = items.try_iter()?.map(|item| python::text(&item)).collect::<Result<Vec<_>, _>>()?;
    Ok(Value::from(texts.join(joiner)))
}

fn spend_replace(text: &str, from: &str, to: &str) -> Result<(), Error> {
    let places = if from.is_empty() { text.len() + 1 } else { text.matches(from).count() };
    growth::spend(text.len().saturating_add(places.saturating_mul(to.len())))
}

/// Each mark of a format may bring in the largest value, or a width written in the format.
fn spend_format(text: &str, mark: char, values: &[Value]) -> Result<(), Error> {
    // Widths that come as values cannot be known here, and no template needs them.
    let flags = |letter: char| letter.is_ascii_digit() || "-+ #.".contains(letter);
    let starred = |rest: &str| mark == '%' && rest.trim_start_matches(flags).starts_with('*');
    if text.split(mark).skip(1).any(starred) || (mark == '{' && text.contains(":{")) {
        growth::spend(usize::MAX)?;
    }
    let widest = text
        .split(|letter: char| !letter.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
        .map(|digits| digits.parse().unwrap_or(usize::MAX))
        .max()
        .unwrap_or(0);
    let mut each = widest.saturating_add(64);
    for value in values {
        each = each.saturating_add(python::text(value)?.len());
    }
    growth::spend(text.matches(mark).count().saturating_mul(each))
}

fn indented(text: &str, indent: &str, first: bool, blank: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            out.push('\n');
        }
        let wanted = if index == 0 { first } else { blank || !line.is_empty() };
        if wanted {
            out.push_str(indent);
        }
        out.push_str(line);
    }
    out
}
