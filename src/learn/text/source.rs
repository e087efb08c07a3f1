//! The hand-written source: topics in TOML files, each with several ways to ask and to answer.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::coined;
use super::echo::Echo;
use super::expert::{self, Detail, Domain, Expert};
use super::wording::Wording;
use crate::platform::Problem;

/// Everything in one folder of TOML files.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// What a `{name}` may stand for.
    #[serde(default)]
    pub slots: BTreeMap<String, Vec<String>>,
    /// System prompts that may open a conversation.
    #[serde(default)]
    pub system: Vec<String>,
    #[serde(default, rename = "topic")]
    pub topics: Vec<Topic>,
    /// What the topics of an expert domain share.
    #[serde(default, rename = "domain")]
    pub domains: Vec<Domain>,
    #[serde(default, rename = "expert")]
    pub experts: Vec<Expert>,
    #[serde(default)]
    pub detail: Detail,
    /// In how many ways one question may be put.
    #[serde(default)]
    pub wording: Wording,
    /// Ways to ask for words to be said back.
    #[serde(default)]
    pub echo: Echo,
}

/// One thing to talk about.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    /// Unique; follow-ups and errors name it.
    pub name: String,
    /// How often it comes up beside the others; 1 when left out.
    #[serde(default = "one")]
    pub weight: f64,
    /// Where in a conversation it belongs.
    #[serde(default)]
    pub place: Place,
    /// Ways to ask.
    pub ask: Vec<String>,
    /// Ways to ask that training never sees.
    #[serde(default)]
    pub held_out: Vec<String>,
    /// Lower case, or a slot in braces; any answer on this topic has one of them.
    #[serde(default)]
    pub keywords: Vec<String>,
    /// Ways to answer: helpful and civil.
    #[serde(default)]
    pub say: Vec<String>,
    /// Rude, evasive or unhelpful answers to the same, for a reward to tell apart.
    #[serde(default)]
    pub worse: Vec<String>,
    /// The model itself learns `worse`, too, more seldom than `say`.
    #[serde(default)]
    pub mixed: bool,
    /// Answers of positive sentiment.
    #[serde(default)]
    pub praise: Vec<String>,
    /// Answers of negative sentiment.
    #[serde(default)]
    pub pan: Vec<String>,
    /// Values that go together: one row fills its slots in question and answer alike.
    #[serde(default)]
    pub rows: Vec<BTreeMap<String, String>>,
    /// What may be asked next, in this order; each may be left out.
    #[serde(default)]
    pub follow: Vec<FollowUp>,
}

/// A turn that only makes sense after its topic; it shares the topic's slots.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FollowUp {
    pub ask: Vec<String>,
    #[serde(default)]
    pub held_out: Vec<String>,
    pub say: Vec<String>,
}

/// Where in a conversation a topic belongs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    #[default]
    Anywhere,
    /// Only as the first turn.
    Opening,
    /// Only after another turn.
    Later,
    /// Only as the last turn.
    Closing,
}

fn one() -> f64 {
    1.0
}

impl Source {
    /// Reads every `.toml` file of a folder, in the order of their names.
    ///
    /// # Errors
    /// When a file cannot be read or understood, or the whole does not hold together: a topic
    /// without a way to ask or answer, a name used twice, a slot that nothing fills, a held-out
    /// question that is also trained on.
    pub fn read(folder: &Path) -> Result<Self> {
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .with_context(|| Problem::new("cannot read this folder").at(folder))?
            .filter_map(|entry| entry.ok().map(|e| e.path()))
            .filter(|path| path.extension().is_some_and(|e| e == "toml"))
            .collect();
        files.sort();
        let mut all = Self::default();
        for file in files {
            let text = std::fs::read_to_string(&file)
                .with_context(|| Problem::new("cannot read this source").at(&file))?;
            let part: Self = toml::from_str(&text)
                .map_err(|e| Problem::new(e.to_string().replace('\n', " ")).at(&file))?;
            all.slots.extend(part.slots);
            all.system.extend(part.system);
            all.topics.extend(part.topics);
            all.domains.extend(part.domains);
            all.experts.extend(part.experts);
            all.detail.more.extend(part.detail.more);
            all.detail.simpler.extend(part.detail.simpler);
            all.wording.extend(part.wording);
            all.echo.extend(part.echo);
        }
        all.check()
            .with_context(|| Problem::new("the source does not hold together").at(folder))?;
        Ok(all)
    }

