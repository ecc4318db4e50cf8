//! What headquarters sees of the sites and does in them.

use std::collections::HashMap;

use axum::extract::{FromRequest, Request, State};
use canshi_sync::central::SiteState;
use canshi_sync::wire::OnBehalf;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::center::Center;
use super::forward::{Forward, Passed};
use super::mailbox::{self, QUEUED_LIFE};
use super::store::mailbox::{Kind, queues};
use crate::domain::access::Access::Headquarters;
use crate::domain::access::Permission::{SitesRead, SitesWrite};
use crate::error::Error;
use crate::http::answer::{Answer, Fields, Items};
use crate::http::api::notifications::AnnouncementBody;
use crate::http::caller::{Caller, Key};
use crate::http::endpoint::{Draft, Takes};
use crate::http::error::Refusal;
use crate::http::extract::Body;
use crate::http::route::{Route, delete, get, post, put};
use crate::store::keys::{hex, random_bytes};

/// Everything that a site's own API has.
const PROXY: &str = "/api/sites/{id}/{*path}";
const SITES: &str = "/api/sites/";

/// The routes of this noun.
pub fn routes() -> Vec<Route<Center>> {
    vec![
        get("/api/sites", Headquarters(SitesRead), list).summary("门店列表"),
        get(PROXY, Headquarters(SitesRead), proxy).summary("读取门店数据"),
        post(PROXY, Headquarters(SitesWrite), proxy).summary("在门店添加或操作"),
        put(PROXY, Headquarters(SitesWrite), proxy).summary("在门店修改"),
        delete(PROXY, Headquarters(SitesWrite), proxy).summary("在门店删除"),
        post("/api/broadcast", Headquarters(SitesWrite), broadcast).summary("向所有门店发通知"),
    ]
}

/// Why a box was refused last.
#[derive(Serialize, ToSchema)]
struct FencedView {
    /// 原因
    reason: String,
    /// When, `YYYY-MM-DDTHH:MM:SSZ`
    at: String,
}

/// A site, from what the center has confirmed. Moments are UTC, since every site has its own zone.
#[derive(Serialize, ToSchema)]
struct SiteView {
    id: i64,
    /// 门店名称
    name: String,
    /// `added`, `loading`, `current`, `fenced` or `revoked`
    state: &'static str,
    /// 是否在线
    online: bool,
    /// 最后在线时间
    last_seen_at: Option<String>,
    /// 数据时间, of the mirror
    as_of: Option<String>,
    /// How far the mirror is behind, in milliseconds; grows while the site is away.
    lag_ms: Option<i64>,
    /// Changes that the site has told of and that are not here yet.
    pending: i64,
    /// 待处理请求数
    queue: i64,
    /// 程序版本
    version: Option<String>,
    /// 数据库结构版本
    schema: Option<i64>,
    /// The newest box that was refused, if one was.
    fenced: Option<FencedView>,
    /// 隔离的事务数
    quarantined: i64,
}

impl SiteView {
    fn of(site: SiteState, queue: i64, now_ms: i64) -> Self {
        Self {
            id: site.id,
            state: state(&site),
            name: site.name,
            online: site.online,
            last_seen_at: site.seen_at.map(utc),
            as_of: site.as_of.map(utc),
            lag_ms: match site.as_of {
                Some(_) if site.online && site.pending == 0 => Some(0),
                as_of => as_of.map(|as_of| (now_ms - as_of).max(0)),
            },
            pending: site.pending,
            queue,
            version: site.version,
            schema: site.schema,
            fenced: site.fenced.map(|(reason, at)| FencedView { reason, at: utc(at) }),
            quarantined: site.quarantined,
        }
    }
}

/// How a site is, in one word.
pub const fn state(site: &SiteState) -> &'static str {
    match site {
        SiteState { revoked: true, .. } => "revoked",
        SiteState { enrolled: false, .. } => "added",
        SiteState { online: false, fenced: Some(_), .. } => "fenced",
        SiteState { loading: true, .. } => "loading",
        SiteState { .. } => "current",
    }
}

