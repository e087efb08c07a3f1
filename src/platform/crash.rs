//! The crash report: a file beside the logs that says what happened and where. It goes nowhere.

use std::backtrace::Backtrace;
use std::fmt::Write;
use std::fs;
use std::panic::PanicHookInfo;
use std::path::{Path, PathBuf};

use super::logs::keep_newest;

/// How many reports are kept.
const KEPT: usize = 10;

/// The name of threads that run what is expected to panic on broken files and is caught: no
/// report, no word on standard error.
pub const CONTAINED: &str = "tiller-contained";

/// Writes a report into `folder` for every panic from now on, then does what was done before.
pub fn report_into(folder: &Path) {
    let folder = folder.to_path_buf();
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let thread = std::thread::current();
        if thread.name() == Some(CONTAINED) {
            return tracing::debug!("contained: {info}");
        }
        before(info);
        let report = report(info, thread.name().unwrap_or("unnamed"), &Backtrace::force_capture());
        // Nothing in here may panic: that would end the process with no word at all.
        match keep(&folder, &report) {
            Ok(path) => {
                tracing::error!("panic in a thread; the report is {}", path.display());
                eprintln!("tiller: the report of this fault is {}", path.display());
            }
            Err(error) => eprintln!("tiller: the report of this fault cannot be kept: {error}"),
        }
    }));
}

fn report(info: &PanicHookInfo<'_>, thread: &str, backtrace: &Backtrace) -> String {
    let message = info.payload_as_str().unwrap_or("(no message)");
    let place = info.location().map_or_else(|| "unknown".into(), ToString::to_string);
    let mut report = String::new();
    writeln!(report, "Tiller {} met a fault of its own.", env!("CARGO_PKG_VERSION")).ok();
    writeln!(report, "This file stays on this computer; nothing is sent anywhere.\n").ok();
    writeln!(report, "time      {}", jiff::Timestamp::now()).ok();
    writeln!(report, "system    {} {}", std::env::consts::OS, std::env::consts::ARCH).ok();
    writeln!(report, "thread    {thread}").ok();
    writeln!(report, "place     {place}").ok();
    writeln!(report, "message   {message}\n\n{backtrace}").ok();
    report
}

fn keep(folder: &Path, report: &str) -> std::io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let stamp = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S").to_string();
    // Several threads may fall in one second.
    let mut path = folder.join(format!("crash-{stamp}.txt"));
    for number in 2..100 {
        match fs::OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(mut file) => {
                std::io::Write::write_all(&mut file, report.as_bytes())?;
                keep_newest(folder, "crash-", KEPT);
                return Ok(path);
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                path = folder.join(format!("crash-{stamp}-{number:02}.txt"));
            }
            Err(error) => return Err(error),
        }
    }
    Err(std::io::Error::other("too many faults in one second"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_leaves_a_report() {
        let folder = tempfile::tempdir().unwrap();
        let logs = folder.path().join("log");
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        report_into(&logs);
        let fall = || panic!("the sky fell at {}", 7);
        let thread = std::thread::Builder::new().name("chicken".into()).spawn(fall).unwrap();
        assert!(thread.join().is_err());
        std::panic::set_hook(before);
        let reports: Vec<String> = fs::read_dir(&logs)
            .unwrap()
            .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
            .collect();
        let ours = reports.iter().find(|report| report.contains("the sky fell at 7"));
        let ours = ours.expect("a report of this fault");
        for part in [env!("CARGO_PKG_VERSION"), "thread    chicken", "crash.rs"] {
            assert!(ours.contains(part), "{part} in {ours}");
        }
    }
}
