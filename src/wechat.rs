//! WeChat's mini-program server, as far as logging in needs it. It knows nothing of users.
//!
//! The addresses hold the secret and the session key never leaves this file, so no error carries an address and no answer
//! is kept. Facts: <https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/user-login/code2Session.html>.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use form_urlencoded::Serializer;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::Mutex;

use crate::domain::wechat::Openid;

/// How long WeChat may take to answer.
const WAIT: Duration = Duration::from_secs(3);
/// An access token is fetched anew so long before its end.
const TOKEN_MARGIN: Duration = Duration::from_secs(300);

/// The code was made up, used before or is older than five minutes.
const INVALID_CODE: i64 = 40_029;
/// Other ways in which WeChat says so: used before, and malformed.
const OTHER_INVALID_CODES: [i64; 2] = [40_163, 41_008];
/// WeChat is busy: the same request may succeed later.
const BUSY: i64 = -1;
/// The access token is not good, or no more.
const TOKEN_DEAD: [i64; 3] = [40_001, 40_014, 42_001];

/// Where WeChat is, and who we are to it.
#[derive(Clone, Default)]
pub struct Config {
    /// Such as `https://api.weixin.qq.com`.
    pub base_url: String,
    /// The mini-program.
    pub appid: String,
    /// Its secret; empty with the appid when there is none.
    pub secret: String,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("base_url", &self.base_url).field("appid", &self.appid).finish_non_exhaustive()
    }
}

/// Why WeChat did not say what was asked.
#[derive(Debug, thiserror::Error)]
pub enum WeChatError {
    /// There is no mini-program to ask about.
    #[error("WeChat is not configured")]
    NotConfigured,
    /// No answer, or none that can be read.
    #[error("WeChat can't be reached")]
    Unreachable(#[source] Option<reqwest::Error>),
    /// The code was made up, used before or is too old.
    #[error("the WeChat code is not good")]
    InvalidCode,
    /// WeChat refuses for another reason, see its table of error codes.
    #[error("WeChat refuses with errcode {errcode}")]
    Refused {
        /// WeChat's number for it.
        errcode: i64,
    },
}

impl From<reqwest::Error> for WeChatError {
    fn from(error: reqwest::Error) -> Self {
        WeChatError::Unreachable(Some(error.without_url()))
    }
}

/// WeChat, if it is configured.
#[derive(Clone)]
pub struct WeChat(Option<Arc<Inner>>);

struct Inner {
    config: Config,
    client: reqwest::Client,
    /// Held while it is fetched, so that those who need it at once fetch it once.
    token: Mutex<Option<Token>>,
}

struct Token {
    text: String,
    good_until: Instant,
}

#[derive(Deserialize)]
struct Session {
    openid: Option<String>,
}

#[derive(Deserialize)]
struct StableToken {
    access_token: Option<String>,
    expires_in: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PhoneInfo {
    pure_phone_number: String,
    country_code: String,
    watermark: Watermark,
}

#[derive(Deserialize)]
struct Watermark {
    appid: String,
}

#[derive(Deserialize)]
struct Phone {
    phone_info: Option<PhoneInfo>,
}

/// What every answer may hold beside its data.
#[derive(Deserialize)]
struct Verdict<T> {
    #[serde(default)]
    errcode: i64,
    #[serde(flatten)]
    data: T,
}

impl WeChat {
    /// WeChat as configured; without an appid every call is refused.
    ///
    /// # Errors
    /// [`WeChatError::Unreachable`] when no client can be built on this machine.
    pub fn new(config: Config) -> Result<Self, WeChatError> {
        if config.appid.is_empty() {
            return Ok(Self(None));
        }
        // The provider may be installed already by another part of the process; it is the same one.
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let client = reqwest::Client::builder().timeout(WAIT).redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self(Some(Arc::new(Inner { config, client, token: Mutex::new(None) }))))
    }

