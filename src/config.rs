//! The configuration: defaults that are compiled in, then a file, then variables.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use axum::http::HeaderValue;
use jiff::civil::Time;
use serde::Deserialize;
use toml::{Table, Value};

use crate::domain::settings::{LogLevel, UnknownLogLevel};
use crate::domain::time::Zone;
use crate::http::app::EdgeConfig;
use crate::payments::config::{AlipayConfig, Config as PaymentsConfig, UnionpayConfig, WechatConfig};
use crate::store::backup::Retention;
use crate::wechat;

/// The commented defaults.
pub const DEFAULTS: &str = include_str!("../packaging/canshi.toml");
/// What a variable's name begins with.
const PREFIX: &str = "CANSHI_";
/// What the names of the platforms' keys begin with.
const PAYMENT_PREFIXES: [&str; 4] = ["payment_", "wechatpay_", "alipay_", "unionpay_"];
/// Costs that bcrypt takes.
const BCRYPT_COSTS: std::ops::RangeInclusive<u32> = 4..=16;

/// Connections that a relay may be given.
const MYSQL_CONNECTIONS: std::ops::RangeInclusive<usize> = 6..=1024;

/// Why a configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("{0}: {1}")]
    File(PathBuf, #[source] std::io::Error),
    /// The file is not TOML or has a key that does not exist.
    #[error("{0}: {1}")]
    Toml(String, #[source] toml::de::Error),
    /// A value can't be used.
    #[error("{key}: {problem}")]
    Value {
        /// The key.
        key: &'static str,
        /// What is wrong with its value.
        problem: String,
    },
}

/// Where HTTPS gets its certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// Plain HTTP.
    Off,
    /// Made on the first start, kept in the data directory.
    SelfSigned,
    /// Given.
    Files {
        /// The certificate chain, PEM.
        certificate: PathBuf,
        /// The private key, PEM.
        key: PathBuf,
    },
}

/// The configuration in force.
#[derive(Debug, Clone)]
pub struct Config {
    /// The zone that the books are kept in.
    pub zone: Zone,
    /// What the edge needs to know.
    pub edge: EdgeConfig,
    /// HTTPS.
    pub tls: Tls,
    /// The cost of bcrypt.
    pub bcrypt_cost: u32,
    /// When the daily backup is made, in the site's zone.
    pub backup_at: Time,
    /// Which backups are kept.
    pub retention: Retention,
    /// The size that the database may grow to, in bytes.
    pub database_bytes_max: Option<u64>,
    /// What only the relay needs to know.
    pub relay: RelayConfig,
    /// The mini-program.
    pub wechat: wechat::Config,
    /// Certificates of a private authority that the relay's may be signed by, PEM.
    pub relay_authority: Option<Vec<u8>>,
    /// The payment platforms.
    pub payments: PaymentsConfig,
}

/// What the configuration says about the relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayConfig {
    /// Connections to MySQL at most.
    pub mysql_connections: usize,
    /// Whether a MySQL that acknowledges before the disk is put up with.
    pub allow_weak_mysql: bool,
    /// A read replica for reading the mirror, as a URL.
    pub mysql_replica: Option<String>,
    /// How much the log says.
    pub log_level: LogLevel,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    time_zone: String,
    cors_origins: Vec<String>,
    trusted_proxies: Vec<IpAddr>,
    tls: String,
    tls_certificate: String,
    tls_key: String,
    bcrypt_cost: u32,
    backup_at: String,
    backup_keep_daily: usize,
    backup_keep_weekly: usize,
    backup_keep_monthly: usize,
    database_mib_max: u64,
    relay_mysql_connections: usize,
    relay_allow_weak_mysql: bool,
    relay_mysql_replica: String,
    relay_log_level: String,
    relay_authority: String,
    wechat_base_url: String,
    wechat_appid: String,
    wechat_secret: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPayments {
    payment_notify_url: String,
    wechatpay_base_url: String,
    wechatpay_mchid: String,
    wechatpay_appid: String,
    wechatpay_certificate_serial: String,
    wechatpay_private_key: String,
    wechatpay_api_v3_key: String,
    wechatpay_public_key_id: String,
    wechatpay_public_key: String,
    wechatpay_certificates: Vec<PathBuf>,
    wechatpay_transfer_scene: String,
    wechatpay_transfer_report: Vec<String>,
    alipay_base_url: String,
    alipay_app_id: String,
    alipay_seller_id: String,
    alipay_private_key: String,
    alipay_public_key: String,
    alipay_app_certificate: String,
    alipay_certificate: String,
    alipay_root_certificate: String,
    unionpay_base_url: String,
    unionpay_file_url: String,
    unionpay_merchant_id: String,
    unionpay_certificate: String,
    unionpay_private_key: String,
    unionpay_root_certificate: String,
    unionpay_middle_certificate: String,
}

