//! The files a split GGUF model consists of.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;

use super::header::{Header, MetaValue, read_header};
use crate::model::checkpoint::mapping::MappedFile;
use crate::platform::Problem;

/// One file of a model.
pub struct Part {
    pub file: Arc<MappedFile>,
    pub header: Header,
}

/// Opens every part of the model this file belongs to, in order; one for a model in one file.
pub fn open(path: &Path) -> Result<Vec<Part>> {
    let given = open_part(path)?;
    let count = split_number(&given.header, "split.count");
    if count <= 1 {
        return Ok(vec![given]);
    }
    let Some((stem, number, total)) = split_name(path) else {
        return Err(Problem::new(format!(
            "this is part {} of {count} of a split model, but its name does not end so",
            split_number(&given.header, "split.no").saturating_add(1)
        ))
        .at(path)
        .hint("give the parts their names back: NAME-00001-of-00002.gguf and so on")
        .into());
    };
    if total != count {
        let what = format!("`split.count` is {count}, the file's name says {total}");
        return Err(Problem::new(what).at(path).into());
    }
    let mut parts = Vec::new();
    let mut given = Some(given);
    for index in 1..=total {
        let part = if index == number
            && let Some(given) = given.take()
        {
            given
        } else {
            let path = part_path(path, &stem, index, total);
            if !path.is_file() {
                return Err(Problem::new("a part of this split model is missing")
                    .at(&path)
                    .hint("put all parts into one folder")
                    .into());
            }
            open_part(&path)?
        };
        if split_number(&part.header, "split.no") != index - 1 {
            let what = format!("`split.no` is not {}, as the file's name says", index - 1);
            return Err(Problem::new(what).at(&part.file.path).into());
        }
        parts.push(part);
    }
    let found: usize = parts.iter().map(|part| part.header.tensors.len()).sum();
    let promised =
        parts.first().map_or(0, |part| split_number(&part.header, "split.tensors.count"));
    if promised != 0 && promised != found as u64 {
        let what = format!("`split.tensors.count` is {promised}, the parts hold {found} tensors");
        return Err(Problem::new(what).at(path).into());
    }
    Ok(parts)
}

fn open_part(path: &Path) -> Result<Part> {
    let file = MappedFile::open(path)?;
    let header = read_header(file.bytes(), path)?;
    Ok(Part { file: Arc::new(file), header })
}

fn split_number(header: &Header, key: &str) -> u64 {
    match header.metadata.get(key) {
        Some(MetaValue::Unsigned(number)) => *number,
        Some(MetaValue::Signed(number)) => u64::try_from(*number).unwrap_or(0),
        _ => 0,
    }
}

/// `NAME-00002-of-00003.gguf`: the name, 2 and 3.
pub fn split_name(path: &Path) -> Option<(String, u64, u64)> {
    let stem = path.file_name()?.to_str()?.strip_suffix(".gguf")?;
    let (rest, total) = stem.rsplit_once("-of-")?;
    let (name, number) = rest.rsplit_once('-')?;
    let (number, total) = (number.parse().ok()?, total.parse().ok()?);
    // Bounded: every part is a file that must exist.
    (1..=total).contains(&number).then(|| (name.to_string(), number, total))
}

fn part_path(given: &Path, stem: &str, index: u64, total: u64) -> PathBuf {
    given.with_file_name(format!("{stem}-{index:05}-of-{total:05}.gguf"))
}
