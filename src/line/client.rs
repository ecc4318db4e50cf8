//! The site's HTTP client to the relay. It says nothing of what it carries in a log or an error, and no URL of it holds a secret.

use std::time::Duration;

use canshi_sync::push::{LineError, Transport};
use canshi_sync::wire::{Answer, Hello};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::enrolment::Credential;
use crate::error::{Error, Result};

/// How long a connection may take.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// How long a question may take from the first byte sent to the last one received.
const ANSWER_WAIT: Duration = Duration::from_secs(30);
/// How much longer than it asked to be held a poll may take.
const POLL_GRACE: Duration = Duration::from_secs(5);
/// How long to stay away from a relay that is busy and does not say for how long.
const BUSY_WAIT: Duration = Duration::from_secs(1);

/// What a credential that the relay does not know means.
const UNKNOWN: &str = "the credential of this box was taken back, or another box has taken its place";

/// A way to one relay.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    authorization: Option<HeaderValue>,
}

impl Client {
    /// A client of the relay at this URL, as the site with this credential or, before it is enrolled, as nobody.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the URL is not `https://…`, or `http://` to this very machine; when the authority is not PEM.
    pub fn new(relay: &str, credential: Option<&Credential>, authority: Option<&[u8]>) -> Result<Self> {
        // The provider may be installed already by another part of the process; it is the same one.
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let url = reqwest::Url::parse(relay).map_err(|error| Error::invalid("relay", error.to_string()))?;
        let loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if !(url.scheme() == "https" || (url.scheme() == "http" && loopback)) {
            return Err(Error::invalid(
                "relay",
                "the relay's URL must begin with https://; http is for this machine only",
            ));
        }
        let mut builder = reqwest::Client::builder().connect_timeout(CONNECT_WAIT).no_proxy().tcp_nodelay(true);
        if let Some(authority) = authority {
            let certificates = reqwest::Certificate::from_pem_bundle(authority)
                .map_err(|error| Error::invalid("relay_authority", error.to_string()))?;
            builder = builder.tls_certs_merge(certificates);
        }
        let http = builder.build().map_err(unreachable)?;
        let authorization = credential.map(|credential| bearer(credential.reveal())).transpose()?;
        Ok(Self { http, base: relay.trim_end_matches('/').to_owned(), authorization })
    }

    /// Asks the sync door something and gives its answer.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when no whole answer came; [`Error::Busy`] when the relay asks to come later;
    /// [`Error::Unauthenticated`] when it does not know the credential; [`Error::Invalid`] with what it says when it refuses.
    pub async fn ask<Q: Serialize, A: DeserializeOwned>(&self, what: &str, question: &Q) -> Result<A> {
        self.ask_for(what, question, ANSWER_WAIT).await
    }

    /// As [`Client::ask`], for a question that is held for so long.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn ask_held<Q: Serialize, A: DeserializeOwned>(
        &self,
        what: &str,
        question: &Q,
        hold: Duration,
    ) -> Result<A> {
        self.ask_for(what, question, hold + POLL_GRACE).await
    }

    /// As [`Client::ask`], for an answer that may take so long.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn ask_for<Q: Serialize, A: DeserializeOwned>(
        &self,
        what: &str,
        question: &Q,
        wait: Duration,
    ) -> Result<A> {
        let body = serde_json::to_vec(question).map_err(|error| Error::Corrupt(error.to_string()))?;
        match self.send(what, "application/json", body, wait).await {
            Ok(answer) => Ok(answer),
            Err(LineError::Unreachable(cause)) => Err(Error::Unreachable(cause)),
            Err(LineError::Busy { .. }) => Err(Error::Busy),
            Err(LineError::Unknown) => Err(Error::Unauthenticated(UNKNOWN)),
            Err(LineError::Refused(why)) => Err(Error::invalid("relay", why)),
        }
    }

    async fn send<A: DeserializeOwned>(
        &self,
        what: &str,
        content_type: &'static str,
        body: Vec<u8>,
        wait: Duration,
    ) -> std::result::Result<A, LineError> {
        let mut request = self.http.post(format!("{}/sync/v1/{what}", self.base)).timeout(wait).body(body);
        request = request.header(CONTENT_TYPE, content_type);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        read(request.send().await.map_err(line_down)?).await
    }
}

async fn read<A: DeserializeOwned>(response: Response) -> std::result::Result<A, LineError> {
    #[derive(Deserialize)]
    struct Envelope<A> {
        data: A,
    }
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    let status = response.status();
    let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let text = response.bytes().await.map_err(line_down)?;
    match status {
        StatusCode::OK => serde_json::from_slice::<Envelope<A>>(&text)
            .map(|envelope| envelope.data)
            .map_err(|error| LineError::Unreachable(Box::new(error))),
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
            Err(LineError::Busy { after: after.map_or(BUSY_WAIT, Duration::from_secs) })
        }
        StatusCode::UNAUTHORIZED => Err(LineError::Unknown),
        // A proxy on the way, or the relay's own trouble: it passes.
        _ if status.is_server_error() => Err(LineError::Unreachable(format!("the relay answered {status}").into())),
        _ => {
            let why = serde_json::from_slice::<Envelope<Refusal>>(&text).map(|envelope| envelope.data.error);
            Err(LineError::Refused(why.unwrap_or_else(|_| format!("the relay answered {status}"))))
        }
    }
}

fn bearer(secret: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {secret}"))
        .map_err(|_| Error::Corrupt("the credential is not text".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn line_down(error: reqwest::Error) -> LineError {
    LineError::Unreachable(Box::new(error.without_url()))
}

fn unreachable(error: reqwest::Error) -> Error {
    Error::Unreachable(Box::new(error.without_url()))
}

impl Transport for Client {
    async fn hello(&self, hello: &Hello) -> std::result::Result<Answer, LineError> {
        let body = serde_json::to_vec(hello).map_err(|error| LineError::Refused(error.to_string()))?;
        self.send("hello", "application/json", body, ANSWER_WAIT).await
    }

    async fn push(&self, packed: Vec<u8>) -> std::result::Result<Answer, LineError> {
        self.send("push", "application/zstd", packed, ANSWER_WAIT).await
    }
}