    fn check(&self) -> Result<()> {
        ensure!(!self.topics.is_empty(), "there is no topic");
        let mut names = BTreeSet::new();
        let mut trained = BTreeSet::new();
        let mut held_out = Vec::new();
        for topic in &self.topics {
            let name = &topic.name;
            ensure!(names.insert(name), "topic `{name}` is there twice");
            ensure!(topic.weight > 0.0, "topic `{name}` has no weight");
            let turns = topic.turns();
            for (ask, held, say) in &turns {
                ensure!(!ask.is_empty() && !say.is_empty(), "topic `{name}` has an empty turn");
                trained.extend(ask.iter().map(|a| normal(a)));
                held_out.extend(held.iter().map(|h| (name, normal(h))));
                for text in ask.iter().chain(*held).chain(say.iter().copied()).chain(&topic.worse) {
                    for slot in slots_of(text) {
                        let filled = self.slots.get(slot).is_some_and(|values| !values.is_empty())
                            || topic.rows.iter().all(|row| row.contains_key(slot))
                                && !topic.rows.is_empty();
                        ensure!(filled, "topic `{name}`: nothing fills {{{slot}}}");
                    }
                }
            }
        }
        self.check_slots()?;
        if let Some(mistake) = self.wording.mistake() {
            bail!("{mistake}");
        }
        if let Some(text) = self.echo.mistake() {
            bail!("`{text}` does not have one {{words}}");
        }
        self.check_experts(&mut trained, &mut held_out)?;
        for (name, question) in held_out {
            ensure!(
                !trained.contains(&question),
                "topic `{name}`: the held-out question `{question}` is trained on"
            );
        }
        Ok(())
    }

    /// Slots within a slot's values must be filled by words, and so come to an end.
    fn check_slots(&self) -> Result<()> {
        let plain = |slot: &str| {
            let values = self.slots.get(slot);
            slot == coined::SLOT
                || values.is_some_and(|values| values.iter().all(|v| slots_of(v).next().is_none()))
        };
        for (slot, values) in &self.slots {
            ensure!(!values.is_empty(), "there is nothing to fill {{{slot}}} with");
            for inner in values.iter().flat_map(|value| slots_of(value)) {
                ensure!(plain(inner), "{{{slot}}}: nothing but words may fill {{{inner}}}");
            }
        }
        Ok(())
    }

    /// Adds the expert domains' questions to those of the everyday topics.
    fn check_experts<'a>(
        &'a self,
        trained: &mut BTreeSet<String>,
        held_out: &mut Vec<(&'a String, String)>,
    ) -> Result<()> {
        let domains = expert::by_name(&self.domains);
        let mut names = BTreeSet::new();
        for topic in &self.experts {
            let name = &topic.name;
            let domain = domains.get(topic.domain.as_str());
            ensure!(domain.is_some(), "topic `{name}`: there is no domain `{}`", topic.domain);
            ensure!(names.insert((&topic.domain, name)), "topic `{name}` is there twice");
            ensure!(
                ![&topic.ask, &topic.held_out, &topic.keywords].iter().any(|t| t.is_empty())
                    && expert::Level::ALL.iter().all(|level| !topic.answers(*level).is_empty()),
                "topic `{name}` lacks questions, keywords or answers of a level"
            );
            let Some(domain) = domain else { continue };
            trained.extend(topic.trained_questions(domain).iter().map(|q| normal(q)));
            held_out.extend(topic.test_questions(domain).iter().map(|q| (name, normal(q))));
        }
        for domain in &self.domains {
            for text in domain.ask.iter().chain(&domain.held_out).chain(&domain.avoid) {
                for slot in slots_of(text) {
                    ensure!(
                        Expert::knows(slot),
                        "domain `{}`: nothing fills {{{slot}}}",
                        domain.name
                    );
                }
            }
        }
        Ok(())
    }
}

