//! Whom to believe: the platform's keys by their serial numbers, and the API v3 keys that notifications and certificates are sealed with.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::ask::SCHEME;
use crate::domain::time::{HOUR_MS, Instant, MINUTE_MS};
use crate::payments::signing::VerifyingKey;

/// How far the time of a signature may be from this clock.
const SKEW_MAX_S: u64 = 300;
/// How often the certificates are fetched without any reason.
const REFRESH_EVERY_MS: i64 = 12 * HOUR_MS;
/// The least time between two fetches: serial numbers can be made up by anybody, and each could cause one.
const REFRESH_PAUSE_MS: i64 = MINUTE_MS;

/// A platform certificate's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certified {
    pub key: VerifyingKey,
    /// The first moment at which it is good.
    pub from: Instant,
    /// The last.
    pub until: Instant,
}

pub struct Trust {
    /// The platform's public key and its id, in public-key mode.
    public_key: Option<(String, VerifyingKey)>,
    /// The certificates of the configuration, by serial number.
    configured: BTreeMap<String, Certified>,
    /// The API v3 keys: two while one replaces the other.
    sealing: Vec<LessSafeKey>,
    fetched: Mutex<Fetched>,
    /// Held while the certificates are fetched, so that whoever needs them at once fetches them once.
    pub flight: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Fetched {
    certificates: BTreeMap<String, Certified>,
    /// When WeChat last answered.
    answered_at: Option<Instant>,
    /// When it was last asked.
    asked_at: Option<Instant>,
    /// A serial number came that nobody knows.
    wanted: bool,
}

/// Why a signature is not believed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// It may be a certificate's that was not fetched yet.
    #[error("no key has the serial number {0}")]
    UnknownSerial(String),
    /// The time is too far away.
    #[error("it was signed {0} s away from this clock")]
    Stale(u64),
    /// Something is missing, or is not what it should be.
    #[error("{0}")]
    Bad(&'static str),
}

/// Something that was sealed with an API v3 key.
#[derive(Deserialize)]
pub struct Sealed {
    algorithm: String,
    ciphertext: String,
    nonce: String,
    #[serde(default)]
    associated_data: String,
}

impl Trust {
    /// Trust in these keys. An API v3 key has 32 bytes.
    pub fn new(
        public_key: Option<(String, VerifyingKey)>,
        configured: BTreeMap<String, Certified>,
        sealing: Vec<LessSafeKey>,
    ) -> Self {
        Self { public_key, configured, sealing, fetched: Mutex::default(), flight: tokio::sync::Mutex::default() }
    }

    /// Checks the signature of an answer or a notification over the bytes as they came.
    ///
    /// # Errors
    /// [`Doubt`]; [`Doubt::UnknownSerial`] makes the next call fetch the certificates.
    pub fn check(&self, headers: &HeaderMap, body: &[u8], now: Instant) -> Result<(), Doubt> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let needed = |name: &str| header(name).ok_or(Doubt::Bad("a header of the signature is missing"));
        if headers.contains_key("Wechatpay-Signature-Type") && header("Wechatpay-Signature-Type") != Some(SCHEME) {
            return Err(Doubt::Bad("it is signed in another way"));
        }
        let (timestamp, nonce) = (needed("Wechatpay-Timestamp")?, needed("Wechatpay-Nonce")?);
        let (signature, serial) = (needed("Wechatpay-Signature")?, needed("Wechatpay-Serial")?);
        let signed_s: i64 = timestamp.parse().map_err(|_| Doubt::Bad("its time is no number"))?;
        let skew_s = now.0.div_euclid(1000).abs_diff(signed_s);
        if skew_s >= SKEW_MAX_S {
            return Err(Doubt::Stale(skew_s));
        }
        let key = self.key(serial, now).ok_or_else(|| self.want(serial))?;
        let mut message = format!("{timestamp}\n{nonce}\n").into_bytes();
        message.extend_from_slice(body);
        message.push(b'\n');
        if key.verify(&message, signature) { Ok(()) } else { Err(Doubt::Bad("the signature does not fit")) }
    }

