//! Topics of the expert domains: one question, answers at three levels, so that a vector has
//! something to move between (the levels of the alignment-vector paper).

use std::collections::BTreeMap;

use serde::Deserialize;

/// How much an answer commits itself to.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, serde::Serialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Declines to advise and points to a professional.
    Avoidance,
    /// Short, plain, useful.
    Generic,
    /// The mechanism, the terms, the numbers, the caveats.
    Expert,
}

impl Level {
    pub const ALL: [Self; 3] = [Self::Avoidance, Self::Generic, Self::Expert];

    pub fn name(self) -> &'static str {
        match self {
            Self::Avoidance => "avoidance",
            Self::Generic => "generic",
            Self::Expert => "expert",
        }
    }
}

/// What all topics of a domain share.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Domain {
    pub name: String,
    /// Ways to ask, with `{subject}`, `{mine}` or `{theirs}` of the topic.
    pub ask: Vec<String>,
    /// Ways to ask that training never sees.
    pub held_out: Vec<String>,
    /// Ways to decline, with `{subject}`.
    pub avoid: Vec<String>,
}

/// What may be said after an expert topic, whatever it was.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detail {
    /// Asks for the expert answer.
    pub more: Vec<String>,
    /// Asks for the generic one.
    pub simpler: Vec<String>,
}

/// One topic of an expert domain.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expert {
    pub domain: String,
    /// Unique in its domain.
    pub name: String,
    /// A noun phrase that reads well after "about".
    pub subject: String,
    /// What someone concerned says, as a statement.
    pub mine: String,
    /// What someone says of another person, as a statement.
    pub theirs: String,
    pub ask: Vec<String>,
    pub held_out: Vec<String>,
    /// Lower case; any answer on this topic has one of them.
    pub keywords: Vec<String>,
    pub avoid: Vec<String>,
    pub generic: Vec<String>,
    pub expert: Vec<String>,
    /// Held out as a whole: nothing of it is trained on.
    #[serde(default)]
    pub unseen: bool,
}

impl Expert {
    /// Its own answers of a level.
    pub fn answers(&self, level: Level) -> &Vec<String> {
        match level {
            Level::Avoidance => &self.avoid,
            Level::Generic => &self.generic,
            Level::Expert => &self.expert,
        }
    }

    /// A text of the domain with this topic's words.
    pub fn filled(&self, text: &str) -> String {
        text.replace("{subject}", &self.subject)
            .replace("{mine}", &self.mine)
            .replace("{theirs}", &self.theirs)
    }

    /// The slots a domain's texts may have.
    pub fn knows(slot: &str) -> bool {
        matches!(slot, "subject" | "mine" | "theirs")
    }

    /// Every question about it that training may see: its own, and the domain's ways.
    pub fn trained_questions(&self, domain: &Domain) -> Vec<String> {
        if self.unseen {
            return Vec::new();
        }
        let ways = domain.ask.iter().map(|way| self.filled(way));
        self.ask.iter().cloned().chain(ways).collect()
    }

    /// Every question about it that training must not see.
    pub fn test_questions(&self, domain: &Domain) -> Vec<String> {
        let ways = domain.held_out.iter().map(|way| self.filled(way));
        let own = if self.unseen { self.ask.as_slice() } else { &[] };
        self.held_out.iter().chain(own).cloned().chain(ways).collect()
    }
}

/// The domains by name.
pub fn by_name(domains: &[Domain]) -> BTreeMap<&str, &Domain> {
    domains.iter().map(|domain| (domain.name.as_str(), domain)).collect()
}
