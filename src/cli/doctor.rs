//! `canshi doctor`: is the site whole? It takes no lock and writes nothing, so that it works beside a running server.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use super::{Refused, config, say};
use crate::store::db::Clock;
use crate::store::examine::{self, explained};
use crate::store::keys::{self, Keys};
use crate::store::open::DATABASE;

/// Free space below which a site is in danger, in KiB.
const FREE_KIB_MIN: u64 = 512 << 10;

pub fn examine(data: &Path) -> Result<(), Refused> {
    let zone = config(None)?.zone;
    let mut report = Report { bad: 0 };
    let database = data.join(DATABASE);
    report.note("data directory mode", directory_problem(data))?;
    report.note("free disk", disk_problem(data))?;
    let file_problem = (!database.is_file()).then(|| format!("{} is not there", database.display()));
    let there = file_problem.is_none();
    report.note("database file", file_problem)?;
    let keys = match Keys::load(&data.join(keys::FILE_NAME)) {
        Ok(keys) => {
            report.note("keys file", None)?;
            Some(keys)
        }
        Err(error) => {
            report.note("keys file", Some(explained(&error)))?;
            None
        }
    };
    match keys {
        Some(keys) if there => match examine::examine(&database, &keys, &zone, Clock::System.now()) {
            Ok(findings) => {
                for finding in findings {
                    report.note(finding.what, finding.problem)?;
                }
            }
            Err(error) => report.note("database", Some(explained(&error)))?,
        },
        _ => report.note("database", Some("not examined without its file and its keys".to_owned()))?,
    }
    match report.bad {
        0 => Ok(()),
        bad => Err(Refused::Said(format!("{bad} checks failed"))),
    }
}

/// Prints what comes of each check and counts the bad ones.
struct Report {
    bad: usize,
}

impl Report {
    fn note(&mut self, what: &str, problem: Option<String>) -> Result<(), Refused> {
        match problem {
            None => say(&format!("ok   {what}")),
            Some(why) => {
                self.bad += 1;
                say(&format!("BAD  {what}: {why}"))
            }
        }
    }
}

fn directory_problem(data: &Path) -> Option<String> {
    match fs::metadata(data) {
        Ok(metadata) => {
            let mode = metadata.permissions().mode() & 0o777;
            (mode & 0o077 != 0).then(|| format!("{} has mode {mode:o}; it must be 700", data.display()))
        }
        Err(error) => Some(format!("{}: {error}", data.display())),
    }
}

fn disk_problem(data: &Path) -> Option<String> {
    match free_kib(data) {
        None => Some("could not tell".to_owned()),
        Some(free) if free < FREE_KIB_MIN => {
            Some(format!("{} MiB are free; at least {} MiB should be", free >> 10, FREE_KIB_MIN >> 10))
        }
        Some(_) => None,
    }
}

/// The fourth column of what `df` says in the format that POSIX gives it.
fn free_kib(data: &Path) -> Option<u64> {
    let output = Command::new("df").arg("-Pk").arg("--").arg(data).output().ok().filter(|out| out.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()
}
