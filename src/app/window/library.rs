//! The lists of the left panel: conversations in pages, the trash, what a search found.

use crate::session::{ConversationId, ConversationSummary, ListPosition, SearchHit};
use crate::ui::conversations::Hit;

/// Conversations read at once.
pub const PAGE: usize = 200;
/// Most hits asked for.
pub const HITS: usize = 100;

/// What is known of the conversations.
#[derive(Debug, Default)]
pub struct Library {
    /// Most recently changed first.
    pub conversations: Vec<ConversationSummary>,
    pub next: Option<ListPosition>,
    /// A page was asked for and has not come.
    pub is_reading: bool,
    pub trash: Vec<ConversationSummary>,
    /// What was last searched for; empty when nothing is.
    pub query: String,
    /// Number of the last search, to pass over answers to earlier ones.
    pub ticket: u64,
    pub hits: Option<Vec<Hit>>,
}

impl Library {
    /// Takes in a page.
    pub fn add_page(&mut self, page: Vec<ConversationSummary>, next: Option<ListPosition>) {
        for summary in page {
            self.put(summary);
        }
        self.next = next;
        self.is_reading = false;
    }

    /// Puts a line into its place, in place of the one it had.
    pub fn put(&mut self, summary: ConversationSummary) {
        self.conversations.retain(|other| other.id != summary.id);
        let key = |line: &ConversationSummary| (line.changed_ms, line.id);
        let place = self.conversations.partition_point(|other| key(other) > key(&summary));
        for hit in self.hits.iter_mut().flatten() {
            if hit.conversation.id == summary.id {
                hit.title_marks.clear();
                hit.conversation = summary.clone();
            }
        }
        self.conversations.insert(place, summary);
    }

    /// Takes a line out of the list and the hits.
    pub fn remove(&mut self, id: ConversationId) {
        self.conversations.retain(|line| line.id != id);
        if let Some(hits) = &mut self.hits {
            hits.retain(|hit| hit.conversation.id != id);
        }
    }

    /// Takes in what a search found, unless another was begun since.
    pub fn take_hits(&mut self, ticket: u64, hits: Vec<SearchHit>) {
        if ticket != self.ticket || self.query.is_empty() {
            return;
        }
        let hit = |hit: SearchHit| Hit {
            conversation: hit.conversation,
            title_marks: hit.title_marks,
            snippet: hit.message.map(|message| (message.snippet, message.marks)),
        };
        self.hits = Some(hits.into_iter().map(hit).collect());
    }

    /// The one above or below in the list.
    pub fn neighbour(&self, of: ConversationId, below: bool) -> Option<ConversationId> {
        let Some(index) = self.conversations.iter().position(|line| line.id == of) else {
            return self.conversations.first().map(|line| line.id);
        };
        let index = if below { index + 1 } else { index.checked_sub(1)? };
        self.conversations.get(index).map(|line| line.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: i64, changed_ms: i64) -> ConversationSummary {
        ConversationSummary {
            id: ConversationId(id),
            title: format!("Number {id}"),
            named_by_person: false,
            created_ms: 0,
            changed_ms,
        }
    }

    #[test]
    fn lines_stand_newest_first_and_move_when_they_change() {
        let mut library = Library::default();
        library.add_page(vec![line(1, 30), line(2, 20)], None);
        library.add_page(vec![line(3, 10)], None);
        library.put(line(3, 40));
        let ids: Vec<i64> = library.conversations.iter().map(|line| line.id.0).collect();
        assert_eq!(ids, [3, 1, 2]);
        assert_eq!(library.neighbour(ConversationId(1), true), Some(ConversationId(2)));
        assert_eq!(library.neighbour(ConversationId(3), false), None);
        library.remove(ConversationId(1));
        assert_eq!(library.conversations.len(), 2);
    }

    #[test]
    fn answers_to_an_earlier_search_are_passed_over() {
        let mut library = Library { query: "new".into(), ticket: 2, ..Library::default() };
        let hit =
            |id| SearchHit { conversation: line(id, 1), title_marks: Vec::new(), message: None };
        library.take_hits(1, vec![hit(1)]);
        assert_eq!(library.hits, None);
        library.take_hits(2, vec![hit(2)]);
        assert_eq!(library.hits.as_ref().map(Vec::len), Some(1));
    }
}
