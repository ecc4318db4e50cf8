//! `cargo bench --bench sync`: what it costs to keep a site mirrored in MySQL, each beside a baseline in the same run on the same
//! private MariaDB, with the real binaries.
//!
//! 1. A backlog of transactions of about 1,000 rows, and
//! 2. a backlog of transactions of one row, from a site process through a relay process into MySQL: from the first batch that
//!    MySQL has to the last. Beside it, the same rows as bare multi-row upserts of 1,000 rows, a transaction each, on one connection.
//! 3. How long a row that the site acknowledged takes to be seen in MySQL, at 50 writes a second. Beside it, one bare insert.
//! 4. What a change of an ordinary day weighs on the line. Beside it, the keys and images as they are in the outbox.
//! 5. What the capture triggers cost SQLite. Beside it, the same inserts without them.
//! 6. 200 boxes on one relay, each pushing all the time, and how evenly they are served. Beside it, one such box alone.
//! 7. How long headquarters waits for a site's answer through the mailbox. Beside it, the same write on the site's LAN.
//!
//! All of it shares the machine's cores, so compare the ratios, not the rates: the rates are this machine's.
//! `CANSHI_BENCH_SECONDS` says how long each load lasts (5), `CANSHI_BENCH_ROUNDS` how often what is compared is repeated (3), and
//! `CANSHI_BENCH_ONLY=1,4` which of the seven are measured.
#![expect(clippy::unwrap_used, reason = "a measurement that can't go on fails")]

#[path = "sync/backlog.rs"]
mod backlog;
#[path = "sync/bytes.rs"]
mod bytes;
#[path = "sync/capture.rs"]
mod capture;
#[path = "sync/crowd.rs"]
mod crowd;
#[path = "sync/lag.rs"]
mod lag;
#[path = "sync/mailbox.rs"]
mod mailbox;
#[expect(dead_code, unused_imports, reason = "the tests use more of it")]
#[path = "../it/mariadb.rs"]
mod mariadb;
#[path = "sync/phases.rs"]
mod phases;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../it/process.rs"]
mod process;
#[expect(dead_code, unused_imports, reason = "the server of the tests can be put behind it")]
#[path = "../it/proxy.rs"]
mod proxy;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../it/relay.rs"]
mod relay;
#[expect(dead_code, reason = "the tests of the proxy use it")]
#[path = "../it/schedule.rs"]
mod schedule;

/// What the child processes share with the tests.
mod app {
    /// The administrator's password.
    pub const PASSWORD: &str = "benchbench";
}

use std::fs;
use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use crate::mariadb::MariaDb;
use crate::process::{Site, exchange};

/// Measures something with this MySQL, in this directory.
type Measure = fn(&MariaDb, &Path);

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        say("nothing measured: run `cargo bench --bench sync`");
        return;
    }
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    say(&format!("{cores} cores, shared by everything; load before {}", load.trim()));
    let server = MariaDb::start();
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let parts: [(&str, Measure); 7] = [
        ("1", backlog::of_large_transactions),
        ("2", backlog::of_single_rows),
        ("3", lag::measure),
        ("4", bytes::measure),
        ("5", capture::measure),
        ("6", crowd::measure),
        ("7", mailbox::measure),
    ];
    let only = std::env::var("CANSHI_BENCH_ONLY").unwrap_or_default();
    for (name, measure) in parts {
        if only.is_empty() || only.split(',').any(|wanted| wanted == name) {
            let directory = home.path().join(name);
            fs::create_dir(&directory).unwrap();
            measure(&server, &directory);
        }
    }
}

/// The administrator on one connection to a site.
struct Desk {
    stream: TcpStream,
    token: String,
}

impl Desk {
    /// Logs in and takes the rate limits away, which are there to keep loads like these out.
    fn open(site: &Site) -> Self {
        let mut desk = Self { stream: connect(site.address), token: site.login() };
        let limits = json!({"requests_per_address": 0, "requests_per_user": 0, "punches_per_address": 0});
        desk.call("PUT", "/api/settings", &limits);
        desk
    }

    /// Calls and gives the answer's data; anything but success ends the measurement.
    fn call(&mut self, method: &str, path: &str, body: &Value) -> Value {
        let (status, mut answer) = exchange(&mut self.stream, method, path, &self.token, Some(body)).unwrap();
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer["data"].take()
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// An entry of the books, such as a desk makes many a day.
fn entry(n: usize) -> Value {
    const CATEGORIES: [&str; 8] = ["餐费", "房费", "护理费", "食材", "工资", "水电", "用品", "其他"];
    json!({
        "type": if n.is_multiple_of(2) { "income" } else { "expense" },
        "category": CATEGORIES[n / 2 % CATEGORIES.len()],
        "amount": (1_000 + n * 37 % 50_000) as f64 / 100.0,
        "description": format!("第{n}笔"),
        "payment_method": "微信",
    })
}

/// Reads a site's database beside the site.
fn database(data: &Path) -> Connection {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(data.join("canshi.db"), flags).unwrap()
}

/// The newest change in a site's outbox.
fn tip(data: &Path) -> i64 {
    canshi_sync::outbox::tip(&database(data)).unwrap().0
}

fn say(line: &str) {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).unwrap();
}

fn number(variable: &str, default: f64) -> f64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

fn seconds() -> Duration {
    Duration::from_secs_f64(number("CANSHI_BENCH_SECONDS", 5.0))
}

fn rounds() -> usize {
    number("CANSHI_BENCH_ROUNDS", 3.0) as usize
}

/// The value that this part of the values is not above.
fn quantile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len() - 1;
    values[((last as f64 * part).ceil() as usize).min(last)]
}

fn median(mut values: Vec<f64>) -> f64 {
    quantile(&mut values, 0.5)
}