impl Config {
    /// The configuration of this file, if one is given, and these variables.
    ///
    /// # Errors
    /// Names the file or the key that can't be used.
    pub fn load(file: Option<&Path>, variables: impl Iterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let mut table: Table = DEFAULTS.parse().expect("the defaults are TOML");
        if let Some(path) = file {
            let text = std::fs::read_to_string(path).map_err(|error| ConfigError::File(path.to_owned(), error))?;
            let own: Table = text.parse().map_err(|error| ConfigError::Toml(path.display().to_string(), error))?;
            table.extend(own);
        }
        for (name, text) in variables {
            let Some(key) = name.strip_prefix(PREFIX).map(str::to_ascii_lowercase) else { continue };
            if let Some(value) = table.get_mut(&key) {
                *value = read_as(value, text);
            }
        }
        let source = file.map_or_else(|| "configuration".to_owned(), |path| path.display().to_string());
        let of_payments = |key: &String| PAYMENT_PREFIXES.iter().any(|prefix| key.starts_with(prefix));
        let (payments, rest): (Table, Table) = table.into_iter().partition(|(key, _)| of_payments(key));
        let refused = |error| ConfigError::Toml(source.clone(), error);
        let payments = Value::Table(payments).try_into::<RawPayments>().map_err(refused)?.check()?;
        Value::Table(rest).try_into::<Raw>().map_err(refused)?.check(payments)
    }
}

/// Reads a variable as what the default is; what can't be read so stays text, for the deserialiser to refuse by name.
fn read_as(like: &Value, text: String) -> Value {
    match like {
        Value::Boolean(_) => text.parse().map_or(Value::String(text), Value::Boolean),
        Value::Integer(_) => text.parse().map_or(Value::String(text), Value::Integer),
        Value::Array(_) => Value::Array(
            text.split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(|item| Value::String(item.into()))
                .collect(),
        ),
        _ => Value::String(text),
    }
}

impl RawPayments {
    fn check(self) -> Result<PaymentsConfig, ConfigError> {
        for (key, address) in [
            ("wechatpay_base_url", &self.wechatpay_base_url),
            ("alipay_base_url", &self.alipay_base_url),
            ("unionpay_base_url", &self.unionpay_base_url),
            ("unionpay_file_url", &self.unionpay_file_url),
            ("payment_notify_url", &self.payment_notify_url),
        ] {
            let optional = key == "payment_notify_url" && address.is_empty();
            if !(optional || is_address(address)) || address.contains(['?', '#']) {
                let problem = format!("{address:?} is not an address such as https://example.com");
                return Err(ConfigError::Value { key, problem });
            }
        }
        let file = |path: String| (!path.is_empty()).then(|| PathBuf::from(path));
        let config = PaymentsConfig {
            notify_url: self.payment_notify_url,
            wechat: WechatConfig {
                base_url: self.wechatpay_base_url,
                mchid: self.wechatpay_mchid,
                appid: self.wechatpay_appid,
                certificate_serial: self.wechatpay_certificate_serial,
                private_key: self.wechatpay_private_key.into(),
                api_v3_key: self.wechatpay_api_v3_key.into(),
                public_key_id: self.wechatpay_public_key_id,
                public_key: file(self.wechatpay_public_key),
                certificates: self.wechatpay_certificates,
                transfer_scene: self.wechatpay_transfer_scene,
                transfer_report: self.wechatpay_transfer_report,
            },
            alipay: AlipayConfig {
                base_url: self.alipay_base_url,
                app_id: self.alipay_app_id,
                seller_id: self.alipay_seller_id,
                private_key: self.alipay_private_key.into(),
                public_key: file(self.alipay_public_key),
                app_certificate: file(self.alipay_app_certificate),
                certificate: file(self.alipay_certificate),
                root_certificate: file(self.alipay_root_certificate),
            },
            unionpay: UnionpayConfig {
                base_url: self.unionpay_base_url,
                file_url: self.unionpay_file_url,
                merchant_id: self.unionpay_merchant_id,
                certificate: self.unionpay_certificate.into(),
                private_key: self.unionpay_private_key.into(),
                root_certificate: self.unionpay_root_certificate.into(),
                middle_certificate: self.unionpay_middle_certificate.into(),
            },
        };
        if config.is_on() && config.notify_url.is_empty() {
            let problem = "the platforms have to be told where this is, such as https://relay.example.com".to_owned();
            return Err(ConfigError::Value { key: "payment_notify_url", problem });
        }
        Ok(config)
    }
}

fn is_address(text: &str) -> bool {
    (text.starts_with("https://") || text.starts_with("http://")) && !text.ends_with('/')
}

