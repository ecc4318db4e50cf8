//! Logging in and out, and who stands behind a token.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};
use moka::sync::Cache;
use serde_json::json;

use super::audit::{Deed, record};
use super::failures::Failures;
use super::passwords::{Password, Passwords};
use super::tokens::{Claims, Tokens};
use crate::domain::access::{Actor, Person};
use crate::domain::audit::Action;
use crate::domain::ids::UserId;
use crate::domain::settings::Settings;
use crate::domain::status::Status;
use crate::domain::time::{DAY_MS, Instant};
use crate::error::{Error, Result};
use crate::store::keys::{Secret, hex, random_bytes};
use crate::store::sessions::{self, Session};
use crate::store::users::{self, User};
use crate::store::{Db, ReadTx, WriteTx, roles};

/// A token may be exchanged for this long after its end, in milliseconds.
pub const REFRESHABLE_MS: i64 = 7 * DAY_MS;

const WRONG: Error = Error::Unauthenticated("用户名或密码错误");
const NOT_SIGNED_IN: Error = Error::Unauthenticated("请先登录");
const TOKEN_DEAD: Error = Error::Unauthenticated("登录已失效，请重新登录");
const TOKEN_OVER: Error = Error::Unauthenticated("登录已过期，请刷新");
const NO_SESSION: Error = Error::Unauthenticated("请在小程序中退出");

/// Sessions whose people are kept in memory.
const PEOPLE_MAX: u64 = 10_000;

/// The door: everything that it takes to tell who somebody is.
#[derive(Clone)]
pub struct Auth {
    db: Db,
    passwords: Passwords,
    tokens: Arc<Tokens>,
    relay: Arc<ArcSwapOption<Tokens>>,
    settings: Arc<ArcSwap<Settings>>,
    people: Cache<String, Known>,
    epoch: AccessEpoch,
    failures: Failures,
}

/// Rises with every change of users, sessions or roles: what was looked up before then is looked up again.
#[derive(Clone, Default)]
pub struct AccessEpoch(Arc<AtomicU64>);

impl AccessEpoch {
    /// To be called in a transaction that changes who may do what.
    pub fn changes(&self, tx: &WriteTx<'_>) {
        let epoch = self.0.clone();
        tx.after_commit(move || {
            epoch.fetch_add(1, Ordering::SeqCst);
        });
    }

    fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

#[derive(Clone)]
struct Known {
    epoch: u64,
    token_id: String,
    person: Arc<Person>,
}

/// A token and its user, for the answer to a login.
pub struct Login {
    /// The access token.
    pub token: String,
    /// Whose it is.
    pub user: User,
}

/// Credentials that were checked; [`Auth::open_session`] turns them into a session.
pub struct Checked(User);

impl Auth {
    /// The door of a site.
    pub fn new(db: Db, passwords: Passwords, token_key: &Secret, settings: Arc<ArcSwap<Settings>>) -> Self {
        Self {
            db,
            passwords,
            tokens: Arc::new(Tokens::of_site(token_key)),
            relay: Arc::default(),
            settings,
            people: Cache::new(PEOPLE_MAX),
            epoch: AccessEpoch::default(),
            failures: Failures::new(),
        }
    }

    /// What transactions that change users, sessions or roles have to tell.
    pub fn epoch(&self) -> &AccessEpoch {
        &self.epoch
    }

    /// Takes the relay's tokens for this site too, from now on.
    pub fn trust_relay(&self, key: &Secret, site_id: i64) {
        self.relay.store(Some(Arc::new(Tokens::of_relay(key, site_id))));
    }

    /// The hashing pool.
    pub fn passwords(&self) -> &Passwords {
        &self.passwords
    }

    /// Checks a name and a password.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`], the same and after the same time for a wrong password, an unknown name and a user who is
    /// not active; [`Error::TooMany`] when the name or the address has failed too often.
    pub async fn check(&self, actor: &Actor, username: String, password: String) -> Result<Checked> {
        self.failures.check(&self.settings.load(), self.db.now(), &username, actor.address())?;
        let name = username.clone();
        let user = self.db.read_rows(|tx| users::find_by_username(tx, &name)).await?;
        let hash = user.as_ref().map(|user| user.password_hash.clone());
        // Whoever waited for the pool behind others' failures is judged by those failures too.
        let settings = self.settings.load_full();
        let may_try = || self.failures.check(&settings, self.db.now(), &username, actor.address()).is_ok();
        let Some(matches) = self.passwords.verify(may_try, password, hash).await? else {
            self.failures.check(&settings, self.db.now(), &username, actor.address())?;
            return Err(Error::Busy);
        };
        match user {
            Some(user) if matches && user.status == Status::Active => {
                self.failures.forgive(&username);
                Ok(Checked(user))
            }
            _ => {
                self.failures.add(self.db.now(), &username, actor.address());
                let actor = actor.clone();
                self.db.write(move |tx| record(tx, &actor, failed_login(&username))).await?;
                Err(WRONG)
            }
        }
    }

