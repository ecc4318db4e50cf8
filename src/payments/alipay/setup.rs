//! The keys at the start. What is confused again and again is Alipay's public key with the app's own, which is shown beside it on Alipay's
//! site; what is wrong is said with the name of the configuration's key.

use std::path::Path;

use super::Alipay;
use super::certificates::{Serials, root_serial, serial};
use crate::payments::config::AlipayConfig;
use crate::payments::gateways::BadKey;
use crate::payments::http;
use crate::payments::keys::{self, Certificate};
use crate::payments::signing::VerifyingKey;

const BASE_URL: &str = "alipay_base_url";
const APP_ID: &str = "alipay_app_id";
const SELLER_ID: &str = "alipay_seller_id";
const PRIVATE_KEY: &str = "alipay_private_key";
const PUBLIC_KEY: &str = "alipay_public_key";
const APP_CERTIFICATE: &str = "alipay_app_certificate";
const CERTIFICATE: &str = "alipay_certificate";
const ROOT_CERTIFICATE: &str = "alipay_root_certificate";

impl Alipay {
    /// Alipay with the keys of the configuration, which are read and checked. Notifications are to be sent to `callback_url`.
    ///
    /// # Errors
    /// [`BadKey`] names the first that can't be used.
    pub fn new(config: &AlipayConfig, callback_url: String) -> Result<Self, BadKey> {
        check_names(config)?;
        let signing = keys::signing_key(PRIVATE_KEY, &config.private_key)?;
        let own = signing.verifying_key();
        let (alipay_key, certificates) = match certificate_files(config)? {
            Some(files) => {
                let (key, serials) = files.read(&own)?;
                (key, Some(serials))
            }
            None => (public_key(config, &own)?, None),
        };
        Ok(Self {
            client: http::client(BASE_URL, &config.base_url)?,
            base_url: config.base_url.clone(),
            callback_url,
            app_id: config.app_id.clone(),
            seller_id: config.seller_id.clone(),
            signing,
            alipay_key,
            certificates,
        })
    }
}

fn check_names(config: &AlipayConfig) -> Result<(), BadKey> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(&config.app_id) {
        return Err(bad(APP_ID, "an app's id has digits only"));
    }
    if !digits(&config.seller_id) || !config.seller_id.starts_with("2088") {
        return Err(bad(
            SELLER_ID,
            "the merchant's user id is needed, 16 digits that begin with 2088: notifications are compared with it",
        ));
    }
    if config.base_url.contains(['?', '#']) {
        return Err(bad(BASE_URL, "the gateway's address has no query"));
    }
    Ok(())
}

/// Alipay's key in key mode.
fn public_key(config: &AlipayConfig, own: &VerifyingKey) -> Result<VerifyingKey, BadKey> {
    let path = config
        .public_key
        .as_deref()
        .ok_or_else(|| bad(PUBLIC_KEY, "Alipay's public key is needed, or the three certificates in its place"))?;
    let key = keys::verifying_key(PUBLIC_KEY, path)?;
    if key == *own {
        return Err(bad_file(
            PUBLIC_KEY,
            path,
            "this is the app's own public key; what belongs here is Alipay's (支付宝公钥), which is shown beside it once the app's was \
             uploaded",
        ));
    }
    Ok(key)
}

/// The files of certificate mode.
struct CertificateFiles<'a> {
    app: &'a Path,
    alipay: &'a Path,
    root: &'a Path,
}

fn certificate_files(config: &AlipayConfig) -> Result<Option<CertificateFiles<'_>>, BadKey> {
    let missing = |key| bad(key, "certificate mode needs all three certificates, and this one is missing");
    let [app, alipay, root] =
        [&config.app_certificate, &config.certificate, &config.root_certificate].map(Option::as_deref);
    if app.is_none() && alipay.is_none() && root.is_none() {
        return Ok(None);
    }
    Ok(Some(CertificateFiles {
        app: app.ok_or_else(|| missing(APP_CERTIFICATE))?,
        alipay: alipay.ok_or_else(|| missing(CERTIFICATE))?,
        root: root.ok_or_else(|| missing(ROOT_CERTIFICATE))?,
    }))
}

impl CertificateFiles<'_> {
    fn read(&self, own: &VerifyingKey) -> Result<(VerifyingKey, Serials), BadKey> {
        let (app, app_key) = leaf(APP_CERTIFICATE, self.app)?;
        if app_key != *own {
            return Err(bad_file(APP_CERTIFICATE, self.app, "it does not belong to alipay_private_key"));
        }
        let (alipay, alipay_key) = leaf(CERTIFICATE, self.alipay)?;
        if alipay_key == *own {
            return Err(bad_file(
                CERTIFICATE,
                self.alipay,
                "this is the app's own certificate; what belongs here is Alipay's (alipayCertPublicKey_RSA2.crt)",
            ));
        }
        let roots = keys::certificates(ROOT_CERTIFICATE, self.root)?;
        let unnamed = |key, path| bad_file(key, path, "Alipay's name for it can't be told");
        let serials = Serials {
            app: serial(&app).ok_or_else(|| unnamed(APP_CERTIFICATE, self.app))?,
            alipay: serial(&alipay).ok_or_else(|| unnamed(CERTIFICATE, self.alipay))?,
            root: root_serial(&roots).ok_or_else(|| unnamed(ROOT_CERTIFICATE, self.root))?,
        };
        Ok((alipay_key, serials))
    }
}

/// The first certificate of a file; what follows it issued it.
fn leaf(key: &'static str, path: &Path) -> Result<(Certificate, VerifyingKey), BadKey> {
    let first = keys::certificates(key, path)?.into_iter().next();
    let first = first.ok_or_else(|| bad_file(key, path, "no certificate is in it"))?;
    let public = first.verifying_key().map_err(|problem| bad_file(key, path, &problem))?;
    Ok((first, public))
}

fn bad(key: &'static str, problem: &str) -> BadKey {
    BadKey { key, problem: problem.to_owned() }
}

fn bad_file(key: &'static str, path: &Path, problem: &str) -> BadKey {
    BadKey { key, problem: format!("{}: {problem}", path.display()) }
}
