//! Electronic books: the chapters of an epub in reading order.

use super::archive::Archive;
use super::markup::{Step, walk};
use super::{Document, Format, Place, web};
use crate::platform::Problem;

/// The chapters that the book's spine names, in its order.
pub fn read(bytes: &[u8]) -> Result<Document, Problem> {
    let mut archive = Archive::open(bytes)?;
    if archive.member("META-INF/rights.xml")?.is_some() {
        return Err(Problem::new("the book is locked to a reader").hint("use a copy without lock"));
    }
    let container = archive.needed("META-INF/container.xml")?;
    let mut package = None;
    walk(&container, |step| {
        if let Step::Open(tag) = step
            && tag.name == "rootfile"
        {
            package = package.take().or_else(|| tag.attribute("full-path").map(str::to_owned));
        }
        Ok(())
    })?;
    let package = package.ok_or_else(|| Problem::new("the book names no contents"))?;
    let (mut items, mut spine) = (Vec::new(), Vec::new());
    walk(&archive.needed(&package)?, |step| {
        if let Step::Open(tag) = step {
            match (tag.name.as_str(), tag.attribute("id"), tag.attribute("href")) {
                ("item", Some(id), Some(href)) => items.push((id.to_owned(), href.to_owned())),
                ("itemref", ..) => spine.extend(tag.attribute("idref").map(str::to_owned)),
                _ => {}
            }
        }
        Ok(())
    })?;
    let folder = package.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut document = Document::new(Format::Epub);
    for (number, id) in spine.iter().enumerate() {
        let Some((_, href)) = items.iter().find(|(item, _)| item == id) else { continue };
        let name = joined(folder, href);
        let Some(chapter) = archive.member(&name)? else {
            document.notes.push(format!("the chapter `{name}` is missing"));
            continue;
        };
        let text = web::text_of(&chapter)?;
        if text.trim().is_empty() {
            continue;
        }
        document.text.place(Place::Chapter(number as u32 + 1));
        document.text.push(text.trim())?;
        document.text.push("\n\n")?;
    }
    Ok(document)
}

/// A path in the book out of a folder in it and a reference from there.
fn joined(folder: &str, reference: &str) -> String {
    let reference = reference.split('#').next().unwrap_or(reference);
    let mut parts: Vec<String> =
        folder.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    for part in reference.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(unquoted(name)),
        }
    }
    parts.join("/")
}

/// `%20` and the like made plain.
fn unquoted(name: &str) -> String {
    let bytes = name.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = (bytes[at] == b'%')
            .then(|| name.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok()))
            .flatten();
        out.push(code.unwrap_or(bytes[at]));
        at += if code.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_followed_from_the_packages_folder() {
        assert_eq!(joined("OEBPS", "text/one.xhtml#a"), "OEBPS/text/one.xhtml");
        assert_eq!(joined("OEBPS/x", "../one%20two.xhtml"), "OEBPS/one two.xhtml");
        assert_eq!(joined("", "a%.html"), "a%.html");
        assert_eq!(joined("", "../../etc/passwd"), "etc/passwd");
    }
}
