//! `canshi backup` and `canshi restore --from`.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Refused, say};
use crate::store::backup;
use crate::store::keys::{FILE_NAME, Keys, write_private};
use crate::store::open::{BACKUPS, DATABASE, DataDir};

/// What is added to a backup's name for its keys.
const KEYS_SUFFIX: &str = ".keys";

pub fn backup(data: &Path, to: &Path) -> Result<(), Refused> {
    let from = data.join(DATABASE);
    if !from.exists() {
        return Err(Refused::Said(format!("{} holds no canshi database", data.display())));
    }
    let keys = Keys::load(&data.join(FILE_NAME))?;
    let keys_to = beside(to);
    if keys_to.exists() {
        return Err(Refused::Said(format!("{} exists already", keys_to.display())));
    }
    backup::create(&from, to)?;
    keys.save_new(&keys_to)?;
    let verified = backup::verify(to)?;
    say(&format!(
        "{} holds the database up to change {}, verified.\n{} opens its sealed fields: keep the two apart.",
        to.display(),
        verified.seq,
        keys_to.display()
    ))
}

pub fn restore(data: &Path, from: &Path, keys: Option<&Path>) -> Result<(), Refused> {
    let directory = DataDir::lock(data)?;
    if !directory.is_empty()? {
        return Err(Refused::Said(format!("{} is not empty: a restore never overwrites", data.display())));
    }
    let verified = backup::verify(from)?;
    let kept = directory.path.join(FILE_NAME);
    if !kept.exists() {
        let source = find_keys(from, keys)?;
        let keys = Keys::load(&source)?;
        backup::check_keys(from, &keys)?;
        keys.save_new(&kept)?;
    } else {
        backup::check_keys(from, &Keys::load(&kept)?)?;
    }
    // The database appears under its name only when all of it is on the disk.
    let partial = directory.path.join(format!("{DATABASE}.partial"));
    if partial.exists() {
        fs::remove_file(&partial)?;
    }
    write_private(&partial, &fs::read(from)?)?;
    backup::verify(&partial)?;
    fs::rename(&partial, directory.database())?;
    fs::File::open(&directory.path)?.sync_all()?;
    say(&format!("{} holds the database up to change {}.", data.display(), verified.seq))
}

fn beside(backup: &Path) -> PathBuf {
    let mut name = backup.as_os_str().to_owned();
    name.push(KEYS_SUFFIX);
    name.into()
}

/// The keys of a backup: those that were named, those beside it, or those of the data directory that made it.
fn find_keys(from: &Path, named: Option<&Path>) -> Result<PathBuf, Refused> {
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    let beside = beside(from);
    if beside.exists() {
        return Ok(beside);
    }
    let folder = from.parent().filter(|folder| folder.file_name().is_some_and(|name| name == BACKUPS));
    if let Some(home) = folder.and_then(Path::parent).map(|data| data.join(FILE_NAME))
        && home.exists()
    {
        return Ok(home);
    }
    Err(Refused::Said(format!(
        "the keys of {} are not beside it; name them with --keys: without them its sealed fields can't be read",
        from.display()
    )))
}
