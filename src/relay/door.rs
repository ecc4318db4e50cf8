//! The sites' door: what boxes say to the center besides polling for mail (`sync/README.md`). A site is known by its credential.

use std::time::Instant as Stopwatch;

use axum::extract::{FromRequest, Request, State};
use bytes::Bytes;
use canshi_sync::batch::Batch;
use canshi_sync::central::{CentralError, Enrolled, Enrolment, secret_hash};
use canshi_sync::wire::{
    Answer as Said, Difference, DigestAnswer, DigestRequest, EnrolAnswer, EnrolRequest, Hello, RowsAnswer, RowsRequest,
    TakeOverAnswer, TakeOverRequest,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::admission::Place;
use super::center::Center;
use super::identify::{KEYS, RELAY_KEY, TOKEN_KEY};
use super::store::sites;
use crate::domain::access::Access::{Public, Site};
use crate::error::{Error, Result};
use crate::http::answer::{Answer, Nothing};
use crate::http::caller::Caller;
use crate::http::endpoint::{Draft, Takes};
use crate::http::error::Refusal;
use crate::http::extract::read_body;
use crate::http::route::{Rate, Route, post};
use crate::store::keys::Secret;

/// Bytes of what a site sends at most: a batch is far smaller unless a single row is not.
const BYTES_MAX: usize = 16 << 20;
const RECEIVED: &str = "已收到";

/// The routes of the door.
pub fn routes() -> Vec<Route<Center>> {
    vec![
        post("/sync/v1/enroll", Public, enroll).summary("门店登记"),
        post("/sync/v1/takeover", Public, take_over).summary("门店换机"),
        post("/sync/v1/hello", Site, hello).rate(Rate::Unlimited).summary("门店上线"),
        post("/sync/v1/push", Site, push).rate(Rate::Unlimited).summary("门店上传变更"),
        post("/sync/v1/digest", Site, digest).rate(Rate::Unlimited).summary("镜像摘要"),
        post("/sync/v1/rows", Site, rows).rate(Rate::Unlimited).summary("镜像行"),
        post("/sync/v1/difference", Site, difference).rate(Rate::Unlimited).summary("记录差异"),
        post("/sync/v1/loaded", Site, loaded).rate(Rate::Unlimited).summary("首次装载完成"),
    ]
}

/// A word of the sync protocol, in either direction.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Wire<T>(pub T);

impl<T> PartialSchema for Wire<T> {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::Object))
            .description(Some("a word of the sync protocol, described in sync/README.md"))
            .into()
    }
}

impl<T> ToSchema for Wire<T> {
    fn name() -> std::borrow::Cow<'static, str> {
        "SyncWord".into()
    }
}

impl<T> Takes for Wire<T> {
    fn describe(draft: &mut Draft) {
        draft.body = Some(draft.component::<Self>());
    }
}

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Wire<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> std::result::Result<Self, Refusal> {
        let bytes = read_body(request, BYTES_MAX).await?;
        // What is wrong with it is for whoever writes the other side; it holds no secret but where it was right.
        let word = serde_json::from_slice(&bytes).map_err(|_| Error::invalid("", "不是同步协议的消息"))?;
        Ok(Self(word))
    }
}

/// A batch that has its place in the queue, taken before its bytes were read, so that those that wait fit into memory.
struct Pushed {
    place: Place,
    packed: Bytes,
}

impl Takes for Pushed {
    fn describe(draft: &mut Draft) {
        draft.body = Some(draft.component::<Wire<Bytes>>());
    }
}

impl FromRequest<Center> for Pushed {
    type Rejection = Refusal;

    async fn from_request(request: Request, center: &Center) -> std::result::Result<Self, Refusal> {
        let caller = request.extensions().get::<Caller>().ok_or(Error::Panicked)?;
        let place = center.admission().place(site_of(caller)?)?;
        Ok(Self { place, packed: read_body(request, BYTES_MAX).await? })
    }
}

/// The site that the guard found the credential to be of.
fn site_of(caller: &Caller) -> Result<i64> {
    caller.site().ok_or(Error::Panicked)
}

async fn enroll(
    State(center): State<Center>,
    _: Caller,
    Wire(request): Wire<EnrolRequest>,
) -> std::result::Result<Answer<Wire<EnrolAnswer>>, Refusal> {
    check_credential(&request.credential)?;
    let site = site_of_code(&center, &request.code).await?;
    let enrolment = Enrolment {
        credential_hash: secret_hash(&request.credential),
        time_zone: request.time_zone,
        keys_id: request.keys_id,
        keys_sealed: center.seal_key(KEYS, site, &request.keys)?,
        token_key_sealed: center.seal_key(TOKEN_KEY, site, &request.token_key)?,
        relay_key_sealed: center.seal_key(RELAY_KEY, site, &Secret::random()?.to_base64())?,
        layouts: request.layouts,
        tip: request.tip,
        complete: request.complete,
    };
    let enrolled = center.central().enrol(&request.code, &enrolment).await.map_err(Error::from)?;
    center.forget_credential(&request.credential);
    tracing::info!(site.id = enrolled.site_id, loading = enrolled.loading, "a site has enrolled");
    Ok(Answer::new("登记成功", Wire(enrol_answer(&center, enrolled)?))?)
}

