//! Finding conversations by words, or pieces of words, in their titles and messages.
//!
//! The index holds trigrams: any three characters in a row, in every script, accents left away. Shorter words, common
//! in Chinese and Japanese, are looked for in the texts themselves, newest conversation first.

use std::collections::HashMap;

use rusqlite::{Rows, named_params};

use super::conversations::summary_of;
use super::{Result, Store};
use crate::session::ask::{MessageHit, SearchHit};
use crate::session::matching;
use crate::session::tree::{ConversationId, NodeId};

/// The most conversations one search gives.
const MOST_HITS: usize = 200;

/// Fewest characters the index can find.
const TRIGRAM: usize = 3;

/// Where a text is and what it says.
struct Found {
    conversation: ConversationId,
    row: i64,
    text: String,
}

impl Store {
    /// Conversations in which a title or a message holds every word of the query, those with a
    /// matching title first, then most recently changed first. The trash is left out.
    pub fn search(&self, query: &str, limit: usize) -> Result<Vec<SearchHit>> {
        let words = matching::words(query);
        if words.is_empty() {
            return Ok(Vec::new());
        }
        let limit = limit.clamp(1, MOST_HITS);
        let mut hits: HashMap<ConversationId, SearchHit> = HashMap::new();
        for found in self.matches(Place::Titles, &words, limit)? {
            let hit = self.hit(&mut hits, found.conversation)?;
            hit.title_marks = matching::marks(&found.text, &words);
        }
        for found in self.matches(Place::Messages, &words, limit)? {
            let (snippet, marks) = matching::snippet(&found.text, &words);
            let hit = self.hit(&mut hits, found.conversation)?;
            hit.message = Some(MessageHit { node: NodeId(found.row), snippet, marks });
        }
        let mut hits: Vec<SearchHit> = hits.into_values().collect();
        hits.sort_by_key(|hit| {
            let conversation = &hit.conversation;
            (hit.title_marks.is_empty(), -conversation.changed_ms, -conversation.id.0)
        });
        hits.truncate(limit);
        Ok(hits)
    }

    fn hit<'a>(
        &self,
        hits: &'a mut HashMap<ConversationId, SearchHit>,
        id: ConversationId,
    ) -> Result<&'a mut SearchHit> {
        use std::collections::hash_map::Entry;
        Ok(match hits.entry(id) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(SearchHit {
                conversation: summary_of(&self.connection, id)?,
                title_marks: Vec::new(),
                message: None,
            }),
        })
    }

    /// The newest match of each conversation, most recently changed conversation first.
    fn matches(&self, place: Place, words: &[String], limit: usize) -> Result<Vec<Found>> {
        let is_long = |word: &&String| matching::fold_word(word).len() >= TRIGRAM;
        let in_index: Vec<String> = words.iter().filter(is_long).map(|word| quoted(word)).collect();
        let short: Vec<String> = words.iter().filter(|word| !is_long(word)).cloned().collect();
        let mut statement = self.connection.prepare_cached(place.sql(!in_index.is_empty()))?;
        let rows = if in_index.is_empty() {
            statement.query([])?
        } else {
            statement.query(named_params! { ":query": in_index.join(" ") })?
        };
        self.first_per_conversation(place, rows, &short, limit)
    }

    fn first_per_conversation(
        &self,
        place: Place,
        mut rows: Rows<'_>,
        short: &[String],
        limit: usize,
    ) -> Result<Vec<Found>> {
        let mut found: Vec<Found> = Vec::new();
        while let Some(row) = rows.next()? {
            let conversation = ConversationId(row.get(0)?);
            // Rows of one conversation stand together.
            if found.last().is_some_and(|last| last.conversation == conversation) {
                continue;
            }
            if found.len() == limit {
                break;
            }
            let row: i64 = row.get(1)?;
            let text: String = self
                .connection
                .prepare_cached(place.text_sql())?
                .query_row([row], |row| row.get(0))?;
            if matching::holds_all(&text, short) {
                found.push(Found { conversation, row, text });
            }
        }
        Ok(found)
    }
}

/// What is searched.
#[derive(Clone, Copy)]
enum Place {
    Titles,
    Messages,
}

impl Place {
    /// Conversation and row of what the index finds for `:query`, or of everything there is.
    fn sql(self, indexed: bool) -> &'static str {
        match (self, indexed) {
            (Self::Titles, true) => {
                "SELECT c.id, c.id FROM title_index JOIN conversation c ON c.id = title_index.rowid
                 WHERE title_index MATCH :query AND c.trashed_ms IS NULL
                 ORDER BY c.changed_ms DESC, c.id DESC"
            }
            (Self::Titles, false) => {
                "SELECT c.id, c.id FROM conversation c WHERE c.trashed_ms IS NULL
                 ORDER BY c.changed_ms DESC, c.id DESC"
            }
            (Self::Messages, true) => {
                "SELECT c.id, n.id FROM node_index JOIN node n ON n.id = node_index.rowid
                 JOIN conversation c ON c.id = n.conversation
                 WHERE node_index MATCH :query AND c.trashed_ms IS NULL
                 ORDER BY c.changed_ms DESC, c.id DESC, n.id DESC"
            }
            (Self::Messages, false) => {
                "SELECT c.id, n.id FROM conversation c JOIN node n ON n.conversation = c.id
                 WHERE c.trashed_ms IS NULL
                 ORDER BY c.changed_ms DESC, c.id DESC, n.id DESC"
            }
        }
    }

    fn text_sql(self) -> &'static str {
        match self {
            Self::Titles => "SELECT title FROM conversation WHERE id = ?1",
            Self::Messages => "SELECT content FROM node WHERE id = ?1",
        }
    }
}

/// A word as a string of FTS5's query language, in which nothing has a meaning of its own.
fn quoted(word: &str) -> String {
    format!("\"{}\"", word.replace('"', "\"\"").replace('\0', " "))
}
