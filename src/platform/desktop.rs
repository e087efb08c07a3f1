//! Opening a folder or a web address with whatever the desktop has for it. No shell in between, so
//! nothing in a path or an address is ever a command.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use super::Problem;

/// Shows a folder in the desktop's file manager.
pub fn open_folder(folder: &Path) -> Result<(), Problem> {
    if !folder.is_dir() {
        return Err(Problem::new("there is no such folder").at(folder));
    }
    let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
    open(whole.as_os_str()).map_err(|problem| problem.at(folder))
}

/// Shows a web page in the person's browser. Other kinds of address are refused: a model may have
/// written them.
pub fn open_address(address: &str) -> Result<(), Problem> {
    if !is_web_address(address) {
        return Err(Problem::new(format!("not the address of a web page: {address}")));
    }
    open(OsStr::new(address))
}

fn is_web_address(address: &str) -> bool {
    let lower = address.to_ascii_lowercase();
    let rest = lower.strip_prefix("https://").or_else(|| lower.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('-'))
        && !address.chars().any(|c| c.is_whitespace() || c.is_control() || c == '"')
}

fn open(what: &OsStr) -> Result<(), Problem> {
    let opener = if cfg!(target_os = "macos") {
        "open"
    } else if cfg!(windows) {
        "explorer"
    } else {
        "xdg-open"
    };
    let mut child = Command::new(opener)
        .arg(what)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| Problem::new(format!("{opener} does not start: {error}")))?;
    // Somebody has to take note of its end, or it stays in the process table.
    std::thread::Builder::new()
        .name("tiller-opener".into())
        .spawn(move || match child.wait() {
            // The Windows one reports 1 when all went well.
            Ok(status) if status.success() || cfg!(windows) => {}
            Ok(status) => tracing::warn!("{opener} ended with {status}"),
            Err(error) => tracing::warn!("{opener}: {error}"),
        })
        .map(drop)
        .map_err(|error| Problem::new(format!("{opener} cannot be watched: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_addresses_are_opened() {
        assert!(is_web_address("https://example.org/a?b=c#d"));
        assert!(is_web_address("HTTP://example.org"));
        for bad in [
            "file:///etc/passwd",
            "javascript:alert(1)",
            "https://",
            "-h",
            "https://-h",
            "https://a b",
            "https://a\n",
            "example.org",
            "https://a\"&calc",
        ] {
            assert!(!is_web_address(bad), "{bad}");
            assert!(open_address(bad).is_err());
        }
        assert!(open_folder(Path::new("/no/such/folder/here")).is_err());
    }
}
