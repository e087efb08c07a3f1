//! One question in many wordings: forms that mean the same, words that stand for each other, a
//! phrase before or after, small words left out. What it is about stays.

use serde::Deserialize;

use crate::learn::random::Draws;

/// What may be done to a question.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wording {
    /// Phrases before a question; the last characters join it.
    #[serde(default)]
    before: Vec<String>,
    /// Phrases after it.
    #[serde(default)]
    after: Vec<String>,
    /// The first word of each may be said by one of the others.
    #[serde(default)]
    alike: Vec<Vec<String>>,
    /// Lower case words that a hasty person leaves out.
    #[serde(default)]
    dropped: Vec<String>,
    #[serde(default, rename = "form")]
    forms: Vec<Form>,
}

/// Forms of one question, each with a `{rest}`; any of `to` may replace any of `from`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    from: Vec<String>,
    to: Vec<String>,
}

/// How often each thing is done to a question.
const FORM_SHARE: f64 = 0.35;
const ALIKE_SHARE: f64 = 0.25;
const PHRASE_SHARE: f64 = 0.12;
const HASTE_SHARE: f64 = 0.08;
/// Of the small words of a hasty question, how many go.
const DROPPED_SHARE: f64 = 0.7;

impl Wording {
    /// The wording of another file beside this one.
    pub fn extend(&mut self, other: Self) {
        self.before.extend(other.before);
        self.after.extend(other.after);
        self.alike.extend(other.alike);
        self.dropped.extend(other.dropped);
        self.forms.extend(other.forms);
    }

    /// What does not hold together: a form without its `{rest}`, a word without another.
    pub fn mistake(&self) -> Option<String> {
        let forms = self.forms.iter().flat_map(|form| form.from.iter().chain(&form.to));
        let bare = forms.into_iter().find(|form| form.matches("{rest}").count() != 1);
        let lone = self.alike.iter().find(|words| words.len() < 2);
        bare.map(|form| format!("the form `{form}` does not have one {{rest}}"))
            .or_else(|| lone.map(|words| format!("nothing is like {words:?}")))
    }

    /// The question as somebody else might put it; often as it is.
    pub fn reworded(&self, question: &str, draws: &mut Draws) -> String {
        let mut out = question.to_owned();
        if draws.chance(FORM_SHARE)
            && let Some(form) = self.reformed(&out, draws)
        {
            out = form;
        }
        if draws.chance(ALIKE_SHARE) {
            out = self.other_word(&out, draws);
        }
        let words = out.split_whitespace().count();
        if words > 3 && draws.chance(HASTE_SHARE) {
            out = self.hasty(&out, draws);
        } else if words > 2 && draws.chance(PHRASE_SHARE) {
            out = self.with_phrase(&out, draws);
        }
        out
    }

    /// The same in another form, when one of the forms is the question's.
    fn reformed(&self, question: &str, draws: &mut Draws) -> Option<String> {
        let bare = question.trim_end_matches(['?', '.', '!']);
        // Of two sentences a form would be put around the first alone.
        if bare.contains(['?', '.', '!', ':']) {
            return None;
        }
        let found: Vec<(&Form, &str)> = self
            .forms
            .iter()
            .filter_map(|form| {
                form.from.iter().find_map(|from| rest_of(from, bare)).map(|r| (form, r))
            })
            .collect();
        let (form, rest) = draws.pick(&found)?;
        Some(capital(&draws.pick(&form.to)?.replace("{rest}", rest)))
    }

    /// One of its words said by another.
    fn other_word(&self, question: &str, draws: &mut Draws) -> String {
        let mut words: Vec<String> = question.split(' ').map(str::to_owned).collect();
        let known: Vec<(usize, &[String])> = words
            .iter()
            .enumerate()
            .filter_map(|(at, word)| {
                let bare = word.trim_end_matches(['?', '.', '!', ',']);
                let group = self.alike.iter().find(|group| group[0] == bare)?;
                Some((at, &group[1..]))
            })
            .collect();
        if let Some((at, others)) = draws.pick(&known).copied()
            && let Some(other) = draws.pick(others)
        {
            let mark = words[at].trim_start_matches(char::is_alphanumeric).to_owned();
            words[at] = format!("{other}{mark}");
        }
        words.join(" ")
    }

