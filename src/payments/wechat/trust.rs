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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payments::keys::parse_certificates;
    use crate::payments::wechat::{certificates, vectors};

    const ID: &str = "PUB_KEY_ID_0119000072912024080500111122003344";
    const ANSWERED_AT: Instant = Instant(1_722_850_421_000);
    const OTHER_KEY: &[u8] = b"another-api-v3-key-of-32-bytes!!";
    const API_V3_KEY: &[u8] = b"canshi-test-api-v3-key-32-bytes!";

    fn headers(of: [&str; 4]) -> HeaderMap {
        let names = ["Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Signature", "Wechatpay-Serial"];
        names.into_iter().zip(of).map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn answer_headers() -> HeaderMap {
        headers([vectors::ANSWER_TIMESTAMP, vectors::ANSWER_NONCE, vectors::ANSWER_SIGNATURE, ID])
    }

    fn by_public_key() -> Trust {
        Trust::new(Some((ID.to_owned(), vectors::documented_public_key())), BTreeMap::new(), Vec::new())
    }

    fn by_certificate() -> Trust {
        let certificates = parse_certificates(vectors::SDK_CERTIFICATE.as_bytes()).unwrap();
        Trust::new(None, [certificates::certified(&certificates[0]).unwrap()].into(), Vec::new())
    }

    fn check(headers: &HeaderMap, body: &str, now: Instant) -> Result<(), Doubt> {
        by_public_key().check(headers, body.as_bytes(), now)
    }

    #[test]
    fn the_published_answer_verifies() {
        assert_eq!(check(&answer_headers(), vectors::ANSWER_BODY, ANSWERED_AT), Ok(()));
    }

    #[test]
    fn the_published_notification_verifies_by_its_certificate() {
        let notified = [vectors::SDK_TIMESTAMP, vectors::SDK_NONCE, vectors::SDK_SIGNATURE, vectors::SDK_SERIAL];
        let now = Instant(1_624_523_846_000);
        assert_eq!(by_certificate().check(&headers(notified), vectors::SDK_NOTICE.as_bytes(), now), Ok(()));
        let (_, key) = by_certificate().sealing_key(now).unwrap();
        assert!(key.verify(b"source", vectors::SDK_WORD_SIGNATURE));
    }

    #[test]
    fn a_certificate_is_good_from_its_first_to_its_last_day() {
        let trust = by_certificate();
        for (ms, good) in [
            (1_619_513_722_999, false),
            (1_619_513_723_000, true),
            (1_934_873_723_000, true),
            (1_934_873_723_001, false),
        ] {
            assert_eq!(trust.sealing_key(Instant(ms)).is_some(), good, "{ms}");
        }
    }

    #[test]
    fn anything_that_was_changed_does_not_verify() {
        let bad = Err(Doubt::Bad("the signature does not fit"));
        let spaced = vectors::ANSWER_BODY.replace(':', ": ");
        assert_eq!(check(&answer_headers(), &spaced, ANSWERED_AT), bad);
        for (name, value) in [
            ("Wechatpay-Nonce", "d824f2e086d3c1df967785d13fcd22ee"),
            ("Wechatpay-Timestamp", "1722850422"),
            ("Wechatpay-Signature", "WECHATPAY/SIGNTEST/not-base64"),
            ("Wechatpay-Signature", ""),
            ("Wechatpay-Signature", vectors::SDK_SIGNATURE),
        ] {
            let mut headers = answer_headers();
            headers.insert(name, value.parse().unwrap());
            assert_eq!(check(&headers, vectors::ANSWER_BODY, ANSWERED_AT), bad, "{name} {value}");
        }
    }

    #[test]
    fn a_missing_header_and_another_kind_of_signature_are_refused() {
        for name in ["Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Signature", "Wechatpay-Serial"] {
            let mut headers = answer_headers();
            headers.remove(name);
            assert!(matches!(check(&headers, vectors::ANSWER_BODY, ANSWERED_AT), Err(Doubt::Bad(_))), "{name}");
        }
        for (kind, good) in [("WECHATPAY2-SHA256-RSA2048", true), ("WECHATPAY2-SM2-WITH-SM3", false), ("", false)] {
            let mut headers = answer_headers();
            headers.insert("Wechatpay-Signature-Type", kind.parse().unwrap());
            assert_eq!(check(&headers, vectors::ANSWER_BODY, ANSWERED_AT).is_ok(), good, "{kind}");
        }
        let mut headers = answer_headers();
        headers.insert("Wechatpay-Timestamp", "soon".parse().unwrap());
        assert_eq!(check(&headers, vectors::ANSWER_BODY, ANSWERED_AT), Err(Doubt::Bad("its time is no number")));
    }

    #[test]
    fn five_minutes_either_way_are_too_far() {
        for (skew_s, good) in [(299, true), (300, false), (-299, true), (-300, false)] {
            let now = ANSWERED_AT.plus_ms(skew_s * 1000);
            let said = check(&answer_headers(), vectors::ANSWER_BODY, now);
            assert_eq!(said, if good { Ok(()) } else { Err(Doubt::Stale(300)) }, "{skew_s}");
        }
        for extreme in ["-9223372036854775808", "9223372036854775807"] {
            let mut headers = answer_headers();
            headers.insert("Wechatpay-Timestamp", extreme.parse().unwrap());
            assert!(matches!(check(&headers, "", ANSWERED_AT), Err(Doubt::Stale(_))), "{extreme}");
        }
    }

    #[test]
    fn serial_numbers_that_anybody_can_make_up_cause_one_fetch_a_minute() {
        let trust = by_public_key();
        let forged = |trust: &Trust, serial: &str, now| {
            let [timestamp, nonce, signature] =
                [vectors::ANSWER_TIMESTAMP, vectors::ANSWER_NONCE, vectors::ANSWER_SIGNATURE];
            let said = trust.check(&headers([timestamp, nonce, signature, serial]), b"", now);
            assert!(matches!(said, Err(Doubt::UnknownSerial(_))), "{said:?}");
        };
        assert!(!trust.take_turn(ANSWERED_AT), "with a public key alone there is nothing to fetch");
        forged(&trust, "PUB_KEY_ID_000", ANSWERED_AT);
        forged(&trust, "no serial; at all", ANSWERED_AT);
        assert!(!trust.take_turn(ANSWERED_AT), "these are no certificate's");
        forged(&trust, "7132D72A", ANSWERED_AT);
        assert!(trust.is_refresh_due(ANSWERED_AT));
        assert!(trust.take_turn(ANSWERED_AT) && !trust.take_turn(ANSWERED_AT));
        forged(&trust, "7132D72B", ANSWERED_AT);
        assert!(!trust.take_turn(ANSWERED_AT.plus_ms(REFRESH_PAUSE_MS - 1)));
        assert!(trust.take_turn(ANSWERED_AT.plus_ms(REFRESH_PAUSE_MS)));
    }

    #[test]
    fn certificates_are_fetched_at_the_start_and_every_twelve_hours() {
        let trust = by_certificate();
        assert!(trust.take_turn(ANSWERED_AT));
        assert!(trust.take_turn(ANSWERED_AT.plus_ms(REFRESH_PAUSE_MS)), "nothing came of it");
        trust.keep_none(ANSWERED_AT);
        assert!(!trust.take_turn(ANSWERED_AT.plus_ms(REFRESH_EVERY_MS - 1)));
        assert!(trust.take_turn(ANSWERED_AT.plus_ms(REFRESH_EVERY_MS)));
    }

    fn sealed(ciphertext: &str, nonce: &str, associated_data: &str) -> Sealed {
        let text = |text: &str| text.to_owned();
        Sealed {
            algorithm: text("AEAD_AES_256_GCM"),
            ciphertext: text(ciphertext),
            nonce: text(nonce),
            associated_data: text(associated_data),
        }
    }

    fn opener(keys: &[&[u8]]) -> Trust {
        Trust::new(None, BTreeMap::new(), keys.iter().map(|key| sealing_key(key).unwrap()).collect())
    }

    /// Made with the `crypto` module of Node.js.
    const SEALED: &str = "4+bongVekWiubeGjyFKTuwl7z5rEjp8YaEMT";

    #[test]
    fn what_others_sealed_opens_with_either_key() {
        for keys in [&[API_V3_KEY][..], &[OTHER_KEY, API_V3_KEY], &[API_V3_KEY, OTHER_KEY]] {
            let opened = opener(keys).open(&sealed(SEALED, "fdasflkja484", "transaction"));
            assert_eq!(opened.as_deref(), Some(&b"Hello World"[..]));
        }
        let without_data = sealed("6K34Wj0u2vsmwnFEdg4SErz9HZ6RcWMJ09CWgw==", "0123456789ab", "");
        assert_eq!(opener(&[API_V3_KEY]).open(&without_data), Some("金额 12800".as_bytes().to_vec()));
    }

    #[test]
    fn what_was_changed_does_not_open() {
        let flipped = "4+bongVekWiubeGjyFKTuwl7z5rEjp8YaEMS";
        for (keys, what) in [
            (API_V3_KEY, sealed(flipped, "fdasflkja484", "transaction")),
            (API_V3_KEY, sealed(SEALED, "fdasflkja485", "transaction")),
            (API_V3_KEY, sealed(SEALED, "fdasflkja484", "refund")),
            (API_V3_KEY, sealed(SEALED, "short", "transaction")),
            (API_V3_KEY, sealed("not Base64", "fdasflkja484", "transaction")),
            (API_V3_KEY, sealed("", "fdasflkja484", "transaction")),
            (API_V3_KEY, Sealed { algorithm: "AES".to_owned(), ..sealed(SEALED, "fdasflkja484", "transaction") }),
            (OTHER_KEY, sealed(SEALED, "fdasflkja484", "transaction")),
        ] {
            assert_eq!(opener(&[keys]).open(&what), None);
        }
    }

    #[test]
    fn a_key_of_16_bytes_is_none() {
        for key in [&b"testAPIv3Key0000"[..], b"testMchAPIv3Key0", b"", &[b'a'; 31], &[b'a'; 33], &[b'a'; 64]] {
            assert!(sealing_key(key).is_none(), "{}", key.len());
        }
    }
}
