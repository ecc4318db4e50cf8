//! Who stands behind a request to the relay: a site's box, a site's user, or somebody at headquarters.
//!
//! # Decision
//! What was found out is kept for [`KEPT`] in memory, so that a request costs MySQL nothing; so a credential, a session, a user
//! or a role that is taken back at another relay, or on the site, is good for that long at most. A site's own token says nothing of
//! its session here, since sessions stay on the site: a logout there ends the token at the relay only with the token's time, and
//! a user who is set aside there loses it with the row in the mirror. Tokens that the relay issued end with their sessions.

use std::sync::Arc;
use std::time::Duration;

use canshi_sync::central::secret_hash;
use moka::sync::Cache;

use super::center::Center;
use super::store::{people, roles, sessions, sites, users};
use crate::domain::access::Person;
use crate::domain::ids::UserId;
use crate::domain::status::Status;
use crate::error::{Error, Result};
use crate::service::auth::REFRESHABLE_MS;
use crate::service::tokens::{Claims, Issuer, Tokens, claimed_issuer};
use crate::store::keys::Secret;
use crate::store::vault::Place;

/// How long what was found out is taken to be so.
pub const KEPT: Duration = Duration::from_secs(5);
/// Tokens and credentials that are kept in memory.
const KEPT_MAX: u64 = 10_000;
/// How often a user whose row has not come yet is looked for, and the pause between.
const ARRIVAL_TRIES: u32 = 20;
const ARRIVAL_WAIT: Duration = Duration::from_millis(50);
/// Bytes of a token at most.
const TOKEN_BYTES_MAX: usize = 2_048;
/// Digits of a credential.
const CREDENTIAL_DIGITS: usize = 64;

const STRANGER: Error = Error::Unauthenticated("门店凭证无效或已吊销");
const TOKEN_DEAD: Error = Error::Unauthenticated("登录已失效，请重新登录");
const TOKEN_OVER: Error = Error::Unauthenticated("登录已过期，请刷新");
const NOT_HERE: Error = Error::Unauthenticated("请在门店刷新登录");

/// What was found out lately.
pub(super) struct Known {
    credentials: Cache<String, Option<i64>>,
    people: Cache<String, Identified>,
    site_tokens: Cache<i64, Option<Arc<Tokens>>>,
    issuers: Cache<(), Arc<Vec<(i64, Tokens)>>>,
}

/// A token, whose it is, and of which site.
#[derive(Clone)]
pub(super) struct Identified {
    pub(super) claims: Arc<Claims>,
    pub(super) person: Arc<Person>,
    /// None is headquarters.
    pub(super) site: Option<i64>,
}

/// Whether the token has to be the session's good one: an exchange finds that out itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Use,
    Exchange,
}

impl Known {
    pub(super) fn new() -> Self {
        fn cache<K: std::hash::Hash + Eq + Send + Sync + 'static, V: Clone + Send + Sync + 'static>() -> Cache<K, V> {
            Cache::builder().max_capacity(KEPT_MAX).time_to_live(KEPT).build()
        }
        Self { credentials: cache(), people: cache(), site_tokens: cache(), issuers: cache() }
    }
}

impl Center {
    /// Which site a credential belongs to.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`].
    pub(super) async fn site_of(&self, credential: &str) -> Result<i64> {
        if credential.len() != CREDENTIAL_DIGITS {
            return Err(STRANGER);
        }
        let hash = secret_hash(credential);
        if let Some(site) = self.known().credentials.get(&hash) {
            return site.ok_or(STRANGER);
        }
        let site = self.central().site_of(credential).await?;
        self.known().credentials.insert(hash, site);
        site.ok_or(STRANGER)
    }

    /// Looks a credential up again when it comes next.
    pub(super) fn forget_credential(&self, credential: &str) {
        self.known().credentials.invalidate(&secret_hash(credential));
    }

