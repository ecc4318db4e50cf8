//! The relay as a child process.

use std::net::SocketAddr;
use std::process::Child;

use serde_json::Value;

use crate::process::{canshi, lasting_address, spawn_ready};

/// A relay that is killed when dropped.
pub struct Relay {
    pub child: Child,
    pub address: SocketAddr,
}

impl Relay {
    /// Starts a relay on this MySQL and waits until it answers.
    pub fn start(mysql_url: &str) -> Self {
        Self::start_on(mysql_url, lasting_address())
    }

    /// Starts a relay on this MySQL at this address, which may be a killed one's, and waits until it answers.
    pub fn start_on(mysql_url: &str, address: SocketAddr) -> Self {
        Self::start_with(mysql_url, address, &[])
    }

    /// The same with these variables.
    pub fn start_with(mysql_url: &str, address: SocketAddr, variables: &[(&str, &str)]) -> Self {
        let listen = address.to_string();
        let mut command = canshi(&["relay", "--mysql", mysql_url, "--listen", &listen]);
        command.env("CANSHI_RELAY_LOG_LEVEL", "error").envs(variables.iter().copied());
        Self { child: spawn_ready(command, address), address }
    }

    /// How a site names the relay.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Kills the process without a warning.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // It may be gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Adds a site at the center and gives its id and the code that enrols it.
pub fn add_site(mysql_url: &str, name: &str) -> (i64, String) {
    let added = canshi(&["site", "add", "--name", name, "--mysql", mysql_url, "--json"]).output().unwrap();
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    let answer: Value = serde_json::from_slice(&added.stdout).unwrap();
    (answer["site_id"].as_i64().unwrap(), answer["code"].as_str().unwrap().to_owned())
}
