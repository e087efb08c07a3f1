//! The texts of a run as ids, each kept once however many pairs it is part of, and the lessons
//! over them.

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::Result;
use sha2::{Digest, Sha256};

use super::exchange::{self, Exchange};
use super::faults;
use crate::learn::lines::{self, Lines};
use crate::learn::preference::encoding::encode_after;
use crate::learn::random::Draws;
use crate::model::Language;
use crate::platform::{Problem, fnv};
use crate::session::Role;

/// A prompt with one answer to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Text {
    pub ids: Vec<u32>,
    /// Where the answer's first id stands.
    pub answer: usize,
}

/// What a run learns from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Lesson {
    /// The first text is worth more than the second.
    Pair([usize; 2]),
    /// A text is worth this, in deviations from the mean of all ratings.
    Rating(usize, f64),
    /// The base's own words, for heads that draft.
    Own(usize),
}

impl Lesson {
    /// It says what a text is worth.
    pub fn judges(&self) -> bool {
        !matches!(self, Self::Own(_))
    }

    /// The texts it is about, by number.
    pub fn texts(&self) -> &[usize] {
        match self {
            Self::Pair(texts) => texts,
            Self::Rating(text, _) | Self::Own(text) => std::slice::from_ref(text),
        }
    }
}

/// How ratings were brought to mean 0 and deviation 1.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct RatingScale {
    pub mean: f64,
    pub deviation: f64,
}

/// Which files hold what.
#[derive(Debug, Clone, Copy)]
pub struct Files<'a> {
    pub training: &'a [PathBuf],
    /// Never trained on; without any, the lessons of every twentieth prompt are held out.
    pub held_out: &'a [PathBuf],
    /// Ratings rather than pairs.
    pub rated: bool,
    /// To train on also answers against themselves with a fault in their language, by this seed.
    pub faults: Option<u64>,
}

/// Every lesson of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lessons {
    pub texts: Vec<Text>,
    pub training: Vec<Lesson>,
    pub held_out: Vec<Lesson>,
    /// Only of ratings.
    pub scale: Option<RatingScale>,
}

impl Lessons {
    /// Reads and encodes the files, and says what was left out and why. A prompt loses its first
    /// ids where text and prompt together are longer than `context`.
    ///
    /// # Errors
    /// When files cannot be read, too many lines are bad, or nothing is left.
    pub fn read(
        files: Files<'_>,
        language: &Language,
        context: usize,
        tell: &mut impl FnMut(&str),
    ) -> Result<Self> {
        let mut reading =
            Reading { language, context, known: HashMap::new(), all: Self::default() };
        let training = reading.lessons(files.training, files.rated, files.faults, tell)?;
        let held_out = reading.lessons(files.held_out, files.rated, None, tell)?;
        let mut all = reading.all;
        (all.training, all.held_out) = match files.held_out {
            [] => apart(&all.texts, training),
            _ => (training, held_out),
        };
        if all.training.is_empty() {
            let what = format!("nothing to learn from is left that fits {context} tokens");
            return Err(Problem::new(what).at(lines::first(files.training)).into());
        }
        if files.rated {
            all.scale = Some(all.standardise()?);
        }
        Ok(all)
    }

    /// Keeps at most so many lessons to train on, drawn from all, and so many held out, evenly
    /// spread over them; texts that no lesson is about any more go.
    pub fn keep(&mut self, most: Option<usize>, most_held_out: Option<usize>, seed: u64) {
        if let Some(most) = most.filter(|most| self.training.len() > *most) {
            Draws::new(seed, 0x6D6F_7374).shuffle(&mut self.training);
            self.training.truncate(most);
        }
        let all = self.held_out.len();
        if let Some(most) = most_held_out.filter(|most| all > *most) {
            self.held_out = (0..most).map(|at| self.held_out[at * all / most]).collect();
        }
        self.forget_unused();
    }

