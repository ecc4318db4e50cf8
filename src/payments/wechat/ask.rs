//! One request to WeChat Pay: the bytes that are signed are the bytes that are sent, and the bytes that came are the bytes that are verified.

use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Wechat;
use super::refusals::{Failure, Refused};
use super::trust::Doubt;
use crate::domain::time::Instant;
use crate::payments::Trouble;
use crate::payments::http::{ANSWER_BYTES_MAX, body as read_body};
use crate::payments::signing::{SigningKey, random_word};

pub const SCHEME: &str = "WECHATPAY2-SHA256-RSA2048";

/// An answer before anything of it is believed.
pub struct Raw {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// A request before it is signed.
pub struct Request<'a> {
    method: Method,
    /// Path and query, percent-encoded.
    target: &'a str,
    body: Vec<u8>,
    /// Which of the platform's keys any encrypted field is for; the platform wants it with every call.
    platform_serial: Option<String>,
}

/// What a request's signature covers.
struct Signed<'a> {
    method: &'a str,
    /// Path and query, as on the wire.
    target: &'a str,
    timestamp: i64,
    nonce: &'a str,
    body: &'a [u8],
}

impl Signed<'_> {
    fn signature(&self, key: &SigningKey) -> String {
        let Self { method, target, timestamp, nonce, body } = self;
        let mut message = format!("{method}\n{target}\n{timestamp}\n{nonce}\n").into_bytes();
        message.extend_from_slice(body);
        message.push(b'\n');
        key.sign(&message)
    }
}

impl Wechat {
    /// Asks for something.
    pub async fn get<A: DeserializeOwned>(&self, target: &str, now: Instant) -> Result<A, Failure> {
        read(&self.ask(self.request(Method::GET, target, Vec::new(), now), now).await?)
    }

    /// Asks for something to be done.
    pub async fn post<A: DeserializeOwned>(
        &self,
        target: &str,
        body: &impl Serialize,
        now: Instant,
    ) -> Result<A, Failure> {
        read(&self.ask(self.request(Method::POST, target, serialise(body)?, now), now).await?)
    }

    /// As [`Wechat::post`], with fields that are encrypted for the platform's key of this serial number.
    pub async fn post_sealed<A: DeserializeOwned>(
        &self,
        target: &str,
        body: &impl Serialize,
        platform_serial: String,
        now: Instant,
    ) -> Result<A, Failure> {
        let request =
            Request { method: Method::POST, target, body: serialise(body)?, platform_serial: Some(platform_serial) };
        read(&self.ask(request, now).await?)
    }

    /// A request without encrypted fields.
    pub fn request<'a>(&self, method: Method, target: &'a str, body: Vec<u8>, now: Instant) -> Request<'a> {
        let platform_serial = self.trust.sealing_key(now).map(|(serial, _)| serial);
        Request { method, target, body, platform_serial }
    }

    /// Makes a request, and gives the body of an answer that is verified and says yes.
    pub async fn ask(&self, request: Request<'_>, now: Instant) -> Result<Bytes, Failure> {
        self.refresh_certificates(now).await;
        let raw = self.send(request, now, ANSWER_BYTES_MAX).await?;
        self.verify(&raw, now).await?;
        accept(raw)
    }

    /// Makes a request and gives the answer, unverified.
    pub async fn send(&self, request: Request<'_>, now: Instant, bytes_max: usize) -> Result<Raw, Trouble> {
        let authorization = self.authorization(&request, now);
        let Request { method, target, body, platform_serial } = request;
        let mut sent = self
            .client
            .request(method, format!("{}{target}", self.base_url))
            .header(AUTHORIZATION, authorization)
            .header(ACCEPT, "application/json");
        if let Some(serial) = platform_serial {
            sent = sent.header("Wechatpay-Serial", serial);
        }
        if !body.is_empty() {
            sent = sent.header(CONTENT_TYPE, "application/json").body(body);
        }
        let answer = sent.send().await.map_err(Trouble::unreachable)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        Ok(Raw { status, headers, body: read_body(answer, bytes_max).await? })
    }

    fn authorization(&self, request: &Request<'_>, now: Instant) -> String {
        let (timestamp, nonce) = (now.0.div_euclid(1000), random_word());
        let Request { method, target, body, .. } = request;
        let signature =
            Signed { method: method.as_str(), target, timestamp, nonce: &nonce, body }.signature(&self.signing);
        let Self { mchid, certificate_serial, .. } = self;
        format!(
            "{SCHEME} mchid=\"{mchid}\",nonce_str=\"{nonce}\",timestamp=\"{timestamp}\",\
             serial_no=\"{certificate_serial}\",signature=\"{signature}\""
        )
    }

    /// Checks an answer's signature; one by a certificate that is not known yet is checked once more after the certificates were fetched.
    async fn verify(&self, raw: &Raw, now: Instant) -> Result<(), Trouble> {
        let mut doubt = self.trust.check(&raw.headers, &raw.body, now);
        if matches!(doubt, Err(Doubt::UnknownSerial(_))) {
            self.refresh_certificates(now).await;
            doubt = self.trust.check(&raw.headers, &raw.body, now);
        }
        doubt.map_err(|doubt| {
            let said = Refused::read(&raw.body).map_or(String::new(), |refused| format!(" {}", refused.code));
            tracing::warn!(request_id = request_id(&raw.headers), status = raw.status.as_u16(), %doubt, "an answer of WeChat Pay does not verify");
            Trouble::unknown(format!("the answer {}{said} does not verify: {doubt}", raw.status.as_u16()))
        })
    }
}

/// The body of a verified answer that says yes.
fn accept(raw: Raw) -> Result<Bytes, Failure> {
    let status = raw.status.as_u16();
    if matches!(status, 200 | 204) {
        return Ok(raw.body);
    }
    let refused = Refused::read(&raw.body);
    let code = refused.as_ref().map_or("", |refused| refused.code.as_str());
    // The number at the end of the id is WeChat's own reason, finer than the code.
    tracing::warn!(request_id = request_id(&raw.headers), status, code, "WeChat Pay did not do it");
    match refused {
        Some(refused) if (400..500).contains(&status) => Err(Failure::Refused(refused)),
        _ => Err(Trouble::unknown(format!("WeChat Pay answers {status} {code}")).into()),
    }
}

fn request_id(headers: &HeaderMap) -> &str {
    headers.get("Request-ID").and_then(|id| id.to_str().ok()).unwrap_or_default()
}

fn serialise(body: &impl Serialize) -> Result<Vec<u8>, Trouble> {
    serde_json::to_vec(body)
        .map_err(|error| Trouble::Unknown("the request can't be written".into(), Some(error.into())))
}

/// Reads a verified answer.
pub fn read<A: DeserializeOwned>(body: &[u8]) -> Result<A, Failure> {
    serde_json::from_slice(body)
        .map_err(|error| Trouble::Unknown("the answer can't be read".into(), Some(error.into())).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payments::wechat::vectors;

    #[test]
    fn the_published_request_is_signed_as_published() {
        let signed = Signed {
            method: "POST",
            target: "/v3/pay/transactions/jsapi",
            timestamp: 1_554_208_460,
            nonce: "593BEC0C930BF1AFEB40B4A08C8FB242",
            body: vectors::REQUEST_BODY.as_bytes(),
        };
        assert_eq!(signed.signature(&vectors::documented_key()), vectors::REQUEST_SIGNATURE);
    }
}
