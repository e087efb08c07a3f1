//! The tables, and the steps that bring an older database to this version's form.
//!
//! A step is never edited once released: a new form is a new step at the end.

use rusqlite::Connection;

use super::Result;

/// Marks the file as Tiller's (`PRAGMA application_id`, "TILR").
pub const APPLICATION_ID: i32 = 0x5449_4c52;

/// The steps; a database whose `user_version` is n has had the first n.
pub const STEPS: &[&str] = &[FIRST, WITHOUT_ACCENTS, TRACE_PARTS];

const FIRST: &str = "
CREATE TABLE conversation (
    id              INTEGER PRIMARY KEY,
    title           TEXT    NOT NULL DEFAULT '',
    named_by_person INTEGER NOT NULL DEFAULT 0,
    created_ms      INTEGER NOT NULL,
    changed_ms      INTEGER NOT NULL,
    trashed_ms      INTEGER,
    -- No foreign keys on the choices: a choice that points nowhere is simply not taken.
    active_leaf     INTEGER,
    chosen_root     INTEGER,
    system_prompt   TEXT,
    plan            TEXT
) STRICT;
CREATE INDEX conversation_by_change ON conversation (changed_ms DESC, id DESC)
    WHERE trashed_ms IS NULL;
CREATE INDEX conversation_by_trashing ON conversation (trashed_ms DESC, id DESC)
    WHERE trashed_ms IS NOT NULL;

CREATE TABLE node (
    id           INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL REFERENCES conversation (id) ON DELETE CASCADE,
    parent       INTEGER REFERENCES node (id) ON DELETE CASCADE,
    role         TEXT    NOT NULL,
    content      TEXT    NOT NULL,
    state        TEXT    NOT NULL,
    created_ms   INTEGER NOT NULL,
    chosen_child INTEGER,
    recipe       TEXT,
    outcome      TEXT
) STRICT;
CREATE INDEX node_by_conversation ON node (conversation);
CREATE INDEX node_by_parent ON node (parent);
CREATE INDEX node_streaming ON node (state) WHERE state = 'streaming';

-- Apart from the messages, so that reading a conversation does not touch its traces.
CREATE TABLE trace (
    node   INTEGER PRIMARY KEY REFERENCES node (id) ON DELETE CASCADE,
    tokens BLOB NOT NULL
) STRICT;

-- Conversation 0 is the one that has not begun yet.
CREATE TABLE draft (
    conversation INTEGER PRIMARY KEY,
    text         TEXT NOT NULL
) STRICT;

CREATE TABLE preset (
    name TEXT PRIMARY KEY,
    plan TEXT NOT NULL
) STRICT;

-- Trigrams find any three characters in a row, in every script.
CREATE VIRTUAL TABLE title_index USING fts5
    (title, content = 'conversation', content_rowid = 'id', tokenize = 'trigram');
CREATE VIRTUAL TABLE node_index USING fts5
    (content, content = 'node', content_rowid = 'id', tokenize = 'trigram');

CREATE TRIGGER title_added AFTER INSERT ON conversation BEGIN
    INSERT INTO title_index (rowid, title) VALUES (new.id, new.title);
END;
CREATE TRIGGER title_removed AFTER DELETE ON conversation BEGIN
    INSERT INTO title_index (title_index, rowid, title) VALUES ('delete', old.id, old.title);
END;
CREATE TRIGGER title_changed AFTER UPDATE OF title ON conversation
WHEN old.title <> new.title BEGIN
    INSERT INTO title_index (title_index, rowid, title) VALUES ('delete', old.id, old.title);
    INSERT INTO title_index (rowid, title) VALUES (new.id, new.title);
END;
CREATE TRIGGER node_added AFTER INSERT ON node BEGIN
    INSERT INTO node_index (rowid, content) VALUES (new.id, new.content);
END;
CREATE TRIGGER node_removed AFTER DELETE ON node BEGIN
    INSERT INTO node_index (node_index, rowid, content) VALUES ('delete', old.id, old.content);
END;
CREATE TRIGGER node_changed AFTER UPDATE OF content ON node
WHEN old.content <> new.content BEGIN
    INSERT INTO node_index (node_index, rowid, content) VALUES ('delete', old.id, old.content);
    INSERT INTO node_index (rowid, content) VALUES (new.id, new.content);
END;
";

/// Indexes that find "Café" for "cafe". The triggers name them and so stay as they are.
const WITHOUT_ACCENTS: &str = "
DROP TABLE title_index;
DROP TABLE node_index;
CREATE VIRTUAL TABLE title_index USING fts5
    (title, content = 'conversation', content_rowid = 'id',
     tokenize = 'trigram remove_diacritics 1');
CREATE VIRTUAL TABLE node_index USING fts5
    (content, content = 'node', content_rowid = 'id',
     tokenize = 'trigram remove_diacritics 1');
INSERT INTO title_index (title_index) VALUES ('rebuild');
INSERT INTO node_index (node_index) VALUES ('rebuild');
";

/// What a message's tokens are while it is written, each part from a position on.
const TRACE_PARTS: &str = "
CREATE TABLE trace_part (
    node   INTEGER NOT NULL REFERENCES node (id) ON DELETE CASCADE,
    start  INTEGER NOT NULL,
    tokens BLOB    NOT NULL,
    PRIMARY KEY (node, start)
) STRICT, WITHOUT ROWID;
";

/// Makes both search indexes again from the texts.
pub fn rebuild_index(connection: &Connection) -> Result<()> {
    for index in ["title_index", "node_index"] {
        connection.execute(&format!("INSERT INTO {index} ({index}) VALUES ('rebuild')"), [])?;
    }
    Ok(())
}
