//! What every handler works with.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{SHA256, digest};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method};
use metrics_exporter_prometheus::PrometheusHandle;

use super::answer::Answer;
use super::caller::{Caller, Identity, Key, RepeatKey};
use super::edge::Edge;
use super::error::{NO_ROUTE, Refusal};
use super::guard::bearer;
use super::limits::Limits;
use super::mail::{Letter, OnBehalf};
use crate::domain::access::{Access, Actor};
use crate::domain::settings::Settings;
use crate::error::{Error, Result};
use crate::payments::forwarder::Forwarder;
use crate::service::auth::Auth;
use crate::service::sync::LineStatus;
use crate::store::idempotency::{self, Kept};
use crate::store::keys::hex;
use crate::store::{Db, QUEUE_MAX, ReadTx, WriteTx, health, mailbox_answers};
use crate::telemetry::LogControl;
use crate::wechat::WeChat;

/// The site, as its edge knows it.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    db: Db,
    auth: Auth,
    settings: Arc<ArcSwap<Settings>>,
    limits: Limits,
    config: EdgeConfig,
    log: LogControl,
    metrics: PrometheusHandle,
    outside: Outside,
}

/// What the configuration says about the edge.
#[derive(Debug, Clone, Default)]
pub struct EdgeConfig {
    /// Origins whose pages may call; none is no CORS at all.
    pub cors_origins: Vec<HeaderValue>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
}

/// The site's ways to the world outside.
pub struct Outside {
    /// WeChat, if it is configured.
    pub wechat: WeChat,
    /// What the line to the center tells of itself.
    pub line: LineStatus,
    /// The way to the payment platforms.
    pub payments: Forwarder,
}

impl App {
    /// Puts the parts together.
    pub fn new(
        db: Db,
        auth: Auth,
        settings: Arc<ArcSwap<Settings>>,
        config: EdgeConfig,
        log: LogControl,
        metrics: PrometheusHandle,
        outside: Outside,
    ) -> Self {
        let limits = Limits::new(&settings.load());
        Self(Arc::new(Inner { db, auth, settings, limits, config, log, metrics, outside }))
    }

    /// The database.
    pub fn db(&self) -> &Db {
        &self.0.db
    }

    /// The door.
    pub fn auth(&self) -> &Auth {
        &self.0.auth
    }

    /// The settings in force.
    pub fn settings(&self) -> Arc<Settings> {
        self.0.settings.load_full()
    }

    /// What the line to the center tells of itself.
    pub fn line(&self) -> &LineStatus {
        &self.0.outside.line
    }

    /// WeChat, if it is configured.
    pub fn wechat(&self) -> &WeChat {
        &self.0.outside.wechat
    }

    /// The way to the payment platforms.
    pub fn payments(&self) -> &Forwarder {
        &self.0.outside.payments
    }

    /// Brings the gauges up to date.
    fn measure(&self) {
        metrics::gauge!("canshi_writes_waiting").set(self.0.db.writes_waiting() as f64);
        if let Ok(file) = std::fs::metadata(self.0.db.path()) {
            metrics::gauge!("canshi_database_bytes").set(file.len() as f64);
        }
    }

    /// Notes when the newest backup was made.
    pub fn note_backup(&self, made: Option<SystemTime>) {
        if let Some(since_epoch) = made.and_then(|made| made.duration_since(UNIX_EPOCH).ok()) {
            metrics::gauge!("canshi_last_backup_timestamp_seconds").set(since_epoch.as_secs_f64());
        }
    }

    /// Puts new settings in force once the transaction is on the disk.
    pub fn follow(&self, tx: &WriteTx<'_>, settings: Settings) {
        let app = self.clone();
        tx.after_commit(move || {
            app.0.limits.follow(&settings);
            app.0.log.set(settings.log_level);
            app.0.settings.store(Arc::new(settings));
        });
    }

    /// Reads, on a thread that may wait for the disk.
    pub async fn read<T, F>(&self, caller: &Caller, work: F) -> std::result::Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&ReadTx<'_>, &Actor) -> Result<T> + Send + 'static,
    {
        let actor = caller.actor.clone();
        Ok(self.0.db.read(move |tx| work(tx, &actor)).await?)
    }

