//! What surrounds every route: the request's id and origin, CORS, security headers, the log line, the metrics, and the
//! refusals that no route gives.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant as Stopwatch;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::app::EdgeConfig;
use super::caller::Identity;
use super::error::Refusal;
use super::guard::Admitted;
use super::limits::Limits;
use super::mail::Letter;
use crate::domain::access::Access;
use crate::error::Error;
use crate::store::idempotency::Kept;
use crate::store::keys::{hex, random_bytes};

/// What stands behind a router: the site, or the relay at the center.
pub trait Edge: Clone + Send + Sync + 'static {
    /// The rate limits.
    fn limits(&self) -> &Limits;

    /// What the configuration says about the edge.
    fn config(&self) -> &EdgeConfig;

    /// The metrics of this moment, as Prometheus reads them.
    fn metrics(&self) -> String;

    /// The OpenAPI document of the routes.
    fn document(&self) -> &'static str;

    /// Whether traffic may be taken.
    ///
    /// # Errors
    /// Why it may not.
    fn ready(&self) -> impl Future<Output = Result<(), Error>> + Send;

    /// Who stands behind a request to a route that demands this. A route that demands a person gets one, unless the request
    /// is a letter from somebody who needs none.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when the request does not show who it is from; [`Error::Forbidden`] when its sender can't
    /// call such a route at all.
    fn identify(&self, access: Access, parts: &Parts) -> impl Future<Output = Result<Identity, Error>> + Send;

    /// What a message was answered when it had its effect; nothing where no mailbox brings any.
    fn answer_to(&self, _message_id: &str) -> impl Future<Output = Result<Option<Kept>, Error>> + Send {
        async { Ok(None) }
    }
}

/// Where a request came from, and the id that its answer and its log line carry.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The client's address; none for a letter.
    pub address: Option<IpAddr>,
    /// Random; for a letter the message's id.
    pub request_id: Arc<str>,
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// As of when the data in an answer is, where it is older than the answer.
pub const DATA_AS_OF: HeaderName = HeaderName::from_static("x-data-as-of");
/// How long a browser may remember the answer to a preflight, in seconds.
const PREFLIGHT_S: u64 = 600;

/// Puts the edge around the routes.
pub fn around<S: Edge>(router: Router<S>, edge: &S) -> Router {
    let router = router
        .fallback(|| async { Refusal::NoRoute })
        .method_not_allowed_fallback(|| async { Refusal::NoMethod })
        .with_state(edge.clone())
        .layer(CatchPanicLayer::custom(|_| Refusal::Error(Error::Panicked).into_response()))
        .layer(axum::middleware::from_fn_with_state(edge.clone(), observe::<S>));
    match cors(&edge.config().cors_origins) {
        Some(cors) => router.layer(cors),
        None => router,
    }
}

fn cors(origins: &[HeaderValue]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let idempotency_key = HeaderName::from_static("idempotency-key");
    Some(
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(origins.to_vec()))
            .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
            .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, idempotency_key])
            .expose_headers([REQUEST_ID, DATA_AS_OF, header::RETRY_AFTER])
            .max_age(std::time::Duration::from_secs(PREFLIGHT_S)),
    )
}

async fn observe<S: Edge>(State(edge): State<S>, mut request: Request, next: Next) -> Response {
    let started = Stopwatch::now();
    let origin = match origin(edge.config(), &request) {
        Ok(origin) => origin,
        Err(error) => return Refusal::Error(error).into_response(),
    };
    let method = request.method().clone();
    let below_api = request.uri().path().starts_with("/api/");
    request.extensions_mut().insert(origin.clone());
    let span = tracing::info_span!("request", request_id = %origin.request_id);
    let mut response = tracing::Instrument::instrument(next.run(request), span).await;
    decorate(&mut response, &origin, below_api);
    note(&method, &origin, &response, started);
    response
}

fn decorate(response: &mut Response, origin: &Origin, below_api: bool) {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&origin.request_id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    if below_api {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

fn note(method: &Method, origin: &Origin, response: &Response, started: Stopwatch) {
    let admitted = response.extensions().get::<Admitted>();
    let route = admitted.map_or("none", |admitted| admitted.route);
    let status = response.status();
    let elapsed = started.elapsed();
    metrics::histogram!(
        "canshi_http_request_seconds",
        "method" => method_label(method),
        "route" => route,
        "status" => status.as_str().to_owned()
    )
    .record(elapsed.as_secs_f64());
    tracing::info!(
        target: "canshi::request",
        request_id = %origin.request_id,
        user_id = admitted.and_then(|admitted| admitted.user_id),
        address = origin.address.map(tracing::field::display),
        method = method_label(method),
        route,
        status = status.as_u16(),
        ms = elapsed.as_secs_f64() * 1000.0,
        "answered"
    );
}

/// A bounded set of labels, whatever methods clients invent.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

fn origin(config: &EdgeConfig, request: &Request) -> Result<Origin, Error> {
    if let Some(letter) = request.extensions().get::<Letter>() {
        return Ok(Origin { address: None, request_id: letter.message_id.as_str().into() });
    }
    let peer = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |ConnectInfo(peer)| peer.ip().to_canonical());
    let address =
        if config.trusted_proxies.contains(&peer) { forwarded(config, request).unwrap_or(peer) } else { peer };
    Ok(Origin { address: Some(address), request_id: hex(&random_bytes::<12>()?).into() })
}

/// The client's address behind trusted proxies: the last hop that is not one of them.
fn forwarded(config: &EdgeConfig, request: &Request) -> Option<IpAddr> {
    let hops = request.headers().get("x-forwarded-for")?.to_str().ok()?;
    hops.rsplit(',')
        .map_while(|hop| hop.trim().parse::<IpAddr>().ok())
        .find(|hop| !config.trusted_proxies.contains(hop))
}
