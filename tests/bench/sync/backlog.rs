//! Backlogs: what a site made while the internet was away goes to MySQL at once.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use canshi_sync::capture::{NOW_FUNCTION, TXN_FUNCTION};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Params, Row, TxOpts, Value as Sql};
use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;
use serde_json::{Value, json};

use crate::mariadb::MariaDb;
use crate::process::Site;
use crate::relay::{Relay, add_site};
use crate::{Desk, entry, median, phases, rounds, say, tip};

/// Batches of entries at the desk; each makes a transaction of twice as many rows, for every entry has its audit row.
const BATCHES: usize = 40;
/// Entries of a batch.
const ITEMS: usize = 500;
/// Transactions of one row.
const SINGLES: i64 = 40_000;
/// When the first of them was made, in milliseconds since the Unix epoch.
const FIRST_AT: i64 = 1_767_225_600_000;
/// Rows of a bare upsert.
const RAW_ROWS: usize = 1_000;
/// Single bare upserts.
const RAW_SINGLES: usize = 400;
/// The pause between two looks at how far MySQL is.
const LOOK: Duration = Duration::from_millis(10);

/// Backlog 1: batches at the desk.
pub fn of_large_transactions(server: &MariaDb, home: &Path) {
    let data = home.join("site");
    let mut site = Site::start(&data);
    let mut desk = Desk::open(&site);
    for batch in 0..BATCHES {
        let items: Vec<Value> = (batch * ITEMS..(batch + 1) * ITEMS).map(entry).collect();
        desk.call("POST", "/api/finance/transactions/batch", &json!({"create": items}));
    }
    site.terminate();
    say(&format!("\n1. A backlog of {} changes in transactions of {} rows", tip(&data), 2 * ITEMS));
    compare(server, home, &data, &["transactions", "audit"]);
}

/// Backlog 2: transactions of one row each.
pub fn of_single_rows(server: &MariaDb, home: &Path) {
    let data = home.join("site");
    Site::start(&data).terminate();
    punches(&data);
    say(&format!("\n2. A backlog of {} changes in transactions of one row", tip(&data)));
    compare(server, home, &data, &["punches"]);
}

/// Writes punches as the site's one writer does: each a transaction of its own, many in one commit.
fn punches(data: &Path) {
    static TXN: AtomicI64 = AtomicI64::new(0);
    let connection = Connection::open(data.join("canshi.db")).unwrap();
    TXN.store(canshi_sync::outbox::tip(&connection).unwrap().1, Ordering::Relaxed);
    let txn = || TXN.load(Ordering::Relaxed);
    let flags = FunctionFlags::SQLITE_UTF8;
    connection.create_scalar_function(TXN_FUNCTION, 0, flags, move |_| Ok(txn())).unwrap();
    connection.create_scalar_function(NOW_FUNCTION, 0, flags, move |_| Ok(FIRST_AT + txn() * 180)).unwrap();
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    connection.execute_batch("begin").unwrap();
    let mut insert = connection
        .prepare(
            "insert into punches (employee_id, type, effective_at, received_at, clock_suspect, recorded_by)
             values (?1, 'check_in', ?2, ?2, 0, 1)",
        )
        .unwrap();
    for n in 0..SINGLES {
        TXN.fetch_add(1, Ordering::Relaxed);
        insert.execute((n % 50 + 1, FIRST_AT + n * 180)).unwrap();
    }
    connection.execute_batch("commit").unwrap();
}

/// Drains copies of the backlog, and writes the same rows without a site and a relay, in turn.
fn compare(server: &MariaDb, home: &Path, data: &Path, tables: &[&str]) {
    say(
        "  rows/s drained | bare upserts | drained / bare | processor ms for 1,000 rows: site, relay, MySQL | bare MySQL",
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut ratios, mut singles) = (Vec::new(), Vec::new());
    for round in 0..rounds() {
        let database = server.new_database();
        let drained = drain(server, &database, data, &home.join(format!("copy {round}")));
        let Bare { together: bare, one_by_one: single, mysql_ms } = runtime.block_on(bare(server, &database, tables));
        let [site, relay, mysql] = drained.processor_ms;
        let rate = drained.rows_per_second;
        say(&format!(
            "  {rate:>14.0} | {bare:>12.0} | {:>13.2}x | {site:>29.1}, {relay:>5.1}, {mysql:>5.1} | {mysql_ms:>10.1}",
            rate / bare
        ));
        ratios.push(rate / bare);
        singles.push(rate / single);
    }
    say(&format!("  median: {:.2}x the bare upserts", median(ratios)));
    say(&format!("  and {:.0}x the same rows one by one, a commit each", median(singles)));
    phases::measure(server, data);
}

struct Drained {
    rows_per_second: f64,
    /// Of the site, the relay and MySQL, for 1,000 rows.
    processor_ms: [f64; 3],
}

