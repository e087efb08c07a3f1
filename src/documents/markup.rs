//! XML events as the readers of docx, odt and epub want them: names without their prefix,
//! references resolved, broken files refused.

use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesStart, Event};

use crate::platform::Problem;

/// A step through an XML file.
pub enum Step {
    Open(Tag),
    Close(String),
    Text(String),
}

/// An element's name and attributes, both without prefix.
pub struct Tag {
    pub name: String,
    attributes: Vec<(String, String)>,
}

impl Tag {
    /// An attribute's value.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Calls `take` for every step; an element without content opens and closes.
///
/// # Errors
/// When the XML is broken, or `take` fails.
pub fn walk(
    bytes: &[u8],
    mut take: impl FnMut(Step) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let broken = |error: &dyn std::fmt::Display| {
        Problem::new(format!("the file is broken: {error}")).hint("save it anew")
    };
    let mut reader = Reader::from_reader(bytes);
    reader.config_mut().check_end_names = false;
    loop {
        match reader.read_event().map_err(|error| broken(&error))? {
            Event::Start(start) => take(Step::Open(tag(&start)))?,
            Event::Empty(start) => {
                let tag = tag(&start);
                let name = tag.name.clone();
                take(Step::Open(tag))?;
                take(Step::Close(name))?;
            }
            Event::End(end) => take(Step::Close(text_of(end.local_name().as_ref())))?,
            Event::Text(text) => take(Step::Text(text_of(&text)))?,
            Event::CData(text) => take(Step::Text(text_of(&text)))?,
            Event::GeneralRef(reference) => {
                let resolved = match reference.resolve_char_ref() {
                    Ok(Some(c)) => c.to_string(),
                    _ => resolve_xml_entity(&text_of(&reference)).unwrap_or_default().to_owned(),
                };
                take(Step::Text(resolved))?;
            }
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

fn tag(start: &BytesStart<'_>) -> Tag {
    let attributes = start
        .attributes()
        .with_checks(false)
        .flatten()
        .map(|attribute| {
            let value = text_of(&attribute.value);
            let value = quick_xml::escape::unescape(&value)
                .map_or_else(|_| value.clone(), std::borrow::Cow::into_owned);
            (text_of(attribute.key.local_name().as_ref()), value)
        })
        .collect();
    Tag { name: text_of(start.local_name().as_ref()), attributes }
}

/// These formats are UTF-8 by their standards; what is not shows as such.
fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
