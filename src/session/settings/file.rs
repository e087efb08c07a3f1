//! The settings file: read leniently, written so that what the person wrote in it stays.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use toml_edit::{Document, DocumentMut, Item, TableLike, Value};

use super::{ENTRIES, Entry, Settings};
use crate::platform::{Problem, atomic};

const HEADER: &str =
    "# Settings of Tiller. Edit them here or in the window; your comments stay.\n\n";

/// Settings as the file gives them, and what was odd about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    pub settings: Settings,
    pub notes: Vec<Note>,
}

/// Something in the settings file that was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Counted from 1, where it is known.
    pub line: Option<usize>,
    pub message: String,
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(f, "settings, line {line}: {}", self.message),
            None => write!(f, "settings: {}", self.message),
        }
    }
}

/// Reads the settings. What is missing or wrong has its default; what is wrong or unknown is told.
pub fn load(path: &Path) -> Loaded {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&text),
        Err(error) => {
            let mut notes = Vec::new();
            if error.kind() != ErrorKind::NotFound {
                let message = format!("cannot be read ({error}); defaults are used");
                notes.push(Note { line: None, message });
            }
            Loaded { settings: Settings::default(), notes }
        }
    }
}

fn parse(text: &str) -> Loaded {
    let mut settings = Settings::default();
    let mut notes = Vec::new();
    let line = |span: Option<std::ops::Range<usize>>| {
        span.map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1)
    };
    let document = match Document::parse(text) {
        Ok(document) => document,
        Err(error) => {
            let first = error.message().lines().next().unwrap_or_default();
            let message = format!("not TOML ({first}); defaults are used for everything");
            notes.push(Note { line: line(error.span()), message });
            return Loaded { settings, notes };
        }
    };
    for entry in ENTRIES {
        let Some(item) = find(document.as_table(), entry) else { continue };
        if !(entry.read)(item, &mut settings) {
            let (name, meaning) = (full_name(entry.table, entry.key), entry.meaning);
            let message = format!("{name} cannot be that ({meaning}); its default is used");
            notes.push(Note { line: line(item.span()), message });
        }
    }
    let mut unknown = |table: &str, key: &str, item: &Item, at: Option<std::ops::Range<usize>>| {
        let known = ENTRIES.iter().any(|entry| entry.table == table && entry.key == key)
            || (table.is_empty() && is_table_of_ours(key) && item.is_table_like());
        if !known {
            let message = format!("{} is not known; it is left as it is", full_name(table, key));
            notes.push(Note { line: line(at), message });
        }
    };
    for (key, item) in document.as_table().iter() {
        let at = |table: &dyn TableLike, key: &str| table.key(key).and_then(|key| key.span());
        unknown("", key, item, at(document.as_table(), key));
        if let Some(table) = item.as_table_like().filter(|_| is_table_of_ours(key)) {
            for (inner, item) in table.iter() {
                unknown(key, inner, item, at(table, inner));
            }
        }
    }
    notes.sort_by_key(|note| note.line);
    Loaded { settings, notes }
}

/// Writes what differs between `before` and `after` into the file, atomically. All else stays as
/// it stands there now: comments, order, unknown keys, and what the person changed meanwhile. A
/// file that is not TOML is moved aside first.
pub fn save(path: &Path, before: &Settings, after: &Settings) -> Result<(), Problem> {
    let (mut document, fresh) = match std::fs::read_to_string(path) {
        Ok(text) => match text.parse::<DocumentMut>() {
            Ok(document) => (document, false),
            Err(_) => {
                move_aside(path)?;
                (DocumentMut::new(), true)
            }
        },
        Err(error) if error.kind() == ErrorKind::NotFound => (DocumentMut::new(), true),
        Err(error) => return Err(Problem::new(format!("cannot be read: {error}")).at(path)),
    };
    for entry in ENTRIES {
        let value = (entry.write)(after);
        let same = (entry.write)(before).map(|value| value.to_string())
            == value.as_ref().map(Value::to_string);
        if fresh || !same {
            set(&mut document, entry, value);
        }
    }
    let header = if fresh { HEADER } else { "" };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| {
            Problem::new(format!("the folder cannot be made: {error}")).at(folder)
        })?;
    }
    atomic::write(path, format!("{header}{document}").as_bytes())
}

fn find<'a>(root: &'a dyn TableLike, entry: &Entry) -> Option<&'a Item> {
    if entry.table.is_empty() {
        return root.get(entry.key);
    }
    root.get(entry.table)?.as_table_like()?.get(entry.key)
}

fn set(document: &mut DocumentMut, entry: &Entry, value: Option<Value>) {
    let root = document.as_table_mut();
    // In `{ a = 1 }` there is no room for a comment.
    let mut room_for_comment = true;
    let table: &mut dyn TableLike = if entry.table.is_empty() {
        root
    } else {
        let item = root.entry(entry.table).or_insert_with(toml_edit::table);
        if !item.is_table_like() {
            *item = toml_edit::table();
        }
        room_for_comment = !item.is_inline_table();
        match item.as_table_like_mut() {
            Some(table) => table,
            None => return,
        }
    };
    let Some(mut value) = value else {
        table.remove(entry.key);
        return;
    };
    match table.get_mut(entry.key).and_then(Item::as_value_mut) {
        Some(old) => {
            // A comment behind the value belongs to it.
            *value.decor_mut() = old.decor().clone();
            *old = value;
        }
        None => {
            table.insert(entry.key, Item::Value(value));
            if let Some(mut key) = table.key_mut(entry.key).filter(|_| room_for_comment) {
                key.leaf_decor_mut().set_prefix(format!("# {}\n", entry.meaning));
            }
        }
    }
}

