//! The arrows between the modules (DESIGN, section 2), as an allowlist: whatever is not listed is not allowed.

use std::fs;
use std::path::{Path, PathBuf};

/// A module and the modules that it may name.
const ARROWS: [(&str, &[&str]); 15] = [
    ("domain", &["domain"]),
    ("error", &["domain"]),
    ("store", &["store", "domain", "error"]),
    ("payments", &["payments", "domain"]),
    ("service", &["service", "store", "payments", "domain", "error"]),
    ("http", &["http", "service", "store", "payments", "domain", "error", "telemetry", "config", "wechat"]),
    ("relay", &["relay", "http", "service", "store", "payments", "domain", "error", "config", "telemetry", "wechat"]),
    // The line runs mail through the site's own router.
    ("line", &["line", "http", "service", "store", "payments", "domain", "error"]),
    ("jobs", &["http", "service", "store", "payments", "config", "error"]),
    ("demo", &["service", "store", "domain", "error"]),
    ("telemetry", &["domain"]),
    ("wechat", &["domain"]),
    ("config", &["domain", "http", "store", "payments", "wechat"]),
    (
        "cli",
        &[
            "cli",
            "demo",
            "http",
            "jobs",
            "relay",
            "line",
            "payments",
            "service",
            "store",
            "domain",
            "config",
            "error",
            "telemetry",
            "wechat",
        ],
    ),
    ("main", &["cli"]),
];

/// Words that each layer must not contain at all.
const BANNED: [(&str, &[&str]); 3] = [
    ("domain", &["rusqlite", "axum", "tokio", "async fn", "serde::", "SystemTime::now"]),
    ("service", &["axum", "rusqlite", "select ", "insert into"]),
    ("http", &["rusqlite", "select ", "insert into", "prepare_cached"]),
];

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn arrows_point_down_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 50, "the sources were not found");
    let mut wrong = Vec::new();
    for path in files {
        let relative = path.strip_prefix(&root).unwrap();
        let module = relative.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs");
        if module == "lib" {
            continue;
        }
        let (_, allowed) = ARROWS.iter().find(|(name, _)| *name == module).expect("every module has its arrows");
        let banned = BANNED.iter().find(|(name, _)| *name == module).map_or(&[][..], |(_, words)| words);
        for (number, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            let named = line
                .split("crate::")
                .skip(1)
                .map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default());
            for name in named.filter(|name| ARROWS.iter().any(|(module, _)| module == name)) {
                if !allowed.contains(&name) {
                    wrong.push(format!("src/{}:{} names {name}", relative.display(), number + 1));
                }
            }
            for word in banned.iter().filter(|word| line.contains(**word)) {
                wrong.push(format!("src/{}:{} holds {word:?}", relative.display(), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
