//! The real binary as a child process, and a small HTTP client that reads whole answers off a real socket.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long a site may take to come up on a busy machine.
const START_WAIT: Duration = Duration::from_secs(30);

/// A site that is killed when dropped.
pub struct Site {
    pub child: Child,
    pub address: SocketAddr,
}

/// The binary with these arguments and the settings that tests use.
pub fn canshi(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_canshi"));
    command.env("CANSHI_RELAY_LOG_LEVEL", "error");
    command.args(arguments).env("CANSHI_BCRYPT_COST", "4").env("CANSHI_ADMIN_PASSWORD", crate::app::PASSWORD);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::null());
    command
}

/// A port that is free now.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A port that is free now and stays so while its server is down: the system gives out none below 32768 by itself.
pub fn lasting_address() -> SocketAddr {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        let place = u64::from(std::process::id()) * 97 + NEXT.fetch_add(1, Ordering::Relaxed);
        let address = SocketAddr::from(([127, 0, 0, 1], 20_000 + (place % 10_000) as u16));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// Starts what the command says and waits until it is ready at the address.
pub fn spawn_ready(mut command: Command, address: SocketAddr) -> Child {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap();
    let started = Instant::now();
    while request(address, "GET", "/readyz", "", None).is_none_or(|(status, _)| status != 200) {
        let late = started.elapsed() > START_WAIT;
        if late {
            child.kill().unwrap();
        }
        assert!(!late, "the process does not answer");
        assert!(child.try_wait().unwrap().is_none(), "the process ended instead of serving");
        std::thread::yield_now();
    }
    child
}

impl Site {
    /// Starts a site on this directory and waits until it answers.
    pub fn start(data: &Path) -> Self {
        Self::start_on(data, free_address())
    }

    /// Starts a site on this directory at this address and waits until it answers.
    pub fn start_on(data: &Path, address: SocketAddr) -> Self {
        let listen = address.to_string();
        Self::spawn(canshi(&["serve", "--data", data.to_str().unwrap(), "--listen", &listen]), address)
    }

    /// Starts a site on this directory that enrols itself with this code, and waits until it answers.
    pub fn start_enrolled(data: &Path, relay_url: &str, code: &str) -> Self {
        let address = lasting_address();
        let (data, listen) = (data.to_str().unwrap(), address.to_string());
        let enrolment = ["serve", "--data", data, "--listen", &listen, "--relay", relay_url, "--code", code];
        Self::spawn(canshi(&enrolment), address)
    }

    /// Starts what the command says and waits until it answers at the address.
    pub fn spawn(command: Command, address: SocketAddr) -> Self {
        Self { child: spawn_ready(command, address), address }
    }

    /// Kills the process without a warning.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Logs in as the administrator.
    pub fn login(&self) -> String {
        let body = json!({"username": "admin", "password": crate::app::PASSWORD});
        let (status, answer) = request(self.address, "POST", "/api/auth/login", "", Some(&body)).unwrap();
        assert_eq!(status, 200, "{answer}");
        answer["data"]["token"].as_str().unwrap().to_owned()
    }

    /// Asks the process to stop and gives how long it took.
    pub fn terminate(&mut self) -> Duration {
        let started = Instant::now();
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
        started.elapsed()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // It may be gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// One request on a connection of its own; `None` when no whole answer came.
pub fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    token: &str,
    body: Option<&Value>,
) -> Option<(u16, Value)> {
    let mut stream = TcpStream::connect(address).ok()?;
    exchange(&mut stream, method, path, token, body)
}

/// One request on a connection that stays; `None` when no whole answer came.
pub fn exchange(
    stream: &mut TcpStream,
    method: &str,
    path: &str,
    token: &str,
    body: Option<&Value>,
) -> Option<(u16, Value)> {
    let body = body.map(Value::to_string).unwrap_or_default();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: site\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let status = line.split(' ').nth(1)?.parse().ok()?;
    let mut length = 0;
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header).ok()? == 0 {
            return None;
        }
        if header == "\r\n" {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut text = vec![0; length];
    reader.read_exact(&mut text).ok()?;
    Some((status, serde_json::from_slice(&text).unwrap_or(Value::Null)))
}
