//! How the adapters speak HTTP: one way to build a client, and bodies read up to a limit. What goes wrong is told without its URL, which may
//! hold a token.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use reqwest::redirect::Policy;

use super::Trouble;
use super::gateways::BadKey;

const CONNECT_WAIT: Duration = Duration::from_secs(3);
const ANSWER_WAIT: Duration = Duration::from_secs(10);
/// How long a call may take, whatever it needs: a close may have to ask, and a bill is fetched from a second place.
const CALL_WAIT: Duration = Duration::from_secs(10);
/// The longest answer to a call.
pub const ANSWER_BYTES_MAX: usize = 1 << 20;
/// The longest bill as it is downloaded; a center's day is far below it.
pub const BILL_BYTES_MAX: usize = 32 << 20;

/// A client for the platform whose base URL is the configuration's `key`. It follows no redirect, since what is signed is one path at one
/// host; it uses no proxy; it repeats nothing, since the caller decides what is repeated.
///
/// # Errors
/// [`BadKey`] when the URL is not `https://…`, or `http://` to this very machine, or no client can be built.
pub fn client(key: &'static str, base_url: &str) -> Result<reqwest::Client, BadKey> {
    // The provider may be installed already by another part of the process; it is the same one.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let bad = |problem: String| BadKey { key, problem };
    let url = reqwest::Url::parse(base_url).map_err(|error| bad(error.to_string()))?;
    if !is_private_enough(&url) {
        return Err(bad("it must begin with https://; http is for this machine only".to_owned()));
    }
    reqwest::Client::builder()
        .connect_timeout(CONNECT_WAIT)
        .timeout(ANSWER_WAIT)
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .tcp_nodelay(true)
        .user_agent(concat!("canshi/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| bad(error.without_url().to_string()))
}

/// Whether nobody else can read along: `https`, or `http` to this very machine.
pub fn is_private_enough(url: &reqwest::Url) -> bool {
    let loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    url.scheme() == "https" || (url.scheme() == "http" && loopback)
}

/// The whole body of an answer, if it is no longer than `bytes_max`.
///
/// # Errors
/// [`Trouble::Unknown`] when it breaks off or is longer.
pub async fn body(mut answer: reqwest::Response, bytes_max: usize) -> Result<Bytes, Trouble> {
    let mut whole = bytes::BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(Trouble::unreachable)? {
        if whole.len() + chunk.len() > bytes_max {
            return Err(Trouble::unknown("the answer is longer than any should be"));
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.freeze())
}

/// The outcome of a call, if it comes in time.
///
/// # Errors
/// [`Trouble::Unknown`] when it does not, or the call's own.
pub async fn in_time<T>(call: impl Future<Output = Result<T, Trouble>> + Send) -> Result<T, Trouble> {
    match tokio::time::timeout(CALL_WAIT, call).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Trouble::unknown("the platform took too long")),
    }
}
