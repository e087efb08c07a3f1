//! Answers with one fault in their language, beside the same answers whole: a reward that decides
//! between the next tokens must fall where a text breaks, and only texts that break can teach it.

use std::collections::BTreeSet;

use super::Pair;
use crate::learn::random::Draws;
use crate::learn::text::compose::Part;
use crate::learn::text::expert::{self, Level};
use crate::learn::text::source::Source;

/// What is wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Two neighbouring words have changed places.
    Swapped,
    /// One or two words are missing.
    Dropped,
    /// Up to three words come again at once.
    Repeated,
    /// Inside a word the tail of another answer begins, from inside a word of that.
    Spliced,
    /// A word of another answer stands in a word's place.
    Replaced,
    /// It ends where no sentence does.
    Cut,
}

impl Fault {
    pub const ALL: [Self; 6] =
        [Self::Swapped, Self::Dropped, Self::Repeated, Self::Spliced, Self::Replaced, Self::Cut];

    /// The answer with this fault at a drawn place; `None` where it would be the same or would not
    /// be seen there.
    pub fn put_into(
        self,
        answer: &str,
        other: &str,
        words_of_all: &[String],
        draws: &mut Draws,
    ) -> Option<String> {
        let mut words: Vec<&str> = answer.split(' ').collect();
        if words.len() < 4 {
            return None;
        }
        let at = draws.below(words.len() - 1);
        let broken = match self {
            Self::Swapped => {
                words.swap(at, at + 1);
                words.join(" ")
            }
            Self::Dropped => {
                let end = (at + 1 + draws.below(2)).min(words.len() - 1);
                words.drain(at..end);
                words.join(" ")
            }
            Self::Repeated => {
                let end = (at + 1 + draws.below(3)).min(words.len());
                let again = words[at..end].to_vec();
                words.splice(end..end, again);
                words.join(" ")
            }
            Self::Spliced => {
                let head = halves(words[at], draws)?.0;
                let others: Vec<&str> = other.split(' ').collect();
                let from = draws.below(others.len());
                let tail = halves(others[from], draws)?.1;
                let before = words[..at].iter().copied();
                let joined = format!("{head}{tail}");
                let behind = others[from + 1..].iter().copied();
                before.chain([joined.as_str()]).chain(behind).collect::<Vec<_>>().join(" ")
            }
            Self::Replaced => {
                words[at] = draws.pick(words_of_all)?;
                words.join(" ")
            }
            Self::Cut => {
                let ends = |word: &str| word.ends_with(['.', '!', '?', ':', '"', '\n']);
                if ends(words[at]) {
                    return None;
                }
                words[..=at].join(" ")
            }
        };
        (broken != answer).then_some(broken)
    }
}

/// A word parted at a drawn place, both halves of letters only where they meet.
fn halves<'a>(word: &'a str, draws: &mut Draws) -> Option<(&'a str, &'a str)> {
    let letters = |at: usize| {
        let (head, tail) = word.split_at(at);
        let is_letter = |letter: Option<char>| letter.is_some_and(char::is_alphabetic);
        is_letter(head.chars().next_back()) && is_letter(tail.chars().next())
    };
    let places: Vec<usize> =
        word.char_indices().map(|(at, _)| at).filter(|at| letters(*at)).collect();
    draws.pick(&places).map(|at| word.split_at(*at))
}

/// `count` pairs that prefer an answer to the same answer with one fault, half of them from
/// everyday topics and half from the expert domains, every fault as often as any other.
pub fn broken(source: &Source, part: Part, count: usize, seed: u64) -> Vec<Pair> {
    let mut draws = Draws::new(seed, 0x6272_6F6B + part as u64);
    let pools = [everyday(source, part), experts(source, part)];
    let texts = pools.iter().flatten().flat_map(|asked| &asked.answers);
    let words: BTreeSet<String> =
        texts.flat_map(|text| text.split(' ')).map(ToOwned::to_owned).collect();
    let words: Vec<String> = words.into_iter().collect();
    let mut pairs = Vec::with_capacity(count);
    // Some draws come to nothing; a source of single words would never come to an end.
    for turn in 0..20 * count {
        if pairs.len() == count {
            break;
        }
        let pool = &pools[turn % 2];
        let fault = Fault::ALL[pairs.len() % Fault::ALL.len()];
        let mut answer = || {
            let asked = draws.pick(pool)?;
            Some((asked.prompt.clone(), draws.pick(&asked.answers)?.clone()))
        };
        let (Some((prompt, chosen)), Some((_, other))) = (answer(), answer()) else { continue };
        if let Some(rejected) = fault.put_into(&chosen, &other, &words, &mut draws) {
            pairs.push(Pair { prompt, chosen, rejected });
        }
    }
    pairs
}

