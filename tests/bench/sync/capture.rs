//! What writing the outbox costs the site's database.

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use canshi::store::open::{DataDir, prepare};
use canshi_sync::capture::{NOW_FUNCTION, TXN_FUNCTION};
use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;

use crate::mariadb::MariaDb;
use crate::{median, rounds, say, seconds};

/// Rows of a transaction in bulk.
const BULK: i64 = 1_000;
/// Employees whom the punches are of.
const EMPLOYEES: i64 = 50;

/// Measures it: durable inserts of punches, without anything of the site around them.
pub fn measure(_: &MariaDb, home: &Path) {
    let captured = database(&home.join("captured"));
    let bare = database(&home.join("bare"));
    let mut names =
        bare.prepare("select name from sqlite_schema where type = 'trigger' and name like 'capture_%'").unwrap();
    let names: Vec<String> = names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(!names.is_empty(), "there are triggers to take away");
    for name in names {
        bare.execute_batch(&format!("drop trigger {name}")).unwrap();
    }
    say("\n5. Inserts of punches a second in SQLite, durable, with the capture triggers and without");
    say("                      |      with |   without | with / without");
    for (what, rows) in [("one row a commit", 1), ("1,000 rows a commit", BULK)] {
        let pairs: Vec<(f64, f64)> =
            (0..rounds()).map(|_| (per_second(&captured, rows), per_second(&bare, rows))).collect();
        let with = median(pairs.iter().map(|pair| pair.0).collect());
        let without = median(pairs.iter().map(|pair| pair.1).collect());
        let ratio = median(pairs.iter().map(|pair| pair.0 / pair.1).collect());
        say(&format!("  {what:<20}| {with:>9.0} | {without:>9.0} | {ratio:>13.2}x"));
    }
}

/// A site's database, set up as the site's writer has it.
fn database(data: &Path) -> Connection {
    let directory = DataDir::lock(data).unwrap();
    prepare(&directory, "Asia/Shanghai").unwrap();
    let connection = Connection::open(directory.database()).unwrap();
    connection.pragma_update(None, "journal_mode", "wal").unwrap();
    connection.pragma_update(None, "synchronous", "full").unwrap();
    connection.pragma_update(None, "foreign_keys", true).unwrap();
    connection.pragma_update(None, "recursive_triggers", true).unwrap();
    let txn = AtomicI64::new(0);
    let next = move || txn.fetch_add(1, Ordering::Relaxed);
    connection.create_scalar_function(TXN_FUNCTION, 0, FunctionFlags::SQLITE_UTF8, move |_| Ok(next())).unwrap();
    connection
        .create_scalar_function(NOW_FUNCTION, 0, FunctionFlags::SQLITE_UTF8, |_| Ok(1_767_225_600_000_i64))
        .unwrap();
    for id in 1..=EMPLOYEES {
        let insert = "insert into employees (id, name, position, status, created_at, updated_at)
                      values (?1, '员工', '护士', 'active', 0, 0)";
        connection.execute(insert, [id]).unwrap();
    }
    connection
}

fn per_second(connection: &Connection, rows: i64) -> f64 {
    let mut insert = connection
        .prepare_cached(
            "insert into punches (employee_id, type, effective_at, received_at, clock_suspect) values (?1, 'check_in', ?2, ?2, 0)",
        )
        .unwrap();
    let (mut written, began) = (0, Instant::now());
    while began.elapsed() < seconds() / 4 {
        connection.prepare_cached("begin immediate").unwrap().execute([]).unwrap();
        for _ in 0..rows {
            insert.execute((written % EMPLOYEES + 1, 1_767_225_600_000 + written)).unwrap();
            written += 1;
        }
        connection.prepare_cached("commit").unwrap().execute([]).unwrap();
    }
    written as f64 / began.elapsed().as_secs_f64()
}
