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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::*;

    const MERCHANT_KEY: &str = include_str!("../../../tests/fixtures/wechat_pay/documented_merchant_key.pem");
    const PLATFORM_KEY: &str = include_str!("../../../tests/fixtures/wechat_pay/documented_public_key.pem");
    const PLATFORM_CERTIFICATE: &str = include_str!("../../../tests/fixtures/wechat_pay/sdk_certificate.pem");
    const API_V3: &str = "0123456789abcdef0123456789abcdef";
    const SERIAL: &str = "408B07E79B8269FEC3D5D3E6AB8ED163A6A380DB";
    const ID: &str = "PUB_KEY_ID_0119000072912024080500111122003344";
    const CALLBACK: &str = "https://relay.example.com/api/payment/callback/wechat";

    fn file(directory: &TempDir, name: &str, text: &str) -> PathBuf {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn config(directory: &TempDir) -> WechatConfig {
        WechatConfig {
            base_url: "https://api.mch.weixin.qq.com".to_owned(),
            mchid: "1900007291".to_owned(),
            appid: "wx2421b1c4370ec43b".to_owned(),
            certificate_serial: SERIAL.to_owned(),
            private_key: file(directory, "merchant_key.pem", MERCHANT_KEY),
            api_v3_key: file(directory, "api_v3_key", API_V3),
            public_key_id: ID.to_owned(),
            public_key: Some(file(directory, "public_key.pem", PLATFORM_KEY)),
            certificates: vec![file(directory, "certificate.pem", PLATFORM_CERTIFICATE)],
            transfer_scene: "1005".to_owned(),
            transfer_report: vec!["岗位类型=月嫂".to_owned()],
        }
    }

    /// What is said of the configuration after this change.
    fn said(change: impl FnOnce(&TempDir, &mut WechatConfig)) -> String {
        let directory = TempDir::new().unwrap();
        let mut config = config(&directory);
        change(&directory, &mut config);
        match Wechat::new(&config, CALLBACK.to_owned()) {
            Ok(_) => "good".to_owned(),
            Err(bad) => bad.to_string(),
        }
    }

    #[test]
    fn either_kind_of_key_will_do_and_both_and_neither() {
        let without_public_key =
            |config: &mut WechatConfig| (config.public_key, config.public_key_id) = (None, String::new());
        assert_eq!(said(|_, _| ()), "good");
        assert_eq!(said(|_, config| config.certificates.clear()), "good");
        assert_eq!(said(|_, config| without_public_key(config)), "good");
        // The certificates can be fetched.
        assert_eq!(
            said(|_, config| {
                without_public_key(config);
                config.certificates.clear();
            }),
            "good"
        );
        assert_eq!(said(|_, config| config.certificate_serial = SERIAL.to_lowercase()), "good");
        assert_eq!(
            said(|dir, config| config.api_v3_key = file(dir, "two", &format!("{API_V3}\r\nabcdef{}\n", &API_V3[6..]))),
            "good"
        );
    }

    #[test]
    fn the_serial_number_of_the_platform_is_not_taken_for_that_of_the_merchant() {
        let said_of_id = said(|_, config| config.certificate_serial = ID.to_owned());
        assert!(
            said_of_id.starts_with("wechatpay_certificate_serial: this is the id of WeChat Pay's public key"),
            "{said_of_id}"
        );
        for serial in ["", "not hexadecimal"] {
            let said = said(|_, config| config.certificate_serial = serial.to_owned());
            assert!(
                said.starts_with("wechatpay_certificate_serial: the serial number of the merchant's own"),
                "{said}"
            );
        }
        let said = said(|_, config| config.certificate_serial = "D7CE59D1F522D701".to_owned());
        assert!(
            said.starts_with("wechatpay_certificates") && said.contains("the merchant's own API certificate"),
            "{said}"
        );
    }

    #[test]
    fn the_merchants_own_key_is_not_taken_for_that_of_the_platform() {
        let own = keys::parse_signing_key(MERCHANT_KEY.as_bytes()).unwrap().verifying_key();
        let said_of_own = said(|dir, config| {
            use base64::Engine as _;
            let text = base64::engine::general_purpose::STANDARD.encode(own.der());
            config.public_key = Some(file(dir, "own.pem", &text));
        });
        assert!(
            said_of_own.starts_with("wechatpay_public_key: this is the public half of the merchant's own"),
            "{said_of_own}"
        );
        let private = said(|dir, config| config.public_key = Some(file(dir, "private.pem", MERCHANT_KEY)));
        assert!(private.starts_with("wechatpay_public_key") && private.contains("it holds a private key"), "{private}");
        let certificate = said(|dir, config| config.public_key = Some(file(dir, "certificate", PLATFORM_CERTIFICATE)));
        assert!(certificate.starts_with("wechatpay_public_key: this is a certificate"), "{certificate}");
        let swapped = said(|dir, config| config.private_key = file(dir, "swapped.pem", PLATFORM_KEY));
        assert!(swapped.starts_with("wechatpay_private_key") && swapped.contains("it holds a public key"), "{swapped}");
    }

    #[test]
    fn an_id_that_is_a_serial_number_is_said_to_be_one() {
        let own = said(|_, config| config.public_key_id = SERIAL.to_owned());
        assert!(
            own.starts_with("wechatpay_public_key_id") && own.contains("of the merchant's own certificate"),
            "{own}"
        );
        assert!(said(|_, config| config.public_key_id = String::new()).starts_with("wechatpay_public_key_id"));
        assert!(said(|_, config| config.public_key = None).starts_with("wechatpay_public_key: the id"));
    }

    #[test]
    fn an_api_v3_key_has_32_bytes_and_is_not_another_key() {
        for text in [
            "",
            "\n",
            "testMchAPIv3Key0",
            &format!("{API_V3}0"),
            &format!("{API_V3}\nshort"),
            &format!("{API_V3}{API_V3}"),
        ] {
            let said = said(|dir, config| config.api_v3_key = file(dir, "other", text));
            assert!(said.starts_with("wechatpay_api_v3_key") && said.contains("exactly 32 bytes"), "{said}");
            assert!(text.trim().is_empty() || !said.contains(text.trim()), "{said}");
        }
        let said = said(|dir, config| config.api_v3_key = file(dir, "other", MERCHANT_KEY));
        assert!(
            said.starts_with("wechatpay_api_v3_key") && said.contains("this is an RSA key or a certificate"),
            "{said}"
        );
    }

    #[test]
    fn files_that_others_may_read_are_refused() {
        let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(said(|_, config| open(&config.private_key)).starts_with("wechatpay_private_key: others may read"));
        assert!(said(|_, config| open(&config.api_v3_key)).starts_with("wechatpay_api_v3_key: others may read"));
    }

    #[test]
    fn what_else_can_not_work_is_said_at_the_start() {
        assert!(said(|_, config| config.mchid = "mch1".to_owned()).starts_with("wechatpay_mchid"));
        assert!(said(|_, config| config.appid = String::new()).starts_with("wechatpay_appid"));
        assert!(
            said(|_, config| config.base_url = "http://api.mch.weixin.qq.com".to_owned())
                .starts_with("wechatpay_base_url")
        );
        assert!(
            said(|_, config| config.transfer_report = vec!["岗位类型".to_owned()])
                .starts_with("wechatpay_transfer_report")
        );
        let directory = TempDir::new().unwrap();
        let long = format!("https://relay.example.com/{}", "a".repeat(255));
        for callback in ["", "relay.example.com", "https://relay.example.com/callback?site=1", &long] {
            let said = Wechat::new(&config(&directory), callback.to_owned()).unwrap_err().to_string();
            assert!(said.starts_with("payment_notify_url"), "{said}");
        }
    }
}
