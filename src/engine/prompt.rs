//! From a request's prompt and opening to token ids.

use std::sync::Arc;

use anyhow::Result;

use super::{Opening, Prompt, Turn};
use crate::model::Language;
use crate::platform::{Problem, fnv};
use crate::session::Role;

/// A prompt as the model is fed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assembled {
    /// Prompt and opening.
    pub ids: Vec<u32>,
    /// How many of them are the prompt.
    pub prompt_len: usize,
}

/// The ids of a prompt, and of the given beginning of the reply behind it.
///
/// An opening in text is tokenized together with the prompt's text, as the model would have met
/// it, rather than as a text of its own (a SentencePiece tokenizer would put a space in front).
pub fn assemble(language: &Language, prompt: &Prompt, opening: &Opening) -> Result<Assembled> {
    let (text, rendered) = match prompt {
        Prompt::Chat(turns) => render(language, turns)?,
        Prompt::Raw(text) => (text.clone(), false),
        Prompt::Ids(ids) => {
            let prompt_len = ids.len();
            let mut ids = ids.clone();
            match opening {
                Opening::None => {}
                Opening::Tokens(tokens) => ids.extend(tokens),
                Opening::Text(text) => ids.extend(language.vocabulary.encode(text, false)?),
            }
            return Ok(Assembled { ids, prompt_len });
        }
    };
    // Only a template writes markers, and it writes the beginning of text where there is one.
    let encode = |text: &str| match rendered {
        true => language.vocabulary.encode(text, true),
        false => language.encode_plain(text),
    };
    let prompt_ids = encode(&text)?;
    let prompt_len = prompt_ids.len();
    match opening {
        Opening::None => Ok(Assembled { ids: prompt_ids, prompt_len }),
        Opening::Tokens(tokens) => {
            let ids = [prompt_ids.as_slice(), tokens].concat();
            Ok(Assembled { ids, prompt_len })
        }
        Opening::Text(opening) => {
            let ids = encode(&(text + opening))?;
            // Tokens may reach over the seam; then the one that does counts as prompt.
            let prompt_len = prompt_len.min(ids.len());
            Ok(Assembled { ids, prompt_len })
        }
    }
}

/// A prompt as one language has it, rendered once: what other beginnings of the reply are tokenised
/// behind.
pub struct Reader {
    language: Arc<Language>,
    text: String,
    rendered: bool,
}

impl Reader {
    /// # Errors
    /// When the template refuses the messages, or the prompt is ids that another tokenizer cannot
    /// read.
    pub fn new(language: &Arc<Language>, prompt: &Prompt) -> Result<Self> {
        let (text, rendered) = match prompt {
            Prompt::Chat(turns) => render(language, turns)?,
            Prompt::Raw(text) => (text.clone(), false),
            Prompt::Ids(_) => {
                let what = "a prompt of token ids means nothing to a model of another vocabulary";
                return Err(Problem::new(what).hint("give the prompt as text").into());
            }
        };
        Ok(Self { language: Arc::clone(language), text, rendered })
    }

    /// The ids of the prompt with this reply behind it.
    ///
    /// # Errors
    /// When the text cannot be tokenised.
    pub fn ids(&self, reply: &str) -> Result<Vec<u32>> {
        let text = format!("{}{reply}", self.text);
        match self.rendered {
            true => self.language.vocabulary.encode(&text, true),
            false => self.language.encode_plain(&text),
        }
    }
}

/// The text of a conversation up to where the reply begins, and whether a template wrote it.
/// Without a template the messages are set one under the other: a model that only completes text
/// goes on from there.
fn render(language: &Language, turns: &[Turn]) -> Result<(String, bool)> {
    let turns: Vec<(Role, &str)> = turns
        .iter()
        .filter(|turn| turn.role != Role::System || !turn.content.trim().is_empty())
        .map(|turn| (turn.role, turn.content.as_str()))
        .collect();
    match &language.template {
        Some(template) => Ok((template.render(&turns, true)?, true)),
        None => {
            let contents: Vec<&str> = turns.iter().map(|(_, content)| *content).collect();
            Ok((contents.join("\n"), false))
        }
    }
}

/// A short hash of ids (64-bit FNV-1a), to tell one prompt from another.
pub fn fingerprint(ids: &[u32]) -> String {
    fnv::of_ids(ids.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::toy::{ASSISTANT, BEGIN, END, SYSTEM, USER, toy_language};

    fn turn(role: Role, content: &str) -> Turn {
        Turn { role, content: content.into() }
    }

    #[test]
    fn a_conversation_goes_through_the_template_once() {
        let turns = vec![turn(Role::System, " "), turn(Role::User, "Hi")];
        let made = assemble(&toy_language(), &Prompt::Chat(turns), &Opening::None).unwrap();
        let hi = [u32::from(b'H'), u32::from(b'i')];
        assert_eq!(
            made.ids,
            [BEGIN, USER, hi[0], hi[1], END, ASSISTANT],
            "one beginning, no system"
        );
        assert_eq!(made.prompt_len, made.ids.len());

        let turns = vec![turn(Role::System, "s"), turn(Role::User, "Hi")];
        let made =
            assemble(&toy_language(), &Prompt::Chat(turns), &Opening::Tokens(vec![7, 8])).unwrap();
        assert_eq!(&made.ids[..2], [BEGIN, SYSTEM]);
        assert_eq!(&made.ids[made.prompt_len..], [7, 8]);
    }

    #[test]
    fn raw_text_reads_no_markers() {
        let made =
            assemble(&toy_language(), &Prompt::Raw("<|end|>".into()), &Opening::None).unwrap();
        assert_eq!(made.ids.len(), 1 + "<|end|>".len());
        assert_eq!(made.ids[0], BEGIN);
    }

    #[test]
    fn an_opening_in_text_is_tokenized_with_the_prompt() {
        let raw = Prompt::Raw("x t".into());
        let made = assemble(&toy_language(), &raw, &Opening::Text("he".into())).unwrap();
        let whole =
            assemble(&toy_language(), &Prompt::Raw("x the".into()), &Opening::None).unwrap();
        assert_eq!(made.ids, whole.ids);
        assert!(made.prompt_len <= made.ids.len());
    }

    #[test]
    fn a_model_without_template_completes_the_text() {
        let mut language = toy_language();
        language.template = None;
        let turns = vec![turn(Role::User, "a"), turn(Role::Assistant, "b")];
        let made = assemble(&language, &Prompt::Chat(turns), &Opening::None).unwrap();
        let raw = assemble(&language, &Prompt::Raw("a\nb".into()), &Opening::None).unwrap();
        assert_eq!(made, raw);
    }

    #[test]
    fn fingerprints_differ_by_id_and_order() {
        let prints = [fingerprint(&[]), fingerprint(&[1, 2]), fingerprint(&[2, 1])];
        assert_eq!(prints.iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
    }
}
