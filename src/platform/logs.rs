//! The log: one file a day, a few of them kept; on the terminal as well where RUST_LOG asks for it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, registry};

/// How many log files are kept.
const KEPT: usize = 7;

/// A file that has grown to this is closed and the day's next one begun.
const LONGEST_BYTES: u64 = 4 << 20;

/// What goes into the file: warnings of everyone, and what Tiller itself has to say.
const IN_FILE: &str = "warn,tiller=info";

/// Starts logging for the rest of the process: into files in `folder` if there is one, and on the
/// terminal. Does nothing when something logs already; a log that cannot be written is no reason
/// not to run.
pub fn start(folder: Option<&Path>) {
    let file = folder.map(|folder| {
        fmt::layer()
            .with_ansi(false)
            .with_writer(DailyLog::new(folder))
            .with_filter(EnvFilter::new(IN_FILE))
    });
    let terminal = std::env::var_os("RUST_LOG").map(|_| {
        let filter = EnvFilter::from_default_env();
        fmt::layer().with_ansi(false).with_writer(io::stderr).with_filter(filter)
    });
    registry().with(file).with(terminal).try_init().ok();
}

/// Appends to the log file of the day.
#[derive(Clone)]
struct DailyLog {
    folder: Arc<PathBuf>,
    today: Arc<Mutex<Option<Today>>>,
}

struct Today {
    date: String,
    file: File,
    bytes: u64,
}

impl DailyLog {
    fn new(folder: &Path) -> Self {
        Self { folder: Arc::new(folder.to_path_buf()), today: Arc::new(Mutex::new(None)) }
    }

    fn append(&self, date: &str, line: &[u8]) -> io::Result<()> {
        let mut today = self.today.lock();
        let fits = |today: &Today| today.date == date && today.bytes < LONGEST_BYTES;
        if !today.as_ref().is_some_and(fits) {
            *today = Some(open(&self.folder, date)?);
            keep_newest(&self.folder, "tiller-", KEPT);
        }
        if let Some(today) = today.as_mut() {
            today.file.write_all(line)?;
            today.bytes += line.len() as u64;
        }
        Ok(())
    }
}

impl Write for DailyLog {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let date = jiff::Zoned::now().strftime("%Y-%m-%d").to_string();
        self.append(&date, line)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for DailyLog {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The day's last file, or the next one where that is full.
fn open(folder: &Path, date: &str) -> io::Result<Today> {
    for number in 1..=99 {
        let path = folder.join(format!("tiller-{date}-{number:02}.log"));
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let bytes = file.metadata()?.len();
        if bytes < LONGEST_BYTES {
            return Ok(Today { date: date.to_owned(), file, bytes });
        }
    }
    Err(io::Error::other("the day's logs are full"))
}

/// Deletes all but the newest of our files; their names sort by age.
pub(super) fn keep_newest(folder: &Path, prefix: &str, count: usize) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let is_ours =
        |name: &str| name.starts_with(prefix) && (name.ends_with(".log") || name.ends_with(".txt"));
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| is_ours(name))
        .collect();
    names.sort();
    for old in names.iter().rev().skip(count) {
        fs::remove_file(folder.join(old)).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().flatten();
        let mut names: Vec<_> =
            entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_said_stands_in_the_file_and_noise_does_not() {
        let folder = tempfile::tempdir().unwrap();
        start(Some(folder.path()));
        tracing::info!(model = "small", "ours");
        tracing::info!(target: "wgpu_core", "noise of others");
        tracing::warn!(target: "wgpu_core", "warning of others");
        let names = names(folder.path());
        let text = fs::read_to_string(folder.path().join(&names[0])).unwrap();
        assert!(text.contains("ours") && text.contains("small"), "{text}");
        assert!(text.contains("warning of others") && !text.contains("noise"), "{text}");
    }

    #[test]
    fn a_file_a_day_and_only_the_newest_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("tiller.db"), "not a log").unwrap();
        let log = DailyLog::new(folder.path());
        for day in 10..20 {
            log.append(&format!("2026-11-{day}"), b"one\n").unwrap();
            log.append(&format!("2026-11-{day}"), b"two\n").unwrap();
        }
        let names = names(folder.path());
        assert_eq!(names.len(), KEPT + 1);
        assert_eq!(names[0], "tiller-2026-11-13-01.log");
        assert_eq!(fs::read(folder.path().join(&names[6])).unwrap(), b"one\ntwo\n");
        assert_eq!(names[7], "tiller.db");
    }

    #[test]
    fn a_long_day_goes_on_in_a_second_file() {
        let folder = tempfile::tempdir().unwrap();
        let log = DailyLog::new(folder.path());
        log.append("2026-11-22", &vec![b'x'; LONGEST_BYTES as usize]).unwrap();
        log.append("2026-11-22", b"more\n").unwrap();
        // After a start in the middle of the day as well.
        DailyLog::new(folder.path()).append("2026-11-22", b"and more\n").unwrap();
        assert_eq!(names(folder.path()).len(), 2);
        let second = fs::read(folder.path().join("tiller-2026-11-22-02.log")).unwrap();
        assert_eq!(second, b"more\nand more\n");
    }
}