fn is_table_of_ours(name: &str) -> bool {
    ENTRIES.iter().any(|entry| entry.table == name)
}

fn full_name(table: &str, key: &str) -> String {
    if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") }
}

fn move_aside(path: &Path) -> Result<PathBuf, Problem> {
    let stamp = jiff::Zoned::now().strftime("%Y%m%d-%H%M%S").to_string();
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".unreadable-{stamp}"));
    let to = PathBuf::from(name);
    std::fs::rename(path, &to)
        .map_err(|error| Problem::new(format!("cannot be moved aside: {error}")).at(path))?;
    Ok(to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::settings::{Theme, TokenColours, WindowPlace};

    fn changed() -> Settings {
        let mut settings = Settings { theme: Theme::Dark, zoom: 1.1, ..Settings::default() };
        settings.last_model = Some("/models/a \"b\"".into());
        settings.model_folders = vec!["/one".into(), "/two".into()];
        settings.load.context_length = Some(4096);
        settings.system_prompt = "Be brief.\nAnd kind.".into();
        settings.token_colours = TokenColours::Entropy;
        settings.sidebar = false;
        settings.window = WindowPlace {
            size: [900, 600],
            position: Some([-30, 7]),
            is_maximized: true,
            sidebar_width: 300,
            side_panel_width: 280,
        };
        settings
    }

    #[test]
    fn settings_go_through_the_file_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made on the way").join("settings.toml");
        let missing = load(&path);
        assert_eq!((missing.settings, missing.notes.len()), (Settings::default(), 0));
        save(&path, &Settings::default(), &Settings::default()).unwrap();
        assert_eq!(load(&path), Loaded { settings: Settings::default(), notes: vec![] });
        save(&path, &Settings::default(), &changed()).unwrap();
        assert_eq!(load(&path), Loaded { settings: changed(), notes: vec![] });
        save(&path, &changed(), &Settings::default()).unwrap();
        assert_eq!(load(&path), Loaded { settings: Settings::default(), notes: vec![] });
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with(HEADER) && text.contains("# system, light or dark\n"), "{text}");
        let has_no_default =
            |entry: &&Entry| !["last", "context-length", "position"].contains(&entry.key);
        for entry in ENTRIES.iter().filter(has_no_default) {
            assert!(text.contains(entry.meaning), "{text}");
        }
    }

    #[test]
    fn what_a_person_wrote_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.toml");
        let mine = "# mine\nzoom = 1.5 # bigger\nfuture = [1, 2]\n\n# my machine\n\
                    load = { device = \"cpu\" }\n\n[plugins]\nx = 1\n";
        std::fs::write(&path, mine).unwrap();
        let before = load(&path).settings;
        // The person edits another key while the program runs; only what changed here is written.
        std::fs::write(&path, mine.replace("future = [1, 2]", "theme = \"light\"")).unwrap();
        let mut after = Settings { zoom: 2.0, ..before.clone() };
        after.load.weights = "q8_0".into();
        save(&path, &before, &after).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        for kept in ["# mine\n", "zoom = 2.0 # bigger\n", "# my machine\n", "[plugins]\nx = 1"] {
            assert!(text.contains(kept), "{text}");
        }
        let again = load(&path).settings;
        assert_eq!((again.theme, again.zoom), (Theme::Light, 2.0));
        assert_eq!((again.load.device.as_str(), again.load.weights.as_str()), ("cpu", "q8_0"));
    }

    #[test]
    fn wrong_and_unknown_things_are_told_with_their_line() {
        let text = "theme = \"purple\"\nzoom = 2\ncolour = 1\n[load]\ndevice = \"tpu\"\n\
                    context-length = -5\nthreads = 4\n[model]\nfolders = \"no list\"\n\
                    [window]\nsize = [1, 2]\nposition = [\"left\", 0]\nsidebar-width = 1\n";
        let loaded = parse(text);
        let lines: Vec<_> = loaded.notes.iter().map(|note| note.line.unwrap()).collect();
        assert_eq!(lines, [1, 3, 5, 6, 7, 9, 11, 12, 13]);
        assert!(loaded.notes[4].message.contains("load.threads"), "{:?}", loaded.notes);
        assert!(loaded.notes[0].to_string().contains("line 1: theme"), "{}", loaded.notes[0]);
        assert_eq!(loaded.settings, Settings { zoom: 2.0, ..Settings::default() });
    }

    #[test]
    fn a_file_that_is_not_toml_is_told_and_moved_aside_never_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.toml");
        std::fs::write(&path, "theme = \"dark\"\nzoom = = 3\n").unwrap();
        let loaded = load(&path);
        assert_eq!(loaded.notes[0].line, Some(2));
        assert_eq!(loaded.settings, Settings::default());
        save(&path, &Settings::default(), &changed()).unwrap();
        assert_eq!(load(&path).settings, changed());
        let aside = std::fs::read_dir(folder.path())
            .unwrap()
            .flatten()
            .find(|entry| entry.file_name().to_string_lossy().contains("unreadable"));
        assert!(std::fs::read_to_string(aside.unwrap().path()).unwrap().contains("= = 3"));
    }
}
