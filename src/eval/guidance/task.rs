//! The two tasks: prompts that nothing was trained on, and texts of two kinds to fit the judge to.

use std::collections::HashSet;
use std::path::PathBuf;

use anyhow::{Result, ensure};

use super::judge::Labelled;
use super::lexicon;
use crate::learn::random::Draws;
use crate::learn::text::{Level, Source, expert_domains, held_out, normal};
use crate::platform::Problem;

/// What replies are steered towards.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum TaskName {
    /// Praise of films.
    #[default]
    Sentiment,
    /// Expert answers to questions of health, law and money.
    Expertise,
}

/// A prompt, and the topic it is on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Prompt {
    pub topic: String,
    pub text: String,
    /// What is given of the reply.
    pub opening: String,
}

impl Prompt {
    /// The question, and what is given of its answer.
    pub fn whole(&self) -> String {
        match self.opening.as_str() {
            "" => self.text.clone(),
            opening => format!("{} | {opening}", self.text),
        }
    }
}

/// Everything a task measures with.
#[derive(Debug, Clone)]
pub struct Task {
    pub prompts: Vec<Prompt>,
    pub labelled: Vec<Labelled>,
}

/// Ways to ask for an opinion of something that some film topic asks "What do you think of …?".
const WAYS: [&str; 9] = [
    "What is your view of {}?",
    "How did you find {}?",
    "What did you make of {}?",
    "Any thoughts on {}?",
    "Give me your view of {}",
    "Tell me what you thought of {}",
    "Tell me how you found {}",
    "What would you say about {}?",
    "May I ask what you think of {}?",
];
const THINK: &str = "What do you think of ";

impl TaskName {
    /// The file of its vector and of its scorer.
    pub fn file(self) -> PathBuf {
        format!("{}.safetensors", self.word()).into()
    }

    fn word(self) -> &'static str {
        match self {
            Self::Sentiment => "sentiment",
            Self::Expertise => "expertise",
        }
    }

    /// The judge's second opinion: what it is called, and what it says of a text.
    pub fn second(self) -> (&'static str, fn(&str) -> f64) {
        match self {
            Self::Sentiment => ("lexicon", lexicon::sentiment),
            Self::Expertise => ("words", |text| text.split_whitespace().count() as f64),
        }
    }

    /// What the judge was fitted to, in words.
    pub fn judged_by(self) -> &'static str {
        match self {
            Self::Sentiment => "praise and pans of films",
            Self::Expertise => "expert answers, and generic or evasive ones",
        }
    }

    /// Draws the prompts, each with so many words of an answer to its topic, and gathers the texts.
    ///
    /// # Errors
    /// When the source has too few of them.
    pub fn open(self, source: &Source, prompts: usize, opening: usize, seed: u64) -> Result<Task> {
        let (mut all, labelled) = match self {
            Self::Sentiment => (film_prompts(source), film_texts(source)),
            Self::Expertise => (expert_prompts(source), expert_texts(source)),
        };
        let mut draws = Draws::new(seed, 0x6775_6964);
        draws.shuffle(&mut all);
        all.truncate(prompts);
        for prompt in all.iter_mut().filter(|_| opening > 0) {
            let answers: Vec<&Labelled> =
                labelled.iter().filter(|text| text.topic == prompt.topic).collect();
            if let Some(answer) = draws.pick(&answers) {
                let words: Vec<&str> = answer.text.split_whitespace().take(opening).collect();
                prompt.opening = words.join(" ");
            }
        }
        let what = format!("{} held-out prompts of this task are too few", all.len());
        ensure!(all.len() >= prompts.min(2), Problem::new(what));
        Ok(Task { prompts: all, labelled })
    }
}

