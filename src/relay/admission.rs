//! How many batches are applied at a time, and whose turn it is.
//!
//! # Decision
//! When every site comes back at once, MySQL must not be asked by all of them at once. A site has one place in the queue at
//! most, and places get their turns in the order in which they were taken, so a site with a long backlog gets one batch in for
//! every batch of every other site. Who finds the queue full comes again a second later; the site's loop does that by itself.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, Result};

/// Batches that wait at most, besides those that are being applied.
const WAITING_MAX: usize = 256;
/// Connections that batches leave to everything else.
const CONNECTIONS_LEFT: usize = 4;

/// The queue.
pub struct Admission {
    turns: Arc<Semaphore>,
    places_max: usize,
    sites: Arc<Mutex<HashSet<i64>>>,
}

/// A site's place in the queue, free again when dropped.
pub struct Place {
    site: i64,
    turns: Arc<Semaphore>,
    sites: Arc<Mutex<HashSet<i64>>>,
}

impl Admission {
    /// The queue in front of so many connections.
    pub fn new(connections: usize) -> Self {
        let turns = connections.saturating_sub(CONNECTIONS_LEFT).max(1);
        Self { turns: Arc::new(Semaphore::new(turns)), places_max: turns + WAITING_MAX, sites: Arc::default() }
    }

    /// Takes a place for a site.
    ///
    /// # Errors
    /// [`Error::Busy`] when the site has one already, or all are taken.
    pub fn place(&self, site: i64) -> Result<Place> {
        let mut sites = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
        if sites.len() >= self.places_max || !sites.insert(site) {
            metrics::counter!("canshi_relay_refused_total").increment(1);
            return Err(Error::Busy);
        }
        Ok(Place { site, turns: self.turns.clone(), sites: self.sites.clone() })
    }

    /// How many have a place and not their turn.
    pub fn waiting(&self) -> usize {
        let running = self.places_max - WAITING_MAX - self.turns.available_permits();
        self.sites.lock().unwrap_or_else(PoisonError::into_inner).len().saturating_sub(running)
    }
}

impl Place {
    /// Waits for the turn.
    ///
    /// # Errors
    /// [`Error::Busy`] when there are no turns any more.
    pub async fn turn(&self) -> Result<OwnedSemaphorePermit> {
        self.turns.clone().acquire_owned().await.map_err(|_| Error::Busy)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.sites.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.site);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_site_has_one_place_and_turns_come_in_order() {
        let admission = Admission::new(CONNECTIONS_LEFT + 1);
        let first = admission.place(1).expect("free");
        assert!(matches!(admission.place(1), Err(Error::Busy)));
        let turn = first.turn().await.expect("its turn");
        let (second, third) = (admission.place(2).expect("free"), admission.place(3).expect("free"));
        assert_eq!(admission.waiting(), 2);
        let (sender, mut order) = tokio::sync::mpsc::unbounded_channel();
        let wait = |place: Place| {
            let sender = sender.clone();
            async move {
                let turn = place.turn().await.expect("its turn");
                sender.send(place.site).expect("the test listens");
                drop(turn);
            }
        };
        let waiting = tokio::join!(wait(second), wait(third), async {
            drop(turn);
            drop(first);
        });
        let ((), (), ()) = waiting;
        assert_eq!((order.recv().await, order.recv().await), (Some(2), Some(3)));
        assert!(admission.place(1).is_ok());
    }

    #[test]
    fn a_full_queue_turns_the_next_one_away() {
        let admission = Admission::new(1);
        let places: Vec<Place> = (0..).map_while(|site| admission.place(site).ok()).collect();
        assert_eq!(places.len(), WAITING_MAX + 1);
        drop(places);
        assert_eq!(admission.waiting(), 0);
    }
}