    /// Looks everybody up again when he comes next.
    pub(super) fn forget_people(&self) {
        self.known().people.invalidate_all();
    }

    /// Who stands behind a token that is good now.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`].
    pub(super) async fn person_of(&self, token: &str) -> Result<Identified> {
        let key = secret_hash(token);
        let identified = match self.known().people.get(&key) {
            Some(identified) => identified,
            None => {
                let identified = self.look_up(token, Purpose::Use).await?;
                self.known().people.insert(key, identified.clone());
                identified
            }
        };
        if identified.claims.exp.saturating_mul(1000) <= self.now().0 {
            return Err(TOKEN_OVER);
        }
        Ok(identified)
    }

    /// Who stands behind a token of the relay's that may be exchanged.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`].
    pub(super) async fn person_to_refresh(&self, token: &str) -> Result<Identified> {
        let identified = self.look_up(token, Purpose::Exchange).await?;
        if identified.claims.exp.saturating_mul(1000).saturating_add(REFRESHABLE_MS) <= self.now().0 {
            return Err(TOKEN_DEAD);
        }
        Ok(identified)
    }

    async fn look_up(&self, token: &str, purpose: Purpose) -> Result<Identified> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TOKEN_DEAD);
        }
        match claimed_issuer(token).ok_or(TOKEN_DEAD)? {
            Issuer::Headquarters => {
                let claims = self.headquarters().read(token).ok_or(TOKEN_DEAD)?;
                self.headquarters_person(claims, purpose).await
            }
            Issuer::Relay(site) => {
                let tokens = self.site_tokens(site).await?.ok_or(TOKEN_DEAD)?;
                self.mini_program_person(site, tokens.read(token).ok_or(TOKEN_DEAD)?, purpose).await
            }
            Issuer::Site if purpose == Purpose::Exchange => Err(NOT_HERE),
            Issuer::Site => self.site_person(token).await,
        }
    }

    async fn headquarters_person(&self, claims: Claims, purpose: Purpose) -> Result<Identified> {
        let mut conn = self.connection().await?;
        let user_id = check_session(&mut conn, None, &claims, purpose).await?;
        let user = users::find(&mut conn, user_id).await?;
        let user = user.filter(|user| user.status == Status::Active).ok_or(TOKEN_DEAD)?;
        let role = roles::find(&mut conn, user.role_id).await?.ok_or(TOKEN_DEAD)?;
        let person = Person {
            user_id,
            username: user.username,
            name: user.name,
            role_id: role.id,
            role: role.name,
            permissions: role.permissions,
            customer_id: None,
            employee_id: None,
            session_id: Some(claims.sid.clone()),
        };
        Ok(Identified { claims: Arc::new(claims), person: Arc::new(person), site: None })
    }

    async fn mini_program_person(&self, site: i64, claims: Claims, purpose: Purpose) -> Result<Identified> {
        let mut conn = self.connection().await?;
        let user_id = check_session(&mut conn, Some(site), &claims, purpose).await?;
        let person = arriving(&mut conn, site, user_id).await?;
        let person = Person { session_id: Some(claims.sid.clone()), ..person.ok_or(TOKEN_DEAD)? };
        Ok(Identified { claims: Arc::new(claims), person: Arc::new(person), site: Some(site) })
    }

    async fn site_person(&self, token: &str) -> Result<Identified> {
        let issuers = self.issuers().await?;
        let signed = issuers.iter().find_map(|(site, tokens)| Some((*site, tokens.read(token)?)));
        let (site, claims) = signed.ok_or(TOKEN_DEAD)?;
        let user_id = UserId::try_from(claims.sub).map_err(|_| TOKEN_DEAD)?;
        let person = people::find(&mut self.connection().await?, site, user_id).await?.ok_or(TOKEN_DEAD)?;
        Ok(Identified { claims: Arc::new(claims), person: Arc::new(person), site: Some(site) })
    }

    /// Signs and reads the tokens that the relay issues for a site; none for a site whose credential was taken back.
    ///
    /// # Errors
    /// [`Error::Center`]; [`Error::Corrupt`] when the site's key does not open.
    pub async fn site_tokens(&self, site: i64) -> Result<Option<Arc<Tokens>>> {
        if let Some(tokens) = self.known().site_tokens.get(&site) {
            return Ok(tokens);
        }
        let sealed = sites::relay_key_sealed(&mut self.connection().await?, site).await?;
        let tokens = match sealed {
            Some(sealed) => {
                let key = self.open_key(RELAY_KEY, site, &sealed)?;
                Some(Arc::new(Tokens::of_relay(&key, site)))
            }
            None => None,
        };
        self.known().site_tokens.insert(site, tokens.clone());
        Ok(tokens)
    }

    /// What reads the sites' own tokens.
    async fn issuers(&self) -> Result<Arc<Vec<(i64, Tokens)>>> {
        if let Some(issuers) = self.known().issuers.get(&()) {
            return Ok(issuers);
        }
        let mut issuers = Vec::new();
        for (site, sealed) in sites::token_keys_sealed(&mut self.connection().await?).await? {
            issuers.push((site, Tokens::of_site(&self.open_key(TOKEN_KEY, site, &sealed)?)));
        }
        let issuers = Arc::new(issuers);
        self.known().issuers.insert((), issuers.clone());
        Ok(issuers)
    }

    /// Seals one of a site's keys.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    pub(super) fn seal_key(&self, column: &str, site: i64, text: &str) -> Result<String> {
        self.vault().seal(Place { table: SITES, column, id: site }, text)
    }

    /// Opens the text of what [`Center::seal_key`] has sealed.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    pub(super) fn open_text(&self, column: &str, site: i64, sealed: &str) -> Result<String> {
        self.vault().open(Place { table: SITES, column, id: site }, sealed)
    }

    fn open_key(&self, column: &str, site: i64, sealed: &str) -> Result<Secret> {
        let text = self.open_text(column, site, sealed)?;
        Secret::from_base64(&text).ok_or_else(|| Error::Corrupt(format!("{column} of site {site} is not base64")))
    }
}

