//! The house rules that a compiler does not check: which room may use which, where colours live,
//! which licences and crates may come in, how long a file may be.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Top to bottom; a room may use the rooms after it.
const ROOMS: [&str; 11] = [
    "app",
    "ui",
    "engine",
    "eval",
    "decode",
    "steer",
    "learn",
    "model",
    "session",
    "documents",
    "platform",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a folder, with its text.
fn rust_files(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut waiting = vec![root().join(folder)];
    while let Some(dir) = waiting.pop() {
        for entry in std::fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root()).unwrap().to_path_buf(), text));
            }
        }
    }
    assert!(!found.is_empty(), "no Rust files in {folder}");
    found.sort();
    found
}

/// The code of a line without its comment.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or(line)
}

fn room_of(path: &Path) -> Option<&'static str> {
    let second = path.components().nth(1)?.as_os_str().to_str()?;
    ROOMS.into_iter().find(|room| *room == second.trim_end_matches(".rs"))
}

fn report(what: &str, offences: &[String]) {
    assert!(offences.is_empty(), "{what}:\n{}", offences.join("\n"));
}

#[test]
fn rooms_only_look_down() {
    let mut offences = Vec::new();
    for (path, text) in rust_files("src") {
        let Some(room) = room_of(&path) else { continue };
        let rank = ROOMS.iter().position(|r| *r == room).unwrap();
        for (number, line) in text.lines().enumerate() {
            let mut rest = code(line);
            while let Some(at) = rest.find("crate::") {
                rest = &rest[at + "crate::".len()..];
                let name: String =
                    rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let used = ROOMS.iter().position(|r| *r == name);
                if used.is_some_and(|used| used < rank) {
                    offences.push(format!("{}:{}: {room} uses {name}", path.display(), number + 1));
                }
            }
        }
    }
    report("a room may use only the rooms below it", &offences);
}