    /// Who has just called `wx.login` and got this code.
    ///
    /// # Errors
    /// [`WeChatError`].
    pub async fn code_to_openid(&self, code: &str) -> Result<Openid, WeChatError> {
        let wechat = self.0.as_ref().ok_or(WeChatError::NotConfigured)?;
        let query = Serializer::new(String::new())
            .append_pair("appid", &wechat.config.appid)
            .append_pair("secret", &wechat.config.secret)
            .append_pair("js_code", code)
            .append_pair("grant_type", "authorization_code")
            .finish();
        let request = wechat.client.get(format!("{}/sns/jscode2session?{query}", wechat.config.base_url));
        let session: Session = ask(request).await?;
        session.openid.and_then(|openid| Openid::new(openid).ok()).ok_or(WeChatError::Unreachable(None))
    }

    /// The telephone number that its owner has just confirmed in the mini-program, by the code of the `getPhoneNumber` button.
    ///
    /// # Errors
    /// [`WeChatError`].
    pub async fn phone_of(&self, code: &str) -> Result<String, WeChatError> {
        let wechat = self.0.as_ref().ok_or(WeChatError::NotConfigured)?;
        let token = wechat.token().await?;
        let phone: Phone = match wechat.ask_phone(&token, code).await {
            Err(WeChatError::Refused { errcode }) if TOKEN_DEAD.contains(&errcode) => {
                wechat.forget(&token).await;
                wechat.ask_phone(&wechat.token().await?, code).await?
            }
            other => other?,
        };
        let info = phone.phone_info.ok_or(WeChatError::Unreachable(None))?;
        if info.watermark.appid != wechat.config.appid {
            return Err(WeChatError::InvalidCode);
        }
        match info.country_code.as_str() {
            "86" => Ok(info.pure_phone_number),
            country => Ok(format!("+{country}{}", info.pure_phone_number)),
        }
    }
}

impl Inner {
    async fn ask_phone(&self, token: &str, code: &str) -> Result<Phone, WeChatError> {
        let query = Serializer::new(String::new()).append_pair("access_token", token).finish();
        let url = format!("{}/wxa/business/getuserphonenumber?{query}", self.config.base_url);
        ask(self.client.post(url).json(&json!({"code": code}))).await
    }

    /// The access token, kept until shortly before its end.
    async fn token(&self) -> Result<String, WeChatError> {
        let mut kept = self.token.lock().await;
        if let Some(token) = kept.as_ref().filter(|token| Instant::now() < token.good_until) {
            return Ok(token.text.clone());
        }
        let asked_at = Instant::now();
        let request = self.client.post(format!("{}/cgi-bin/stable_token", self.config.base_url)).json(&json!({
            "grant_type": "client_credential",
            "appid": self.config.appid,
            "secret": self.config.secret,
        }));
        let fetched: StableToken = ask(request).await?;
        let text = fetched.access_token.ok_or(WeChatError::Unreachable(None))?;
        let lives = Duration::from_secs(fetched.expires_in.unwrap_or_default()).saturating_sub(TOKEN_MARGIN);
        *kept = Some(Token { text: text.clone(), good_until: asked_at + lives });
        Ok(text)
    }

    /// Forgets a token that WeChat no longer takes, unless it was replaced meanwhile.
    async fn forget(&self, dead: &str) {
        let mut kept = self.token.lock().await;
        if kept.as_ref().is_some_and(|token| token.text == dead) {
            *kept = None;
        }
    }
}

async fn ask<T: DeserializeOwned>(request: reqwest::RequestBuilder) -> Result<T, WeChatError> {
    let answer = request.send().await?.error_for_status()?;
    let verdict: Verdict<T> = answer.json().await?;
    match verdict.errcode {
        0 => Ok(verdict.data),
        INVALID_CODE => Err(WeChatError::InvalidCode),
        errcode if OTHER_INVALID_CODES.contains(&errcode) => Err(WeChatError::InvalidCode),
        BUSY => Err(WeChatError::Unreachable(None)),
        errcode => Err(WeChatError::Refused { errcode }),
    }
}