/// A question and its good answers.
struct Asked {
    prompt: String,
    answers: Vec<String>,
}

fn everyday(source: &Source, part: Part) -> Vec<Asked> {
    let has_no_slot = |text: &&String| !text.contains('{');
    let mut all = Vec::new();
    for topic in source.topics.iter().filter(|topic| topic.rows.is_empty()) {
        let answers: Vec<String> = topic.say.iter().filter(has_no_slot).cloned().collect();
        let asks = if part == Part::Training { &topic.ask } else { &topic.held_out };
        for prompt in asks.iter().filter(has_no_slot).filter(|_| !answers.is_empty()) {
            all.push(Asked { prompt: prompt.clone(), answers: answers.clone() });
        }
    }
    all
}

fn experts(source: &Source, part: Part) -> Vec<Asked> {
    let domains = expert::by_name(&source.domains);
    let mut all = Vec::new();
    for topic in &source.experts {
        let Some(domain) = domains.get(topic.domain.as_str()) else { continue };
        let questions = match part {
            Part::Training => topic.trained_questions(domain),
            Part::HeldOut => topic.test_questions(domain),
        };
        let levels = Level::ALL.into_iter().flat_map(|level| topic.answers(level));
        let answers: Vec<String> = levels.map(|text| topic.filled(text)).collect();
        all.extend(questions.into_iter().map(|prompt| Asked { prompt, answers: answers.clone() }));
    }
    all
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::path::Path;

    use super::*;

    const ANSWER: &str = "Most plants want water only when the soil is dry. Ask again in a week.";
    const OTHER: &str = "Keep a table of what helps, and look at it when the headache comes.";

    fn all_of(fault: Fault) -> HashSet<String> {
        let words = ["lantern".to_owned(), "owed".to_owned()];
        let mut draws = Draws::new(3, 1);
        (0..400).filter_map(|_| fault.put_into(ANSWER, OTHER, &words, &mut draws)).collect()
    }

    #[test]
    fn every_fault_is_one_and_stands_anywhere() {
        let words = |text: &str| -> Vec<String> { text.split(' ').map(str::to_owned).collect() };
        let whole = words(ANSWER);
        for fault in Fault::ALL {
            let made = all_of(fault);
            assert!(made.len() > 8 && !made.contains(ANSWER), "{fault:?}: {}", made.len());
            let mut places = HashSet::new();
            for text in &made {
                let has = words(text);
                places.insert(whole.iter().zip(&has).take_while(|(a, b)| a == b).count());
                let mut sorted = [whole.clone(), has.clone()];
                sorted.iter_mut().for_each(|some| some.sort());
                let (a, b) = (whole.len(), has.len());
                assert!(
                    match fault {
                        Fault::Swapped => sorted[0] == sorted[1],
                        Fault::Dropped => a - b == 1 || a - b == 2,
                        Fault::Repeated => (a + 1..=a + 3).contains(&b),
                        Fault::Spliced => text.ends_with(['s', '.', ',']) && !ANSWER.contains(text),
                        Fault::Replaced => text.contains("lantern") || text.contains("owed"),
                        Fault::Cut => ANSWER.starts_with(text) && !text.ends_with('.'),
                    },
                    "{fault:?}: {text}"
                );
            }
            assert!(places.len() > 5, "{fault:?} only stands at {places:?}");
        }
        let short = Fault::Swapped.put_into("Of course.", OTHER, &[], &mut Draws::new(1, 1));
        assert_eq!(short, None);
    }

    #[test]
    fn pairs_are_of_every_kind_and_the_held_out_ones_of_other_questions() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/starter/source");
        let source = Source::read(&folder).unwrap();
        let (training, held_out) =
            (broken(&source, Part::Training, 600, 1), broken(&source, Part::HeldOut, 120, 1));
        assert_eq!((training.len(), held_out.len()), (600, 120));
        assert_eq!(training, broken(&source, Part::Training, 600, 1));
        assert_ne!(training, broken(&source, Part::Training, 600, 2));
        assert!(training.iter().all(|pair| pair.chosen != pair.rejected));
        assert!(training.iter().all(|pair| !pair.chosen.contains('{')));
        let asked: HashSet<&str> = training.iter().map(|pair| pair.prompt.as_str()).collect();
        assert!(asked.len() > 300, "{}", asked.len());
        assert!(held_out.iter().all(|pair| !asked.contains(pair.prompt.as_str())));
        // Where a text breaks is spread over it.
        let place = |pair: &Pair| {
            let same = pair.chosen.bytes().zip(pair.rejected.bytes());
            let same = same.take_while(|(a, b)| a == b).count();
            same as f64 / pair.chosen.len() as f64
        };
        let late = training.iter().filter(|pair| place(pair) > 0.5).count();
        assert!((200..400).contains(&late), "{late}");
    }
}