#[test]
fn rooms_know_only_what_they_should() {
    let mut offences = Vec::new();
    for (path, text) in rust_files("src") {
        let Some(room) = room_of(&path) else { continue };
        let no_candle = ["ui", "session", "documents", "platform"].contains(&room);
        let no_egui = !["app", "ui"].contains(&room);
        for (number, line) in text.lines().enumerate() {
            let line = code(line);
            let candle = line.contains("candle_");
            let egui = line.contains("egui") || line.contains("eframe");
            if (no_candle && candle) || (no_egui && egui) {
                offences.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    report("no candle in ui, session, platform; no egui in engine or below", &offences);
}

#[test]
fn colours_live_in_the_theme() {
    let mut offences = Vec::new();
    for (path, text) in rust_files("src") {
        if path.ends_with("ui/theme.rs") || path.starts_with("src/ui/theme") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let line = code(line);
            let literal = ["Color32::from_", "Color32::WHITE", "Color32::BLACK", "Color32::RED"]
                .iter()
                .any(|form| line.contains(form));
            if literal {
                offences.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    report("declare colours in ui/theme.rs, where both themes can be seen side by side", &offences);
}

#[test]
fn threads_have_names_and_channels_have_bounds() {
    let mut offences = Vec::new();
    for (path, text) in rust_files("src") {
        for (number, line) in text.lines().enumerate() {
            let line = code(line);
            let unnamed = line.contains("thread::spawn(");
            let unbounded = line.contains("unbounded()")
                || line.contains("unbounded::<")
                || line.contains("mpsc::channel(");
            if unnamed || unbounded {
                offences.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    report("name every thread, bound every channel", &offences);
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    let mut offences = Vec::new();
    let mut lengths = Vec::new();
    for (path, text) in rust_files("src") {
        let lines = text.lines().count();
        lengths.push(lines);
        if lines > 600 {
            offences.push(format!("{}: {lines} lines", path.display()));
        }
        if !text.starts_with("//!") {
            offences.push(format!("{}: no header that says what it is for", path.display()));
        }
    }
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    if median > 200 {
        offences.push(format!("the median file has {median} lines"));
    }
    report("files are short, one idea each", &offences);
}

#[test]
fn the_readme_names_what_is_there() {
    let mut offences = Vec::new();
    for document in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let text = std::fs::read_to_string(root().join(document)).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or(target);
            if !file.is_empty() && !file.contains("://") && !root().join(file).exists() {
                offences.push(format!("{document} links to {file}, which is not there"));
            }
        }
        for quoted in text.split('`').skip(1).step_by(2) {
            let path = quoted.split_whitespace().last().unwrap_or(quoted);
            let looks_like_a_file =
                ["src/", "tests/", "packaging/", "benches/", "assets/", "models/"]
                    .iter()
                    .any(|top| path.starts_with(top))
                    && !path.contains(['*', '<', '{', '…']);
            if looks_like_a_file && !root().join(path).exists() {
                offences.push(format!("{document} names {path}, which is not there"));
            }
        }
    }
    report("documents stay true in the commit that changes things", &offences);
}

/// What `cargo metadata` says of the packages the default build links or runs at build time.
fn default_tree() -> Vec<(String, String)> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root())
        .output()
        .expect("cargo runs, since it runs this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages: BTreeMap<&str, &serde_json::Value> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| (package["id"].as_str().unwrap(), package))
        .collect();
    let nodes: BTreeMap<&str, &serde_json::Value> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| (node["id"].as_str().unwrap(), node))
        .collect();

    let mut seen = BTreeSet::new();
    let mut waiting = vec![metadata["resolve"]["root"].as_str().unwrap()];
    while let Some(id) = waiting.pop() {
        if !seen.insert(id) {
            continue;
        }
        for dep in nodes[id]["deps"].as_array().unwrap() {
            let kinds = dep["dep_kinds"].as_array().unwrap();
            if kinds.iter().any(|kind| kind["kind"].as_str() != Some("dev")) {
                waiting.push(dep["pkg"].as_str().unwrap());
            }
        }
    }
    assert!(seen.len() > 100, "the tree has {} packages: the walk is broken", seen.len());
    seen.into_iter()
        .map(|id| {
            let package = packages[id];
            let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
            (text("name"), text("license"))
        })
        .collect()
}

/// True when an SPDX expression can be satisfied with permissive licences alone.
fn permissive(expression: &str) -> bool {
    const ALLOWED: [&str; 16] = [
        "0BSD",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSL-1.0",
        "CC0-1.0",
        "ISC",
        "MIT",
        "MIT-0",
        "OFL-1.1",
        "Ubuntu-font-1.0",
        "Unicode-3.0",
        "Unlicense",
        "Zlib",
        "Apache-2.0 WITH LLVM-exception",
        "Unicode-DFS-2016",
    ];
    let expression = expression.trim();
    // Split at the outermost operator: AND binds closer than OR, a slash is an old OR.
    for (operator, all) in [(" OR ", false), ("/", false), (" AND ", true)] {
        let parts = split_outside_brackets(expression, operator);
        if parts.len() > 1 {
            return if all {
                parts.iter().all(|part| permissive(part))
            } else {
                parts.iter().any(|part| permissive(part))
            };
        }
    }
    match expression.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')) {
        Some(inner) => permissive(inner),
        None => ALLOWED.contains(&expression),
    }
}

fn split_outside_brackets<'a>(text: &'a str, operator: &str) -> Vec<&'a str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_i32, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ if depth == 0 && at >= start && text[at..].starts_with(operator) => {
                parts.push(&text[start..at]);
                start = at + operator.len();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[test]
fn licences_are_read_right() {
    for good in
        ["MIT", "MIT/Apache-2.0", "Apache-2.0 OR GPL-2.0-only", "(MIT OR X) AND Unicode-3.0"]
    {
        assert!(permissive(good), "{good}");
    }
    for bad in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR ISC) AND MPL-2.0", "LGPL-2.1-or-later"] {
        assert!(!permissive(bad), "{bad}");
    }
}

#[test]
fn the_default_tree_is_permissive_and_offline() {
    // Comes with `directories`; deny.toml gives the reason.
    const EXCEPTIONS: [(&str, &str); 1] = [("option-ext", "MPL-2.0")];
    let denied: BTreeSet<String> = std::fs::read_to_string(root().join("deny.toml"))
        .unwrap()
        .lines()
        .filter_map(|line| line.trim().strip_prefix("{ crate = \""))
        .filter(|rest| !rest.contains("allow ="))
        .filter_map(|rest| rest.split('"').next())
        .map(str::to_owned)
        .collect();
    assert!(denied.contains("reqwest"), "deny.toml lists the crates that speak HTTP");
    let mut offences = Vec::new();
    for (name, license) in default_tree() {
        let excepted = EXCEPTIONS.contains(&(name.as_str(), license.as_str()));
        if !excepted && !permissive(&license) {
            offences.push(format!("{name} is licensed `{license}`"));
        }
        if denied.contains(&name) {
            offences.push(format!("{name} could reach the network"));
        }
    }
    report("the default build stays permissive and offline", &offences);
}
