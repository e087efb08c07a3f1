//! What tests need to see and do behind the store's back.

use rusqlite::params;

use super::Store;
use crate::session::ConversationId;

impl Store {
    /// A database that cannot be written.
    pub fn read_only_for_test(path: &std::path::Path) -> Self {
        super::opening::read_only(path, super::schema::STEPS).unwrap()
    }

    /// Bytes of the parts of a trace that is not whole yet.
    pub fn part_bytes_for_test(&self, node: crate::session::NodeId) -> i64 {
        let sql = "SELECT coalesce(sum(length(tokens)), 0) FROM trace_part WHERE node = ?1";
        self.connection.query_row(sql, [node.0], |row| row.get(0)).unwrap()
    }

    /// Limits the file to this many pages, as a full disk would.
    pub fn limit_pages(&self, pages: u32) {
        self.connection.pragma_update(None, "max_page_count", pages).unwrap();
    }

    /// Pages the file has now.
    pub fn page_count(&self) -> u32 {
        self.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap()
    }

    /// Makes this many conversations of one message, oldest first; two share each moment.
    pub fn fill_for_test(&mut self, count: usize) -> Vec<ConversationId> {
        let transaction = self.connection.transaction().unwrap();
        let ids: Vec<_> = (0..count).map(|_| ConversationId::fresh()).collect();
        for (number, id) in ids.iter().enumerate() {
            transaction
                .execute(
                    "INSERT INTO conversation (id, created_ms, changed_ms) VALUES (?1, ?2, ?2)",
                    params![id.0, number as i64 / 2],
                )
                .unwrap();
            transaction
                .execute(
                    "INSERT INTO node (id, conversation, role, content, state, created_ms)
                     VALUES (?1, ?1, 'user', 'hello', 'finished', 1)",
                    [id.0],
                )
                .unwrap();
        }
        transaction.commit().unwrap();
        ids
    }

    /// How SQLite goes about reading a page of the list.
    pub fn plan_of_list_for_test(&self) -> String {
        let sql = format!("EXPLAIN QUERY PLAN {}", super::conversations::page_sql(false));
        let mut statement = self.connection.prepare(&sql).unwrap();
        let steps = statement.query_map(params![0, 0, 10], |row| row.get::<_, String>(3)).unwrap();
        steps.map(Result::unwrap).collect::<Vec<_>>().join("\n")
    }

    /// Says that a conversation changed this long before it did.
    pub fn backdate_for_test(&self, id: ConversationId, by_ms: i64) {
        let sql = "UPDATE conversation SET changed_ms = changed_ms - ?2 WHERE id = ?1";
        self.connection.execute(sql, params![id.0, by_ms]).unwrap();
    }

    /// Fails unless the search index holds exactly what the tables hold.
    pub fn check_index_for_test(&self) {
        for index in ["title_index", "node_index"] {
            let sql = format!("INSERT INTO {index} ({index}, rank) VALUES ('integrity-check', 1)");
            self.connection.execute(&sql, []).unwrap();
        }
    }

    /// Makes a conversation of this title that says nothing.
    pub fn set_title_for_test(&self, title: &str) {
        let sql = "INSERT INTO conversation (title, created_ms, changed_ms) VALUES (?1, 1, 1)";
        self.connection.execute(sql, [title]).unwrap();
        let id = self.connection.last_insert_rowid();
        let sql = "INSERT INTO node (conversation, role, content, state, created_ms)
                   VALUES (?1, 'user', '', 'finished', 1)";
        self.connection.execute(sql, [id]).unwrap();
    }

    /// Titles of the conversations for which this holds.
    pub fn titles_for_test(&self, which: &str) -> Vec<String> {
        let sql = format!("SELECT title FROM conversation WHERE {which}");
        let mut statement = self.connection.prepare(&sql).unwrap();
        let titles = statement.query_map([], |row| row.get(0)).unwrap();
        titles.map(Result::unwrap).collect()
    }

    /// Reads the file again from here on, not what is remembered of it.
    pub fn forget_pages_for_test(&self) {
        self.connection.execute_batch("PRAGMA shrink_memory").unwrap();
    }

    /// Scribbles over the search index.
    pub fn damage_index_for_test(&self) {
        let sql = "UPDATE node_index_data SET block = x'FFFFFFFFFFFFFFFFFF' WHERE id > 10";
        assert!(self.connection.execute(sql, []).unwrap() > 0);
        self.forget_pages_for_test();
    }
}
