//! The keys at the start. Three things are confused again and again (`payments.md`, section 2.1): the serial number of the merchant's own
//! certificate, the id or serial number of WeChat Pay's key, and the API v3 key. What is wrong is said with the name of each.

use std::collections::BTreeMap;
use std::path::Path;

use aws_lc_rs::aead::LessSafeKey;
use reqwest::Url;

use super::Wechat;
use super::certificates::certified;
use super::transfers::Report;
use super::trust::{Certified, Trust, sealing_key};
use crate::payments::config::WechatConfig;
use crate::payments::gateways::BadKey;
use crate::payments::signing::VerifyingKey;
use crate::payments::{http, keys};

const BASE_URL: &str = "wechatpay_base_url";
const MCHID: &str = "wechatpay_mchid";
const APPID: &str = "wechatpay_appid";
const CERTIFICATE_SERIAL: &str = "wechatpay_certificate_serial";
const PRIVATE_KEY: &str = "wechatpay_private_key";
const API_V3_KEY: &str = "wechatpay_api_v3_key";
const PUBLIC_KEY_ID: &str = "wechatpay_public_key_id";
const PUBLIC_KEY: &str = "wechatpay_public_key";
const CERTIFICATES: &str = "wechatpay_certificates";
const TRANSFER_REPORT: &str = "wechatpay_transfer_report";
const NOTIFY_URL: &str = "payment_notify_url";

const PUBLIC_KEY_ID_PREFIX: &str = "PUB_KEY_ID_";
const API_V3_KEY_BYTES: usize = 32;
const CALLBACK_URL_CHARACTERS_MAX: usize = 255;

impl Wechat {
    /// WeChat Pay with the keys of the configuration, which are read and checked. Notifications are to be sent to `callback_url`.
    ///
    /// # Errors
    /// [`BadKey`] names the first that can't be used.
    pub fn new(config: &WechatConfig, callback_url: String) -> Result<Self, BadKey> {
        check_names(config, &callback_url)?;
        let certificate_serial = merchant_serial(config)?;
        let signing = keys::signing_key(PRIVATE_KEY, &config.private_key)?;
        let own = Own { serial: &certificate_serial, key: signing.verifying_key() };
        let public_key = public_key(config, &own)?;
        let certificates = certificates(config, &own)?;
        let trust = Trust::new(public_key, certificates, api_v3_keys(&config.api_v3_key)?);
        Ok(Self {
            client: http::client(BASE_URL, &config.base_url)?,
            base_url: config.base_url.clone(),
            callback_url,
            mchid: config.mchid.clone(),
            appid: config.appid.clone(),
            certificate_serial,
            signing,
            trust,
            transfer_scene: config.transfer_scene.clone(),
            transfer_report: config.transfer_report.iter().map(|report| reported(report)).collect::<Result<_, _>>()?,
        })
    }
}

/// What is the merchant's own, and can't be the platform's.
struct Own<'a> {
    serial: &'a str,
    key: VerifyingKey,
}

fn check_names(config: &WechatConfig, callback_url: &str) -> Result<(), BadKey> {
    if !config.mchid.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(bad(MCHID, "the merchant's number has digits only"));
    }
    if config.appid.is_empty() || !config.appid.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(bad(APPID, "the mini-program's appid, such as wx0123456789abcdef, is needed"));
    }
    let fits = Url::parse(callback_url).is_ok_and(|url| url.query().is_none() && url.fragment().is_none());
    if !fits || callback_url.chars().count() > CALLBACK_URL_CHARACTERS_MAX {
        return Err(bad(NOTIFY_URL, "WeChat Pay takes an address without a query of at most 255 characters"));
    }
    Ok(())
}

fn merchant_serial(config: &WechatConfig) -> Result<String, BadKey> {
    let serial = config.certificate_serial.to_ascii_uppercase();
    if serial.starts_with(PUBLIC_KEY_ID_PREFIX) {
        return Err(bad(
            CERTIFICATE_SERIAL,
            "this is the id of WeChat Pay's public key, for wechatpay_public_key_id; what belongs here is the serial number of \
             the merchant's own API certificate",
        ));
    }
    if serial.is_empty() || !is_hexadecimal(&serial) {
        return Err(bad(
            CERTIFICATE_SERIAL,
            "the serial number of the merchant's own API certificate is needed, in hexadecimal",
        ));
    }
    Ok(serial)
}

