//! Opening the database: refusing what is not ours, moving aside what is broken, backing up and
//! bringing up to date what is old, and finding replies that a kill cut short.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::schema::{APPLICATION_ID, STEPS, rebuild_index};
use super::{Result, Store, Trouble};
use crate::platform::Problem;
use crate::session::{ConversationId, NodeId};

/// A file up to this size is checked whole on every start; a larger one would keep the person
/// waiting for their list. Damage in it is still found by the first read that meets it.
const CHECKED_ON_START_BYTES: u64 = 128 << 20;

/// A store and how it was found.
pub struct Opened {
    pub store: Store,
    pub recovered: Vec<(ConversationId, NodeId)>,
    pub moved_aside: Option<PathBuf>,
    pub backup: Option<PathBuf>,
    pub not_kept: Option<Problem>,
}

/// Opens the database at `path`, whatever state it is in; falls back to reading only, then to
/// memory. Fails only when not even memory will do.
pub fn open(path: &Path) -> Result<Opened> {
    open_with(path, STEPS)
}

fn open_with(path: &Path, steps: &[&str]) -> Result<Opened> {
    let mut moved_aside = None;
    let mut attempt = on_disk(path, steps);
    if matches!(&attempt, Err(trouble) if trouble.is_corruption()) {
        match move_aside(path) {
            Ok(to) => {
                moved_aside = Some(to);
                attempt = on_disk(path, steps);
            }
            Err(error) => {
                let problem = Problem::new(format!("the damaged database stays: {error}"));
                attempt = Err(Trouble::Refused(problem.at(path)));
            }
        }
    }
    match attempt {
        Ok(opened) => Ok(Opened { moved_aside, ..opened }),
        Err(trouble) => {
            let problem = trouble.into_problem().at(path);
            tracing::warn!("{problem}");
            let store = match read_only(path, steps) {
                Some(store) => store,
                None => in_memory_with(steps)?,
            };
            Ok(Opened {
                store,
                recovered: Vec::new(),
                moved_aside,
                backup: None,
                not_kept: Some(problem),
            })
        }
    }
}

fn on_disk(path: &Path, steps: &[&str]) -> Result<Opened> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    set_up(&connection)?;
    let version = check_ours(&connection, steps)?;
    let size_bytes = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    if size_bytes <= CHECKED_ON_START_BYTES {
        check_sound(&mut connection)?;
    }
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    let backup = migrate(&mut connection, version, steps, Some(path))?;
    let mut store = Store { connection };
    let recovered = store.recover()?;
    Ok(Opened { store, recovered, moved_aside: None, backup, not_kept: None })
}

/// A database that lasts as long as the program.
pub fn in_memory() -> Result<Store> {
    in_memory_with(STEPS)
}

fn in_memory_with(steps: &[&str]) -> Result<Store> {
    let mut connection = Connection::open_in_memory()?;
    set_up(&connection)?;
    migrate(&mut connection, 0, steps, None)?;
    Ok(Store { connection })
}

/// Tries again to open for writing what could only be read.
pub fn reopen(path: &Path) -> Option<Store> {
    on_disk(path, STEPS).ok().map(|opened| opened.store)
}

/// What can still be shown of a database that cannot be written.
pub(super) fn read_only(path: &Path, steps: &[&str]) -> Option<Store> {
    if !path.is_file() {
        return None;
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let beside_its_log = Connection::open_with_flags(path, flags).ok();
    beside_its_log.and_then(|connection| readable(connection, steps)).or_else(|| {
        // Where not even the log's index can be made, the file is read without its log.
        let flags = flags | OpenFlags::SQLITE_OPEN_URI;
        readable(Connection::open_with_flags(unchanging_address(path), flags).ok()?, steps)
    })
}

/// The address of a database that nobody changes while it is read.
fn unchanging_address(path: &Path) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~:".contains(&byte);
    let path = path.to_string_lossy().replace('\\', "/");
    let encoded: String = path
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).into() } else { format!("%{byte:02X}") })
        .collect();
    let root = if encoded.starts_with('/') { "" } else { "/" };
    format!("file:{root}{encoded}?immutable=1")
}

fn readable(connection: Connection, steps: &[&str]) -> Option<Store> {
    set_up(&connection).ok()?;
    let version = check_ours(&connection, steps).ok()?;
    let readable: rusqlite::Result<i64> =
        connection.query_row("SELECT count(*) FROM conversation", [], |row| row.get(0));
    (version == steps.len() && readable.is_ok()).then_some(Store { connection })
}

fn set_up(connection: &Connection) -> Result<()> {
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // Elsewhere than on macOS this changes nothing; there a sync alone stops at the drive's cache.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// The version of the database's form; 0 for one that is empty.
fn check_ours(connection: &Connection, steps: &[&str]) -> Result<usize> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        return Ok(0);
    }
    if application != i64::from(APPLICATION_ID) {
        let problem = Problem::new("this is the database of another program");
        return Err(problem.hint("move it away; it is left as it is").into());
    }
    usize::try_from(version).ok().filter(|&version| version <= steps.len()).ok_or_else(|| {
        let problem = Problem::new("the conversations were kept by a newer Tiller");
        problem.hint("start that one; the file is left as it is").into()
    })
}