/// Held-out questions on films: those of the topics, and the ways above filled with what a topic is
/// about, unless training asks them.
fn film_prompts(source: &Source) -> Vec<Prompt> {
    let trained: HashSet<String> =
        source.topics.iter().flat_map(|topic| &topic.ask).map(|ask| normal(ask)).collect();
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    for topic in source.topics.iter().filter(|topic| !topic.praise.is_empty()) {
        let about = topic.ask.iter().find_map(|ask| ask.strip_prefix(THINK)?.strip_suffix('?'));
        let ways = about.into_iter().flat_map(|about| WAYS.map(|way| way.replace("{}", about)));
        for text in topic.held_out.iter().cloned().chain(ways) {
            let is_new = !trained.contains(&normal(&text)) && seen.insert(normal(&text));
            if is_new && !text.contains('{') {
                let topic = topic.name.clone();
                all.push(Prompt { topic, text, opening: String::new() });
            }
        }
    }
    all
}

fn film_texts(source: &Source) -> Vec<Labelled> {
    let mut all = Vec::new();
    for topic in &source.topics {
        for (texts, wanted) in [(&topic.praise, true), (&topic.pan, false)] {
            let one =
                |text: &String| Labelled { topic: topic.name.clone(), text: text.clone(), wanted };
            all.extend(texts.iter().map(one));
        }
    }
    all
}

/// Held-out questions of the expert domains, on topics that are otherwise known.
fn expert_prompts(source: &Source) -> Vec<Prompt> {
    let asked = held_out::questions(source).into_iter();
    let expert = asked.filter(|asked| asked.domain != "everyday" && !asked.unseen_topic);
    let topic = |asked: &held_out::Question| format!("{} {}", asked.domain, asked.topic);
    let prompt = |asked: held_out::Question| Prompt {
        topic: topic(&asked),
        text: asked.text,
        opening: String::new(),
    };
    expert.map(prompt).collect()
}

fn expert_texts(source: &Source) -> Vec<Labelled> {
    let domains = expert_domains(&source.domains);
    let mut all = Vec::new();
    for topic in &source.experts {
        let name = format!("{} {}", topic.domain, topic.name);
        let shared =
            domains.get(topic.domain.as_str()).map(|domain| topic.filled(&domain.avoid[0]));
        let one =
            |text: &String, wanted| Labelled { topic: name.clone(), text: text.clone(), wanted };
        for level in Level::ALL {
            let texts = topic.answers(level).iter();
            all.extend(texts.map(|text| one(text, level == Level::Expert)));
        }
        all.extend(shared.map(|text| one(&text, false)));
    }
    all
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::judge::Judge;
    use super::*;

    fn source() -> Source {
        Source::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("models/starter/source")).unwrap()
    }

    #[test]
    fn there_are_two_hundred_prompts_that_training_never_asks() {
        let source = source();
        for task in [TaskName::Sentiment, TaskName::Expertise] {
            let opened = task.open(&source, 200, 0, 1).unwrap();
            let all: HashSet<&Prompt> = opened.prompts.iter().collect();
            assert_eq!(all.len(), 200, "{task:?}");
            let mut trained: HashSet<String> =
                source.topics.iter().flat_map(|topic| &topic.ask).map(|ask| normal(ask)).collect();
            let domains = expert_domains(&source.domains);
            for topic in &source.experts {
                let questions = topic.trained_questions(domains[topic.domain.as_str()]);
                trained.extend(questions.iter().map(|text| normal(text)));
            }
            for prompt in &opened.prompts {
                assert!(!trained.contains(&normal(&prompt.text)), "{}", prompt.text);
            }
        }
    }

    #[test]
    fn an_opening_is_the_beginning_of_an_answer_on_the_topic() {
        let task = TaskName::Sentiment.open(&source(), 40, 2, 1).unwrap();
        for prompt in &task.prompts {
            assert_eq!(prompt.opening.split_whitespace().count(), 2);
            let mut own = task.labelled.iter().filter(|text| text.topic == prompt.topic);
            assert!(own.any(|text| text.text.starts_with(&prompt.opening)), "{}", prompt.opening);
        }
    }

    #[test]
    fn the_judge_tells_texts_of_topics_it_has_not_seen() {
        for (task, least) in [(TaskName::Sentiment, 0.8), (TaskName::Expertise, 0.9)] {
            let texts = task.open(&source(), 10, 0, 1).unwrap().labelled;
            let order = Judge::fit(&texts).order(&texts);
            assert!(order > least, "{task:?}: {order}");
        }
    }
}
