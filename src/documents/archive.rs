//! The zip behind docx, odt and epub, inflated within bounds: a small file that unpacks to
//! gigabytes is refused when it has given too much, whatever it says of itself.

use std::io::{Cursor, Read};

use zip::ZipArchive;
use zip::result::ZipError;

use crate::platform::Problem;

/// Most bytes inflated out of one file, all its members together; less in tests, which have to
/// make a file that goes beyond it.
const MOST_INFLATED: u64 = if cfg!(test) { 8 << 20 } else { 128 << 20 };
/// Most members; a document has some dozens, a long book a few hundred.
const MOST_MEMBERS: usize = 20_000;

/// A zip whose members are read one after the other.
pub struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    left: u64,
}

impl<'a> Archive<'a> {
    /// # Errors
    /// When it is no zip, or one with far too many members.
    pub fn open(bytes: &'a [u8]) -> Result<Self, Problem> {
        let zip = ZipArchive::new(Cursor::new(bytes))
            .map_err(|error| Problem::new(format!("the file cannot be unpacked: {error}")))?;
        if zip.len() > MOST_MEMBERS {
            return Err(Problem::new(format!("it has {} parts, far too many", zip.len())));
        }
        Ok(Self { zip, left: MOST_INFLATED })
    }

    /// One member's bytes; `None` when there is no such member.
    ///
    /// # Errors
    /// When it is encrypted or broken, or too much has been inflated already.
    pub fn member(&mut self, name: &str) -> Result<Option<Vec<u8>>, Problem> {
        let member = match self.zip.by_name(name) {
            Ok(member) => member,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(ZipError::UnsupportedArchive(what)) if what == ZipError::PASSWORD_REQUIRED => {
                return Err(
                    Problem::new("the file is encrypted").hint("save it without a password first")
                );
            }
            Err(error) => {
                return Err(Problem::new(format!("`{name}` in it cannot be unpacked: {error}")));
            }
        };
        let mut bytes = Vec::new();
        member
            .take(self.left + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| Problem::new(format!("`{name}` in it cannot be unpacked: {error}")))?;
        if bytes.len() as u64 > self.left {
            let what = format!("it unpacks to more than {} MiB", MOST_INFLATED >> 20);
            return Err(Problem::new(what).hint("it may be made to do harm: leave it out"));
        }
        self.left -= bytes.len() as u64;
        Ok(Some(bytes))
    }

    /// One member that has to be there.
    ///
    /// # Errors
    /// As [`Archive::member`], and when it is not there.
    pub fn needed(&mut self, name: &str) -> Result<Vec<u8>, Problem> {
        self.member(name)?
            .ok_or_else(|| Problem::new(format!("the file is broken: there is no `{name}` in it")))
    }
}
