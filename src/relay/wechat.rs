//! Logging in with WeChat by way of the relay (seed API, section 3.1.2): WeChat says which account it is, and the site whose user that
//! is; while the site is away, its mirror does, and whoever is new there gets an id that the site makes good on later.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use canshi_sync::wire::OnBehalf;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::auth::{LoginUserView, LoginView};
use super::center::Center;
use super::forward::{Forward, Passed, away, pass};
use super::identify::KEYS;
use super::mailbox::{self, PUNCH_LIFE};
use super::store::counters::{self, IDS};
use super::store::mailbox::{Answered, Kind};
use super::store::{people, sites, wechat};
use crate::domain::access::Access::Public;
use crate::domain::access::{CUSTOMER, Person};
use crate::domain::ids::UserId;
use crate::domain::wechat::Openid;
use crate::error::{Error, Result};
use crate::http::answer::Answer;
use crate::http::api::wechat::refused;
use crate::http::caller::Caller;
use crate::http::error::Refusal;
use crate::http::extract::{Body, Labels};
use crate::http::route::{Route, post};
use crate::http::wire::{Line, Word};
use crate::store::keys::{Keys, hex, random_bytes};
use crate::store::vault::Vault;

/// The site's own route that finds, makes or binds the user behind an account.
const RESOLVE: &str = "/api/auth/wechat/resolve";
/// How long a site that is online may take to say who it is.
const WAIT: Duration = Duration::from_secs(5);
/// What the site's blind index of the accounts is for.
const SITE_INDEX: &str = "users.openid";
/// How a user is called whose name nobody has told yet.
const NAMELESS: &str = "微信用户";

/// The routes of this noun.
pub fn routes() -> Vec<Route<Center>> {
    vec![post("/api/auth/wechat/login", Public, login).summary("微信登录")]
}

/// A login. Without `site_id` it is to the one site that there is, or that the account was at before.
#[derive(Deserialize, ToSchema)]
struct WeChatLoginBody {
    /// 微信登录码
    #[schema(example = "0a1b2c3d4e5f")]
    code: Line,
    /// 门店编号
    site_id: Option<i64>,
    /// 绑定码, from the front desk
    #[schema(example = "7KMP4XQ9")]
    bind_code: Option<Word>,
    /// 手机号授权码, from the `getPhoneNumber` button; passed over when there is a bind code
    phone_code: Option<Line>,
}

impl Labels for WeChatLoginBody {
    const LABELS: &'static [(&'static str, &'static str)] =
        &[("code", "微信登录码"), ("site_id", "门店编号"), ("bind_code", "绑定码"), ("phone_code", "手机号授权码")];
}

/// What the account is to be bound by.
enum Binding {
    None,
    Code(String),
    Phone(String),
}

/// An account at one site.
struct Account {
    openid: Openid,
    index: String,
    site: i64,
}

/// The user behind an account, as the site says.
#[derive(Deserialize)]
struct Resolved {
    user_id: i64,
    username: String,
    role: String,
    name: String,
}

#[derive(Deserialize)]
struct Envelope {
    data: Resolved,
}

async fn login(
    State(center): State<Center>,
    caller: Caller,
    Body(body): Body<WeChatLoginBody>,
) -> std::result::Result<Passed, Refusal> {
    let (settings, address) = (center.settings(), caller.address());
    center.failures().check_address(settings, center.now(), address)?;
    let outcome = sign_in(&center, body).await;
    let guessed_wrong = match &outcome {
        Ok(response) => response.status().is_client_error(),
        Err(Refusal::Error(error)) => matches!(error, Error::Invalid(invalid) if invalid.field == "code"),
        Err(_) => false,
    };
    if guessed_wrong {
        center.failures().add_address(center.now(), address);
    }
    outcome.map(Passed)
}

async fn sign_in(center: &Center, body: WeChatLoginBody) -> std::result::Result<Response, Refusal> {
    let openid = center.wechat().code_to_openid(body.code.as_str()).await.map_err(|error| refused(error, "code"))?;
    let index = center.vault().index("canshi_wechat", openid.as_str());
    let site = choose_site(center, &index, body.site_id).await?;
    let account = Account { openid, index, site };
    let binding = match (body.bind_code, body.phone_code) {
        (Some(code), _) => Binding::Code(code.into()),
        (None, Some(code)) => {
            let phone = center.wechat().phone_of(code.as_str()).await;
            Binding::Phone(phone.map_err(|error| refused(error, "phone_code"))?)
        }
        (None, None) => match account.known(center).await? {
            Some(person) => return account.let_in(center, person.into()).await,
            None => Binding::None,
        },
    };
    account.ask_site(center, binding).await
}

