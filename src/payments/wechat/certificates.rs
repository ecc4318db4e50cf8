//! The platform's certificates, fetched from itself (`GET /v3/certificates`). What makes them believable is the API v3 key that each is sealed
//! with: the answer may be signed by one of those that it brings.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::Deserialize;

use super::Wechat;
use super::ask::{Raw, read};
use super::refusals::Refused;
use super::trust::{Certified, Sealed, Trust};
use crate::domain::time::Instant;
use crate::payments::Trouble;
use crate::payments::http::ANSWER_BYTES_MAX;
use crate::payments::keys::{Certificate, parse_certificates};

const TARGET: &str = "/v3/certificates";

#[derive(Deserialize)]
struct List {
    data: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    serial_no: String,
    encrypt_certificate: Sealed,
}

impl Wechat {
    /// Fetches the certificates when it is time, or when a serial number came that nobody knows. What goes wrong is logged only: the call that
    /// it was done for finds out by itself whether it can do without.
    pub async fn refresh_certificates(&self, now: Instant) {
        if !self.trust.is_refresh_due(now) {
            return;
        }
        let _flight = self.trust.flight.lock().await;
        if !self.trust.take_turn(now) {
            return;
        }
        match self.fetch_certificates(now).await {
            Ok(()) => tracing::info!("WeChat Pay's certificates were fetched"),
            Err(trouble) => tracing::warn!(%trouble, "WeChat Pay's certificates could not be fetched"),
        }
    }

    async fn fetch_certificates(&self, now: Instant) -> Result<(), Trouble> {
        let raw = self.send(self.request(Method::GET, TARGET, Vec::new(), now), now, ANSWER_BYTES_MAX).await?;
        if raw.status.as_u16() != 200 {
            return self.no_certificates(&raw, now);
        }
        let list: List = read(&raw.body)?;
        let mut found = BTreeMap::new();
        for listed in list.data {
            let pem = self.trust.open(&listed.encrypt_certificate);
            let pem = pem.ok_or_else(|| Trouble::unknown("a certificate is not sealed with the API v3 key"))?;
            let (serial, certified) = first_certificate(&pem).map_err(Trouble::unknown)?;
            if serial != listed.serial_no {
                return Err(Trouble::unknown("a certificate has another serial number than the list says"));
            }
            found.insert(serial, certified);
        }
        if found.is_empty() {
            return Err(Trouble::unknown("the list of certificates is empty"));
        }
        // The signature too has to fit, by a key of the list or by one that is known already.
        let newcomers = Trust::new(None, found.clone(), Vec::new());
        newcomers
            .check(&raw.headers, &raw.body, now)
            .or_else(|_| self.trust.check(&raw.headers, &raw.body, now))
            .map_err(|doubt| Trouble::unknown(format!("the list of certificates does not verify: {doubt}")))?;
        self.trust.keep(found, now);
        Ok(())
    }

    /// A merchant with a public key has no certificates, and need not be asked about them every minute.
    fn no_certificates(&self, raw: &Raw, now: Instant) -> Result<(), Trouble> {
        let status = raw.status.as_u16();
        let certain = (400..500).contains(&status) && self.trust.check(&raw.headers, &raw.body, now).is_ok();
        if certain {
            self.trust.keep_none(now);
        }
        let code = Refused::read(&raw.body).map_or(String::new(), |refused| refused.code);
        Err(Trouble::unknown(format!("WeChat Pay answers {status} {code}")))
    }
}

/// The serial number, in upper-case hexadecimal, and the key of a certificate.
///
/// # Errors
/// What is wrong with it.
pub fn certified(certificate: &Certificate) -> Result<(String, Certified), String> {
    let parsed = certificate.parsed();
    let serial = format!("{:X}", parsed.serial);
    let moment = |seconds: i64| Instant(seconds.saturating_mul(1000));
    let (from, until) = (moment(parsed.validity.not_before.timestamp()), moment(parsed.validity.not_after.timestamp()));
    Ok((serial, Certified { key: certificate.verifying_key()?, from, until }))
}

fn first_certificate(pem: &[u8]) -> Result<(String, Certified), String> {
    let certificates = parse_certificates(pem)?;
    let [certificate] = certificates.as_slice() else { return Err("it is not one certificate".to_owned()) };
    certified(certificate)
}