fn public_key(config: &WechatConfig, own: &Own<'_>) -> Result<Option<(String, VerifyingKey)>, BadKey> {
    let id = &config.public_key_id;
    let Some(path) = &config.public_key else {
        return match id.is_empty() {
            true => Ok(None),
            false => Err(bad(PUBLIC_KEY, "the id of WeChat Pay's public key is set, but the key is not")),
        };
    };
    if !id.starts_with(PUBLIC_KEY_ID_PREFIX) {
        let what = if id.eq_ignore_ascii_case(own.serial) {
            "the serial number of the merchant's own certificate"
        } else {
            "not it"
        };
        return Err(bad(
            PUBLIC_KEY_ID,
            &format!("the id of WeChat Pay's public key begins with {PUBLIC_KEY_ID_PREFIX}; this is {what}"),
        ));
    }
    if keys::certificates(PUBLIC_KEY, path).is_ok() {
        return Err(bad(
            PUBLIC_KEY,
            "this is a certificate; WeChat Pay's public key belongs here, and its certificates to wechatpay_certificates",
        ));
    }
    let key = keys::verifying_key(PUBLIC_KEY, path)?;
    if key == own.key {
        return Err(bad(
            PUBLIC_KEY,
            "this is the public half of the merchant's own private key; what belongs here is WeChat Pay's public key, which is \
             downloaded from the merchant platform",
        ));
    }
    Ok(Some((id.clone(), key)))
}

fn certificates(config: &WechatConfig, own: &Own<'_>) -> Result<BTreeMap<String, Certified>, BadKey> {
    let mut found = BTreeMap::new();
    for path in &config.certificates {
        for certificate in keys::certificates(CERTIFICATES, path)? {
            let (serial, certified) =
                certified(&certificate).map_err(|problem| bad_file(CERTIFICATES, path, &problem))?;
            if serial == own.serial || certified.key == own.key {
                return Err(bad_file(
                    CERTIFICATES,
                    path,
                    "this is the merchant's own API certificate; WeChat Pay's platform certificate belongs here",
                ));
            }
            found.insert(serial, certified);
        }
    }
    Ok(found)
}

fn api_v3_keys(path: &Path) -> Result<Vec<LessSafeKey>, BadKey> {
    let bytes = keys::read_private(API_V3_KEY, path)?;
    let text = str::from_utf8(&bytes).map_err(|_| bad_file(API_V3_KEY, path, "it is not text"))?;
    if text.contains("-----BEGIN") {
        return Err(bad_file(
            API_V3_KEY,
            path,
            "this is an RSA key or a certificate; the API v3 key is the text of 32 characters that was set on the merchant platform",
        ));
    }
    let found: Option<Vec<LessSafeKey>> = text
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .map(|line| sealing_key(line.as_bytes()))
        .collect();
    match found {
        Some(found) if !found.is_empty() => Ok(found),
        Some(_) | None => Err(bad_file(
            API_V3_KEY,
            path,
            &format!("an API v3 key has exactly {API_V3_KEY_BYTES} bytes; while it is being changed, one a line"),
        )),
    }
}

fn reported(report: &str) -> Result<Report, BadKey> {
    let parts = report.split_once('=').filter(|(info_type, content)| !info_type.is_empty() && !content.is_empty());
    let (info_type, info_content) =
        parts.ok_or_else(|| bad(TRANSFER_REPORT, "each is written as info_type=info_content"))?;
    Ok(Report { info_type: info_type.to_owned(), info_content: info_content.to_owned() })
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn bad(key: &'static str, problem: &str) -> BadKey {
    BadKey { key, problem: problem.to_owned() }
}

fn bad_file(key: &'static str, path: &Path, problem: &str) -> BadKey {
    BadKey { key, problem: format!("{}: {problem}", path.display()) }
}
