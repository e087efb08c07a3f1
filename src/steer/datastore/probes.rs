//! Questions made of a store's own text, so that a store nobody has questions for is measured by
//! something like them: half the words of a stored question, or of a sentence, and what is stored
//! as the answer. Ours, not the paper's.

use std::ops::Range;

use super::segment::Segment;
use crate::platform::random;

/// Questions of one store.
const MOST: usize = 48;
/// Words of a sentence that is asked for; fewer say nothing, more take long.
const WORDS: Range<usize> = 4..41;
/// Bytes of a stored answer that is asked for as a whole.
const MOST_BYTES: usize = 400;
/// Everything random follows from it.
const SEED: u64 = 23;

/// A question and the answer that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    pub question: String,
    pub answer: String,
}

/// Questions spread evenly over the text of these sources.
pub fn of<'a>(segments: impl Iterator<Item = &'a Segment>) -> Vec<Probe> {
    let (texts, asked): (Vec<&str>, Vec<Vec<Asked>>) =
        segments.map(|segment| (segment.text(), asked(segment.text(), segment.runs()))).unzip();
    let all: Vec<(&str, &Asked)> = texts
        .iter()
        .zip(&asked)
        .flat_map(|(text, asked)| asked.iter().map(|a| (*text, a)))
        .collect();
    let count = all.len().min(MOST);
    let made = |at: usize| {
        let (text, asked) = all[at * all.len() / count];
        let question = with_words_left_out(&text[asked.question.clone()], at as u64);
        Probe { question, answer: text[asked.answer.clone()].to_owned() }
    };
    (0..count).map(made).collect()
}

/// Bytes of what can be asked, and of what is then answered.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    question: Range<usize>,
    answer: Range<usize>,
}

/// `runs` are bytes whose tokens are entries, one behind the other, and how many entries: between
/// them lies what is no entry, the question before its answer.
fn asked(text: &str, runs: Vec<(Range<usize>, usize)>) -> Vec<Asked> {
    let (mut all, mut end) = (Vec::new(), 0);
    for (run, count) in runs {
        let before = std::mem::replace(&mut end, run.end)..run.start;
        let Some((gap, said)) = text.get(before.clone()).zip(text.get(run.clone())) else {
            continue;
        };
        let question = trimmed(text, before);
        if !question.is_empty() && gap.ends_with('\n') && said.len() <= MOST_BYTES {
            // A single letter is the answer to a question with options, which is asked otherwise.
            let answer = trimmed(text, run);
            if count > 2 && answer.len() > 1 {
                all.push(Asked { question, answer });
            }
            continue;
        }
        let sentences = sentences(said).map(|s| s.start + run.start..s.end + run.start);
        all.extend(sentences.map(|s| Asked { question: s.clone(), answer: s }));
    }
    all
}

fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let inner = &text[range.clone()];
    let start = range.start + inner.len() - inner.trim_start().len();
    start..start + inner.trim().len()
}

/// Lines, and sentences within them, of a length that can be asked for.
fn sentences(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut start = 0;
    let ends = text.char_indices().filter_map(move |(at, letter)| {
        let end = at + letter.len_utf8();
        let is_end = match letter {
            '\n' | '。' => true,
            '.' | '!' | '?' => text[end..].starts_with(char::is_whitespace),
            _ => false,
        };
        is_end.then_some(end)
    });
    let ends = ends.chain([text.len()]);
    ends.filter_map(move |end| {
        let sentence = trimmed(text, start..end);
        start = end;
        WORDS.contains(&words(&text[sentence.clone()]).count()).then_some(sentence)
    })
}

/// Words; of a text that has no spaces, its characters.
fn words(text: &str) -> Box<dyn Iterator<Item = &str> + '_> {
    if text.contains(char::is_whitespace) {
        return Box::new(text.split_whitespace());
    }
    Box::new(text.char_indices().map(|(at, letter)| &text[at..at + letter.len_utf8()]))
}

/// Every other word, by chance; never none.
fn with_words_left_out(text: &str, stream: u64) -> String {
    let stays = |at: usize| random::unit(SEED, stream, at as u64) < 0.5;
    let kept: Vec<&str> =
        words(text).enumerate().filter(|(at, _)| stays(*at)).map(|(_, word)| word).collect();
    let between = if text.contains(char::is_whitespace) { " " } else { "" };
    match kept.is_empty() {
        true => text.to_owned(),
        false => kept.join(between),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, runs: Vec<(Range<usize>, usize)>) -> Vec<(String, String)> {
        let of =
            |a: &Asked| (text[a.question.clone()].to_owned(), text[a.answer.clone()].to_owned());
        asked(text, runs).iter().map(of).collect()
    }

    #[test]
    fn pairs_are_asked_by_their_questions_and_text_by_its_sentences() {
        let text = "When?\nAt eight.\n\nWhere to?\nNorth, with the wind.\n\n";
        let (a, b) = (text.find("At").unwrap(), text.find("North").unwrap());
        let runs = vec![(a..a + 9, 10), (b..b + 21, 22)];
        let pair = |q: &str, a: &str| (q.to_owned(), a.to_owned());
        let wanted = [pair("When?", "At eight."), pair("Where to?", "North, with the wind.")];
        assert_eq!(shown(text, runs), wanted);

        // The first token of a text is no entry, which does not make it a question.
        let text = "The boat leaves at 8.30 today. It is back!\nNobody knows when exactly.\n";
        let wanted = ["boat leaves at 8.30 today.", "Nobody knows when exactly."];
        let wanted = wanted.map(|s| pair(s, s));
        assert_eq!(shown(text, vec![(3..text.len(), 60)]), wanted);

        // A letter after its options is neither.
        let text = "Which?\nA. red\nB. blue\n B\n\n";
        assert!(shown(text, vec![(22..24, 1)]).is_empty());
        // Nor is what a damaged file says beyond its text.
        assert!(shown("short", vec![(2..90, 5), (1..3, 1)]).is_empty());
        assert_eq!(shown("潮の高い日は船が出ない。", vec![(3..36, 11)]).len(), 1);
    }

    #[test]
    fn half_the_words_stay_and_never_none() {
        let sentence = "one two three four five six seven eight nine ten";
        for stream in 0..40 {
            let left = with_words_left_out(sentence, stream);
            assert!(!left.is_empty() && left.len() <= sentence.len());
            assert_eq!(left, with_words_left_out(sentence, stream), "the same every time");
            let mut rest = sentence.split(' ');
            assert!(left.split(' ').all(|word| rest.any(|other| other == word)), "in their order");
        }
        assert!((0..40).any(|stream| with_words_left_out(sentence, stream).len() < 30));
        assert!((0..20).all(|stream| with_words_left_out("one two", stream).len() >= 3));
    }
}