    /// Drops texts that no lesson is about and numbers the others anew, in their order.
    fn forget_unused(&mut self) {
        let mut used = vec![false; self.texts.len()];
        let lessons = self.training.iter().chain(&self.held_out);
        lessons.flat_map(Lesson::texts).for_each(|text| used[*text] = true);
        let mut numbers = Vec::with_capacity(used.len());
        let mut next = 0;
        for is_used in &used {
            numbers.push(next);
            next += usize::from(*is_used);
        }
        for lesson in self.training.iter_mut().chain(&mut self.held_out) {
            match lesson {
                Lesson::Pair([a, b]) => (*a, *b) = (numbers[*a], numbers[*b]),
                Lesson::Rating(text, _) | Lesson::Own(text) => *text = numbers[*text],
            }
        }
        let mut used = used.into_iter();
        self.texts.retain(|_| used.next().unwrap_or(false));
    }

    /// Brings ratings to mean 0 and deviation 1 over those to train on.
    fn standardise(&mut self) -> Result<RatingScale> {
        let rated = |lesson: &Lesson| match lesson {
            Lesson::Rating(_, rating) => Some(*rating),
            Lesson::Pair(_) | Lesson::Own(_) => None,
        };
        let ratings: Vec<f64> = self.training.iter().filter_map(rated).collect();
        let count = ratings.len().max(1) as f64;
        let mean = ratings.iter().sum::<f64>() / count;
        let deviation = (ratings.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / count).sqrt();
        if deviation < 1e-9 * mean.abs().max(1e-3) {
            let what = format!("every answer is rated {mean}: there is nothing to learn");
            return Err(Problem::new(what).into());
        }
        for lesson in self.training.iter_mut().chain(&mut self.held_out) {
            if let Lesson::Rating(_, rating) = lesson {
                *rating = (*rating - mean) / deviation;
            }
        }
        Ok(RatingScale { mean, deviation })
    }

    /// SHA-256 over everything, in hexadecimal digits.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        self.numbers().for_each(|number| hash.update(number.to_le_bytes()));
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// A short hash over everything.
    pub fn fingerprint(&self) -> String {
        fnv::of_ids(self.numbers())
    }

    /// Every text and lesson as numbers, in order.
    fn numbers(&self) -> impl Iterator<Item = u32> {
        let texts = self
            .texts
            .iter()
            .flat_map(|text| text.ids.iter().copied().chain([u32::MAX, text.answer as u32]));
        let border = &Lesson::Pair([0, 0]);
        let lessons = self.training.iter().chain([border]).chain(&self.held_out);
        let lessons = lessons.flat_map(|lesson| match lesson {
            Lesson::Pair([a, b]) => [*a as u32, *b as u32, 0],
            Lesson::Rating(text, rating) => [*text as u32, (*rating as f32).to_bits(), 1],
            Lesson::Own(text) => [*text as u32, 0, 2],
        });
        texts.chain(lessons)
    }
}

struct Reading<'a> {
    language: &'a Language,
    context: usize,
    /// The number of every text so far.
    known: HashMap<Text, usize>,
    all: Lessons,
}

/// What one line says.
enum Line {
    Pair([Exchange; 2]),
    Rating(Exchange, f64),
}

/// Understands a line, or says why it cannot.
type Parse = fn(&str) -> Result<Line, String>;