/// A moment, for headquarters: every site has a zone of its own.
pub fn utc(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

async fn list(State(center): State<Center>, _: Caller, fields: Fields) -> Result<Answer<Items<SiteView>>, Refusal> {
    let states = center.central().states().await.map_err(Error::from)?;
    let queues: HashMap<i64, i64> = queues(&mut center.connection().await?).await?.into_iter().collect();
    let now_ms = center.now().0;
    let view = |site: SiteState| {
        let queue = queues.get(&site.id).copied().unwrap_or(0);
        SiteView::of(site, queue, now_ms)
    };
    let views: Vec<SiteView> = states.into_iter().map(view).collect();
    Ok(Answer::items(&views, &fields)?)
}

/// A request that headquarters sends to a site.
struct Proxied {
    site: i64,
    target: String,
    request: Request,
}

impl Takes for Proxied {
    fn describe(draft: &mut Draft) {
        let parameter = |name: &str, schema: serde_json::Value, description: &str| json!({"name": name, "in": "path", "required": true, "schema": schema, "description": description});
        draft.parameters.push(parameter("id", json!({"type": "integer"}), "门店编号"));
        draft.parameters.push(parameter("path", json!({"type": "string"}), "门店接口/api/之后的路径，如customers/1"));
    }
}

impl<S: Sync> FromRequest<S> for Proxied {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        let path = request.uri().path().strip_prefix(SITES).and_then(|path| path.split_once('/'));
        let (id, rest) = path.ok_or(Refusal::NoRoute)?;
        let site = id.parse::<i64>().map_err(|_| Error::invalid("id", "编号应为正整数"))?;
        let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
        Ok(Self { site, target: format!("/api/{rest}{query}"), request })
    }
}

async fn proxy(State(center): State<Center>, caller: Caller, proxied: Proxied) -> Result<Passed, Refusal> {
    let on_behalf = OnBehalf::Headquarters { name: name_of(&caller), write: caller.may(SitesWrite) };
    let target = (proxied.site, proxied.target);
    let forward = Forward::read(&center, &caller, target, on_behalf, proxied.request).await?;
    Ok(forward.live(&center).await?.into())
}

fn name_of(caller: &Caller) -> String {
    caller.person.as_ref().map_or_else(String::new, |person| person.username.clone())
}

/// What became of a broadcast.
#[derive(Serialize, ToSchema)]
struct BroadcastView {
    /// Sites that it is on the way to.
    sites: usize,
    /// Sites with too much waiting already: it is not on the way there.
    full: Vec<i64>,
}

async fn broadcast(
    State(center): State<Center>,
    caller: Caller,
    Body(body): Body<AnnouncementBody>,
) -> Result<Answer<BroadcastView, 202>, Refusal> {
    let text = json!({"title": body.title.as_str(), "content": body.content.as_str()}).to_string();
    let on_behalf = OnBehalf::Headquarters { name: name_of(&caller), write: true };
    let key = match caller.repeat.as_ref().map(|repeat| &repeat.key) {
        Some(Key::Chosen(key)) => center.vault().index("broadcast", &format!("{on_behalf:?}\n{key}")),
        Some(Key::Message(_)) | None => hex(&random_bytes::<16>()?),
    };
    let (mut sites, mut full) = (0, Vec::new());
    for site in center.central().sites().await.map_err(Error::from)? {
        let target = ("POST", "/api/notifications".to_owned());
        let forward = Forward::new(&center, (site.id, key.clone()), on_behalf.clone(), target, Some(text.clone()));
        match mailbox::post(&center, site.id, &forward.message(Kind::Queued, QUEUED_LIFE, None)).await {
            Ok(_) => sites += 1,
            Err(Refusal::Unavailable { .. }) => full.push(site.id),
            Err(other) => return Err(other),
        }
    }
    Ok(Answer::new("通知已提交", BroadcastView { sites, full })?)
}