impl Raw {
    fn check(self, payments: PaymentsConfig) -> Result<Config, ConfigError> {
        let refuse = |key: &'static str, problem: String| ConfigError::Value { key, problem };
        if !BCRYPT_COSTS.contains(&self.bcrypt_cost) {
            return Err(refuse("bcrypt_cost", format!("{} is not between 4 and 16", self.bcrypt_cost)));
        }
        if !MYSQL_CONNECTIONS.contains(&self.relay_mysql_connections) {
            let problem = format!("{} is not between 6 and 1024", self.relay_mysql_connections);
            return Err(refuse("relay_mysql_connections", problem));
        }
        let origin = |origin: String| {
            let exact = origin.starts_with("http://") || origin.starts_with("https://");
            match HeaderValue::from_str(&origin) {
                Ok(value) if exact && !origin.ends_with('/') => Ok(value),
                _ => Err(refuse("cors_origins", format!("{origin:?} is not an origin such as https://example.com"))),
            }
        };
        let base_url = &self.wechat_base_url;
        if !is_address(base_url) {
            return Err(refuse(
                "wechat_base_url",
                format!("{base_url:?} is not an address such as https://example.com"),
            ));
        }
        if self.wechat_appid.is_empty() != self.wechat_secret.is_empty() {
            return Err(refuse("wechat_secret", "wechat_appid and wechat_secret go together".to_owned()));
        }
        Ok(Config {
            zone: Zone::named(&self.time_zone).map_err(|error| refuse("time_zone", error.to_string()))?,
            edge: EdgeConfig {
                cors_origins: self.cors_origins.into_iter().map(origin).collect::<Result<_, _>>()?,
                trusted_proxies: self.trusted_proxies,
            },
            tls: match self.tls.as_str() {
                "off" => Tls::Off,
                "self-signed" => Tls::SelfSigned,
                "files" => Tls::Files { certificate: self.tls_certificate.into(), key: self.tls_key.into() },
                other => return Err(refuse("tls", format!("{other:?} is not off, self-signed or files"))),
            },
            bcrypt_cost: self.bcrypt_cost,
            backup_at: self
                .backup_at
                .parse()
                .map_err(|_| refuse("backup_at", "not a time such as 03:30".to_owned()))?,
            retention: Retention {
                daily: self.backup_keep_daily.max(1),
                weekly: self.backup_keep_weekly,
                monthly: self.backup_keep_monthly,
            },
            database_bytes_max: (self.database_mib_max > 0).then_some(self.database_mib_max << 20),
            relay: RelayConfig {
                mysql_connections: self.relay_mysql_connections,
                allow_weak_mysql: self.relay_allow_weak_mysql,
                log_level: self
                    .relay_log_level
                    .parse()
                    .map_err(|error: UnknownLogLevel| refuse("relay_log_level", error.to_string()))?,
                mysql_replica: (!self.relay_mysql_replica.is_empty()).then_some(self.relay_mysql_replica),
            },
            relay_authority: (!self.relay_authority.is_empty())
                .then(|| std::fs::read(&self.relay_authority))
                .transpose()
                .map_err(|error| refuse("relay_authority", error.to_string()))?,
            wechat: wechat::Config {
                base_url: self.wechat_base_url,
                appid: self.wechat_appid,
                secret: self.wechat_secret,
            },
            payments,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let variables: Vec<_> = variables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        Config::load(None, variables.into_iter())
    }

    #[test]
    fn every_key_can_be_set_by_a_variable() {
        let config = load(&[
            ("CANSHI_CORS_ORIGINS", "https://a.example, https://b.example"),
            ("CANSHI_BCRYPT_COST", "4"),
            ("CANSHI_DATABASE_MIB_MAX", "64"),
        ])
        .expect("usable");
        assert_eq!(config.edge.cors_origins, ["https://a.example", "https://b.example"]);
        assert_eq!((config.bcrypt_cost, config.database_bytes_max), (4, Some(64 << 20)));
    }

    #[test]
    fn a_value_that_cannot_be_used_is_named() {
        for (name, text, named) in [
            ("CANSHI_TIME_ZONE", "Mars/Olympus", "time_zone"),
            ("CANSHI_BCRYPT_COST", "40", "bcrypt_cost"),
            ("CANSHI_BCRYPT_COST", "many", "bcrypt_cost"),
            ("CANSHI_CORS_ORIGINS", "*", "cors_origins"),
            ("CANSHI_TLS", "maybe", "tls"),
            ("CANSHI_WECHAT_BASE_URL", "api.weixin.qq.com", "wechat_base_url"),
            ("CANSHI_WECHAT_APPID", "wx0", "wechat_secret"),
            ("CANSHI_ALIPAY_BASE_URL", "openapi.alipay.com", "alipay_base_url"),
            ("CANSHI_WECHATPAY_MCHID", "1900000001", "payment_notify_url"),
        ] {
            let error = load(&[(name, text)]).expect_err(text);
            assert!(error.to_string().contains(named), "{error}");
        }
    }
}
