//! `cargo bench --bench site`: the site beside the barest program that does the same, in one run on one machine and disk.
//!
//! 1. Punches that are on the disk when they are answered, over HTTP, at 1, 8, 32 and 128 clients: the real binary
//!    against axum + rusqlite with one commit per request (what a plain back end does), and against axum + rusqlite with
//!    group commit (the ceiling). The bare ones insert one row without foreign keys or indexes and check nobody; the site
//!    authenticates, keeps the day's row, the audit log and the outbox. All three use WAL with `synchronous = full`.
//! 2. Reads from 2,000 customers and 200,000 transactions at 8 clients, against a bare axum handler that answers the
//!    same bytes from memory; and the yearly report against one SQL aggregate over the same file.
//! 3. What the site needs: memory at rest, the binary's size, the time from start to first answer.
//!
//! The clients share the machine's cores with the servers, so compare the ratios, not the rates: the rates are this
//! machine's. `CANSHI_BENCH_SECONDS` says how long each load lasts (3). The bare servers are this program started again.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::serve::ListenerExt as _;
use axum::{Json, Router};
use jiff::ToSpan as _;
use jiff::civil::date;
use rusqlite::{Connection, OpenFlags};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::oneshot;

const SITE: &str = env!("CARGO_BIN_EXE_canshi");
const TEMP: &str = env!("CARGO_TARGET_TMPDIR");
const PASSWORD: &str = "benchbench";
/// How long a server may take to answer for the first time, or to stop.
const PATIENCE: Duration = Duration::from_secs(30);

const PUNCH_CLIENTS: [usize; 4] = [1, 8, 32, 128];
const READ_CLIENTS: usize = 8;
const EMPLOYEES: usize = 500;
const CUSTOMERS: usize = 2_000;
const TRANSACTIONS: usize = 200_000;
/// Items of one batch.
const BATCH: usize = 500;
const CATEGORIES: [&str; 8] = ["餐费", "房费", "护理费", "食材", "工资", "水电", "用品", "其他"];
/// Runs of which the mean is taken.
const RUNS: u32 = 20;
const REPORT: &str = "/api/finance/reports?report_type=yearly&start_date=2026-01-01&end_date=2026-12-31";
/// The bare group commit's writes that share one commit at most.
const GROUP_MAX: usize = 512;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["bare-commit", port, dir] => bare_commit(port, Path::new(dir)),
        ["bare-group", port, dir] => bare_group(port, Path::new(dir)),
        ["bare-static", port, file] => bare_static(port, Path::new(file)),
        ref others if others.contains(&"--bench") => measure(),
        _ => say("nothing measured: run `cargo bench --bench site`"),
    }
}

fn measure() {
    fs::create_dir_all(TEMP).expect("the target directory can be written");
    let cores = thread::available_parallelism().map_or(0, usize::from);
    say(&format!("{cores} cores, shared by clients and servers; {} s for each load", seconds().as_secs_f64()));
    punches();
    let home = tempfile::tempdir_in(TEMP).expect("a temporary directory can be made");
    let data = home.path().join("site");
    reads(home.path(), &data);
    starts(&data);
}

// --- 1. Punches.

fn punches() {
    let home = tempfile::tempdir_in(TEMP).expect("a temporary directory can be made");
    let mut site = Site::start(&home.path().join("site"));
    thread::sleep(Duration::from_secs(1));
    say("\nAt rest, before any load, on an empty database");
    say(&format!("  resident memory {:>8.1} MiB", mebibytes(site.server.resident_bytes())));
    say(&format!("  binary          {:>8.1} MiB", mebibytes(bytes_of(Path::new(SITE)))));

    site.open_up();
    let requests = punch_requests(&mut site);
    let [one, group] = ["bare-commit", "bare-group"].map(|kind| {
        let dir = home.path().join(kind);
        fs::create_dir(&dir).expect("the temporary directory can be written");
        Server::bare(kind, &dir)
    });
    say("\nPunches per second that are on the disk, over HTTP");
    say("  clients |     site | bare, a commit each | bare, group commit | site / commit each | site / group commit");
    for clients in PUNCH_CLIENTS {
        let one = per_second(one.port, clients, &requests);
        let group = per_second(group.port, clients, &requests);
        let site = per_second(site.server.port, clients, &requests);
        say(&format!(
            "  {clients:>7} | {site:>8.0} | {one:>19.0} | {group:>18.0} | {:>17.2}x | {:>18.2}x",
            site / one,
            site / group
        ));
    }
    say(&format!("  resident memory of the site afterwards {:.1} MiB", mebibytes(site.server.resident_bytes())));
}