    /// Opens what was sealed with any of the API v3 keys; none when it was not, or was changed.
    pub fn open(&self, sealed: &Sealed) -> Option<Vec<u8>> {
        if sealed.algorithm != "AEAD_AES_256_GCM" {
            return None;
        }
        let ciphertext = STANDARD.decode(&sealed.ciphertext).ok()?;
        self.sealing.iter().find_map(|key| {
            let nonce = Nonce::try_assume_unique_for_key(sealed.nonce.as_bytes()).ok()?;
            let mut bytes = ciphertext.clone();
            let length = key.open_in_place(nonce, Aad::from(&sealed.associated_data), &mut bytes).ok()?.len();
            bytes.truncate(length);
            Some(bytes)
        })
    }

    /// The key to encrypt with for the platform and its serial number: the public key or, without one, the newest certificate.
    pub fn sealing_key(&self, now: Instant) -> Option<(String, VerifyingKey)> {
        if let Some(public_key) = &self.public_key {
            return Some(public_key.clone());
        }
        let fetched = self.fetched();
        let all = self.configured.iter().chain(&fetched.certificates);
        all.filter(|(_, certified)| certified.is_good(now))
            .max_by_key(|(_, certified)| certified.from)
            .map(|(serial, certified)| (serial.clone(), certified.key.clone()))
    }

    /// Whether the certificates have to be fetched now; whoever is told so has to do it.
    pub fn take_turn(&self, now: Instant) -> bool {
        let mut fetched = self.fetched();
        if !self.is_due(&fetched, now) {
            return false;
        }
        fetched.asked_at = Some(now);
        fetched.wanted = false;
        true
    }

    /// Whether the certificates should be fetched.
    pub fn is_refresh_due(&self, now: Instant) -> bool {
        self.is_due(&self.fetched(), now)
    }

    /// WeChat's list, in place of that which it gave before.
    pub fn keep(&self, certificates: BTreeMap<String, Certified>, now: Instant) {
        let mut fetched = self.fetched();
        fetched.certificates = certificates;
        fetched.answered_at = Some(now);
    }

    /// WeChat says that this merchant has no certificates.
    pub fn keep_none(&self, now: Instant) {
        self.fetched().answered_at = Some(now);
    }

    fn is_due(&self, fetched: &Fetched, now: Instant) -> bool {
        let rested = |since: Option<Instant>, ms: i64| since.is_none_or(|since| now.ms_since(since) >= ms);
        let uses_certificates = self.public_key.is_none() || !self.configured.is_empty();
        let stale = uses_certificates && rested(fetched.answered_at, REFRESH_EVERY_MS);
        (fetched.wanted || stale) && rested(fetched.asked_at, REFRESH_PAUSE_MS)
    }

    fn key(&self, serial: &str, now: Instant) -> Option<VerifyingKey> {
        if let Some((_, key)) = self.public_key.as_ref().filter(|(id, _)| id == serial) {
            return Some(key.clone());
        }
        let fetched = self.fetched();
        let certified = self.configured.get(serial).or_else(|| fetched.certificates.get(serial))?;
        certified.is_good(now).then(|| certified.key.clone())
    }

    fn want(&self, serial: &str) -> Doubt {
        // The id of a public key is not to be found among the certificates.
        let is_certificate = !serial.is_empty() && serial.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_certificate {
            self.fetched().wanted = true;
        }
        let shown: String = serial.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(64).collect();
        Doubt::UnknownSerial(shown)
    }

    fn fetched(&self) -> MutexGuard<'_, Fetched> {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Certified {
    fn is_good(&self, now: Instant) -> bool {
        self.from <= now && now <= self.until
    }
}

/// An API v3 key; none when it has not 32 bytes.
pub fn sealing_key(bytes: &[u8]) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, bytes).ok().map(LessSafeKey::new)
}
