//! The center's side: what keeps the mirror of every site in MySQL.
//!
//! # Decision
//! Portable SQL only, so that MySQL 8 and 9, MariaDB 10.11 and TiDB all run it: no trigger, no RETURNING, no AUTO_INCREMENT,
//! no window function. `insert … on duplicate key update` with `values()` is the one spelling of an upsert that all of them
//! have. Every statement names one `site_id`, so the tables can be sharded by it.

mod apply;
mod position;
mod quarantine;
mod read;
mod shape;
mod sites;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mysql_async::{Conn, IsolationLevel, Opts, OptsBuilder, Pool, PoolConstraints, PoolOpts, TxOpts};

pub use position::{Poll, Polled, Standing};
pub use sites::{Code, Enrolled, Enrolment, Site, SiteState, secret_hash};

use crate::batch::Malformed;
use crate::capture::Layout;
use shape::Shapes;

/// How long MySQL may take for a connection.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// How long a connection that nothing is asked of is kept. Without such a time the client closes every connection after each
/// use, and each batch would pay for a new one and for preparing its statements anew.
const IDLE_KEPT: Duration = Duration::from_secs(60);
/// How often a silent connection is asked whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Prepared statements that each connection keeps. A large one takes some megabytes on both sides.
const STATEMENTS_KEPT: usize = 64;
/// Site and schema pairs whose layouts are kept in memory.
const LAYOUTS_MAX: usize = 4_096;

/// The center's database, as far as sync goes.
#[derive(Clone)]
pub struct Central {
    pool: Pool,
    shapes: Arc<Shapes>,
    layouts: Arc<Mutex<Layouts>>,
}

/// Layouts by site and schema version.
type Layouts = HashMap<(i64, i64), Arc<Layout>>;

/// Why the center could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CentralError {
    /// MySQL failed or could not be reached.
    #[error("MySQL")]
    Db(#[from] mysql_async::Error),
    /// MySQL gave no connection in time.
    #[error("MySQL gave no connection in time")]
    NoConnection,
    /// Another start of the site's program is connected, and until it is known which of them lives, neither changes anything.
    #[error("another process of this site is connected")]
    Contended,
    /// What was sent can't be read.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A row can't be kept as its table's shape demands.
    #[error("a row of {table}: {problem}")]
    BadRow {
        /// The table.
        table: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// There is no such site, or it is not enrolled.
    #[error("no such site")]
    NoSite,
    /// The code is unknown, used up or too old.
    #[error("the code is not good, or not any more")]
    BadCode,
    /// The site's keys are not those that this site's rows are sealed with.
    #[error("the keys are not those of this site")]
    OtherKeys,
    /// What MySQL holds can't be read as what it should be.
    #[error("corrupt data in MySQL: {0}")]
    Corrupt(String),
}

impl CentralError {
    /// Whether the same would fail again however often it is tried: the data is at fault, not the moment.
    pub fn is_permanent(&self) -> bool {
        match self {
            CentralError::Db(mysql_async::Error::Server(error)) => data_is_at_fault(error.code),
            CentralError::BadRow { .. } | CentralError::Malformed(_) => true,
            CentralError::Db(_)
            | CentralError::NoConnection
            | CentralError::Contended
            | CentralError::NoSite
            | CentralError::BadCode
            | CentralError::OtherKeys
            | CentralError::Corrupt(_) => false,
        }
    }
}

/// Server errors that say that a value does not fit (<https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html>):
/// null where there must be a value, unknown column, value out of range, truncated, too long, not of the character set, row too
/// large, bad JSON. Everything else, such as locks, limits and full disks, passes by itself or with somebody's help.
fn data_is_at_fault(code: u16) -> bool {
    matches!(
        code,
        1048 | 1054
            | 1062
            | 1118
            | 1136
            | 1146
            | 1153
            | 1264
            | 1265
            | 1292
            | 1300
            | 1364
            | 1366
            | 1406
            | 1411
            | 3140
            | 4025
    )
}

impl Central {
    /// Connects to a database whose schema is up to date, and reads the shapes of its mirror tables.
    ///
    /// # Errors
    /// [`CentralError::Db`].
    pub async fn open(pool: Pool) -> Result<Self, CentralError> {
        let mut conn = connection(&pool).await?;
        let shapes = Shapes::read(&mut conn).await?;
        Ok(Self { pool, shapes: Arc::new(shapes), layouts: Arc::default() })
    }

    /// A connection from the pool.
    ///
    /// # Errors
    /// [`CentralError::Db`], [`CentralError::NoConnection`].
    pub async fn connection(&self) -> Result<Conn, CentralError> {
        connection(&self.pool).await
    }

    /// The pool.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    async fn layout(
        &self,
        conn: &mut impl mysql_async::prelude::Queryable,
        site: i64,
        schema: i64,
    ) -> Result<Option<Arc<Layout>>, CentralError> {
        if let Some(layout) = self.kept().get(&(site, schema)) {
            return Ok(Some(layout.clone()));
        }
        let text: Option<String> = conn
            .exec_first("select layout from canshi_layouts where site_id = ? and schema_version = ?", (site, schema))
            .await?;
        let Some(text) = text else { return Ok(None) };
        let layout =
            serde_json::from_str(&text).map_err(|error| CentralError::Corrupt(format!("a layout: {error}")))?;
        let layout = Arc::new(layout);
        let mut kept = self.kept();
        if kept.len() >= LAYOUTS_MAX {
            kept.clear();
        }
        kept.insert((site, schema), Arc::clone(&layout));
        Ok(Some(layout))
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Layouts> {
        self.layouts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn connection(pool: &Pool) -> Result<Conn, CentralError> {
    tokio::time::timeout(CONNECT_WAIT, pool.get_conn())
        .await
        .map_err(|_| CentralError::NoConnection)?
        .map_err(Into::into)
}

/// A pool of at most so many connections to the database of this URL, set up as the statements here need them.
///
/// # Errors
/// [`CentralError::Db`] when the URL can't be used.
pub fn pool(url: &str, connections_max: usize) -> Result<Pool, CentralError> {
    let opts = Opts::from_url(url).map_err(mysql_async::Error::from)?;
    let constraints = PoolConstraints::new(0, connections_max.max(1)).unwrap_or_default();
    let pool_opts = PoolOpts::default()
        .with_constraints(constraints)
        .with_reset_connection(false)
        .with_inactive_connection_ttl(IDLE_KEPT);
    // Strict, or a value that does not fit would be cut silently.
    let setup =
        ["set sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO'", "set time_zone = '+00:00'"];
    let builder = OptsBuilder::from_opts(opts)
        .pool_opts(pool_opts)
        .stmt_cache_size(STATEMENTS_KEPT)
        .tcp_nodelay(true)
        .tcp_keepalive(Some(KEEPALIVE))
        .prefer_socket(false)
        .setup(setup.map(str::to_owned).to_vec());
    Ok(Pool::new(builder))
}

/// For transactions that lock the row that they are about first: what they read then is the newest.
fn writing() -> TxOpts {
    let mut options = TxOpts::default();
    options.with_isolation_level(IsolationLevel::ReadCommitted);
    options
}

/// For transactions that read much: all of it as it was at one moment.
fn reading() -> TxOpts {
    let mut options = TxOpts::default();
    options.with_isolation_level(IsolationLevel::RepeatableRead).with_consistent_snapshot(true);
    options
}
