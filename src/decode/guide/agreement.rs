//! Whether two models mean the same by every token id: scores may be added to each other only then.
//!
//! The size says nothing: Llama 2 and Mistral 0.1 both have 32,000 entries of different texts.

use crate::model::Vocabulary;
use crate::platform::Problem;

/// Where two vocabularies part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parting {
    /// The first id that differs.
    pub id: u32,
    /// What the base and the guide have there, for a person.
    pub base: String,
    pub guide: String,
}

impl Parting {
    /// As an error that names the guide and says what is possible all the same.
    pub fn problem(&self, guide: &str) -> Problem {
        let Self { id, base, guide: other } = self;
        let what = format!(
            "{guide} has another vocabulary than the model it is to guide: token {id} is {base:?} \
             there and {other:?} here"
        );
        Problem::new(what)
            .hint("set its beta to 0 and use it at chunk level, which goes through text")
    }
}

/// How many ids both have, all of them with equal bytes; ids only one has must be padding without a
/// text.
///
/// # Errors
/// The first id that differs.
pub fn shared_vocabulary(base: &dyn Vocabulary, guide: &dyn Vocabulary) -> Result<usize, Parting> {
    let shared = base.size().min(guide.size());
    let longest = base.size().max(guide.size());
    let differs = |id: &u32| {
        base.token_bytes(*id) != guide.token_bytes(*id)
            || base.is_marker(*id) != guide.is_marker(*id)
    };
    match (0..longest as u32).find(differs) {
        None => Ok(shared),
        Some(id) => Err(Parting { id, base: said(base, id), guide: said(guide, id) }),
    }
}

fn said(vocabulary: &dyn Vocabulary, id: u32) -> String {
    match vocabulary.token_bytes(id) {
        None => "nothing".to_owned(),
        Some(_) => vocabulary.token_text(id),
    }
}