/// Every employee's check-in, then every employee's check-out.
fn punch_requests(site: &mut Site) -> Vec<Vec<u8>> {
    let items: Vec<String> = (1..=EMPLOYEES).map(|n| format!(r#"{{"name":"员工{n}","position":"护士"}}"#)).collect();
    let ids = site.create("/api/employees/batch", &items);
    let punch = |kind: &str, id: &Value| {
        let body = format!(r#"{{"employee_id":{id},"type":"{kind}"}}"#);
        request("POST", "/api/employees/attendance", &site.token, &body)
    };
    let check_ins = ids.iter().map(|id| punch("check_in", id));
    check_ins.chain(ids.iter().map(|id| punch("check_out", id))).collect()
}

// --- 2. Reads.

fn reads(home: &Path, data: &Path) {
    let mut site = Site::start(data);
    site.open_up();
    let started = Instant::now();
    let customers = fill(&mut site);
    let took = started.elapsed().as_secs_f64();
    say(&format!(
        "\nReads from {CUSTOMERS} customers and {TRANSACTIONS} transactions (filled over HTTP in {took:.0} s),"
    ));
    say(&format!("requests per second at {READ_CLIENTS} clients, against a bare handler answering the same bytes"));
    say("  request              |  answer bytes |     site |     bare | site / bare");
    let points: Vec<String> = customers.iter().map(|id| format!("/api/customers/{id}")).collect();
    compare_read(home, &mut site, "a customer", &points);
    compare_read(home, &mut site, "customers, page 5", &["/api/customers?page=5".to_owned()]);
    compare_read(home, &mut site, "transactions, page 3", &["/api/finance/transactions?page=3".to_owned()]);
    compare_read(home, &mut site, "the yearly report", &[REPORT.to_owned()]);
    compare_report(&mut site, &data.join("canshi.db"));
    site.server.stop();
}

/// Fills the database and gives the customers' ids.
fn fill(site: &mut Site) -> Vec<Value> {
    let mut customers = Vec::with_capacity(CUSTOMERS);
    for first in (0..CUSTOMERS).step_by(BATCH) {
        let items: Vec<String> =
            (first..CUSTOMERS.min(first + BATCH)).map(|n| format!(r#"{{"name":"客户{n}"}}"#)).collect();
        customers.extend(site.create("/api/customers/batch", &items));
    }
    for first in (0..TRANSACTIONS).step_by(BATCH) {
        let items: Vec<String> = (first..TRANSACTIONS.min(first + BATCH)).map(transaction).collect();
        site.create("/api/finance/transactions/batch", &items);
    }
    customers
}

fn transaction(n: usize) -> String {
    let kind = if n.is_multiple_of(2) { "income" } else { "expense" };
    let category = CATEGORIES[n / 2 % CATEGORIES.len()];
    let fen = 1_000 + n % 50_000;
    let day = date(2026, 1, 1) + i64::try_from(n % 365).expect("less than a year").days();
    format!(
        r#"{{"type":"{kind}","category":"{category}","amount":{}.{:02},"transaction_date":"{day}T{:02}:{:02}:00"}}"#,
        fen / 100,
        fen % 100,
        8 + n % 12,
        n % 60
    )
}

fn compare_read(home: &Path, site: &mut Site, name: &str, targets: &[String]) {
    let requests: Vec<Vec<u8>> = targets.iter().map(|target| request("GET", target, &site.token, "")).collect();
    site.reconnect();
    site.client.must(&requests[0]);
    let file = home.join("answer.json");
    fs::write(&file, &site.client.body).expect("the temporary directory can be written");
    let bare = Server::bare("bare-static", &file);
    let at_bare = per_second(bare.port, READ_CLIENTS, &requests);
    let at_site = per_second(site.server.port, READ_CLIENTS, &requests);
    let bytes = site.client.body.len();
    say(&format!("  {name:<21}| {bytes:>13} | {at_site:>8.0} | {at_bare:>8.0} | {:>10.2}x", at_site / at_bare));
}

fn compare_report(site: &mut Site, database: &Path) {
    let asked = request("GET", REPORT, &site.token, "");
    site.reconnect();
    let at_site = mean_seconds(|| site.client.must(&asked));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags).expect("the site's database can be opened");
    let bare = mean_seconds(|| {
        let groups = aggregate(&connection).expect("the aggregate runs");
        assert!(groups.len() >= CATEGORIES.len(), "the aggregate found the filled rows, not {} groups", groups.len());
    });
    say(&format!("\nThe yearly report over all {TRANSACTIONS} transactions, one client, mean of {RUNS}"));
    say(&format!("  site, over HTTP   {:>9.3} ms", at_site * 1e3));
    say(&format!("  one SQL aggregate {:>9.3} ms", bare * 1e3));
    say(&format!("  site's time / the aggregate's {:.3}x (below 1: the site is faster)", at_site / bare));
}

fn aggregate(connection: &Connection) -> rusqlite::Result<Vec<(String, String, i64)>> {
    let mut statement = connection.prepare_cached(
        "select type, category, sum(amount_fen) from transactions
         where status = 'completed' and local_date between ?1 and ?2 group by type, category",
    )?;
    let rows = statement.query_map(("2026-01-01", "2026-12-31"), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    rows.collect()
}

/// The mean of [`RUNS`] runs, after one that isn't counted.
fn mean_seconds(mut work: impl FnMut()) -> f64 {
    work();
    let started = Instant::now();
    for _ in 0..RUNS {
        work();
    }
    started.elapsed().as_secs_f64() / f64::from(RUNS)
}

// --- 3. Starts.

fn starts(data: &Path) {
    let mut took = Vec::new();
    let mut resident = 0;
    for _ in 0..3 {
        let server = Server::site(data);
        took.push(server.first_answer);
        resident = server.resident_bytes();
        server.stop();
    }
    took.sort_unstable();
    say("\nStart on the filled database, from the file cache");
    say(&format!("  database                     {:>8.1} MiB", mebibytes(bytes_of(&data.join("canshi.db")))));
    say(&format!("  start to first answer        {:>8.1} ms (median of {})", took[1].as_secs_f64() * 1e3, took.len()));
    say(&format!("  resident memory at that time {:>8.1} MiB", mebibytes(resident)));
}

// --- Load.

/// What so many clients get answered per second, each on its own connection, with its next request right after an answer.
/// The requests are used in turn, over and over.
fn per_second(port: u16, clients: usize, requests: &[Vec<u8>]) -> f64 {
    // A server that refuses says so here, once, rather than in every thread.
    Client::connect(port).expect("the server is up").must(&requests[0]);
    let (next, stop, gate) = (AtomicUsize::new(1), AtomicBool::new(false), Barrier::new(clients + 1));
    let take = || &requests[next.fetch_add(1, Ordering::Relaxed) % requests.len()];
    let run = || {
        let client = Client::connect(port).and_then(|mut client| client.exchange(take()).map(|_| client));
        // Everybody comes to the gate, also who has no connection: the others wait for all.
        gate.wait();
        let mut client = client.expect("the server takes connections");
        let mut answered = 0_u64;
        while !stop.load(Ordering::Relaxed) {
            client.must(take());
            answered += 1;
        }
        answered
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..clients).map(|_| scope.spawn(run)).collect();
        gate.wait();
        let started = Instant::now();
        thread::sleep(seconds());
        stop.store(true, Ordering::Relaxed);
        let answered: u64 = threads.into_iter().map(|thread| thread.join().expect("no client failed")).sum();
        answered as f64 / started.elapsed().as_secs_f64()
    })
}

fn seconds() -> Duration {
    let given = std::env::var("CANSHI_BENCH_SECONDS").ok();
    let given = given.map(|text| text.parse::<f64>().expect("CANSHI_BENCH_SECONDS is a number"));
    Duration::from_secs_f64(given.unwrap_or(3.0))
}

/// A keep-alive HTTP/1.1 client: one request, one answer with a `Content-Length`.
struct Client {
    stream: BufReader<TcpStream>,
    line: String,
    body: Vec<u8>,
}

impl Client {
    fn connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(stream), line: String::new(), body: Vec::new() })
    }

    /// Sends the request and gives the status; the body is kept until the next.
    fn exchange(&mut self, request: &[u8]) -> io::Result<u16> {
        self.stream.get_mut().write_all(request)?;
        self.read_line()?;
        let status = self.line.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok());
        let status = status.ok_or_else(|| io::Error::other("not HTTP"))?;
        let mut length = 0_usize;
        loop {
            self.read_line()?;
            if self.line.trim_end().is_empty() {
                break;
            }
            let Some((name, value)) = self.line.split_once(':') else { continue };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().map_err(io::Error::other)?;
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                return Err(io::Error::other("an answer without a length"));
            }
        }
        self.body.resize(length, 0);
        self.stream.read_exact(&mut self.body)?;
        Ok(status)
    }

    /// As [`Client::exchange`]; anything but success ends the measurement.
    fn must(&mut self, request: &[u8]) {
        let status = self.exchange(request).expect("the server answers");
        assert!(
            (200..300).contains(&status),
            "{} was answered with {status}: {}",
            String::from_utf8_lossy(request.split(|&byte| byte == b'\r').next().unwrap_or_default()),
            String::from_utf8_lossy(&self.body)
        );
    }

    fn read_line(&mut self) -> io::Result<()> {
        self.line.clear();
        match self.stream.read_line(&mut self.line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

fn request(method: &str, target: &str, token: &str, body: &str) -> Vec<u8> {
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n");
    if !token.is_empty() {
        head += &format!("Authorization: Bearer {token}\r\n");
    }
    if !body.is_empty() {
        head += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    }
    format!("{head}\r\n{body}").into_bytes()
}

// --- The servers, as children.

/// A server of its own process, which ends with this value.
struct Server {
    child: Child,
    port: u16,
    /// The time from its start to its first answer.
    first_answer: Duration,
}

impl Server {
    fn site(data: &Path) -> Self {
        let port = free_port();
        let mut command = Command::new(SITE);
        command.args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--data"]).arg(data);
        command.env("CANSHI_ADMIN_PASSWORD", PASSWORD).env("CANSHI_BCRYPT_COST", "4");
        Self::start(&mut command, port)
    }

    fn bare(kind: &str, path: &Path) -> Self {
        let port = free_port();
        let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
        command.args([kind, &port.to_string()]).arg(path);
        Self::start(&mut command, port)
    }

    fn start(command: &mut Command, port: u16) -> Self {
        let started = Instant::now();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("the server can be started");
        let mut server = Self { child, port, first_answer: Duration::ZERO };
        let probe = request("GET", "/healthz", "", "");
        // The bare servers know no such path; that they answer at all is enough.
        while Client::connect(port).and_then(|mut client| client.exchange(&probe)).is_err() {
            let ended = server.child.try_wait().expect("a child can be asked for");
            assert!(ended.is_none(), "{command:?} ended before it answered: {ended:?}");
            assert!(started.elapsed() < PATIENCE, "{command:?} did not answer");
            thread::sleep(Duration::from_millis(1));
        }
        server.first_answer = started.elapsed();
        server
    }

    fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("Linux tells it");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has memory");
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number of kB");
        kibibytes << 10
    }

    /// Ends it in good order, so that it closes its files.
    fn stop(mut self) {
        let kill = format!("kill -TERM {}", self.child.id());
        let told = Command::new("sh").args(["-c", &kill]).status().expect("there is a shell");
        assert!(told.success(), "the server had ended before it was told to");
        let since = Instant::now();
        while self.child.try_wait().expect("a child can be asked for").is_none() {
            assert!(since.elapsed() < PATIENCE, "the server did not stop");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Also on a panic. One that has ended by itself needs nothing more.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The site, with its administrator logged in.
struct Site {
    client: Client,
    token: String,
    server: Server,
}

impl Site {
    fn start(data: &Path) -> Self {
        let server = Server::site(data);
        let client = Client::connect(server.port).expect("the site is up");
        Self { client, token: String::new(), server }
    }

    /// Logs in and takes the rate limits away, which are there to keep loads like these out.
    fn open_up(&mut self) {
        self.reconnect();
        let login = format!(r#"{{"username":"admin","password":"{PASSWORD}"}}"#);
        let data = self.call("POST", "/api/auth/login", &login);
        self.token = data["token"].as_str().expect("a login gives a token").to_owned();
        let limits = r#"{"requests_per_address":0,"requests_per_user":0,"punches_per_address":0}"#;
        self.call("PUT", "/api/settings", limits);
    }

    /// Connects anew: the site hangs up on who says nothing for a while.
    fn reconnect(&mut self) {
        self.client = Client::connect(self.server.port).expect("the site is up");
    }

    /// Calls and gives the answer's `data`.
    fn call(&mut self, method: &str, target: &str, body: &str) -> Value {
        self.client.must(&request(method, target, &self.token, body));
        let mut answer: Value = serde_json::from_slice(&self.client.body).expect("answers are JSON");
        answer["data"].take()
    }

    /// Creates these in one batch and gives their ids.
    fn create(&mut self, target: &str, items: &[String]) -> Vec<Value> {
        let data = self.call("POST", target, &format!(r#"{{"create":[{}]}}"#, items.join(",")));
        let created = data["created"].as_array().expect("a batch gives what it created");
        assert_eq!(created.len(), items.len(), "{target} created all");
        created.iter().map(|item| item["id"].clone()).collect()
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port can be had");
    listener.local_addr().expect("a listener has an address").port()
}

// --- The bare servers.

#[derive(Deserialize)]
struct BarePunch {
    employee_id: i64,
    #[serde(rename = "type")]
    kind: String,
}

type BareAnswer = Result<(StatusCode, String), StatusCode>;
type Waiting = (BarePunch, oneshot::Sender<i64>);

fn bare_commit(port: &str, dir: &Path) {
    let connection = bare_database(dir).expect("the bare database can be made");
    serve_bare(port, Router::new().fallback(commit_one).with_state(Arc::new(Mutex::new(connection))));
}

async fn commit_one(State(shared): State<Arc<Mutex<Connection>>>, Json(punch): Json<BarePunch>) -> BareAnswer {
    let work = move || insert(&shared.lock().expect("nobody panics with it"), &punch);
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(id)) => Ok(bare_answer(id)),
        _ => Err(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

fn bare_group(port: &str, dir: &Path) {
    let connection = bare_database(dir).expect("the bare database can be made");
    let (queue, waiting) = mpsc::channel();
    thread::spawn(move || write_groups(&connection, &waiting).expect("the groups are written"));
    serve_bare(port, Router::new().fallback(commit_grouped).with_state(queue));
}

async fn commit_grouped(State(queue): State<mpsc::Sender<Waiting>>, Json(punch): Json<BarePunch>) -> BareAnswer {
    let (reply, answer) = oneshot::channel();
    queue.send((punch, reply)).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    answer.await.map(bare_answer).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

/// Takes what waits, never waits for more, and answers it all after one commit.
fn write_groups(connection: &Connection, waiting: &mpsc::Receiver<Waiting>) -> rusqlite::Result<()> {
    while let Ok(first) = waiting.recv() {
        connection.prepare_cached("begin immediate")?.execute([])?;
        let mut written = Vec::new();
        let mut next = Some(first);
        while let Some((punch, reply)) = next {
            written.push((insert(connection, &punch)?, reply));
            next = if written.len() < GROUP_MAX { waiting.try_recv().ok() } else { None };
        }
        connection.prepare_cached("commit")?.execute([])?;
        for (id, reply) in written {
            // A client that hung up is not told.
            let _ = reply.send(id);
        }
    }
    Ok(())
}

fn bare_database(dir: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(dir.join("bare.db"))?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.execute_batch(
        "create table punches (
            id integer primary key,
            employee_id integer not null,
            type text not null,
            effective_at integer not null
        ) strict",
    )?;
    Ok(connection)
}

fn insert(connection: &Connection, punch: &BarePunch) -> rusqlite::Result<i64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
    connection.prepare_cached("insert into punches (employee_id, type, effective_at) values (?1, ?2, ?3)")?.insert((
        punch.employee_id,
        &punch.kind,
        now,
    ))
}

fn bare_answer(id: i64) -> (StatusCode, String) {
    (StatusCode::CREATED, format!(r#"{{"id":{id}}}"#))
}

fn bare_static(port: &str, file: &Path) {
    let body = bytes::Bytes::from(fs::read(file).expect("the answer can be read"));
    let answer = move || {
        let body = body.clone();
        async move { ([(header::CONTENT_TYPE, "application/json")], body) }
    };
    serve_bare(port, Router::new().fallback(answer));
}

fn serve_bare(port: &str, router: Router) {
    let port: u16 = port.parse().expect("a port is a number");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime can be had");
    let served: io::Result<()> = runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
        axum::serve(listener.tap_io(|stream| drop(stream.set_nodelay(true))), router).await
    });
    served.expect("the bare server serves");
}

// --- Words and numbers.

fn say(line: &str) {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).expect("there is somebody to tell");
}

fn bytes_of(file: &Path) -> u64 {
    fs::metadata(file).expect("the file is there").len()
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
