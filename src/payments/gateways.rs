//! The platforms whose keys are here, as one [`Platform`].

use std::sync::Arc;

use async_trait::async_trait;

use super::alipay::Alipay;
use super::config::Config;
use super::unionpay::Unionpay;
use super::wechat::Wechat;
use super::{Call, Gateway, Outcome, Platform, Refusal, Trouble};
use crate::domain::payments::Channel;
use crate::domain::time::Instant;

/// A platform's keys can't be used; the text names the key and what is wrong with it, and nothing of the key itself.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct BadKey {
    /// The configuration's key.
    pub key: &'static str,
    /// What is wrong.
    pub problem: String,
}

/// The platforms that are configured.
#[derive(Clone, Default)]
pub struct Gateways {
    wechat: Option<Arc<dyn Gateway>>,
    alipay: Option<Arc<dyn Gateway>>,
    unionpay: Option<Arc<dyn Gateway>>,
    clock: Clock,
}

/// Where the time comes from: platforms refuse what was signed at another time.
pub type Now = Arc<dyn Fn() -> Instant + Send + Sync>;

#[derive(Clone)]
struct Clock(Now);

impl Default for Clock {
    fn default() -> Self {
        Self(Arc::new(|| Instant(0)))
    }
}

impl Gateways {
    /// Reads the keys of all platforms that are configured, and checks that they are what they should be.
    ///
    /// # Errors
    /// [`BadKey`] names the first that can't be used.
    pub fn new(config: &Config, now: Now) -> Result<Self, BadKey> {
        let mut gateways = Self { clock: Clock(now), ..Self::default() };
        if !config.wechat.mchid.is_empty() {
            gateways.wechat = Some(Arc::new(Wechat::new(&config.wechat, config.callback_url("wechat"))?));
        }
        if !config.alipay.app_id.is_empty() {
            gateways.alipay = Some(Arc::new(Alipay::new(&config.alipay, config.callback_url("alipay"))?));
        }
        if !config.unionpay.merchant_id.is_empty() {
            gateways.unionpay = Some(Arc::new(Unionpay::new(&config.unionpay, config.callback_url("bank"))?));
        }
        Ok(gateways)
    }

    /// The platform, if it is configured.
    pub fn get(&self, channel: Channel) -> Option<&Arc<dyn Gateway>> {
        match channel {
            Channel::Wechat => self.wechat.as_ref(),
            Channel::Alipay => self.alipay.as_ref(),
            Channel::Unionpay => self.unionpay.as_ref(),
        }
    }

    /// This moment, by the clock that requests are signed with.
    pub fn now(&self) -> Instant {
        (self.clock.0)()
    }
}

#[async_trait]
impl Platform for Gateways {
    async fn make(&self, channel: Channel, call: &Call) -> Result<Outcome, Trouble> {
        let Some(gateway) = self.get(channel) else {
            return Err(Trouble::Refused {
                refusal: Refusal::Configuration,
                code: "NOT_CONFIGURED".to_owned(),
                message: format!("{} is not configured", channel.as_str()),
            });
        };
        let now = self.now();
        match call {
            Call::Create(create) => gateway.create(create, now).await,
            Call::Query(query) => gateway.query(query, now).await.map(Outcome::Payment),
            Call::Close(query) => gateway.close(query, now).await.map(Outcome::Payment),
            Call::Refund(refund) => gateway.refund(refund, now).await.map(Outcome::Refund),
            Call::QueryRefund(refund) => gateway.query_refund(refund, now).await.map(Outcome::Refund),
            Call::Transfer(transfer) => gateway.transfer(transfer, now).await.map(Outcome::Transfer),
            Call::QueryTransfer(transfer) => gateway.query_transfer(transfer, now).await.map(Outcome::Transfer),
            Call::CancelTransfer(transfer) => gateway.cancel_transfer(transfer, now).await.map(Outcome::Transfer),
            Call::Bill(bill) => gateway.bill(bill.date, now).await.map(Outcome::Bill),
        }
    }
}
