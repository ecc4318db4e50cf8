//! The site's way to the platforms: with keys of its own, or by way of the center, which has them for a chain.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::gateways::Gateways;
use super::{Call, Outcome, Platform, Refusal, Trouble};
use crate::domain::payments::Channel;

/// Where calls go. A platform whose keys are here is spoken to directly; any other by way of the center, once the site belongs to one.
#[derive(Clone)]
pub struct Forwarder(Arc<Inner>);

struct Inner {
    direct: Gateways,
    relay: Mutex<Option<Arc<dyn Platform>>>,
}

impl Forwarder {
    /// A forwarder with these keys.
    pub fn new(direct: Gateways) -> Self {
        Self(Arc::new(Inner { direct, relay: Mutex::default() }))
    }

    /// The platforms whose keys are here.
    pub fn direct(&self) -> &Gateways {
        &self.0.direct
    }

    /// From now on the center makes the calls for which there is no key here.
    pub fn set_relay(&self, relay: Arc<dyn Platform>) {
        *self.0.relay.lock().unwrap_or_else(PoisonError::into_inner) = Some(relay);
    }

    /// From now on nobody makes them: the site belongs to no center, or the center has shut it out.
    pub fn clear_relay(&self) {
        *self.0.relay.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether there is any way to this platform.
    pub fn reaches(&self, channel: Channel) -> bool {
        self.0.direct.get(channel).is_some() || self.relay().is_some()
    }

    fn relay(&self) -> Option<Arc<dyn Platform>> {
        self.0.relay.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Platform for Forwarder {
    async fn make(&self, channel: Channel, call: &Call) -> Result<Outcome, Trouble> {
        if self.0.direct.get(channel).is_some() {
            return self.0.direct.make(channel, call).await;
        }
        match self.relay() {
            Some(relay) => relay.make(channel, call).await,
            None => Err(Trouble::Refused {
                refusal: Refusal::Configuration,
                code: "NO_WAY".to_owned(),
                message: format!("no keys for {} are here, and the site belongs to no center", channel.as_str()),
            }),
        }
    }
}
