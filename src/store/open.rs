//! Opening a data directory: the lock, the keys, the file, its version, and the connections.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::keys::{self, Keys};
use super::vault::{Place, Vault};
use super::{backup, migrations};
use crate::error::{Error, Result};

/// The oldest SQLite without the WAL-reset bug (<https://sqlite.org/changes.html>, 3.51.3).
const SQLITE_VERSION_MIN: i32 = 3_051_003;
/// Statements that each connection keeps prepared.
const STATEMENTS_KEPT: usize = 256;
/// Page cache of the writing connection, in KiB.
const WRITER_CACHE_KIB: i64 = 8_000;
/// Page cache of each reading connection, in KiB.
const READER_CACHE_KIB: i64 = 4_000;

/// The database's name in the data directory.
pub const DATABASE: &str = "canshi.db";
/// The folder of scheduled backups in the data directory.
pub const BACKUPS: &str = "backups";
/// The folder of log files in the data directory.
pub const LOGS: &str = "logs";

/// How the database is opened.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// The size that the database may grow to, in bytes; none for as large as the disk.
    pub database_bytes_max: Option<u64>,
}

/// A data directory that this process alone works on.
pub struct DataDir {
    /// The directory.
    pub path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the directory if needed and takes its lock.
    ///
    /// # Errors
    /// [`Error::Conflict`] when another process has it.
    pub fn lock(path: &Path) -> Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(path.join("canshi.lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                Err(Error::Conflict(format!("{} is in use by another canshi process", path.display()).into()))
            }
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// The database file.
    pub fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// Whether there is nothing in the directory that a first start would not make.
    pub fn is_empty(&self) -> Result<bool> {
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            if name != "canshi.lock" && name != keys::FILE_NAME && name != LOGS {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Brings the directory's database up to date, with a backup before an existing one is migrated, and gives its keys.
///
/// # Errors
/// [`Error::Conflict`] when the database is newer than this program, or its books are kept in another zone.
/// [`Error::Corrupt`] when the keys are missing or are not this database's, or a capture trigger is missing.
pub fn prepare(data: &DataDir, zone: &str) -> Result<Keys> {
    if rusqlite::version_number() < SQLITE_VERSION_MIN {
        return Err(Error::Corrupt(format!("SQLite {} has the WAL-reset bug", rusqlite::version())));
    }
    let path = data.database();
    let existed = path.exists();
    let keys_path = data.path.join(keys::FILE_NAME);
    if existed && !keys_path.exists() {
        return Err(Error::Corrupt(format!(
            "{} is missing: without it the sealed fields of {} can't be read",
            keys_path.display(),
            path.display()
        )));
    }
    let keys = Keys::load_or_create(&keys_path)?;
    let vault = Vault::new(&keys)?;
    let mut connection = writer(&path, Options::default())?;
    let (version, newest) = (migrations::version_of(&connection)?, migrations::newest());
    if version > newest {
        return Err(Error::Conflict(
            format!("the database has schema version {version}, this program knows {newest}: use the newer canshi")
                .into(),
        ));
    }
    if existed && version > 0 && version < newest {
        let to = data.path.join(BACKUPS).join(format!("before-v{newest}.db"));
        backup::create(&path, &to)?;
    }
    migrations::migrate(&mut connection)?;
    check_facts(&connection, &vault, zone)?;
    Ok(keys)
}

/// Checks, and on the first start records, which zone and which keys the database belongs to.
fn check_facts(connection: &Connection, vault: &Vault, zone: &str) -> Result<()> {
    match fact(connection, KEY_CHECK.column)? {
        Some(_) => check_keys(connection, vault)?,
        None => record_fact(connection, KEY_CHECK.column, &vault.seal(KEY_CHECK, "canshi")?)?,
    }
    match fact(connection, "time_zone")? {
        Some(kept) if kept != zone => Err(Error::Conflict(
            format!("the books are kept in {kept}; time_zone = {zone:?} would move entries to other days").into(),
        )),
        Some(_) => Ok(()),
        None => record_fact(connection, "time_zone", zone),
    }
}

/// A text sealed on the first start: keys that open it are this database's.
const KEY_CHECK: Place<'static> = Place { table: "site", column: "key_check", id: 0 };

/// Checks that the vault's keys are this database's.
pub(super) fn check_keys(connection: &Connection, vault: &Vault) -> Result<()> {
    match fact(connection, KEY_CHECK.column)? {
        Some(sealed) if vault.open(KEY_CHECK, &sealed).is_ok() => Ok(()),
        _ => Err(Error::Corrupt("the keys are not those of this database".to_owned())),
    }
}

fn fact(connection: &Connection, key: &str) -> Result<Option<String>> {
    let mut statement = connection.prepare("select value from site where key = ?1")?;
    let mut rows = statement.query([key])?;
    Ok(match rows.next()? {
        Some(row) => Some(row.get(0)?),
        None => None,
    })
}

fn record_fact(connection: &Connection, key: &str, value: &str) -> Result<()> {
    connection.execute("insert into site (key, value) values (?1, ?2)", [key, value])?;
    Ok(())
}

/// What every connection needs.
fn tune(connection: &Connection, cache_kib: i64) -> Result<()> {
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    // The bundled SQLite is built with STAT4, which prepares a statement anew whenever other values are bound to it. No
    // statement here is planned by its values, so the stable plan is as good and costs nothing.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    Ok(())
}

/// The writing connection.
pub(super) fn writer(path: &Path, options: Options) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    tune(&connection, WRITER_CACHE_KIB)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    // With WAL, only FULL survives a power cut; NORMAL may lose what was acknowledged (https://sqlite.org/pragma.html).
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "recursive_triggers", true)?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    if let Some(bytes) = options.database_bytes_max {
        let page: u32 = connection.query_row("pragma page_size", [], |row| row.get(0))?;
        connection.query_row(&format!("pragma max_page_count = {}", bytes / u64::from(page)), [], |_| Ok(()))?;
    }
    Ok(connection)
}

/// A reading connection.
pub(super) fn reader(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    tune(&connection, READER_CACHE_KIB)?;
    Ok(connection)
}
