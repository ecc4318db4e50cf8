//! The one shape of every refusal: `{"code":…,"message":…,"data":{"field":…,"error":…}}`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{Error, Invalid};
use crate::wechat::WeChatError;

/// Why a request is not answered with what it asked for.
#[derive(Debug)]
pub enum Refusal {
    /// The operation was not done.
    Error(Error),
    /// No route has this path.
    NoRoute,
    /// The path has no such method.
    NoMethod,
    /// The body is longer than the limit.
    BodyTooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// The answer to a letter is longer than the limit.
    AnswerTooLarge,
    /// The site that stands behind the relay does not do it now.
    Unavailable {
        /// Why, for a person to read.
        error: String,
    },
    /// The body took too long to arrive.
    BodyTooSlow,
    /// The body is not declared as JSON.
    NotJson,
    /// The body is not declared as a table.
    NotATable,
    /// WeChat did not say who it is.
    WeChat(WeChatError),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal::Error(error)
    }
}

impl From<WeChatError> for Refusal {
    fn from(error: WeChatError) -> Self {
        Refusal::WeChat(error)
    }
}

/// The envelope of a refusal.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorBody {
    /// The HTTP status.
    #[schema(example = 400)]
    pub code: u16,
    /// What kind of refusal it is.
    #[schema(example = "请求参数错误")]
    pub message: &'static str,
    /// What was refused.
    pub data: ErrorDetail,
}

/// What was refused.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorDetail {
    /// The parameter at fault, if it is one.
    #[schema(example = "name")]
    pub field: Option<String>,
    /// What is wrong, for a person to read.
    #[schema(example = "姓名不能为空")]
    pub error: String,
}

/// The fixed message of each status.
pub const fn message_of(status: u16) -> &'static str {
    match status {
        400 => "请求参数错误",
        401 => "未授权",
        403 => "禁止访问",
        404 => "资源不存在",
        405 => "请求方法不允许",
        408 => "请求超时",
        409 => "资源冲突",
        413 => "请求体过大",
        415 => "不支持的内容类型",
        429 => "请求过于频繁",
        503 => "服务暂不可用",
        507 => "存储空间不足",
        _ => "服务器内部错误",
    }
}

/// What a path is told that no route has.
pub const NO_ROUTE: &str = "没有这个接口";
/// Seconds after which a refused write may be tried again.
const BUSY_RETRY_S: u64 = 1;
/// Seconds after which a WeChat account that logged in too often may try again.
const WECHAT_RETRY_S: u64 = 60;

impl Refusal {
    fn parts(&self) -> Parts {
        match self {
            Refusal::NoRoute => plain(404, NO_ROUTE),
            Refusal::NoMethod => plain(405, "该接口不支持此请求方法"),
            Refusal::BodyTooLarge { bytes_max } => plain(413, &format!("请求体不能超过{}MiB", bytes_max >> 20)),
            Refusal::AnswerTooLarge => plain(413, "答复超过1MiB，请缩小查询范围"),
            Refusal::Unavailable { error } => plain(503, error),
            Refusal::BodyTooSlow => plain(408, "请求体未在规定时间内传完"),
            Refusal::NotJson => plain(415, "Content-Type应为application/json"),
            Refusal::NotATable => plain(415, "Content-Type应为text/csv或XLSX的类型"),
            Refusal::Error(error) => parts_of(error),
            Refusal::WeChat(error) => parts_of_wechat(error),
        }
    }
}

/// Status, field, text, and the seconds after which to try again.
type Parts = (u16, Option<String>, String, Option<u64>);

fn plain(status: u16, error: &str) -> Parts {
    (status, None, error.to_owned(), None)
}

fn parts_of(error: &Error) -> Parts {
    match error {
        Error::Unauthenticated(why) => plain(401, why),
        Error::Forbidden(why) => plain(403, why),
        Error::NotFound(what) => plain(404, what),
        Error::Conflict(why) => plain(409, why),
        Error::Invalid(Invalid { field, error }) => {
            (400, (!field.is_empty()).then(|| field.clone().into_owned()), error.clone().into_owned(), None)
        }
        Error::Item { item, cause } => {
            let (status, field, error, retry_after_s) = parts_of(cause);
            let field = field.map_or_else(|| item.clone(), |field| format!("{item}.{field}"));
            (status, Some(field), error, retry_after_s)
        }
        Error::TooMany { retry_after_s } => (429, None, format!("请在{retry_after_s}秒后重试"), Some(*retry_after_s)),
        Error::Busy | Error::Center(_) => (503, None, "系统繁忙，请稍后重试".to_owned(), Some(BUSY_RETRY_S)),
        Error::Unreachable(_) => plain(503, "网络不可用，请稍后重试"),
        Error::StorageFull(_) => plain(507, "磁盘空间已满，本次操作未保存"),
        Error::Db(_) | Error::Corrupt(_) | Error::Panicked | Error::Io(_) => plain(500, "服务器内部错误"),
    }
}

/// WeChat's numbers: <https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/user-login/code2Session.html>.
fn parts_of_wechat(error: &WeChatError) -> Parts {
    const RISKY_USER: i64 = 40_226;
    const TOO_OFTEN: i64 = 45_011;
    match error {
        WeChatError::NotConfigured => plain(503, "微信登录未配置"),
        WeChatError::InvalidCode => (400, Some("code".to_owned()), "微信授权码无效或已使用".to_owned(), None),
        WeChatError::Refused { errcode: RISKY_USER } => plain(403, "该微信账号存在风险，不能登录"),
        WeChatError::Refused { errcode: TOO_OFTEN } => {
            (429, None, "微信登录过于频繁，请稍后重试".to_owned(), Some(WECHAT_RETRY_S))
        }
        WeChatError::Unreachable(_) | WeChatError::Refused { .. } => plain(503, "微信服务不可用，请稍后重试"),
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, field, error, retry_after_s) = self.parts();
        let cause: Option<&dyn std::error::Error> = match &self {
            Refusal::Error(cause) => Some(cause),
            Refusal::WeChat(cause) => Some(cause),
            Refusal::NoRoute
            | Refusal::NoMethod
            | Refusal::BodyTooLarge { .. }
            | Refusal::BodyTooSlow
            | Refusal::Unavailable { .. }
            | Refusal::NotJson
            | Refusal::NotATable
            | Refusal::AnswerTooLarge => None,
        };
        if let Some(cause) = cause
            && status >= 500
        {
            let causes: Vec<String> =
                std::iter::successors(cause.source(), |cause| cause.source()).map(ToString::to_string).collect();
            let source = (!causes.is_empty()).then(|| causes.join(": "));
            tracing::error!(status, error = %cause, cause = source, "a request failed");
        }
        let body = ErrorBody { code: status, message: message_of(status), data: ErrorDetail { field, error } };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(body)).into_response();
        if let Some(seconds) = retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
