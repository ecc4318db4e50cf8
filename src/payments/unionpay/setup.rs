//! The keys at the start: the merchant's certificate and private key have to be a pair, and UnionPay's two certificates a chain.

use std::path::Path;

use super::Unionpay;
use super::chain::Chain;
use crate::payments::config::UnionpayConfig;
use crate::payments::gateways::BadKey;
use crate::payments::http;
use crate::payments::keys::{self, Certificate};

const BASE_URL: &str = "unionpay_base_url";
const FILE_URL: &str = "unionpay_file_url";
const MERCHANT_ID: &str = "unionpay_merchant_id";
const CERTIFICATE: &str = "unionpay_certificate";
const PRIVATE_KEY: &str = "unionpay_private_key";
const ROOT_CERTIFICATE: &str = "unionpay_root_certificate";
const MIDDLE_CERTIFICATE: &str = "unionpay_middle_certificate";

const MERCHANT_ID_CHARACTERS: usize = 15;

impl Unionpay {
    /// UnionPay with the keys of the configuration, which are read and checked. Notifications are to be sent to `callback_url`.
    ///
    /// # Errors
    /// [`BadKey`] names the first that can't be used.
    pub fn new(config: &UnionpayConfig, callback_url: String) -> Result<Self, BadKey> {
        let merchant_id = &config.merchant_id;
        if merchant_id.len() != MERCHANT_ID_CHARACTERS || !merchant_id.bytes().all(|byte| byte.is_ascii_alphanumeric())
        {
            return Err(BadKey { key: MERCHANT_ID, problem: "a merchant's number has 15 digits".to_owned() });
        }
        let signing = keys::signing_key(PRIVATE_KEY, &config.private_key)?;
        let certificate = first(CERTIFICATE, &config.certificate)?;
        let certified =
            certificate.verifying_key().map_err(|problem| bad(CERTIFICATE, &config.certificate, &problem))?;
        if certified != signing.verifying_key() {
            return Err(bad(CERTIFICATE, &config.certificate, "it does not belong to unionpay_private_key"));
        }
        let root = first(ROOT_CERTIFICATE, &config.root_certificate)?;
        let middle = first(MIDDLE_CERTIFICATE, &config.middle_certificate)?;
        let chain =
            Chain::new(root, middle).map_err(|problem| bad(MIDDLE_CERTIFICATE, &config.middle_certificate, problem))?;
        // The same client serves both; each address is looked at.
        http::client(FILE_URL, &config.file_url)?;
        Ok(Self {
            client: http::client(BASE_URL, &config.base_url)?,
            base_url: config.base_url.clone(),
            file_url: config.file_url.clone(),
            callback_url,
            merchant_id: config.merchant_id.clone(),
            certificate_id: certificate.parsed().tbs_certificate.serial.to_string(),
            signing,
            chain,
        })
    }
}

/// The first certificate of a file.
fn first(key: &'static str, path: &Path) -> Result<Certificate, BadKey> {
    let certificate = keys::certificates(key, path)?.into_iter().next();
    certificate.ok_or_else(|| bad(key, path, "no certificate is in it"))
}

fn bad(key: &'static str, path: &Path, problem: &str) -> BadKey {
    BadKey { key, problem: format!("{}: {problem}", path.display()) }
}