    /// Without most of its small words, so long as two of the others stay.
    fn hasty(&self, question: &str, draws: &mut Draws) -> String {
        let is_small = |word: &str| self.dropped.iter().any(|small| small == &word.to_lowercase());
        let kept: Vec<&str> = question
            .split(' ')
            .filter(|word| !(is_small(word) && draws.chance(DROPPED_SHARE)))
            .collect();
        if kept.len() < 2 { question.to_owned() } else { kept.join(" ") }
    }

    fn with_phrase(&self, question: &str, draws: &mut Draws) -> String {
        if draws.chance(0.6) {
            let Some(phrase) = draws.pick(&self.before) else { return question.to_owned() };
            return format!("{phrase}{}", after_phrase(phrase, question));
        }
        let Some(phrase) = draws.pick(&self.after) else { return question.to_owned() };
        // A phrase that is a sentence comes after the mark, one that is not before it.
        if phrase.starts_with(',') || phrase.trim_start().starts_with(char::is_lowercase) {
            let bare = question.trim_end_matches(['?', '.', '!']);
            return format!("{bare}{phrase}{}", &question[bare.len()..]);
        }
        let mark = if question.ends_with(['?', '.', '!']) { "" } else { "." };
        format!("{question}{mark}{phrase}")
    }
}

/// What stands at the `{rest}` of a form; marks at the end and capitals at the start aside.
fn rest_of<'a>(form: &str, question: &'a str) -> Option<&'a str> {
    let (head, tail) = form.split_once("{rest}")?;
    let tail = tail.trim_end_matches(['?', '.', '!']);
    let start = question.get(..head.len()).filter(|start| start.eq_ignore_ascii_case(head))?;
    let rest = question[start.len()..].strip_suffix(tail)?;
    (!rest.trim().is_empty()).then_some(rest)
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// A question within a sentence begins small, unless its first word is a name or `I`.
fn after_phrase(phrase: &str, question: &str) -> String {
    const SMALL: [&str; 14] = [
        "How", "What", "Why", "When", "Where", "Which", "Who", "Can", "Could", "Should", "Is",
        "Are", "Do", "Does",
    ];
    let is_open =
        phrase.ends_with([',', ':', ' ']) && !phrase.trim_end().ends_with(['.', '!', '?']);
    let first = question.split(' ').next().unwrap_or_default();
    if is_open && SMALL.contains(&first) {
        return first.to_lowercase() + &question[first.len()..];
    }
    question.to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn wording() -> Wording {
        toml::from_str(
            "before = ['Tell me: ', 'Hello! ']
             after = [', please', ' Thanks!']
             alike = [['big', 'large']]
             dropped = ['i', 'a', 'how', 'do']
             [[form]]
             from = ['How do I {rest}?']
             to = ['Help me {rest}', '{rest}: how?']",
        )
        .unwrap()
    }

    #[test]
    fn a_question_is_put_in_each_of_its_ways_and_often_left_alone() {
        let (wording, mut draws) = (wording(), Draws::new(1, 1));
        let all: Vec<String> =
            (0..4000).map(|_| wording.reworded("How do I bake a big cake?", &mut draws)).collect();
        let kinds: BTreeSet<&str> = all.iter().map(String::as_str).collect();
        for expected in [
            "How do I bake a big cake?",
            "Help me bake a big cake",
            "Bake a big cake: how?",
            "How do I bake a large cake?",
            "Tell me: how do I bake a big cake?",
            "Hello! How do I bake a big cake?",
            "How do I bake a big cake, please?",
            "How do I bake a big cake? Thanks!",
            "bake big cake?",
        ] {
            assert!(kinds.contains(expected), "{expected}: {kinds:?}");
        }
        let same = all.iter().filter(|text| *text == "How do I bake a big cake?").count();
        assert!((1000..2600).contains(&same), "{same}");
    }

    #[test]
    fn two_sentences_and_other_questions_keep_their_form() {
        let (wording, mut draws) = (wording(), Draws::new(1, 1));
        assert_eq!(wording.reformed("How do I bake? I am new.", &mut draws), None);
        assert_eq!(wording.reformed("Why bake?", &mut draws), None);
        assert_eq!(wording.reformed("How do I ?", &mut draws), None);
        assert_eq!(wording.reformed("Hé", &mut draws), None);
    }

    #[test]
    fn a_form_without_its_place_is_found() {
        let mut wording = wording();
        assert_eq!(wording.mistake(), None);
        wording.forms[0].to.push("Help me".to_owned());
        assert!(wording.mistake().unwrap().contains("Help me"));
    }
}
