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

/// Opens a file in the desktop's program for it; a PDF at a page, where whatever opens it takes an
/// address. What lies elsewhere than in a file is refused.
pub fn open_file(file: &Path, page: Option<u32>) -> Result<(), Problem> {
    if !file.is_file() {
        return Err(Problem::new("the file is not there any more").at(file));
    }
    let whole = std::path::absolute(file).unwrap_or_else(|_| file.to_path_buf());
    let desktop = std::env::var("XDG_CURRENT_DESKTOP").unwrap_or_default();
    if let Some(address) = page.and_then(|page| page_address(&whole, page, &desktop))
        && opener::open(address).is_ok()
    {
        return Ok(());
    }
    opener::open(&whole).map_err(|error| Problem::new(error.to_string()).at(file))
}

/// The address of a page of a PDF; `None` for other files, and where it would not be understood:
/// of the free desktops only KDE's opener takes an address with a page, and others would open
/// nothing without saying so.
fn page_address(file: &Path, page: u32, desktop: &str) -> Option<String> {
    let is_pdf = file.extension().is_some_and(|end| end.eq_ignore_ascii_case("pdf"));
    let is_understood =
        cfg!(any(windows, target_os = "macos")) || desktop.split(':').any(|name| name == "KDE");
    if !is_pdf || !is_understood {
        return None;
    }
    let mut path = file.to_str()?.to_owned();
    if cfg!(windows) {
        path = path.replace('\\', "/");
    }
    if !path.starts_with('/') {
        path.insert(0, '/');
    }
    let mut address = "file://".to_owned();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' | b':' => {
                address.push(char::from(byte));
            }
            other => address += &format!("%{other:02X}"),
        }
    }
    Some(format!("{address}#page={page}"))
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
    fn a_page_is_named_where_it_is_understood() {
        let at = |file: &str, desktop: &str| page_address(Path::new(file), 3, desktop);
        let address = at("/a b/Fähre #1.pdf", "KDE").unwrap();
        assert_eq!(address, "file:///a%20b/F%C3%A4hre%20%231.pdf#page=3");
        assert_eq!(at("/a/notes.txt", "KDE"), None);
        assert!(at("/a/notes.PDF", "X-Cinnamon:KDE").is_some());
        if cfg!(target_os = "linux") {
            assert_eq!(at("/a/notes.pdf", "ubuntu:GNOME"), None);
        }
        let gone = open_file(Path::new("/no/such/notes.pdf"), Some(3)).unwrap_err();
        assert!(gone.to_string().contains("not there any more"), "{gone}");
    }

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
