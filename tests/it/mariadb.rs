//! Real MySQL-family servers for tests: private ones in temporary directories, on ports of their own.
//!
//! Everything lives in one directory per test process. A guard process, which waits for the end of the test process
//! however it ends, kills the servers in it and removes it.

use std::fs;
use std::io::{self, Read as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts, Row, Value};

use crate::process::lasting_address;
use crate::proxy::{Fault, Proxy};

/// How long a server may take to come up on a busy machine.
const START_WAIT: Duration = Duration::from_secs(60);

/// The pause between two looks at a server that is coming up.
const POLL: Duration = Duration::from_millis(5);

/// A small log: it is copied for every server.
const LOG_SIZE: &str = "--innodb-log-file-size=8M";

/// Waits until its input ends, which is when the test process is gone, and then clears up. The directory comes in the
/// environment, so that the guard's own command line does not name it.
const GUARD: &str = r#"
trap '' INT TERM HUP
read -r _
for process in /proc/[0-9]*; do
    case "$(tr '\0' ' ' <"$process/cmdline" 2>/dev/null)" in
        *"$ROOT/"*) kill -9 "${process#/proc/}" 2>/dev/null ;;
    esac
done
rm -rf "$ROOT"
"#;

/// The directory of this test process's servers.
struct Root {
    path: PathBuf,
    next: AtomicU64,
    /// Its input is never written to: it closes with the process, and then the guard clears up.
    _guard: Child,
}

/// A server that is killed, and whose directory is removed, when dropped.
pub struct MariaDb {
    directory: PathBuf,
    address: SocketAddr,
    server: Child,
    databases: AtomicU64,
}

/// What a server's disk held at a moment.
pub struct Snapshot(PathBuf);

impl MariaDb {
    /// Starts an empty server and waits until it answers.
    pub fn start() -> Self {
        let directory = root().new_path();
        fs::create_dir(&directory).unwrap();
        copy(template(), &directory.join("data"));
        let address = lasting_address();
        let server = launch(&directory, address);
        Self { directory, address, server, databases: AtomicU64::new(0) }
    }

    /// The server of all tests that don't harm it.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<MariaDb> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How a client names a database of this server.
    pub fn url(&self, database: &str) -> String {
        url(self.address, database)
    }

    /// Makes an empty database and gives its name.
    pub fn new_database(&self) -> String {
        let name = format!("canshi_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.query("", &format!("create database {name} character set utf8mb4"));
        name
    }

    /// A connection to a database, or to none when the name is empty.
    pub async fn connect(&self, database: &str) -> Conn {
        Conn::new(Opts::from_url(&self.url(database)).unwrap()).await.unwrap()
    }

    /// What a statement gives, as text; it may be called from anywhere.
    pub fn query(&self, database: &str, sql: &str) -> Vec<Vec<Option<String>>> {
        let work = async {
            let mut connection = self.connect(database).await;
            let rows: Vec<Row> = connection.query(sql).await.unwrap();
            connection.disconnect().await.unwrap();
            rows.into_iter().map(|row| row.unwrap().into_iter().map(text).collect()).collect()
        };
        // A thread of its own, because a runtime can't wait within another one.
        std::thread::scope(|scope| {
            let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            scope.spawn(move || runtime().block_on(work)).join().unwrap()
        })
    }

    /// Kills the server without a warning.
    pub fn kill(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }

    /// Stops the server in good order.
    pub fn stop(&mut self) {
        if self.server.try_wait().unwrap().is_none() {
            assert!(Command::new("kill").arg(self.server.id().to_string()).status().unwrap().success());
            assert!(self.server.wait().unwrap().success());
        }
    }

    /// Kills the server if it runs, and starts it on the same data and port.
    pub fn restart(&mut self) {
        self.kill();
        self.server = launch(&self.directory, self.address);
    }

    /// Stops the server, keeps a copy of its disk, and starts it again.
    pub fn snapshot(&mut self) -> Snapshot {
        self.stop();
        let snapshot = Snapshot(root().new_path());
        copy(&self.directory.join("data"), &snapshot.0);
        self.restart();
        snapshot
    }

    /// Puts the disk back to what it held then: the server comes back from an older backup.
    pub fn rewind(&mut self, snapshot: &Snapshot) {
        self.kill();
        let data = self.directory.join("data");
        fs::remove_dir_all(&data).unwrap();
        copy(&snapshot.0, &data);
        self.restart();
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        // Either may be gone already.
        drop(self.server.kill());
        drop(self.server.wait());
        drop(fs::remove_dir_all(&self.directory));
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        // What is left is the guard's.
        drop(fs::remove_dir_all(&self.0));
    }
}

/// How a client names a database of the server at, or behind, this address. Without the parameter the client would leave
/// the address, and any proxy there, for the server's local socket.
pub fn url(address: SocketAddr, database: &str) -> String {
    format!("mysql://root@{address}/{database}?prefer_socket=false")
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8(bytes).unwrap()),
        other => panic!("{other:?} is not an answer to a text query"),
    }
}

impl Root {
    fn new_path(&self) -> PathBuf {
        self.path.join(self.next.fetch_add(1, Ordering::Relaxed).to_string())
    }
}

