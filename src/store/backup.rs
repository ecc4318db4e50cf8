//! Copies of the database: made while it serves, verified before they count, and read back into an empty directory.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::civil::Date;
use rusqlite::{Connection, OpenFlags};

use super::keys::Keys;
use super::vault::Vault;
use super::{migrations, open};
use crate::domain::reports::ReportType;
use crate::error::{Error, Result};

/// Writes a consistent copy of the database at `from` to the new file `to`, while others write to it, and verifies it.
///
/// # Errors
/// [`Error::Conflict`] when `to` exists; [`Error::Corrupt`] when the copy does not pass [`verify`].
pub fn create(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        return Err(Error::Conflict(format!("{} exists already", to.display()).into()));
    }
    let directory = match to.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory.to_owned(),
        _ => PathBuf::from("."),
    };
    DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
    let mut name = to.as_os_str().to_owned();
    name.push(".partial");
    let partial = PathBuf::from(name);
    remove_if_there(&partial)?;
    let outcome = copy(from, &partial).and_then(|()| verify(&partial).map(drop));
    if let Err(error) = outcome {
        remove_if_there(&partial)?;
        return Err(error);
    }
    fs::rename(&partial, to)?;
    File::open(directory)?.sync_all()?;
    Ok(())
}

fn copy(from: &Path, partial: &Path) -> Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(from, flags)?;
    connection.busy_timeout(std::time::Duration::from_secs(30))?;
    // One read transaction: the copy is the database at one commit, and writers go on.
    let Some(text) = partial.to_str() else {
        return Err(Error::Conflict("the backup's path is not UTF-8".into()));
    };
    connection.execute("vacuum into ?1", [text])?;
    let file = File::open(partial)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.sync_all()?;
    Ok(())
}

fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// How many backups of each age are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The newest of each of so many days.
    pub daily: usize,
    /// The newest of each of so many weeks.
    pub weekly: usize,
    /// The newest of each of so many months.
    pub monthly: usize,
}

/// What the daily backups' names begin with.
const DAILY: &str = "daily-";

/// Makes the backup of a day unless it is there already, and removes those that nothing keeps; gives when the newest was
/// made.
pub fn daily(from: &Path, directory: &Path, day: Date, keep: Retention) -> Result<Option<SystemTime>> {
    let to = directory.join(format!("{DAILY}{day}.db"));
    if !to.exists() {
        create(from, &to)?;
    }
    let days = days_in(directory)?;
    let kept = kept(&days, keep);
    for day in days.into_iter().filter(|day| !kept.contains(day)) {
        fs::remove_file(directory.join(format!("{DAILY}{day}.db")))?;
    }
    newest(directory)
}

/// When the newest daily backup was made.
pub fn newest(directory: &Path) -> Result<Option<SystemTime>> {
    let Some(day) = days_in(directory)?.into_iter().max() else { return Ok(None) };
    Ok(Some(fs::metadata(directory.join(format!("{DAILY}{day}.db")))?.modified()?))
}

fn days_in(directory: &Path) -> Result<Vec<Date>> {
    if !directory.exists() {
        return Ok(Vec::new());
    }
    let mut days = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let day: Option<Date> =
            name.to_str().and_then(|name| name.strip_prefix(DAILY)?.strip_suffix(".db")?.parse().ok());
        days.extend(day);
    }
    Ok(days)
}

/// The days whose backups are kept: the newest of each of the newest days, ISO weeks and months.
fn kept(days: &[Date], keep: Retention) -> BTreeSet<Date> {
    let mut days = days.to_vec();
    days.sort_unstable_by(|a, b| b.cmp(a));
    let mut kept: BTreeSet<Date> = days.iter().copied().take(keep.daily).collect();
    for (period, count) in [(ReportType::Weekly, keep.weekly), (ReportType::Monthly, keep.monthly)] {
        let mut periods = BTreeSet::new();
        for day in &days {
            if periods.len() < count && periods.insert(period.first_day(*day)) {
                kept.insert(*day);
            }
        }
    }
    kept
}

/// What a backup file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// The schema's version.
    pub schema: i64,
    /// The newest change in it.
    pub seq: i64,
}

/// Checks that a file is a whole database of this product, not newer than this program.
///
/// # Errors
/// [`Error::Corrupt`] when it is not; [`Error::Conflict`] when it is newer.
pub fn verify(path: &Path) -> Result<Verified> {
    let corrupt = |what: String| Error::Corrupt(format!("{} is not a usable backup: {what}", path.display()));
    if !path.is_file() {
        return Err(corrupt("there is no such file".to_owned()));
    }
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    let integrity: String = connection
        .query_row("pragma integrity_check(1)", [], |row| row.get(0))
        .map_err(|error| corrupt(error.to_string()))?;
    if integrity != "ok" {
        return Err(corrupt(integrity));
    }
    let schema = migrations::version_of(&connection).map_err(|error| corrupt(error.to_string()))?;
    if schema == 0 {
        return Err(corrupt("it holds no canshi database".to_owned()));
    }
    if schema > migrations::newest() {
        return Err(Error::Conflict(
            format!("{} has schema version {schema}, newer than this program", path.display()).into(),
        ));
    }
    let seq = canshi_sync::outbox::tip(&connection).map_err(|error| corrupt(error.to_string()))?.0;
    Ok(Verified { schema, seq })
}

/// Checks that these keys open the sealed fields of a backup.
///
/// # Errors
/// [`Error::Corrupt`] when they don't.
pub fn check_keys(path: &Path, keys: &Keys) -> Result<()> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    open::check_keys(&connection, &Vault::new(keys)?)
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;
    use jiff::civil::date;

    use super::*;

    #[test]
    fn seven_days_four_weeks_and_twelve_months_are_kept() {
        let today = date(2026, 11, 23);
        let days: Vec<Date> = (0..800).map(|back| today.saturating_sub(back.days())).collect();
        let kept = kept(&days, Retention { daily: 7, weekly: 4, monthly: 12 });
        for back in 0..7 {
            assert!(kept.contains(&today.saturating_sub(back.days())), "{back} days ago");
        }
        // The newest day of the weeks before, and of the months before.
        for day in [date(2026, 11, 15), date(2026, 11, 8), date(2026, 10, 31), date(2025, 12, 31)] {
            assert!(kept.contains(&day), "{day}");
        }
        for day in [date(2026, 11, 14), date(2026, 10, 30), date(2025, 11, 30)] {
            assert!(!kept.contains(&day), "{day}");
        }
        assert_eq!(kept.len(), 7 + 2 + 11);
    }
}
