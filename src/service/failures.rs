//! Failed logins: whoever fails too often has to wait.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use moka::sync::Cache;

use crate::domain::settings::Settings;
use crate::domain::time::{Instant, MINUTE_MS};
use crate::error::{Error, Result};

/// Failed logins count for this long, in milliseconds.
pub const FAILURE_WINDOW_MS: i64 = 15 * MINUTE_MS;
/// Names and addresses whose failures are kept in memory.
const FAILURES_MAX: u64 = 50_000;

/// Failed logins of the last 15 minutes, by name and by address.
#[derive(Clone)]
pub struct Failures {
    by_name: Cache<String, Moments>,
    by_address: Cache<IpAddr, Moments>,
}

type Moments = Arc<Mutex<VecDeque<Instant>>>;

impl Default for Failures {
    fn default() -> Self {
        Self::new()
    }
}

impl Failures {
    /// None yet.
    pub fn new() -> Self {
        Self { by_name: Cache::new(FAILURES_MAX), by_address: Cache::new(FAILURES_MAX) }
    }

    /// Whether this name may be tried from this address.
    ///
    /// # Errors
    /// [`Error::TooMany`].
    pub fn check(&self, settings: &Settings, now: Instant, name: &str, address: Option<IpAddr>) -> Result<()> {
        if let Some(moments) = self.by_name.get(name) {
            within(&moments, settings.login_failures_per_name, now)?;
        }
        self.check_address(settings, now, address)
    }

    /// Whether anything may be tried from this address.
    ///
    /// # Errors
    /// [`Error::TooMany`].
    pub fn check_address(&self, settings: &Settings, now: Instant, address: Option<IpAddr>) -> Result<()> {
        match address.and_then(|address| self.by_address.get(&address)) {
            Some(moments) => within(&moments, settings.login_failures_per_address, now),
            None => Ok(()),
        }
    }

    /// Notes a failure for this name from this address.
    pub fn add(&self, now: Instant, name: &str, address: Option<IpAddr>) {
        note(&self.by_name.get_with(name.to_owned(), Moments::default), now);
        self.add_address(now, address);
    }

    /// Notes a failure from this address.
    pub fn add_address(&self, now: Instant, address: Option<IpAddr>) {
        if let Some(address) = address {
            note(&self.by_address.get_with(address, Moments::default), now);
        }
    }

    /// Forgets the failures for this name.
    pub fn forgive(&self, name: &str) {
        self.by_name.invalidate(name);
    }
}

fn within(moments: &Moments, limit: u32, now: Instant) -> Result<()> {
    let mut moments = moments.lock().unwrap_or_else(PoisonError::into_inner);
    forget_old(&mut moments, now);
    match moments.front() {
        Some(first) if moments.len() >= limit as usize => {
            let wait_ms = FAILURE_WINDOW_MS - now.ms_since(*first);
            Err(Error::TooMany { retry_after_s: (wait_ms.max(0) as u64).div_ceil(1000).max(1) })
        }
        _ => Ok(()),
    }
}

fn note(moments: &Moments, now: Instant) {
    let mut moments = moments.lock().unwrap_or_else(PoisonError::into_inner);
    forget_old(&mut moments, now);
    moments.push_back(now);
}

fn forget_old(moments: &mut VecDeque<Instant>, now: Instant) {
    while moments.front().is_some_and(|first| now.ms_since(*first) >= FAILURE_WINDOW_MS) {
        moments.pop_front();
    }
}