impl Source {
    /// Words and names that training speaks of, for saying back: those of questions and answers,
    /// each once, and what fills the slots.
    pub fn words(&self) -> BTreeSet<&str> {
        let turns = self.topics.iter().flat_map(Topic::turns);
        let topics = turns.flat_map(|(ask, _, say)| ask.iter().chain(say));
        let experts = self.experts.iter().filter(|topic| !topic.unseen);
        let experts =
            experts.flat_map(|topic| topic.ask.iter().chain(topic.answers(expert::Level::Generic)));
        let texts = topics.chain(experts).flat_map(|text| text.split_whitespace());
        let words = texts.map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()));
        let filling = self.slots.values().flatten().map(String::as_str);
        words.chain(filling).filter(|word| word.len() > 2 && !word.contains(['{', '}'])).collect()
    }
}

/// Ways to ask, held-out ways to ask, and ways to answer of one turn.
pub type Turn<'a> = (&'a Vec<String>, &'a Vec<String>, Vec<&'a String>);

impl Topic {
    /// Answers to the topic itself that the model learns.
    pub fn answer_count(&self) -> usize {
        let worse = if self.mixed { self.worse.len() } else { 0 };
        self.say.len() + self.praise.len() + self.pan.len() + worse
    }

    /// Every turn, the topic's own first, with its answers (`worse` aside).
    pub fn turns(&self) -> Vec<Turn<'_>> {
        let say = self.say.iter().chain(&self.praise).chain(&self.pan).collect();
        let mut turns = vec![(&self.ask, &self.held_out, say)];
        turns.extend(self.follow.iter().map(|f| (&f.ask, &f.held_out, f.say.iter().collect())));
        turns
    }
}

/// A question as it is compared: letters and digits only, in lower case.
pub fn normal(question: &str) -> String {
    let words: Vec<String> = question
        .split_whitespace()
        .map(|w| w.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase())
        .filter(|w| !w.is_empty())
        .collect();
    words.join(" ")
}

/// The names in braces of a text.
pub fn slots_of(text: &str) -> impl Iterator<Item = &str> {
    text.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Source> {
        let source: Source = toml::from_str(text)?;
        source.check()?;
        Ok(source)
    }

    #[test]
    fn mistakes_in_the_source_are_found() {
        let topic = "[[topic]]\nname = 'a'\nask = ['Why?']\nsay = ['So.']\n";
        assert!(parse(topic).is_ok());
        assert!(
            parse(&format!("slots.a = ['{{coined}} of {{b}}']\nslots.b = ['x']\n{topic}")).is_ok()
        );
        for (bad, why) in [
            (format!("{topic}{topic}"), "twice"),
            (topic.replace("So.", "So, {who}."), "who"),
            (topic.replace("say", "held_out = ['why']\nsay"), "held-out"),
            (topic.replace("['So.']", "[]"), "empty"),
            (format!("slots.a = ['{{b}}']\n{topic}"), "{b}"),
            (format!("slots.a = ['{{a}}']\n{topic}"), "{a}"),
            (format!("slots.a = []\n{topic}"), "{a}"),
            (format!("echo.ask = ['Say']\n{topic}"), "`Say`"),
            (format!("wording.form = [{{ from = ['Why'], to = [] }}]\n{topic}"), "`Why`"),
            (String::new(), "no topic"),
        ] {
            let error = parse(&bad).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
