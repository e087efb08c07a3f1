//! Counts the tokens of the conversation and the draft, a moment after the last keystroke rather
//! than at each.

use std::hash::{Hash, Hasher};

use crate::engine::{Prompt, Turn};
use crate::session::Role;
use crate::ui::status::ContextUse;

/// Quiet needed before a count is asked for.
const QUIET_SECS: f64 = 0.25;

/// What is to be counted, what is being counted, what was.
#[derive(Debug, Default)]
pub struct Counting {
    /// Of the prompt on screen, and when it last changed.
    seen: u64,
    changed_at: f64,
    /// Of the prompt that was sent to be counted.
    sent: u64,
    ticket: u64,
    whole: Option<usize>,
    without_draft: Option<usize>,
}

/// What to do now.
#[derive(Debug, PartialEq)]
pub enum Step {
    Nothing,
    /// Look again after this many seconds.
    Wait(f64),
    /// Ask for these counts.
    Ask(Vec<(u64, Prompt)>),
}

impl Counting {
    /// The model changed: nothing that was counted holds.
    pub fn forget(&mut self) {
        *self = Self { ticket: self.ticket, ..Self::default() };
    }

    /// Looks at what is on screen at a time in seconds.
    pub fn look(&mut self, turns: &[Turn], draft: &str, now_secs: f64) -> Step {
        let seen = fingerprint(turns, draft);
        if seen != self.seen {
            self.seen = seen;
            self.changed_at = now_secs;
        }
        if self.sent == seen {
            return Step::Nothing;
        }
        let wait = self.changed_at + QUIET_SECS - now_secs;
        if wait > 0.0 && self.sent != 0 {
            return Step::Wait(wait);
        }
        self.sent = seen;
        self.ticket += 2;
        let mut asks = Vec::new();
        if draft.trim().is_empty() {
            asks.push((self.ticket + 1, Prompt::Chat(turns.to_vec())));
        } else {
            asks.push((self.ticket, Prompt::Chat(turns.to_vec())));
            let mut whole = turns.to_vec();
            whole.push(Turn { role: Role::User, content: draft.to_owned() });
            asks.push((self.ticket + 1, Prompt::Chat(whole)));
        }
        // An empty page has nothing a template could render.
        asks.retain(|(_, prompt)| !matches!(prompt, Prompt::Chat(turns) if is_empty(turns)));
        if asks.len() < 2 {
            self.without_draft = if draft.trim().is_empty() { None } else { Some(0) };
        }
        if asks.is_empty() {
            self.whole = Some(0);
        }
        Step::Ask(asks)
    }

    /// Takes in an answer.
    pub fn counted(&mut self, ticket: u64, tokens: Option<usize>) {
        if ticket == self.ticket {
            self.without_draft = tokens;
        } else if ticket == self.ticket + 1 {
            self.whole = tokens;
        }
    }

    /// For the meter; `None` until something was counted.
    pub fn context_use(&self, capacity: usize) -> Option<ContextUse> {
        let used = self.whole?;
        let draft = self.without_draft.map_or(0, |without| used.saturating_sub(without));
        Some(ContextUse { used, draft, capacity })
    }
}

fn is_empty(turns: &[Turn]) -> bool {
    turns.iter().all(|turn| turn.role == Role::System)
}

fn fingerprint(turns: &[Turn], draft: &str) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    for turn in turns {
        turn.content.hash(&mut hasher);
    }
    draft.trim().hash(&mut hasher);
    // 0 stands for nothing sent yet.
    hasher.finish() | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(text: &str) -> Turn {
        Turn { role: Role::User, content: text.into() }
    }

    #[test]
    fn counting_waits_for_a_pause_in_typing() {
        let mut counting = Counting::default();
        let turns = [user("Hi")];
        assert!(matches!(counting.look(&turns, "", 0.0), Step::Ask(asks) if asks.len() == 1));
        assert!(matches!(counting.look(&turns, "a", 1.0), Step::Wait(_)));
        assert!(matches!(counting.look(&turns, "ab", 1.1), Step::Wait(_)));
        let Step::Ask(asks) = counting.look(&turns, "ab", 1.4) else { panic!("should ask") };
        assert_eq!(asks.len(), 2, "with and without the draft");
        assert_eq!(counting.look(&turns, "ab", 1.5), Step::Nothing);
        counting.counted(asks[0].0, Some(10));
        counting.counted(asks[1].0, Some(14));
        counting.counted(1, Some(99));
        let used = counting.context_use(100).unwrap();
        assert_eq!((used.used, used.draft), (14, 4));
    }

    #[test]
    fn an_empty_page_counts_as_nothing_without_asking() {
        let mut counting = Counting::default();
        let system = [Turn { role: Role::System, content: "Be kind".into() }];
        assert_eq!(counting.look(&system, "", 0.0), Step::Ask(Vec::new()));
        assert_eq!(counting.context_use(100).map(|used| used.used), Some(0));
    }
}