    /// Opens a session for checked credentials, unless they changed in between.
    pub fn open_session(&self, tx: &WriteTx<'_>, actor: &Actor, checked: &Checked) -> Result<Login> {
        let user = users::find(tx, checked.0.id)?.ok_or(WRONG)?;
        if user.status != Status::Active || user.password_hash != checked.0.password_hash {
            return Err(WRONG);
        }
        self.open_session_of(tx, actor, user)
    }

    /// Opens a session for an active user whose identity was found out some other way than by a password.
    pub fn open_session_of(&self, tx: &WriteTx<'_>, actor: &Actor, user: User) -> Result<Login> {
        let (claims, refreshable_until) = self.claims(tx.now, &user, hex(&random_bytes::<16>()?))?;
        sessions::insert(
            tx,
            &Session { id: claims.sid.clone(), user_id: user.id, token_id: claims.jti.clone(), refreshable_until },
        )?;
        let mut actor = actor.clone();
        actor.person = Some(Arc::new(person(tx, &user, Some(&claims.sid))?));
        record(tx, &actor, deed(Action::Login, user.id))?;
        Ok(Login { token: self.tokens.sign(claims)?, user })
    }

    /// Checks that the actor's address has not guessed wrong too often; for codes, which belong to no name.
    ///
    /// # Errors
    /// [`Error::TooMany`].
    pub fn may_guess(&self, actor: &Actor) -> Result<()> {
        self.failures.check_address(&self.settings.load(), self.db.now(), actor.address())
    }

    /// Counts a wrong guess of the actor's address, and leaves a trace of it.
    pub async fn guessed_wrong(&self, actor: &Actor, what: &'static str) -> Result<()> {
        self.failures.add_address(self.db.now(), actor.address());
        let actor = actor.clone();
        let after = Some(json!({ "wrong": what }));
        let deed = Deed { action: Action::LoginFailed, noun: users::NOUN, noun_id: None, before: None, after };
        self.db.write(move |tx| record(tx, &actor, deed)).await
    }

    /// Exchanges the session's good token for a new one; the old one is dead from then on.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when the token is no longer the good one.
    pub fn refresh(&self, tx: &WriteTx<'_>, actor: &Actor, token: &Claims) -> Result<String> {
        let session = sessions::find_live(tx, &token.sid)?.filter(|session| session.token_id == token.jti);
        let session = session.ok_or(TOKEN_DEAD)?;
        let user = users::find(tx, session.user_id)?.ok_or(TOKEN_DEAD)?;
        let (claims, refreshable_until) = self.claims(tx.now, &user, session.id)?;
        sessions::renew(tx, &claims.sid, &claims.jti, refreshable_until)?;
        self.epoch.changes(tx);
        record(tx, actor, deed(Action::Refresh, user.id))?;
        self.tokens.sign(claims)
    }

    /// Ends the actor's session.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when the actor has none, since the center vouches for him.
    pub fn logout(&self, tx: &WriteTx<'_>, actor: &Actor) -> Result<()> {
        let person = actor.person.as_ref().ok_or(NOT_SIGNED_IN)?;
        sessions::end(tx, person.session_id.as_ref().ok_or(NO_SESSION)?)?;
        self.epoch.changes(tx);
        record(tx, actor, deed(Action::Logout, person.user_id))
    }

    /// Changes the actor's own password and ends all of its sessions. The old password is checked first.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the old password is wrong; [`Error::TooMany`] after too many wrong ones;
    /// [`Error::Unauthenticated`] when the center vouches for the actor, who has not logged in with a password.
    pub async fn check_own_password(&self, actor: &Actor, old: String, new: Password) -> Result<(Checked, String)> {
        let person = actor.person.clone().ok_or(NOT_SIGNED_IN)?;
        if person.session_id.is_none() {
            return Err(Error::Unauthenticated("请用密码登录后再修改密码"));
        }
        let checked = match self.check(actor, person.username.clone(), old).await {
            Err(Error::Unauthenticated(_)) => return Err(Error::invalid("old_password", "原密码错误")),
            other => other?,
        };
        Ok((checked, self.passwords.hash(new).await?))
    }

    /// Writes a new password hash over the checked one.
    pub fn set_own_password(&self, tx: &WriteTx<'_>, actor: &Actor, checked: &Checked, hash: String) -> Result<()> {
        let mut user = users::find(tx, checked.0.id)?.ok_or(NOT_SIGNED_IN)?;
        if user.password_hash != checked.0.password_hash {
            return Err(Error::invalid("old_password", "原密码错误"));
        }
        user.password_hash = hash;
        user.updated_at = tx.now;
        users::update(tx, &user)?;
        sessions::end_all_of(tx, user.id)?;
        self.epoch.changes(tx);
        let after = Some(json!({"password": "changed"}));
        record(tx, actor, Deed { after, ..deed(Action::Update, user.id) })
    }

