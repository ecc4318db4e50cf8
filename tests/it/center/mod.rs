//! A site, a relay and a MySQL-family server as real processes, with lines between them that can be made bad.

mod boxes;
mod commands;
mod faults;
mod mini_program;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::equality::differences;
use crate::mariadb::MariaDb;
use crate::process::{Site, canshi, lasting_address, request};
use crate::proxy::Proxy;
use crate::relay::{Relay, add_site};

/// How long something may take that has nothing in its way, on a busy machine.
const SOON: Duration = Duration::from_secs(90);

/// A chain of one site: the line from the site to the relay runs through a proxy.
pub struct Rig {
    pub server: MariaDb,
    pub database: String,
    pub relay: Relay,
    pub line: Proxy,
    pub site: Site,
    pub site_id: i64,
    pub data: PathBuf,
    _directory: tempfile::TempDir,
}

impl Rig {
    /// Everything up and the site enrolled.
    pub fn new() -> Self {
        Self::with(&[])
    }

    /// The same, with these variables for the relay.
    pub fn with(variables: &[(&str, &str)]) -> Self {
        let server = MariaDb::start();
        let database = server.new_database();
        let url = server.url(&database);
        let relay = Relay::start_with(&url, lasting_address(), variables);
        let line = Proxy::new(relay.address);
        let (site_id, code) = add_site(&url, "春晖");
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("site");
        let site = Site::start_enrolled(&data, &format!("http://{}", line.address), &code);
        until(|| data.join("relay.json").exists().then_some(()).ok_or(json!("not enrolled")));
        Self { server, database, relay, line, site, site_id, data, _directory: directory }
    }

    /// The MySQL URL.
    pub fn url(&self) -> String {
        self.server.url(&self.database)
    }

    /// Kills the relay and starts it again where it was.
    pub fn restart_relay(&mut self) {
        self.relay.kill();
        self.relay = Relay::start_on(&self.url(), self.relay.address);
    }

    /// Kills the site and starts it again where it was.
    pub fn restart_site(&mut self) {
        self.site.kill();
        self.site = Site::start_on(&self.data, self.site.address);
    }

    /// Waits until the site says that the center has everything.
    pub fn drained(&self) {
        drained(&self.site);
    }

    /// Waits until the center has everything, and checks that it is the same, row by row.
    pub fn assert_equal(&self) {
        self.drained();
        let found = self.differences();
        assert!(found.is_empty(), "{}", found.join("\n"));
    }

    /// In what the mirror differs from the site.
    pub fn differences(&self) -> Vec<String> {
        differing(&self.server, &self.database, &self.data, self.site_id)
    }

    /// The first value that a query of the center's database gives.
    pub fn one(&self, sql: &str) -> Option<String> {
        self.server.query(&self.database, sql).into_iter().next().and_then(|row| row.into_iter().next().flatten())
    }
}

/// In what the mirror of a site differs from its data directory.
pub fn differing(server: &MariaDb, database: &str, data: &Path, site_id: i64) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut conn = server.connect(database).await;
        differences(&data.join("canshi.db"), &mut conn, site_id).await
    })
}

/// How the site says that it stands with the center; null when it was asked too often.
pub fn standing(site: &Site, token: &str) -> Value {
    match request(site.address, "GET", "/api/system/sync", token, None) {
        Some((200, answer)) => answer["data"].clone(),
        Some((429, _)) => Value::Null,
        other => panic!("{other:?}"),
    }
}

/// Waits until the site says that the center has everything. Asking changes nothing on the site.
pub fn drained(site: &Site) {
    let token = site.login();
    until(|| {
        let standing = standing(site, &token);
        assert_ne!(standing["state"], "fenced", "{standing}");
        (standing["state"] == "online" && standing["pending_changes"] == 0).then_some(()).ok_or(standing)
    });
}

/// Waits until the check gives something; fails with what it gave last instead.
#[track_caller]
pub fn until<T>(mut check: impl FnMut() -> Result<T, Value>) -> T {
    let began = Instant::now();
    loop {
        match check() {
            Ok(found) => return found,
            Err(instead) => assert!(began.elapsed() < SOON, "this did not come: {instead}"),
        }
        // Not a time that anything is expected in: asking without a pause would starve what is waited for.
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Adds a customer; whether the site acknowledged it.
pub fn add_customer(site: &Site, token: &str, name: &str) -> bool {
    loop {
        match request(site.address, "POST", "/api/customers", token, Some(&json!({"name": name}))) {
            Some((201, _)) => return true,
            Some((429, _)) => std::thread::yield_now(),
            Some((status, answer)) => panic!("{status} {answer}"),
            None => return false,
        }
    }
}

/// A command that has to succeed; gives its JSON.
#[track_caller]
pub fn run_json(arguments: &[&str]) -> Value {
    let output = canshi(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// A command's exit code and what it said.
pub fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let output = canshi(arguments).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

/// A port for a further site.
pub fn another_address() -> std::net::SocketAddr {
    lasting_address()
}