/// Enrols a copy of the site and waits until all that it had is in MySQL.
fn drain(server: &MariaDb, database: &str, data: &Path, copy: &Path) -> Drained {
    assert!(Command::new("cp").arg("-a").args([data, copy]).status().unwrap().success());
    let url = server.url(database);
    let relay = Relay::start(&url);
    let (_, code) = add_site(&url, "春晖");
    let until = tip(copy);
    let mysql = process_of(server);
    std::thread::scope(|scope| {
        let progress = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut conn = server.connect(database).await;
                let first = reach(&mut conn, 1).await;
                let before = [processor_ms(relay.child.id()), processor_ms(mysql)];
                let last = reach(&mut conn, until).await;
                let after = [processor_ms(relay.child.id()), processor_ms(mysql)];
                conn.disconnect().await.unwrap();
                (first, last, [after[0] - before[0], after[1] - before[1]])
            })
        });
        let site = Site::start_enrolled(copy, &format!("http://{}", relay.address), &code);
        let at_start = processor_ms(site.child.id());
        let (first, last, [relay, mysql]) = progress.join().unwrap();
        let site = processor_ms(site.child.id()) - at_start;
        let rows = (last.0 - first.0) as f64;
        let rows_per_second = rows / (last.1 - first.1).as_secs_f64();
        Drained { rows_per_second, processor_ms: [site, relay, mysql].map(|ms| ms / rows * 1000.0) }
    })
}

/// Waits until MySQL has this change; gives the newest that it has then, and when.
async fn reach(conn: &mut Conn, seq: i64) -> (i64, Instant) {
    loop {
        let reached: Option<i64> = conn.query_first("select max(seq) from canshi_positions").await.unwrap().flatten();
        match reached {
            Some(reached) if reached >= seq => return (reached, Instant::now()),
            _ => tokio::time::sleep(LOOK).await,
        }
    }
}

fn process_of(server: &MariaDb) -> u32 {
    let pid_file = server.query("", "select @@pid_file")[0][0].clone().unwrap();
    fs::read_to_string(pid_file).unwrap().trim().parse().unwrap()
}

/// The processor time that a process has had, in a hundredth of a second's steps.
fn processor_ms(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks: f64 = fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<f64>().unwrap()).sum();
    ticks * 10.0
}

/// The same rows without a site and a relay.
struct Bare {
    /// Rows a second in statements of [`RAW_ROWS`].
    together: f64,
    /// Rows a second in statements of one.
    one_by_one: f64,
    /// MySQL's processor time for 1,000 rows of the former.
    mysql_ms: f64,
}

/// Writes the rows of these tables into empty ones.
async fn bare(server: &MariaDb, mirror: &str, tables: &[&str]) -> Bare {
    let mysql = process_of(server);
    let database = server.new_database();
    let mut conn = server.connect(&database).await;
    let mut statements = Vec::new();
    let mut rows = 0;
    for table in tables {
        conn.query_drop(format!("create table {table} like {mirror}.{table}")).await.unwrap();
        let found: Vec<Row> =
            conn.exec(format!("select * from {mirror}.{table} order by mirror_seq"), ()).await.unwrap();
        rows += found.len();
        statements.extend(found.chunks(RAW_ROWS).map(|rows| upsert(table, rows)));
    }
    let (before, started) = (processor_ms(mysql), Instant::now());
    for (sql, values) in statements {
        one_transaction(&mut conn, &sql, values).await;
    }
    let together = rows as f64 / started.elapsed().as_secs_f64();
    let mysql_ms = (processor_ms(mysql) - before) / rows as f64 * 1000.0;

    conn.query_drop(format!("truncate table {}", tables[0])).await.unwrap();
    let few = format!("select * from {mirror}.{} order by mirror_seq limit {RAW_SINGLES}", tables[0]);
    let few: Vec<Row> = conn.exec(few, ()).await.unwrap();
    let singles: Vec<_> = few.chunks(1).map(|row| upsert(tables[0], row)).collect();
    let started = Instant::now();
    for (sql, values) in singles {
        one_transaction(&mut conn, &sql, values).await;
    }
    let one_by_one = few.len() as f64 / started.elapsed().as_secs_f64();
    conn.query_drop(format!("drop database {database}")).await.unwrap();
    conn.disconnect().await.unwrap();
    Bare { together, one_by_one, mysql_ms }
}

async fn one_transaction(conn: &mut Conn, sql: &str, values: Vec<Sql>) {
    let mut transaction = conn.start_transaction(TxOpts::default()).await.unwrap();
    transaction.exec_drop(sql, Params::Positional(values)).await.unwrap();
    transaction.commit().await.unwrap();
}

fn upsert(table: &str, rows: &[Row]) -> (String, Vec<Sql>) {
    let columns: Vec<String> = rows[0].columns_ref().iter().map(|column| format!("`{}`", column.name_str())).collect();
    let sets: Vec<String> = columns.iter().map(|column| format!("{column} = values({column})")).collect();
    let one = format!("({})", vec!["?"; columns.len()].join(", "));
    let sql = format!(
        "insert into {table} ({}) values {} on duplicate key update {}",
        columns.join(", "),
        vec![one.as_str(); rows.len()].join(", "),
        sets.join(", ")
    );
    (sql, rows.iter().flat_map(|row| row.clone().unwrap()).collect())
}