    /// Who stands behind a token that is good now: one of the site's own, or of the relay's.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`].
    pub async fn person_of(&self, token: &str) -> Result<Arc<Person>> {
        let Some(claims) = self.tokens.read(token) else { return self.person_of_relay_token(token).await };
        if claims.exp.saturating_mul(1000) <= self.db.now().0 {
            return Err(TOKEN_OVER);
        }
        let epoch = self.epoch.now();
        if let Some(known) = self.people.get(&claims.sid)
            && known.epoch == epoch
        {
            return if known.token_id == claims.jti { Ok(known.person) } else { Err(TOKEN_DEAD) };
        }
        let (session, person) = self.look_up(&claims).await?;
        let person = Arc::new(person);
        let known = Known { epoch, token_id: session.token_id, person: person.clone() };
        let good = known.token_id == claims.jti;
        self.people.insert(claims.sid, known);
        if good { Ok(person) } else { Err(TOKEN_DEAD) }
    }

    async fn person_of_relay_token(&self, token: &str) -> Result<Arc<Person>> {
        let claims = self.relay.load().as_ref().and_then(|tokens| tokens.read(token)).ok_or(TOKEN_DEAD)?;
        if claims.exp.saturating_mul(1000) <= self.db.now().0 {
            return Err(TOKEN_OVER);
        }
        self.person_by_id(UserId::try_from(claims.sub).map_err(|_| TOKEN_DEAD)?).await
    }

    /// The active user of this id, for whom the center vouches.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when there is none.
    pub async fn person_by_id(&self, id: UserId) -> Result<Arc<Person>> {
        // No session is called so: theirs are hexadecimal.
        let key = format!("user {id}");
        let epoch = self.epoch.now();
        if let Some(known) = self.people.get(&key)
            && known.epoch == epoch
        {
            return Ok(known.person);
        }
        let person = Arc::new(self.db.read_rows(|tx| person(tx, &active(tx, id)?, None)).await?);
        self.people.insert(key, Known { epoch, token_id: String::new(), person: person.clone() });
        Ok(person)
    }

    /// Who stands behind a token that may be exchanged: signed here, over for at most seven days, of a session that lives.
    /// Whether it is still the session's good token is for [`Auth::refresh`] to decide, so that a repeat of an exchange
    /// whose answer was lost can still be answered.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`].
    pub async fn person_to_refresh(&self, token: &str) -> Result<(Arc<Person>, Claims)> {
        let claims = self.tokens.read(token).ok_or(TOKEN_DEAD)?;
        if claims.exp.saturating_mul(1000).saturating_add(REFRESHABLE_MS) <= self.db.now().0 {
            return Err(TOKEN_DEAD);
        }
        let (_, person) = self.look_up(&claims).await?;
        Ok((Arc::new(person), claims))
    }

    async fn look_up(&self, claims: &Claims) -> Result<(Session, Person)> {
        self.db
            .read_rows(|tx| {
                let session = sessions::find_live(tx, &claims.sid)?.ok_or(TOKEN_DEAD)?;
                let user = active(tx, session.user_id)?;
                if user.id.get() != claims.sub {
                    return Err(TOKEN_DEAD);
                }
                let person = person(tx, &user, Some(&session.id))?;
                Ok((session, person))
            })
            .await
    }

    fn claims(&self, now: Instant, user: &User, session_id: String) -> Result<(Claims, Instant)> {
        let seconds = now.0 / 1000;
        let exp = seconds + i64::from(self.settings.load().session_minutes) * 60;
        let claims = Claims {
            iss: String::new(),
            sub: user.id.get(),
            role: user.role.clone(),
            sid: session_id,
            jti: hex(&random_bytes::<16>()?),
            iat: seconds,
            exp,
            site: None,
        };
        Ok((claims, Instant(exp * 1000 + REFRESHABLE_MS)))
    }
}

fn active(tx: &ReadTx<'_>, id: UserId) -> Result<User> {
    users::find(tx, id)?.filter(|user| user.status == Status::Active).ok_or(TOKEN_DEAD)
}

fn person(tx: &ReadTx<'_>, user: &User, session_id: Option<&str>) -> Result<Person> {
    let role = roles::find(tx, user.role_id)?.ok_or(TOKEN_DEAD)?;
    Ok(Person {
        user_id: user.id,
        username: user.username.clone(),
        name: user.name.clone(),
        role_id: role.id,
        role: role.name,
        permissions: role.permissions,
        customer_id: user.customer_id,
        employee_id: user.employee_id,
        session_id: session_id.map(str::to_owned),
    })
}

fn deed(action: Action, id: UserId) -> Deed<'static> {
    Deed { action, noun: users::NOUN, noun_id: Some(id.get()), before: None, after: None }
}

fn failed_login(username: &str) -> Deed<'static> {
    // People type passwords into the name field: only the beginning is kept.
    let beginning: String = username.chars().take(3).collect();
    let after = Some(json!({ "username": format!("{beginning}…") }));
    Deed { action: Action::LoginFailed, noun: users::NOUN, noun_id: None, before: None, after }
}
