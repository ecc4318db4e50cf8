//! What a relay does before it takes the first request: it brings MySQL's schema up to date, looks whether MySQL keeps what it
//! acknowledges, and makes what is there from the first start on.

use std::collections::BTreeMap;
use std::time::Duration;

use canshi_sync::central::{Central, CentralError, pool};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts, Pool, TxOpts};

use super::store::{roles, secrets, users};
use crate::domain::access::{ADMIN, Permission, Permissions};
use crate::domain::ids::RoleId;
use crate::domain::status::Status;
use crate::error::{Error, Result};
use crate::service::passwords::{Password, Passwords};
use crate::service::setup::FirstPassword;
use crate::store::keys::{Keys, hex, random_bytes};

mod embedded {
    refinery::embed_migrations!("migrations/center");
}

/// How long MySQL may take for the first connection.
const CONNECT_WAIT: Duration = Duration::from_secs(10);
/// How long another relay's migration may take, in seconds.
const LOCK_WAIT_S: u32 = 120;
/// Below this many bytes MySQL may refuse a large row.
const PACKET_BYTES_MIN: u64 = 16 << 20;
/// The role that may look at the sites and do nothing.
const VIEWER: (&str, &str) = ("viewer", "查看");

/// Why a relay can't work with this MySQL.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It would take back what it acknowledged.
    #[error(
        "MySQL acknowledges before the disk: {0}. A power cut there would lose what sites were told is safe. Set it right, or \
         put up with it by relay_allow_weak_mysql = true"
    )]
    Weak(String),
    /// A newer program has been here.
    #[error("MySQL's schema has version {found}, but this program knows {known}: run a newer one")]
    Newer {
        /// The schema's version.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// The URL is none; it is not repeated here, since it may hold a password.
    #[error("the MySQL URL can't be read ({0}); it looks like mysql://user:pass@host:port/db")]
    BadUrl(mysql_async::UrlError),
    /// The URL ends without a database.
    #[error("the MySQL URL names no database: mysql://user:pass@host:port/db")]
    NoDatabase,
    /// Another relay has been migrating for too long.
    #[error("another program has been migrating MySQL for {LOCK_WAIT_S} s")]
    Locked,
    /// A migration failed.
    #[error("MySQL could not be migrated")]
    Migration(#[source] refinery::Error),
    /// MySQL failed.
    #[error(transparent)]
    Central(#[from] CentralError),
    /// Anything else.
    #[error(transparent)]
    Error(#[from] Error),
}

impl From<mysql_async::Error> for StartError {
    fn from(error: mysql_async::Error) -> Self {
        StartError::Central(CentralError::Db(error))
    }
}

/// The newest version of the center's schema that this program knows.
pub fn newest() -> i64 {
    let runner = embedded::migrations::runner();
    runner.get_migrations().iter().map(|migration| i64::from(migration.version())).max().unwrap_or(0)
}

/// Connects to MySQL with at most so many connections and brings its schema up to date.
///
/// # Errors
/// [`StartError`].
pub async fn open(url: &str, connections: usize) -> std::result::Result<Central, StartError> {
    let opts = Opts::from_url(url).map_err(StartError::BadUrl)?;
    opts.db_name().filter(|name| !name.is_empty()).ok_or(StartError::NoDatabase)?;
    let pool = pool(url, connections)?;
    migrate(&pool).await?;
    let central = Central::open(pool).await?;
    let promoted = central.promote().await?;
    if promoted > 0 {
        tracing::info!(rows = promoted, "rows that an older relay did not know have found their tables");
    }
    Ok(central)
}

/// Several relays may start at once: one migrates, and the others find it done.
async fn migrate(pool: &Pool) -> std::result::Result<(), StartError> {
    let conn = tokio::time::timeout(CONNECT_WAIT, pool.get_conn()).await;
    let mut conn = conn.map_err(|_| CentralError::NoConnection)??;
    // The name is the server's, and others may keep other centers there.
    let sql = "select get_lock(concat('canshi ', left(sha1(database()), 40)), ?)";
    let got: Option<Option<i64>> = conn.exec_first(sql, (LOCK_WAIT_S,)).await?;
    if got.flatten() != Some(1) {
        return Err(StartError::Locked);
    }
    let outcome = migrate_alone(&mut conn, pool).await;
    // The lock ends with its connection, which must not go back to the pool.
    conn.disconnect().await?;
    outcome
}

async fn migrate_alone(conn: &mut Conn, pool: &Pool) -> std::result::Result<(), StartError> {
    let (found, known) = (version_of(conn).await?, newest());
    if found > known {
        return Err(StartError::Newer { found, known });
    }
    embedded::migrations::runner().run_async(&mut pool.clone()).await.map(drop).map_err(StartError::Migration)
}

async fn version_of(conn: &mut Conn) -> std::result::Result<i64, StartError> {
    let history: Option<i64> = conn
        .query_first(
            "select count(*) from information_schema.tables
             where table_schema = database() and table_name = 'refinery_schema_history'",
        )
        .await?;
    if history != Some(1) {
        return Ok(0);
    }
    let newest: Option<Option<i64>> = conn.query_first("select max(version) from refinery_schema_history").await?;
    Ok(newest.flatten().unwrap_or(0))
}

/// Looks whether MySQL keeps what it acknowledges. Gives what is weaker than it should be and was put up with, for a person.
///
/// # Errors
/// [`StartError::Weak`] unless `allow_weak`.
pub async fn examine(central: &Central, allow_weak: bool) -> std::result::Result<Vec<String>, StartError> {
    let mut conn = central.connection().await?;
    let rows: Vec<(String, String)> = conn
        .query(
            "show global variables where variable_name in
                 ('innodb_flush_log_at_trx_commit', 'log_bin', 'sync_binlog', 'max_allowed_packet')",
        )
        .await?;
    let settings: BTreeMap<String, String> =
        rows.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value.to_ascii_uppercase())).collect();
    let weak = weaknesses(&settings);
    let mut said = Vec::new();
    if !weak.is_empty() {
        if !allow_weak {
            return Err(StartError::Weak(weak.join("; ")));
        }
        let weak = weak.join("; ");
        tracing::error!(
            weak,
            "MySQL acknowledges before the disk: a power cut there loses what sites were told is safe"
        );
        said.push(format!("WARNING: MySQL acknowledges before the disk: {weak}"));
    }
    if let Some(bytes) = settings.get("max_allowed_packet").and_then(|bytes| bytes.parse::<u64>().ok())
        && bytes < PACKET_BYTES_MIN
    {
        tracing::warn!(max_allowed_packet = bytes, "MySQL may refuse large rows");
        said.push(format!("WARNING: max_allowed_packet is {bytes}; large rows need at least {PACKET_BYTES_MIN}"));
    }
    Ok(said)
}

/// Which of MySQL's settings let it acknowledge before the disk.
fn weaknesses(settings: &BTreeMap<String, String>) -> Vec<String> {
    let setting = |name: &str| settings.get(name).map_or("unknown", String::as_str);
    let mut weak = Vec::new();
    let flush = setting("innodb_flush_log_at_trx_commit");
    if flush != "1" {
        weak.push(format!("innodb_flush_log_at_trx_commit is {flush}, not 1"));
    }
    let (log, sync) = (setting("log_bin"), setting("sync_binlog"));
    if matches!(log, "ON" | "1") && sync != "1" {
        weak.push(format!("sync_binlog is {sync}, not 1, while log_bin is on"));
    }
    weak
}

/// The keys that all relays on this MySQL share.
///
/// # Errors
/// [`Error::Center`], [`Error::Corrupt`].
pub async fn keys(central: &Central) -> Result<Keys> {
    secrets::keys(&mut central.connection().await?).await
}

/// Makes headquarters' built-in roles and the user `admin` where there are none yet; only one of several relays does.
///
/// # Errors
/// [`Error::Invalid`] when the given password is too short or too long; [`Error::Center`].
pub async fn first_start(central: &Central, passwords: &Passwords, given: Option<String>) -> Result<FirstPassword> {
    let mut conn = central.connection().await?;
    if roles::find_by_name(&mut conn, ADMIN).await?.is_some() {
        return Ok(FirstPassword::SetBefore);
    }
    let (password, outcome) = match given {
        Some(given) => (given, FirstPassword::Given),
        None => {
            let made = hex(&random_bytes::<8>()?);
            (made.clone(), FirstPassword::Made(made))
        }
    };
    let password =
        Password::new(password).map_err(|error| Error::invalid("CANSHI_ADMIN_PASSWORD", error.to_string()))?;
    let hash = passwords.hash(password).await?;
    let mut tx = conn.start_transaction(TxOpts::default()).await?;
    let made = roles::insert_built_in(&mut tx, 1, (ADMIN, "管理员"), Permissions::all()).await;
    if let Err(Error::Conflict(_)) = made {
        tx.rollback().await?;
        return Ok(FirstPassword::SetBefore);
    }
    made?;
    roles::insert_built_in(&mut tx, 2, VIEWER, [Permission::SitesRead].into_iter().collect()).await?;
    let admin = RoleId::try_from(1).map_err(|error| Error::Corrupt(error.to_string()))?;
    users::insert(&mut tx, ("admin", "总部管理员"), &hash, admin, Status::Active).await?;
    tx.commit().await?;
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_settings_that_can_lose_a_commit_are_weak() {
        for (flush, log, sync, named) in [
            ("1", "OFF", "0", None),
            ("1", "ON", "1", None),
            ("2", "OFF", "1", Some("innodb_flush_log_at_trx_commit")),
            ("0", "ON", "1", Some("innodb_flush_log_at_trx_commit")),
            ("1", "ON", "0", Some("sync_binlog")),
            ("1", "ON", "100", Some("sync_binlog")),
        ] {
            let settings = [("innodb_flush_log_at_trx_commit", flush), ("log_bin", log), ("sync_binlog", sync)];
            let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
            let weak = weaknesses(&settings);
            assert_eq!(weak.len(), usize::from(named.is_some()), "{weak:?}");
            assert!(weak.iter().all(|weak| named.is_some_and(|named| weak.starts_with(named))), "{weak:?}");
        }
        assert_eq!(weaknesses(&BTreeMap::new()).len(), 1, "a server that does not tell is not trusted");
    }
}