fn root() -> &'static Root {
    static ROOT: OnceLock<Root> = OnceLock::new();
    ROOT.get_or_init(|| {
        let path = tempfile::Builder::new().prefix("canshi-mariadb-").tempdir().unwrap().keep();
        let mut guard = Command::new("sh");
        guard.args(["-c", GUARD]).env("ROOT", &path).process_group(0);
        let guard = guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Root { path, next: AtomicU64::new(0), _guard: guard }
    })
}

/// A data directory that nothing was written to; making it takes longer than copying it.
fn template() -> &'static Path {
    static TEMPLATE: OnceLock<PathBuf> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let data = root().new_path();
        let mut install = program("mariadb-install-db");
        install.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", LOG_SIZE]);
        install.arg(format!("--datadir={}", data.display())).args(as_user());
        let made = install.stdin(Stdio::null()).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&[made.stdout, made.stderr].concat()));
        data
    })
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-r").args([from, to]).status().unwrap().success());
}

/// A program of the server's package, which ordinary users may not have on their path.
fn program(name: &str) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let found = path.split(':').chain(["/usr/sbin", "/usr/local/sbin"]).map(|place| Path::new(place).join(name));
    let found = found.into_iter().find(|program| program.is_file());
    Command::new(found.unwrap_or_else(|| panic!("{name} is missing: tests/run installs it")))
}

/// The server refuses to run as root unless told to.
fn as_user() -> Option<&'static str> {
    (fs::metadata("/proc/self").unwrap().uid() == 0).then_some("--user=root")
}

fn launch(directory: &Path, address: SocketAddr) -> Child {
    let log = directory.join("log");
    let mut command = program("mariadbd");
    command.args(["--no-defaults", "--bind-address=127.0.0.1", "--skip-name-resolve", "--skip-log-bin", LOG_SIZE]);
    command.args(["--innodb-flush-log-at-trx-commit=1", "--innodb-buffer-pool-size=64M", "--performance-schema=OFF"]);
    // The kernel has few of those to give to many servers.
    command.arg("--innodb-use-native-aio=OFF").args(as_user());
    command.arg(format!("--datadir={}", directory.join("data").display()));
    // Of its own: servers that share one remove each other's temporary tables.
    command.arg(format!("--tmpdir={}", directory.display()));
    command.arg(format!("--socket={}", directory.join("socket").display()));
    command.arg(format!("--pid-file={}", directory.join("pid").display()));
    command.arg(format!("--port={}", address.port()));
    let output = fs::File::create(&log).unwrap();
    command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output).process_group(0);
    let mut server = command.spawn().unwrap();
    let started = Instant::now();
    while greeting(address).is_err() {
        let said = || fs::read_to_string(&log).unwrap();
        assert!(server.try_wait().unwrap().is_none(), "mariadbd ended instead of serving: {}", said());
        assert!(started.elapsed() < START_WAIT, "mariadbd does not answer: {}", said());
        std::thread::sleep(POLL);
    }
    server
}

/// A server that is ready greets with version 10 of the protocol (after the packet's length and number).
fn greeting(address: SocketAddr) -> io::Result<()> {
    let mut head = [0; 5];
    TcpStream::connect(address)?.read_exact(&mut head)?;
    if head[4] == 10 { Ok(()) } else { Err(io::ErrorKind::ConnectionRefused.into()) }
}

#[test]
fn a_killed_server_comes_back_with_what_was_committed() {
    let mut server = MariaDb::start();
    let database = server.new_database();
    server.query(&database, "create table facts (id bigint primary key, said text)");
    server.query(&database, "insert into facts values (1, '好😀'), (2, null)");
    server.restart();
    let kept = server.query(&database, "select id, said from facts order by id");
    assert_eq!(kept, [[Some("1".to_owned()), Some("好😀".to_owned())], [Some("2".to_owned()), None]]);
}

#[test]
fn a_rewound_server_has_forgotten_what_came_after_the_snapshot() {
    let mut server = MariaDb::start();
    let database = server.new_database();
    server.query(&database, "create table facts (id bigint primary key)");
    server.query(&database, "insert into facts values (1)");
    let snapshot = server.snapshot();
    server.query(&database, "insert into facts values (2)");
    let count = |server: &MariaDb| server.query(&database, "select count(*) from facts")[0][0].clone().unwrap();
    assert_eq!(count(&server), "2");
    server.rewind(&snapshot);
    assert_eq!(count(&server), "1");
    server.query(&database, "insert into facts values (2)");
    server.rewind(&snapshot);
    assert_eq!(count(&server), "1", "a snapshot can be used again");
}

#[test]
fn a_server_acknowledges_only_what_is_on_its_disk() {
    let server = MariaDb::shared();
    assert_eq!(server.query("", "select @@innodb_flush_log_at_trx_commit")[0][0].as_deref(), Some("1"));
    assert_ne!(server.new_database(), server.new_database());
}

#[tokio::test]
async fn a_client_stays_on_the_line_that_it_is_given() {
    let server = MariaDb::shared();
    let proxy = Proxy::new(server.address());
    let mut connection = Conn::new(Opts::from_url(&url(proxy.address, "")).unwrap()).await.unwrap();
    assert_eq!(connection.query_first("select 1").await.unwrap(), Some(1));
    proxy.set(Fault::Cut);
    connection.query_drop("select 1").await.unwrap_err();
    assert_eq!(server.connect("").await.query_first("select 1").await.unwrap(), Some(1));
}