impl Reading<'_> {
    fn lessons(
        &mut self,
        files: &[PathBuf],
        rated: bool,
        faults: Option<u64>,
        tell: &mut impl FnMut(&str),
    ) -> Result<Vec<Lesson>> {
        let (kind, parse): (_, Parse) = match rated {
            true => (exchange::RATING, |line| {
                exchange::rating(line).map(|(exchange, rating)| Line::Rating(exchange, rating))
            }),
            false => (exchange::PAIR, |line| exchange::pair(line).map(Line::Pair)),
        };
        let Lines { mut items, malformed } = lines::read(files, kind, parse)?;
        lines::tell(&malformed, kind, tell);
        if let Some(seed) = faults {
            let better = items.iter().filter_map(|line| match line {
                Line::Pair([better, _]) => Some(better.clone()),
                Line::Rating(..) => None,
            });
            let broken = faults::pairs(&better.collect::<Vec<_>>(), seed);
            tell(&format!("{} answers against themselves with a fault", broken.len()));
            items.extend(broken.into_iter().map(Line::Pair));
        }
        let (mut identical, mut truncated, mut too_long) = (0, 0, 0);
        let mut lessons = Vec::new();
        for line in items {
            let exchanges: &[Exchange] = match &line {
                Line::Pair(both) => both,
                Line::Rating(one, _) => std::slice::from_ref(one),
            };
            if let [one, other] = exchanges
                && one.before == other.before
                && one.answer.trim() == other.answer.trim()
            {
                identical += 1;
                continue;
            }
            let mut texts =
                exchanges.iter().map(|one| self.encode(one)).collect::<Result<Vec<_>>>()?;
            if texts.len() == 2 && texts[0].ids == texts[1].ids {
                identical += 1;
                continue;
            }
            if texts.iter().any(|text| text.ids.len() - text.answer + 1 > self.context) {
                too_long += 1;
                continue;
            }
            // Both prompts lose as much, so that both answers are to the same question.
            let longest = texts.iter().map(|text| text.ids.len()).max().unwrap_or_default();
            let excess = longest.saturating_sub(self.context);
            if excess > 0 {
                truncated += 1;
                for text in &mut texts {
                    let cut = excess.min(text.answer - 1);
                    text.ids.drain(..cut);
                    text.answer -= cut;
                }
            }
            let mut number = |text: Text| {
                *self.known.entry(text).or_insert_with_key(|text| {
                    self.all.texts.push(text.clone());
                    self.all.texts.len() - 1
                })
            };
            let mut numbers = texts.into_iter().map(&mut number);
            lessons.push(match (&line, numbers.next(), numbers.next()) {
                (Line::Pair(_), Some(chosen), Some(rejected)) => Lesson::Pair([chosen, rejected]),
                (Line::Rating(_, rating), Some(text), None) => Lesson::Rating(text, *rating),
                _ => continue,
            });
        }
        let context = self.context;
        for (count, what) in [
            (identical, "pairs passed over whose two answers are the same".to_owned()),
            (truncated, format!("prompts lost their beginning to fit {context} tokens")),
            (too_long, format!("lines left out: an answer alone fills {context} tokens")),
        ] {
            if count > 0 {
                tell(&format!("{count} {what}"));
            }
        }
        Ok(lessons)
    }

    fn encode(&self, Exchange { before, answer }: &Exchange) -> Result<Text> {
        let before: Vec<(Role, &str)> =
            before.iter().map(|(role, text)| (*role, text.as_str())).collect();
        let encoded = encode_after(self.language, &before, &[answer])?;
        let mut ids = encoded.prompt;
        let answer = ids.len();
        ids.extend(encoded.answers.into_iter().flatten());
        Ok(Text { ids, answer })
    }
}

