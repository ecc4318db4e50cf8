//! What every handler of the relay works with.

use std::sync::{Arc, OnceLock};

use axum::http::request::Parts;
use canshi_sync::central::Central;
use metrics_exporter_prometheus::PrometheusHandle;
use mysql_async::Pool;
use mysql_async::prelude::Queryable as _;

use super::admission::Admission;
use super::identify::{Identified, Known};
use super::mailbox::Waiting;
use super::pay::Calls;
use super::payment_anomalies::Hourly;
use super::payment_bills::Fetching;
use crate::config::Config;
use crate::domain::access::Access;
use crate::domain::settings::Settings;
use crate::domain::time::Instant;
use crate::error::{Error, Result};
use crate::http::app::EdgeConfig;
use crate::http::caller::Identity;
use crate::http::edge::Edge;
use crate::http::error::NO_ROUTE;
use crate::http::guard::bearer;
use crate::http::limits::Limits;
use crate::payments::gateways::Gateways;
use crate::service::failures::Failures;
use crate::service::passwords::Passwords;
use crate::service::tokens::Tokens;
use crate::store::db::Clock;
use crate::store::keys::Keys;
use crate::store::vault::Vault;
use crate::wechat::WeChat;

/// The center, as its edge knows it. Nothing that matters is in its memory: several of them work on one MySQL.
#[derive(Clone)]
pub struct Center(Arc<Inner>);

struct Inner {
    central: Central,
    replica: Option<Pool>,
    vault: Vault,
    headquarters: Tokens,
    passwords: Passwords,
    failures: Failures,
    known: Known,
    admission: Admission,
    waiting: Waiting,
    wechat: WeChat,
    platforms: Gateways,
    calls: Calls,
    hourly_anomalies: Hourly,
    fetching: Fetching,
    settings: Settings,
    limits: Limits,
    config: Config,
    metrics: PrometheusHandle,
}

impl Center {
    /// Puts the parts together; `keys` are those that all relays on this MySQL share, `platforms` those whose keys are here.
    ///
    /// # Errors
    /// When the keys or the replica's URL can't be used.
    pub fn new(
        central: Central,
        keys: &Keys,
        config: Config,
        platforms: Gateways,
        metrics: PrometheusHandle,
    ) -> Result<Self> {
        let connections = config.relay.mysql_connections;
        let replica = config.relay.mysql_replica.as_deref();
        let replica = replica.map(|url| canshi_sync::central::pool(url, connections)).transpose()?;
        let settings = Settings::default();
        Ok(Self(Arc::new(Inner {
            central,
            replica,
            vault: Vault::new(keys)?,
            headquarters: Tokens::of_headquarters(&keys.token),
            passwords: Passwords::new(config.bcrypt_cost)?,
            failures: Failures::new(),
            known: Known::new(),
            admission: Admission::new(connections),
            waiting: Waiting::default(),
            wechat: WeChat::new(config.wechat.clone()).map_err(|error| Error::Unreachable(error.into()))?,
            platforms,
            calls: Calls::default(),
            hourly_anomalies: Hourly::default(),
            fetching: Fetching::default(),
            limits: Limits::new(&settings),
            settings,
            config,
            metrics,
        })))
    }

    /// MySQL, as far as sync goes, and the pool to it.
    pub fn central(&self) -> &Central {
        &self.0.central
    }

    /// Where the mirror is read from while a site is away: the replica, if there is one.
    pub fn mirror(&self) -> &Pool {
        self.0.replica.as_ref().unwrap_or_else(|| self.0.central.pool())
    }

    /// What seals the sites' keys.
    pub fn vault(&self) -> &Vault {
        &self.0.vault
    }

    /// Signs and reads the tokens of headquarters.
    pub fn headquarters(&self) -> &Tokens {
        &self.0.headquarters
    }

    /// The hashing pool.
    pub fn passwords(&self) -> &Passwords {
        &self.0.passwords
    }

    /// Failed logins at this relay.
    pub(super) fn failures(&self) -> &Failures {
        &self.0.failures
    }

    /// What was found out lately.
    pub(super) fn known(&self) -> &Known {
        &self.0.known
    }

    /// The queue of batches.
    pub(super) fn admission(&self) -> &Admission {
        &self.0.admission
    }

    /// Who waits at this relay for mail or for an answer.
    pub fn waiting(&self) -> &Waiting {
        &self.0.waiting
    }

    /// WeChat, if it is configured.
    pub fn wechat(&self) -> &WeChat {
        &self.0.wechat
    }

    /// The payment platforms whose keys are here.
    pub fn platforms(&self) -> &Gateways {
        &self.0.platforms
    }

    /// The places for calls of platforms.
    pub(super) fn calls(&self) -> &Calls {
        &self.0.calls
    }

    /// How many payment anomalies were kept lately.
    pub(super) fn hourly_anomalies(&self) -> &Hourly {
        &self.0.hourly_anomalies
    }

    /// Who downloads a bill.
    pub(super) fn fetching(&self) -> &Fetching {
        &self.0.fetching
    }

    /// The limits' numbers and the life of a token.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// The configuration.
    pub fn configuration(&self) -> &Config {
        &self.0.config
    }

    /// This moment.
    pub fn now(&self) -> Instant {
        Clock::System.now()
    }
}

impl Edge for Center {
    fn limits(&self) -> &Limits {
        &self.0.limits
    }

    fn config(&self) -> &EdgeConfig {
        &self.0.config.edge
    }

    fn metrics(&self) -> String {
        metrics::gauge!("canshi_relay_waiting").set(self.0.admission.waiting() as f64);
        self.0.metrics.render()
    }

    fn document(&self) -> &'static str {
        static DOCUMENT: OnceLock<String> = OnceLock::new();
        DOCUMENT.get_or_init(|| super::document().to_string())
    }

    async fn ready(&self) -> Result<()> {
        Ok(self.connection().await?.query_drop("select 1").await?)
    }

    async fn identify(&self, access: Access, parts: &Parts) -> Result<Identity> {
        let identified = match access {
            Access::Public => return Ok(Identity::default()),
            // There is no mailbox to the relay itself.
            Access::Relay => return Err(Error::NotFound(NO_ROUTE)),
            Access::Site => {
                let site = Some(self.site_of(bearer(parts)?).await?);
                return Ok(Identity { site, ..Identity::default() });
            }
            Access::Refresh => self.person_to_refresh(bearer(parts)?).await?,
            Access::SignedIn | Access::May(_) | Access::MayAny(_) | Access::Headquarters(_) => {
                self.person_of(bearer(parts)?).await?
            }
        };
        let Identified { claims, person, site } = identified;
        if matches!(access, Access::Headquarters(_)) && site.is_some() {
            return Err(Error::Forbidden("只有总部人员可以进行此操作"));
        }
        let token = (access == Access::Refresh).then_some(claims);
        Ok(Identity { person: Some(person), token, site })
    }
}
