//! What the configuration says about the platforms. Keys are in files of their own, which the adapters read and check at the start.

use std::path::PathBuf;

/// The platforms as configured; one without its merchant's number is off.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// The public address below which platforms find `/api/payment/callback/…`, such as `https://relay.example.com`.
    pub notify_url: String,
    /// WeChat Pay.
    pub wechat: WechatConfig,
    /// Alipay.
    pub alipay: AlipayConfig,
    /// UnionPay.
    pub unionpay: UnionpayConfig,
}

impl Config {
    /// Whether any platform is configured.
    pub const fn is_on(&self) -> bool {
        !(self.wechat.mchid.is_empty() && self.alipay.app_id.is_empty() && self.unionpay.merchant_id.is_empty())
    }

    /// Where a platform sends its notifications; `method` is the seed's payment method.
    pub fn callback_url(&self, method: &str) -> String {
        format!("{}/api/payment/callback/{method}", self.notify_url)
    }
}

/// WeChat Pay v3.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WechatConfig {
    /// `https://api.mch.weixin.qq.com`, or where a simulator is.
    pub base_url: String,
    /// The merchant's number; empty for off.
    pub mchid: String,
    /// The mini-program that is bound to the merchant.
    pub appid: String,
    /// The serial number of the merchant's certificate, upper-case hexadecimal.
    pub certificate_serial: String,
    /// The merchant's private key, PEM.
    pub private_key: PathBuf,
    /// The API v3 key: 32 bytes; more than one while it is being changed, one a line.
    pub api_v3_key: PathBuf,
    /// The id of WeChat Pay's public key, `PUB_KEY_ID_…`; empty in certificate mode.
    pub public_key_id: String,
    /// WeChat Pay's public key, PEM.
    pub public_key: Option<PathBuf>,
    /// WeChat Pay's platform certificates, PEM; more are fetched by themselves.
    pub certificates: Vec<PathBuf>,
    /// The scene of transfers, such as `1005`; empty for no transfers.
    pub transfer_scene: String,
    /// What is reported with a transfer, each `info_type=info_content`.
    pub transfer_report: Vec<String>,
}

/// Alipay's OpenAPI.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlipayConfig {
    /// `https://openapi.alipay.com/gateway.do`, or that of a simulator.
    pub base_url: String,
    /// The app; empty for off.
    pub app_id: String,
    /// The merchant's user id.
    pub seller_id: String,
    /// The app's private key, PEM or bare Base64, PKCS#8 or PKCS#1.
    pub private_key: PathBuf,
    /// Alipay's public key; none in certificate mode.
    pub public_key: Option<PathBuf>,
    /// The app's certificate, in certificate mode.
    pub app_certificate: Option<PathBuf>,
    /// Alipay's certificate, in certificate mode.
    pub certificate: Option<PathBuf>,
    /// Alipay's root certificates, in certificate mode.
    pub root_certificate: Option<PathBuf>,
}

/// UnionPay 5.1.0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnionpayConfig {
    /// `https://gateway.95516.com`, or where a simulator is.
    pub base_url: String,
    /// `https://filedownload.95516.com`, or where a simulator is.
    pub file_url: String,
    /// The merchant's number; empty for off.
    pub merchant_id: String,
    /// The merchant's signing certificate, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub private_key: PathBuf,
    /// UnionPay's root certificate, PEM.
    pub root_certificate: PathBuf,
    /// UnionPay's intermediate certificate, PEM.
    pub middle_certificate: PathBuf,
}
