//! Whether an answer is well-formed: it ends by itself, keeps to the topic and does not go in
//! circles. Each check is crude on purpose, so that anyone can repeat it.

use std::collections::HashMap;

use super::replies::Answer;

/// What the three checks say of one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    pub ended: bool,
    pub on_topic: bool,
    pub no_loop: bool,
}

impl Verdict {
    pub fn well_formed(self) -> bool {
        self.ended && self.on_topic && self.no_loop
    }
}

/// Checks an answer against the topic's keywords.
pub fn check(answer: &Answer, keywords: &[String]) -> Verdict {
    let text = answer.text.to_lowercase();
    Verdict {
        ended: answer.ended,
        on_topic: keywords.iter().any(|keyword| text.contains(keyword.as_str())),
        no_loop: !repeats_four_words(&text),
    }
}

/// True when some four words in a row come three times or more: once more may be style.
fn repeats_four_words(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut seen: HashMap<&[&str], usize> = HashMap::new();
    words.windows(4).any(|four| {
        let count = seen.entry(four).or_default();
        *count += 1;
        *count >= 3
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_can_fail() {
        let keywords = vec!["fever".to_owned()];
        let verdict =
            |text: &str, ended| check(&Answer { text: text.to_owned(), ended }, &keywords);
        assert!(verdict("A Fever shows that the body fights.", true).well_formed());
        assert!(!verdict("A fever shows", false).ended);
        assert!(!verdict("The sky is blue.", true).on_topic);
        let circles = "the fever is a sign of ".repeat(3);
        assert!(!verdict(&circles, true).no_loop);
        assert!(!verdict("", true).well_formed());
    }
}
