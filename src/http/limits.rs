//! How often an address or a user may call.
//!
//! # Decision
//! The `governor` crate is used directly instead of `tower_governor`: the limit per user needs the person that the guard
//! finds, and the numbers change at run time with the settings.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use arc_swap::ArcSwap;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};

use super::route::Rate;
use crate::domain::ids::UserId;
use crate::domain::settings::Settings;
use crate::error::Error;

/// The limits in force.
pub struct Limits(ArcSwap<InForce>);

struct InForce {
    numbers: [u32; 3],
    requests_per_address: Option<DefaultKeyedRateLimiter<IpAddr>>,
    punches_per_address: Option<DefaultKeyedRateLimiter<IpAddr>>,
    requests_per_user: Option<DefaultKeyedRateLimiter<(Option<i64>, UserId)>>,
}

impl Limits {
    /// The limits of these settings.
    pub fn new(settings: &Settings) -> Self {
        Self(ArcSwap::from_pointee(InForce::new(settings)))
    }

    /// Puts new numbers in force; where none changed, what was counted so far stays counted.
    pub fn follow(&self, settings: &Settings) {
        if self.0.load().numbers != numbers(settings) {
            self.0.store(Arc::new(InForce::new(settings)));
        }
    }

    /// Counts a request from this address.
    ///
    /// # Errors
    /// [`Error::TooMany`].
    pub fn check_address(&self, rate: Rate, address: IpAddr) -> Result<(), Error> {
        let in_force = self.0.load();
        match rate {
            Rate::Usual => check(in_force.requests_per_address.as_ref(), &address),
            Rate::Punch => check(in_force.punches_per_address.as_ref(), &address),
            Rate::Unlimited => Ok(()),
        }
    }

    /// Counts a request of this user; at the relay, of this site's.
    ///
    /// # Errors
    /// [`Error::TooMany`].
    pub fn check_user(&self, rate: Rate, site: Option<i64>, user: UserId) -> Result<(), Error> {
        match rate {
            Rate::Usual => check(self.0.load().requests_per_user.as_ref(), &(site, user)),
            Rate::Punch | Rate::Unlimited => Ok(()),
        }
    }

    /// Forgets whoever has not called for a while.
    pub fn forget_idle(&self) {
        let in_force = self.0.load();
        for limiter in [&in_force.requests_per_address, &in_force.punches_per_address].into_iter().flatten() {
            limiter.retain_recent();
        }
        if let Some(limiter) = &in_force.requests_per_user {
            limiter.retain_recent();
        }
    }
}

impl InForce {
    fn new(settings: &Settings) -> Self {
        Self {
            numbers: numbers(settings),
            requests_per_address: limiter(settings.requests_per_address),
            punches_per_address: limiter(settings.punches_per_address),
            requests_per_user: limiter(settings.requests_per_user),
        }
    }
}

fn numbers(settings: &Settings) -> [u32; 3] {
    [settings.requests_per_address, settings.punches_per_address, settings.requests_per_user]
}

/// So many a second, with one second's worth at once; 0 is no limit.
fn limiter<K: std::hash::Hash + Eq + Clone>(per_second: u32) -> Option<DefaultKeyedRateLimiter<K>> {
    NonZeroU32::new(per_second).map(|per_second| DefaultKeyedRateLimiter::keyed(Quota::per_second(per_second)))
}

fn check<K: std::hash::Hash + Eq + Clone>(limiter: Option<&DefaultKeyedRateLimiter<K>>, key: &K) -> Result<(), Error> {
    let Some(limiter) = limiter else { return Ok(()) };
    limiter.check_key(key).map_err(|not_yet| {
        let wait = not_yet.wait_time_from(DefaultClock::default().now());
        Error::TooMany { retry_after_s: wait.as_secs() + 1 }
    })
}