/// Holds out every twentieth prompt with all its lessons, so that none of its answers was trained
/// on; every twentieth lesson where there are too few prompts.
fn apart(texts: &[Text], lessons: Vec<Lesson>) -> (Vec<Lesson>, Vec<Lesson>) {
    let mut numbers = HashMap::new();
    let prompt = |lesson: &Lesson| {
        let text = &texts[lesson.texts()[0]];
        &text.ids[..text.answer]
    };
    for lesson in &lessons {
        let next = numbers.len();
        numbers.entry(prompt(lesson)).or_insert(next);
    }
    let few = numbers.len() < 20;
    let (mut kept, mut held_out) = (Vec::new(), Vec::new());
    for (index, lesson) in lessons.iter().enumerate() {
        let number = if few { index } else { numbers[prompt(lesson)] };
        if number % 20 == 19 { held_out.push(*lesson) } else { kept.push(*lesson) }
    }
    (kept, held_out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::toy::toy_language;

    fn read(lines: &str, rated: bool, context: usize) -> (Result<Lessons>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let files = [folder.path().join("lines.jsonl")];
        std::fs::write(&files[0], lines).unwrap();
        let mut said = Vec::new();
        let files = Files { training: &files, held_out: &[], rated, faults: None };
        let mut tell = |line: &str| said.push(line.to_owned());
        (Lessons::read(files, &toy_language(), context, &mut tell), said)
    }

    fn pair(prompt: &str, chosen: &str, rejected: &str) -> String {
        let pair = serde_json::json!({ "prompt": prompt, "chosen": chosen, "rejected": rejected });
        format!("{pair}\n")
    }

    #[test]
    fn a_text_is_kept_once_and_what_is_left_out_is_said() {
        let mut lines = pair("who", "good", "bad") + &pair("who", "good", "worse");
        lines += &pair("who", "same", " same ");
        lines += "{}\n";
        lines += &pair(&"x".repeat(50), "good", "bad");
        lines += &pair("who", &"y".repeat(60), "bad");
        let (lessons, said) = read(&lines, false, 40);
        let lessons = lessons.unwrap();
        assert_eq!((lessons.training.len(), lessons.texts.len()), (3, 5));
        assert_eq!(lessons.training[..2], [Lesson::Pair([0, 1]), Lesson::Pair([0, 2])]);
        assert!(lessons.texts.iter().all(|text| text.ids.len() <= 40));
        assert_eq!(lessons.texts[3].ids.len().max(lessons.texts[4].ids.len()), 40);
        let found = |what: &str| said.iter().any(|line| line.contains(what));
        assert!(found("line 4: `chosen` is missing") && found("1 lines passed over"), "{said:?}");
        assert!(found("1 pairs passed over whose two answers are the same"), "{said:?}");
        assert!(found("1 prompts lost their beginning"), "{said:?}");
        assert!(found("1 lines left out: an answer alone"), "{said:?}");
    }

    #[test]
    fn more_than_a_fifth_of_bad_lines_is_refused() {
        let (lessons, _) = read(&(pair("a", "b", "c").repeat(3) + "x\n"), false, 40);
        let line = lessons.unwrap_err().to_string();
        assert!(line.contains("1 of 4") && line.contains("line 4"), "{line}");
    }

    #[test]
    fn no_prompt_is_both_trained_on_and_held_out() {
        let lines: String =
            (0..80).map(|i| pair(&format!("question {}", i / 2), &format!("b{i}"), "c")).collect();
        let lessons = read(&lines, false, 64).0.unwrap();
        assert_eq!((lessons.training.len(), lessons.held_out.len()), (76, 4));
        let prompts = |some: &[Lesson]| -> Vec<Vec<u32>> {
            let text = |lesson: &Lesson| lessons.texts[lesson.texts()[0]].clone();
            some.iter().map(text).map(|text| text.ids[..text.answer].to_vec()).collect()
        };
        let trained = prompts(&lessons.training);
        assert!(prompts(&lessons.held_out).iter().all(|prompt| !trained.contains(prompt)));
    }

    #[test]
    fn what_is_kept_keeps_its_texts_and_no_others() {
        let lines: String =
            (0..80).map(|i| pair(&format!("question {i}"), &format!("b{i}"), "c")).collect();
        let all = read(&lines, false, 64).0.unwrap();
        let said = |lessons: &Lessons, some: &[Lesson]| -> Vec<[Text; 2]> {
            let of = |lesson: &Lesson| {
                let [a, b] = lesson.texts() else { panic!("a pair has two texts") };
                [*a, *b].map(|text| lessons.texts[text].clone())
            };
            some.iter().map(of).collect()
        };
        let mut some = all.clone();
        some.keep(Some(10), Some(2), 3);
        assert_eq!((some.training.len(), some.held_out.len()), (10, 2));
        assert_eq!(some.texts.len(), 24, "two answers to each of twelve questions");
        let (known, kept) = (said(&all, &all.training), said(&some, &some.training));
        assert!(kept.iter().all(|pair| known.contains(pair)));
        let held_out = said(&all, &all.held_out);
        let kept = said(&some, &some.held_out);
        assert_eq!(kept, [held_out[0].clone(), held_out[held_out.len() / 2].clone()]);
        let mut same = all.clone();
        same.keep(None, None, 3);
        assert_eq!(same, all);
    }

    #[test]
    fn ratings_are_standardised_over_what_is_trained_on() {
        let line = |rating: f64| {
            format!("{{\"prompt\":\"a\",\"answer\":\"b{rating}\",\"rating\":{rating}}}\n")
        };
        let lessons = read(&(line(2.0) + &line(4.0)), true, 64).0.unwrap();
        assert_eq!(lessons.scale, Some(RatingScale { mean: 3.0, deviation: 1.0 }));
        assert_eq!(lessons.training, [Lesson::Rating(0, -1.0), Lesson::Rating(1, 1.0)]);
        let (same, _) = read(&line(2.0).repeat(3), true, 64);
        assert!(same.unwrap_err().to_string().contains("every answer is rated 2"));
    }
}