async fn take_over(
    State(center): State<Center>,
    _: Caller,
    Wire(request): Wire<TakeOverRequest>,
) -> std::result::Result<Answer<Wire<TakeOverAnswer>>, Refusal> {
    check_credential(&request.credential)?;
    let taken = center.central().take_over(&request.code, &secret_hash(&request.credential)).await;
    let mut enrolled = taken.map_err(|error| match error {
        CentralError::NoSite => Error::invalid("code", "该门店从未登记，没有可恢复的数据"),
        other => other.into(),
    })?;
    center.forget_credential(&request.credential);
    let site = enrolled.site_id;
    tracing::warn!(site.id = site, lost = enrolled.lost, "a new box takes the place of the site's old one");
    let missing = |what: &str| Error::Corrupt(format!("site {site} has no {what}"));
    let keys = enrolled.keys_sealed.take().ok_or_else(|| missing("keys"))?;
    let answer = TakeOverAnswer {
        time_zone: sites::time_zone(&mut center.connection().await?, site)
            .await?
            .ok_or_else(|| missing("time zone"))?,
        keys: center.open_text(KEYS, site, &keys)?,
        layout: enrolled.layout.take().ok_or_else(|| missing("layout"))?,
        lost: enrolled.lost,
        seen_at: enrolled.seen_at,
        enrolled: enrol_answer(&center, enrolled)?,
    };
    Ok(Answer::new("换机成功", Wire(answer))?)
}

fn check_credential(credential: &str) -> Result<()> {
    if credential.len() == 64 && credential.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(())
    } else {
        Err(Error::invalid("credential", "应为64个十六进制数字"))
    }
}

async fn site_of_code(center: &Center, code: &str) -> Result<i64> {
    let site = sites::of_code(&mut center.connection().await?, &secret_hash(code)).await?;
    site.ok_or_else(|| CentralError::BadCode.into())
}

fn enrol_answer(center: &Center, enrolled: Enrolled) -> Result<EnrolAnswer> {
    Ok(EnrolAnswer {
        relay_key: center.open_text(RELAY_KEY, enrolled.site_id, &enrolled.relay_key_sealed)?,
        site_id: enrolled.site_id,
        name: enrolled.name,
        epoch: enrolled.epoch,
        base: enrolled.base,
        loading: enrolled.loading,
    })
}

async fn hello(
    State(center): State<Center>,
    caller: Caller,
    Wire(hello): Wire<Hello>,
) -> std::result::Result<Answer<Wire<Said>>, Refusal> {
    let said = center.central().hello(site_of(&caller)?, &hello).await.map_err(Error::from)?;
    Ok(Answer::new(RECEIVED, Wire(said))?)
}

async fn push(
    State(center): State<Center>,
    caller: Caller,
    pushed: Pushed,
) -> std::result::Result<Answer<Wire<Said>>, Refusal> {
    let Pushed { place, packed } = pushed;
    let turn = place.turn().await?;
    let started = Stopwatch::now();
    let bytes = packed.clone();
    let batch = tokio::task::spawn_blocking(move || Batch::unpack(&bytes)).await.map_err(|_| Error::Panicked)?;
    let batch = batch.map_err(CentralError::from).map_err(Error::from)?;
    let said = center.central().push(site_of(&caller)?, &batch, &packed).await;
    drop(turn);
    metrics::histogram!("canshi_relay_apply_seconds").record(started.elapsed().as_secs_f64());
    metrics::counter!("canshi_relay_batches_total", "answer" => label(said.as_ref().ok())).increment(1);
    let said = said.map_err(Error::from)?;
    if let Said::Applied(_) = said {
        metrics::counter!("canshi_relay_changes_total").increment(batch.changes.len() as u64);
    }
    Ok(Answer::new(RECEIVED, Wire(said))?)
}

const fn label(said: Option<&Said>) -> &'static str {
    match said {
        Some(Said::Applied(_)) => "applied",
        Some(Said::AlreadyApplied(_)) => "already_applied",
        Some(Said::Rewind(_)) => "rewind",
        Some(Said::Fenced { .. }) => "fenced",
        None => "failed",
    }
}

async fn digest(
    State(center): State<Center>,
    caller: Caller,
    Wire(request): Wire<DigestRequest>,
) -> std::result::Result<Answer<Wire<DigestAnswer>>, Refusal> {
    let answer = center.central().digests(site_of(&caller)?, &request).await.map_err(Error::from)?;
    Ok(Answer::new("获取成功", Wire(answer))?)
}

async fn rows(
    State(center): State<Center>,
    caller: Caller,
    Wire(request): Wire<RowsRequest>,
) -> std::result::Result<Answer<Wire<RowsAnswer>>, Refusal> {
    let answer = center.central().rows(site_of(&caller)?, &request).await.map_err(Error::from)?;
    Ok(Answer::new("获取成功", Wire(answer))?)
}

async fn difference(
    State(center): State<Center>,
    caller: Caller,
    Wire(found): Wire<Difference>,
) -> std::result::Result<Answer<Nothing>, Refusal> {
    let images = (found.center_image, found.site_image);
    let kept = center.central().keep_difference(site_of(&caller)?, &found.table, &found.pk, images).await;
    kept.map_err(Error::from)?;
    Ok(Answer::new(RECEIVED, Nothing)?)
}

async fn loaded(State(center): State<Center>, caller: Caller) -> std::result::Result<Answer<Nothing>, Refusal> {
    center.central().loaded(site_of(&caller)?).await.map_err(Error::from)?;
    Ok(Answer::new(RECEIVED, Nothing)?)
}