    /// Reads a few rows by their keys.
    pub async fn read_rows<T>(
        &self,
        caller: &Caller,
        work: impl FnOnce(&ReadTx<'_>, &Actor) -> Result<T>,
    ) -> std::result::Result<T, Refusal> {
        Ok(self.0.db.read_rows(|tx| work(tx, &caller.actor)).await?)
    }

    /// Writes, and answers once it is on the disk. A repeat of a request with the same key gets the answer of
    /// the first, which is kept in the transaction of its effect; the same key with another request is a conflict.
    pub async fn write<T, F, const STATUS: u16>(
        &self,
        caller: &Caller,
        work: F,
    ) -> std::result::Result<Answer<T, STATUS>, Refusal>
    where
        T: 'static,
        F: FnOnce(&WriteTx<'_>, &Actor) -> Result<Answer<T, STATUS>> + Send + 'static,
    {
        let actor = caller.actor.clone();
        let repeat = caller.repeat.clone();
        let answer = self.0.db.write(move |tx| match repeat {
            None => work(tx, &actor),
            Some(repeat) => once(tx, &actor, &repeat, work),
        });
        Ok(answer.await?)
    }

    /// The answer that this very request got before. It is for whatever asks somebody outside before it writes: a code that
    /// WeChat takes once is not good again when the first answer was lost on its way.
    pub async fn repeated<T, const STATUS: u16>(
        &self,
        caller: &Caller,
    ) -> std::result::Result<Option<Answer<T, STATUS>>, Refusal> {
        let Some(repeat) = &caller.repeat else { return Ok(None) };
        Ok(self.0.db.read_rows(|tx| Earlier::find(tx, &caller.actor, repeat)?.answer()).await?)
    }
}

impl Edge for App {
    fn limits(&self) -> &Limits {
        &self.0.limits
    }

    fn config(&self) -> &EdgeConfig {
        &self.0.config
    }

    fn metrics(&self) -> String {
        self.measure();
        self.0.metrics.render()
    }

    fn document(&self) -> &'static str {
        static DOCUMENT: OnceLock<String> = OnceLock::new();
        DOCUMENT.get_or_init(|| super::document().to_string())
    }

    async fn ready(&self) -> Result<()> {
        if self.0.db.writes_waiting() >= QUEUE_MAX as u64 {
            return Err(Error::Busy);
        }
        self.0.db.read_rows(health::answers).await
    }

    async fn identify(&self, access: Access, parts: &Parts) -> Result<Identity> {
        if let Some(letter) = parts.extensions.get::<Letter>() {
            return self.sender(access, parts, letter).await;
        }
        match access {
            // To a route of the relay's nothing comes from the network.
            Access::Public | Access::Relay => Ok(Identity::default()),
            Access::Site | Access::Headquarters(_) => Err(Error::NotFound(NO_ROUTE)),
            Access::Refresh => {
                let (person, claims) = self.0.auth.person_to_refresh(bearer(parts)?).await?;
                Ok(Identity { person: Some(person), token: Some(Arc::new(claims)), site: None })
            }
            Access::SignedIn | Access::May(_) | Access::MayAny(_) => {
                Ok(Identity { person: Some(self.0.auth.person_of(bearer(parts)?).await?), ..Identity::default() })
            }
        }
    }

    async fn answer_to(&self, message_id: &str) -> Result<Option<Kept>> {
        self.0.db.read_rows(|tx| mailbox_answers::find(tx, message_id)).await
    }
}

impl App {
    /// Who stands behind a letter. Its headers say nothing of that.
    async fn sender(&self, access: Access, parts: &Parts, letter: &Letter) -> Result<Identity> {
        let reads = parts.method == Method::GET || parts.method == Method::HEAD;
        match (&letter.on_behalf, access) {
            (_, Access::Site | Access::Headquarters(_)) => Err(Error::NotFound(NO_ROUTE)),
            (_, Access::Refresh) => Err(Error::Unauthenticated("请在小程序中重新登录")),
            (OnBehalf::Relay, Access::Relay | Access::Public) => Ok(Identity::default()),
            (OnBehalf::Relay, _) | (OnBehalf::Headquarters { .. }, Access::SignedIn) => {
                Err(Error::Forbidden("此操作只能由用户本人进行"))
            }
            (OnBehalf::Headquarters { write: false, .. }, _) if !reads => Err(Error::Forbidden("没有此操作的权限")),
            (OnBehalf::Headquarters { .. }, _) => Ok(Identity::default()),
            (OnBehalf::User(id), _) => {
                Ok(Identity { person: Some(self.0.auth.person_by_id(*id).await?), ..Identity::default() })
            }
        }
    }
}

/// What is known of a request that may have come before.
struct Earlier {
    scope: String,
    fingerprint: String,
    kept: Option<Kept>,
}

impl Earlier {
    fn find(tx: &ReadTx<'_>, actor: &Actor, repeat: &RepeatKey) -> Result<Self> {
        let scope = actor.user_id().map_or_else(|| "anonymous".to_owned(), |id| id.to_string());
        let body = repeat.body.get().map_or(&[][..], Vec::as_slice);
        // Keyed, since a body may hold a password.
        let body = hex(digest(&SHA256, body).as_ref());
        let fingerprint = tx.vault.index("request", &format!("{}\n{body}", repeat.target));
        let kept = match &repeat.key {
            Key::Chosen(key) => idempotency::find(tx, &scope, key)?,
            Key::Message(id) => mailbox_answers::find(tx, id)?,
        };
        Ok(Self { scope, fingerprint, kept })
    }

    /// The answer of the first, when this is a repeat of it.
    fn answer<T, const STATUS: u16>(&self) -> Result<Option<Answer<T, STATUS>>> {
        match &self.kept {
            Some(kept) if kept.fingerprint == self.fingerprint && kept.status == STATUS => {
                Ok(Some(Answer::again(kept.answer.clone())))
            }
            Some(_) => Err(Error::Conflict("Idempotency-Key已用于另一个请求".into())),
            None => Ok(None),
        }
    }
}

fn once<T, const STATUS: u16>(
    tx: &WriteTx<'_>,
    actor: &Actor,
    repeat: &RepeatKey,
    work: impl FnOnce(&WriteTx<'_>, &Actor) -> Result<Answer<T, STATUS>>,
) -> Result<Answer<T, STATUS>> {
    let earlier = Earlier::find(tx, actor, repeat)?;
    if let Some(answer) = earlier.answer()? {
        return Ok(answer);
    }
    let answer = work(tx, actor)?;
    let kept = Kept { fingerprint: earlier.fingerprint, status: STATUS, answer: answer.body().to_owned() };
    match &repeat.key {
        Key::Chosen(key) => idempotency::keep(tx, &earlier.scope, key, &kept)?,
        Key::Message(id) => mailbox_answers::keep(tx, id, &kept)?,
    }
    Ok(answer)
}
