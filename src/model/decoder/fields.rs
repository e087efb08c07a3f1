//! Reads fields out of a config with bounds, so that every refusal names the field.

use anyhow::Result;
use serde_json::{Map, Value};

use crate::platform::Problem;

/// One JSON object of a config and the path to it, for messages.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    object: &'a Map<String, Value>,
    path: &'static str,
}

impl<'a> Fields<'a> {
    pub(super) fn new(value: &'a Value, path: &'static str) -> Result<Self> {
        match value.as_object() {
            Some(object) => Ok(Self { object, path }),
            None if path.is_empty() => Err(Problem::new("the config is not a JSON object").into()),
            None => Err(Problem::new(format!("the config's {path} is not a JSON object")).into()),
        }
    }

    /// The value, unless it is missing or null.
    pub(super) fn value(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// True when the field is written down, even as null.
    pub(super) fn has(&self, name: &str) -> bool {
        self.object.contains_key(name)
    }

    pub(super) fn refuse(&self, name: &str, why: &str) -> anyhow::Error {
        let path = if self.path.is_empty() { String::new() } else { format!("{}.", self.path) };
        match self.value(name) {
            Some(value) => {
                let mut said = value.to_string();
                if said.chars().count() > 60 {
                    said = said.chars().take(60).chain(['…']).collect();
                }
                Problem::new(format!("the config says {path}{name} = {said}: {why}")).into()
            }
            None => Problem::new(format!("the config has no {path}{name}: {why}")).into(),
        }
    }

    /// A whole number within `1..=most`, if it is there.
    pub(super) fn size(&self, name: &str, most: usize) -> Result<Option<usize>> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let whole = value.as_u64().or_else(|| {
            value.as_f64().filter(|x| x.fract() == 0.0 && (0.0..9e15).contains(x)).map(|x| x as u64)
        });
        match whole {
            Some(number) if number >= 1 && number <= most as u64 => Ok(Some(number as usize)),
            _ => Err(self.refuse(name, &format!("a whole number from 1 to {most} is wanted"))),
        }
    }

    /// A whole number that must be there.
    pub(super) fn need_size(&self, name: &str, most: usize) -> Result<usize> {
        self.size(name, most)?
            .ok_or_else(|| self.refuse(name, &format!("a whole number up to {most} is wanted")))
    }

    /// A finite number within a range, if it is there.
    pub(super) fn number(&self, name: &str, least: f64, most: f64) -> Result<Option<f64>> {
        let Some(value) = self.value(name) else { return Ok(None) };
        match value.as_f64() {
            Some(number) if number >= least && number <= most => Ok(Some(number)),
            _ => Err(self.refuse(name, &format!("a number from {least:e} to {most:e} is wanted"))),
        }
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(self.refuse(name, "true or false is wanted")),
        }
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.refuse(name, "a string is wanted")),
        }
    }

    pub(super) fn object(&self, name: &str, path: &'static str) -> Result<Option<Fields<'a>>> {
        self.value(name).map(|value| Fields::new(value, path)).transpose()
    }

    /// A list of `count` finite positive numbers, if it is there.
    pub(super) fn numbers(&self, name: &str, count: usize) -> Result<Option<Vec<f32>>> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let list = value.as_array().filter(|list| list.len() == count);
        let numbers: Option<Vec<f32>> = list.and_then(|list| {
            list.iter()
                .map(|item| item.as_f64().map(|x| x as f32).filter(|x| x.is_finite() && *x > 0.0))
                .collect()
        });
        numbers
            .map(Some)
            .ok_or_else(|| self.refuse(name, &format!("{count} positive numbers are wanted")))
    }

    /// A list of `count` strings, if it is there.
    pub(super) fn texts(&self, name: &str, count: usize) -> Result<Option<Vec<&'a str>>> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let list = value.as_array().filter(|list| list.len() == count);
        let texts: Option<Vec<&str>> =
            list.and_then(|list| list.iter().map(Value::as_str).collect());
        texts.map(Some).ok_or_else(|| self.refuse(name, &format!("{count} strings are wanted")))
    }
}