fn check_sound(connection: &mut Connection) -> Result<()> {
    let verdict = verdict(connection)?;
    if verdict == "ok" {
        return Ok(());
    }
    // The index can be made again from the texts; undone if that is not all there is to mend.
    let transaction = connection.transaction()?;
    if verdict.to_ascii_lowercase().contains("fts5")
        && rebuild_index(&transaction).is_ok()
        && self::verdict(&transaction).is_ok_and(|verdict| verdict == "ok")
    {
        tracing::warn!("the search index was damaged and is made again: {verdict}");
        return Ok(transaction.commit()?);
    }
    drop(transaction);
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    Err(rusqlite::Error::SqliteFailure(code, Some(verdict)).into())
}

fn verdict(connection: &Connection) -> Result<String> {
    Ok(connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?)
}

/// Applies the missing steps in one transaction, after a backup if there is anything to lose.
fn migrate(
    connection: &mut Connection,
    version: usize,
    steps: &[&str],
    path: Option<&Path>,
) -> Result<Option<PathBuf>> {
    if version == steps.len() {
        return Ok(None);
    }
    let mut backup = None;
    if let Some(path) = path.filter(|_| version > 0) {
        let to = beside(path, &format!("before-form-{}", steps.len()));
        // SQLite writes the copy itself, so that what is still in the log is in it too.
        connection.execute("VACUUM INTO ?1", [to.to_string_lossy()])?;
        let synced = std::fs::File::open(&to).and_then(|copy| copy.sync_all());
        synced.map_err(|error| Problem::new(format!("cannot be written: {error}")).at(&to))?;
        backup = Some(to);
    }
    let transaction = connection.transaction()?;
    for step in &steps[version..] {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", steps.len() as i64)?;
    transaction.commit()?;
    Ok(backup)
}

/// Moves a database and its log files out of the way under a name that tells when; gives the new
/// path of the database itself.
pub fn move_aside(path: &Path) -> std::io::Result<PathBuf> {
    let to = beside(path, "damaged");
    for suffix in ["", "-wal", "-shm"] {
        let from = with_suffix(path, suffix);
        if from.exists() {
            std::fs::rename(&from, with_suffix(&to, suffix))?;
        }
    }
    Ok(to)
}

/// A path in the same folder that nothing has yet: `tiller.db` gives
/// `tiller.db.damaged-20261122-093000`.
fn beside(path: &Path, why: &str) -> PathBuf {
    let stamp = jiff::Zoned::now().strftime("%Y%m%d-%H%M%S").to_string();
    let first = with_suffix(path, &format!(".{why}-{stamp}"));
    let later = (2..).map(|count| with_suffix(path, &format!(".{why}-{stamp}-{count}")));
    let mut names = std::iter::once(first.clone()).chain(later);
    names.find(|name| !name.exists()).unwrap_or(first)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_form_is_backed_up_then_brought_up_to_date() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiller.db");
        let first = open_with(&path, &STEPS[..1]).unwrap();
        first.store.set_title_for_test("kept");
        drop(first);
        let steps = [STEPS[0], "ALTER TABLE conversation ADD COLUMN colour TEXT"];
        let second = open_with(&path, &steps).unwrap();
        assert_eq!(second.store.titles_for_test("colour IS NULL"), ["kept"]);
        let backup = second.backup.clone().expect("a copy of what was there");
        drop(second);
        let old = open_with(&backup, &STEPS[..1]).unwrap();
        assert_eq!(old.store.titles_for_test("true"), ["kept"]);
        // Up to date: no second copy.
        assert_eq!(open_with(&path, &steps).unwrap().backup, None);
    }

    #[test]
    fn what_an_older_tiller_kept_is_found_without_its_accents() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiller.db");
        let first = open_with(&path, &STEPS[..1]).unwrap();
        first.store.set_title_for_test("Café Zürich");
        assert!(first.store.search("cafe", 9).unwrap().is_empty());
        drop(first);
        let second = open(&path).unwrap();
        assert!(second.backup.is_some());
        for query in ["cafe", "CAFÉ", "zurich", "zü"] {
            assert_eq!(second.store.search(query, 9).unwrap().len(), 1, "{query}");
        }
        second.store.check_index_for_test();
    }

    #[test]
    fn what_cannot_be_written_can_still_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a %41 strange? name#.db");
        open_with(&path, STEPS).unwrap().store.set_title_for_test("kept");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        let without_log = Connection::open_with_flags(unchanging_address(&path), flags).unwrap();
        let without_log = readable(without_log, STEPS).unwrap();
        for mut store in [read_only(&path, STEPS).unwrap(), without_log] {
            assert_eq!(store.titles_for_test("true"), ["kept"]);
            let trouble = store.set_draft(None, "words").unwrap_err();
            assert!(trouble.may_pass(), "{trouble}");
        }
        assert!(read_only(&folder.path().join("missing.db"), STEPS).is_none());
    }

    #[test]
    fn what_never_began_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiller.db");
        let mut first = open(&path).unwrap().store;
        first.set_plan(ConversationId::fresh(), Some("seed = 1")).unwrap();
        first.set_draft(Some(ConversationId::fresh()), "words").unwrap();
        first.set_draft(None, "kept").unwrap();
        drop(first);
        let second = open(&path).unwrap().store;
        assert!(second.titles_for_test("true").is_empty());
        assert_eq!(second.draft(None).unwrap(), "kept");
    }

    #[test]
    fn a_step_that_fails_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiller.db");
        open_with(&path, &STEPS[..1]).unwrap().store.set_title_for_test("kept");
        let steps = [STEPS[0], "CREATE TABLE half (a); SELECT nonsense FROM nowhere"];
        assert!(open_with(&path, &steps).is_err());
        let again = open_with(&path, &STEPS[..1]).unwrap();
        assert_eq!(again.not_kept, None);
        assert_eq!(again.store.titles_for_test("true"), ["kept"]);
    }
}
