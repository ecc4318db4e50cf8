//! Settings of the site.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::access::Access::May;
use crate::domain::access::Permission::{SettingsRead, SettingsWrite};
use crate::domain::settings::{LogLevel, Settings};
use crate::http::App;
use crate::http::answer::{Answer, Fields};
use crate::http::caller::Caller;
use crate::http::error::Refusal;
use crate::http::extract::{Body, Labels};
use crate::http::route::{Route, get, put};
use crate::http::wire::{Money, Name, Whole, present};
use crate::service::settings;

/// The routes of this noun.
pub fn routes() -> Vec<Route> {
    vec![
        get("/api/settings", May(SettingsRead), read).summary("获取设置"),
        put("/api/settings", May(SettingsWrite), update).summary("更新设置"),
    ]
}

// The bounds of `domain::settings::bounds`.
type Minutes = Whole<5, 1440>;
type PerSecond = Whole<0, 1_000_000>;
type LoginFailures = Whole<1, 10_000>;

/// A change of the settings: what is not there stays.
#[derive(Deserialize, ToSchema)]
struct SettingsPatch {
    /// 中心名称
    #[serde(default, deserialize_with = "present")]
    center_name: Option<Name>,
    /// 登录有效期（分钟）
    #[serde(default, deserialize_with = "present")]
    session_minutes: Option<Minutes>,
    /// 每个地址每秒请求数上限, 0 is no limit
    #[serde(default, deserialize_with = "present")]
    requests_per_address: Option<PerSecond>,
    /// 每个用户每秒请求数上限, 0 is no limit
    #[serde(default, deserialize_with = "present")]
    requests_per_user: Option<PerSecond>,
    /// 每个地址每秒打卡数上限, 0 is no limit
    #[serde(default, deserialize_with = "present")]
    punches_per_address: Option<PerSecond>,
    /// 每个用户名15分钟内登录失败次数上限
    #[serde(default, deserialize_with = "present")]
    login_failures_per_name: Option<LoginFailures>,
    /// 每个地址15分钟内登录失败次数上限
    #[serde(default, deserialize_with = "present")]
    login_failures_per_address: Option<LoginFailures>,
    /// 日志级别
    #[serde(default, deserialize_with = "present")]
    log_level: Option<LogLevel>,
    /// 付款审批限额：超过此金额的付款须由另一人审批, 0 is every payout
    #[serde(default, deserialize_with = "present")]
    payout_approval_limit: Option<Money>,
}

impl Labels for SettingsPatch {
    const LABELS: &'static [(&'static str, &'static str)] = &[
        ("center_name", "中心名称"),
        ("session_minutes", "登录有效期"),
        ("requests_per_address", "每个地址每秒请求数上限"),
        ("requests_per_user", "每个用户每秒请求数上限"),
        ("punches_per_address", "每个地址每秒打卡数上限"),
        ("login_failures_per_name", "每个用户名登录失败次数上限"),
        ("login_failures_per_address", "每个地址登录失败次数上限"),
        ("log_level", "日志级别"),
        ("payout_approval_limit", "付款审批限额"),
    ];
}

impl SettingsPatch {
    fn apply(self, settings: &mut Settings) {
        if let Some(name) = self.center_name {
            settings.center_name = name.into();
        }
        put_number(self.session_minutes, &mut settings.session_minutes);
        put_number(self.requests_per_address, &mut settings.requests_per_address);
        put_number(self.requests_per_user, &mut settings.requests_per_user);
        put_number(self.punches_per_address, &mut settings.punches_per_address);
        put_number(self.login_failures_per_name, &mut settings.login_failures_per_name);
        put_number(self.login_failures_per_address, &mut settings.login_failures_per_address);
        if let Some(level) = self.log_level {
            settings.log_level = level;
        }
        if let Some(limit) = self.payout_approval_limit {
            settings.payout_approval_limit = limit.0;
        }
    }
}

/// Puts a number where it belongs, when there is one; the bounds of every setting fit.
fn put_number<const MIN: i64, const MAX: i64>(wanted: Option<Whole<MIN, MAX>>, target: &mut u32) {
    if let Some(Ok(number)) = wanted.map(|whole| u32::try_from(whole.0)) {
        *target = number;
    }
}

/// The settings in force.
#[derive(Serialize, ToSchema)]
struct SettingsView {
    /// 中心名称
    center_name: String,
    /// 登录有效期（分钟）
    session_minutes: u32,
    /// 每个地址每秒请求数上限, 0 is no limit
    requests_per_address: u32,
    /// 每个用户每秒请求数上限, 0 is no limit
    requests_per_user: u32,
    /// 每个地址每秒打卡数上限, 0 is no limit
    punches_per_address: u32,
    /// 每个用户名15分钟内登录失败次数上限
    login_failures_per_name: u32,
    /// 每个地址15分钟内登录失败次数上限
    login_failures_per_address: u32,
    /// 日志级别
    log_level: LogLevel,
    /// 付款审批限额：超过此金额的付款须由另一人审批, 0 is every payout
    payout_approval_limit: Money,
}

impl From<Settings> for SettingsView {
    fn from(settings: Settings) -> Self {
        Self {
            center_name: settings.center_name,
            session_minutes: settings.session_minutes,
            requests_per_address: settings.requests_per_address,
            requests_per_user: settings.requests_per_user,
            punches_per_address: settings.punches_per_address,
            login_failures_per_name: settings.login_failures_per_name,
            login_failures_per_address: settings.login_failures_per_address,
            log_level: settings.log_level,
            payout_approval_limit: Money(settings.payout_approval_limit),
        }
    }
}

async fn read(State(app): State<App>, caller: Caller, fields: Fields) -> Result<Answer<SettingsView>, Refusal> {
    let settings = app.read_rows(&caller, |tx, _| settings::read(tx)).await?;
    Ok(Answer::only("获取成功", &settings.into(), &fields)?)
}

async fn update(
    State(app): State<App>,
    caller: Caller,
    Body(patch): Body<SettingsPatch>,
) -> Result<Answer<SettingsView>, Refusal> {
    let follower = app.clone();
    app.write(&caller, move |tx, actor| {
        let settings = settings::update(tx, actor, |settings| patch.apply(settings))?;
        follower.follow(tx, settings.clone());
        Answer::new("更新成功", SettingsView::from(settings))
    })
    .await
}