/// The site that a login is to.
async fn choose_site(center: &Center, index: &str, asked: Option<i64>) -> Result<i64> {
    let all: Vec<i64> = center.central().sites().await?.into_iter().map(|site| site.id).collect();
    if let Some(site) = asked {
        return all.into_iter().find(|id| *id == site).ok_or_else(|| Error::invalid("site_id", "门店不存在"));
    }
    let mut bound = wechat::sites_of(&mut center.connection().await?, index).await?;
    bound.retain(|site| all.contains(site));
    match (bound.as_slice(), all.as_slice()) {
        ([site], _) | (_, [site]) => Ok(*site),
        _ => Err(Error::invalid("site_id", "请选择门店")),
    }
}

impl Account {
    /// The user behind the account as the mirror has it.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when the user is set aside.
    async fn known(&self, center: &Center) -> Result<Option<Person>> {
        let mut conn = center.connection().await?;
        let Some(sealed) = sites::keys_sealed(&mut conn, self.site).await? else { return Ok(None) };
        let keys = Keys::of_another_box(&center.open_text(KEYS, self.site, &sealed)?)?;
        let index = Vault::new(&keys)?.index(SITE_INDEX, self.openid.as_str());
        let Some(user_id) = people::find_by_openid(&mut conn, self.site, &index).await? else { return Ok(None) };
        let person = people::find(&mut conn, self.site, user_id).await?;
        person.map(Some).ok_or(Error::Unauthenticated("账号已停用，请联系前台"))
    }

    /// Has the site say who it is. Whoever is to be bound to somebody has to wait for a site that is away; whoever comes
    /// without that is let in as the user who is going to be made.
    async fn ask_site(&self, center: &Center, binding: Binding) -> std::result::Result<Response, Refusal> {
        let standing = center.central().standing(self.site).await.map_err(Error::from)?;
        let user_id = self.promised_id(center).await?;
        if standing.online {
            let forward = self.resolve(center, hex(&random_bytes::<16>()?), user_id, &binding);
            if let Some(answer) = forward.within(center, WAIT).await? {
                mailbox::forget_answer(center, self.site, &forward.id).await?;
                return self.resolved(center, answer).await;
            }
        }
        match binding {
            Binding::Code(_) | Binding::Phone(_) => Err(away(center, self.site, &standing).await),
            Binding::None => {
                let id = center.vault().index("resolve", &format!("{}\n{user_id}", self.site));
                let forward = self.resolve(center, id, user_id, &Binding::None);
                mailbox::post(center, self.site, &forward.message(Kind::Queued, PUNCH_LIFE, None)).await?;
                let (username, role, name) = ("wechat_user".to_owned(), CUSTOMER.to_owned(), NAMELESS.to_owned());
                self.let_in(center, Resolved { user_id, username, role, name }).await
            }
        }
    }

    /// The id of the user that the site makes if it knows nobody behind the account: for one account the same until that
    /// user is there.
    async fn promised_id(&self, center: &Center) -> Result<i64> {
        let mut conn = center.connection().await?;
        let before = wechat::find(&mut conn, &self.index, self.site).await?;
        if let Some(id) = before
            && !people::is_there(&mut conn, self.site, id).await?
        {
            return Ok(id);
        }
        let id = counters::next(&mut conn, IDS).await?;
        if before.is_none() {
            return wechat::promise(&mut conn, &self.index, self.site, id).await;
        }
        wechat::bind(&mut conn, &self.index, self.site, id).await?;
        Ok(id)
    }

    fn resolve(&self, center: &Center, id: String, user_id: i64, binding: &Binding) -> Forward {
        let (bind_code, phone) = match binding {
            Binding::None => (None, None),
            Binding::Code(code) => (Some(code), None),
            Binding::Phone(phone) => (None, Some(phone)),
        };
        let body = json!({
            "openid": self.openid.as_str(),
            "user_id": user_id,
            "bind_code": bind_code,
            "phone": phone,
        });
        let target = ("POST", RESOLVE.to_owned());
        Forward::new(center, (self.site, id), OnBehalf::Relay, target, Some(body.to_string()))
    }

    async fn resolved(&self, center: &Center, answer: Answered) -> std::result::Result<Response, Refusal> {
        if answer.status != 200 {
            return Ok(pass(answer));
        }
        let resolved: Envelope = serde_json::from_str(&answer.body)
            .map_err(|error| Error::Corrupt(format!("a site's answer of who it is: {error}")))?;
        self.let_in(center, resolved.data).await
    }

    async fn let_in(&self, center: &Center, user: Resolved) -> std::result::Result<Response, Refusal> {
        let id = UserId::try_from(user.user_id).map_err(|error| Error::Corrupt(format!("a user: {error}")))?;
        let mut conn = center.connection().await?;
        wechat::bind(&mut conn, &self.index, self.site, id.get()).await?;
        drop(conn);
        let token = center.open_session(Some(self.site), id, &user.role).await?;
        let user = LoginUserView { id, username: user.username, role: user.role, name: user.name };
        Ok(Answer::<_>::new("登录成功", LoginView { token, user })?.into_response())
    }
}

impl From<Person> for Resolved {
    fn from(person: Person) -> Self {
        Self { user_id: person.user_id.get(), username: person.username, role: person.role, name: person.name }
    }
}