/// A user of a site, as the mirror has him. The site may have told the relay of him just now, ahead of his row: that is waited
/// for, for a moment.
async fn arriving(conn: &mut mysql_async::Conn, site: i64, user_id: UserId) -> Result<Option<Person>> {
    for _ in 0..ARRIVAL_TRIES {
        if let Some(person) = people::find(conn, site, user_id).await? {
            return Ok(Some(person));
        }
        if let Some(person) = people::provisional(conn, site, user_id).await? {
            return Ok(Some(person));
        }
        if people::is_there(conn, site, user_id.get()).await? {
            // He came between the questions, or is set aside.
            return people::find(conn, site, user_id).await;
        }
        tokio::time::sleep(ARRIVAL_WAIT).await;
    }
    Ok(None)
}

const SITES: &str = "canshi_sites";
/// The column of the key of the tokens that the relay issues for a site.
pub(super) const RELAY_KEY: &str = "relay_key_sealed";
/// The column of the key of a site's own tokens.
pub(super) const TOKEN_KEY: &str = "token_key_sealed";
/// The column of the keys that a site's rows are sealed with.
pub(super) const KEYS: &str = "keys_sealed";

async fn check_session(
    conn: &mut mysql_async::Conn,
    site: Option<i64>,
    claims: &Claims,
    purpose: Purpose,
) -> Result<UserId> {
    let session = sessions::find_live(conn, &claims.sid).await?.ok_or(TOKEN_DEAD)?;
    let good = purpose == Purpose::Exchange || session.token_id == claims.jti;
    if session.site == site && session.user_id.get() == claims.sub && good {
        Ok(session.user_id)
    } else {
        Err(TOKEN_DEAD)
    }
}
