//! The mini-program's door (seed API, sections 3.1.2 and 3.8).

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::LoginView;
use crate::domain::access::Access::{May, Public, Relay};
use crate::domain::access::Permission::{AppointmentsRead, AttendancePunch, MenusRead};
use crate::domain::attendance::PunchType;
use crate::domain::ids::{DishId, NotificationId, UserId};
use crate::domain::menus::Meal;
use crate::domain::time::{Instant, Zone};
use crate::domain::wechat::Openid;
use crate::error::Error;
use crate::http::App;
use crate::http::answer::{Answer, Fields};
use crate::http::caller::Caller;
use crate::http::error::Refusal;
use crate::http::extract::{Body, Labels};
use crate::http::route::{Rate, Route, get, post};
use crate::http::wire::{Clock, Day, Line, LocalTime, Word};
use crate::service::attendance::Punched;
use crate::service::dashboard::Dashboard;
use crate::service::wechat::{Binding, Resolve};
use crate::service::{attendance, dashboard, menus, wechat};
use crate::store::menus::{Menu, MenuDish};
use crate::store::notifications::Notification;
use crate::store::users::User;
use crate::wechat::WeChatError;

/// The routes of the mini-program.
pub fn routes() -> Vec<Route> {
    vec![
        post("/api/auth/wechat/login", Public, login).summary("微信登录"),
        post("/api/auth/wechat/resolve", Relay, resolve).summary("查找、创建或绑定微信用户"),
        get("/api/wechat/customer/menu", May(MenusRead), menu).summary("获取今日餐单"),
        get("/api/wechat/admin/dashboard", May(AppointmentsRead), dashboard).summary("获取工作台数据"),
        post("/api/wechat/admin/attendance", May(AttendancePunch), punch).rate(Rate::Punch).summary("员工打卡"),
    ]
}

/// A login. `site_id` tells the relay which site is meant; the site itself passes over it.
#[derive(Deserialize, ToSchema)]
struct WeChatLoginBody {
    /// 微信登录码
    #[schema(example = "0a1b2c3d4e5f")]
    code: Line,
    /// 绑定码, from the front desk
    #[schema(example = "7KMP4XQ9")]
    bind_code: Option<Word>,
    /// 手机号授权码, from the `getPhoneNumber` button; passed over when there is a bind code
    phone_code: Option<Line>,
}

impl Labels for WeChatLoginBody {
    const LABELS: &'static [(&'static str, &'static str)] =
        &[("code", "微信登录码"), ("bind_code", "绑定码"), ("phone_code", "手机号授权码")];
}

async fn login(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<WeChatLoginBody>,
) -> Result<Answer<LoginView>, Refusal> {
    if let Some(answer) = app.repeated(&caller).await? {
        return Ok(answer);
    }
    app.auth().may_guess(&caller)?;
    let outcome = sign_in(&app, &caller, body).await;
    if let Err(Refusal::Error(Error::Invalid(invalid))) = &outcome
        && let Some(what) = ["code", "bind_code"].into_iter().find(|field| *field == invalid.field)
    {
        app.auth().guessed_wrong(&caller, what).await?;
    }
    outcome
}

async fn sign_in(app: &App, caller: &Caller, body: WeChatLoginBody) -> Result<Answer<LoginView>, Refusal> {
    let openid = app.wechat().code_to_openid(body.code.as_str()).await.map_err(|error| refused(error, "code"))?;
    let binding = match (body.bind_code, body.phone_code) {
        (Some(code), _) => Binding::Code(code.into()),
        (None, Some(code)) => {
            let phone = app.wechat().phone_of(code.as_str()).await.map_err(|error| refused(error, "phone_code"))?;
            Binding::Phone(phone)
        }
        (None, None) => Binding::None,
    };
    let auth = app.auth().clone();
    app.write(caller, move |tx, actor| {
        let resolve = Resolve { openid, assigned_user_id: None, binding };
        let user = wechat::resolve(tx, actor, auth.epoch(), resolve)?;
        Answer::new("登录成功", LoginView::from(auth.open_session_of(tx, actor, user)?))
    })
    .await
}

/// Names the parameter that held the code.
pub fn refused(error: WeChatError, field: &'static str) -> Refusal {
    match error {
        WeChatError::InvalidCode => Error::invalid(field, "微信授权码无效或已使用，请重新获取").into(),
        other => other.into(),
    }
}

/// A WeChat account that the relay has found out; the site says who stands behind it.
#[derive(Deserialize, ToSchema)]
struct ResolveBody {
    /// The account.
    openid: Line,
    /// The id that a new user gets.
    user_id: Option<UserId>,
    /// 绑定码, from the front desk
    bind_code: Option<Word>,
    /// 手机号, confirmed by WeChat; passed over when there is a bind code
    phone: Option<Line>,
}

impl Labels for ResolveBody {
    const LABELS: &'static [(&'static str, &'static str)] =
        &[("openid", "微信账号"), ("user_id", "用户ID"), ("bind_code", "绑定码"), ("phone", "手机号")];
}

impl ResolveBody {
    fn read(self) -> Result<Resolve, Error> {
        Ok(Resolve {
            openid: Openid::new(self.openid.into()).map_err(|error| Error::invalid("openid", error.to_string()))?,
            assigned_user_id: self.user_id,
            binding: match (self.bind_code, self.phone) {
                (Some(code), _) => Binding::Code(code.into()),
                (None, Some(phone)) => Binding::Phone(phone.into()),
                (None, None) => Binding::None,
            },
        })
    }
}

/// The user behind a WeChat account.
#[derive(Serialize, ToSchema)]
struct ResolvedView {
    user_id: UserId,
    username: String,
    role: String,
    name: String,
}

impl From<User> for ResolvedView {
    fn from(user: User) -> Self {
        Self { user_id: user.id, username: user.username, role: user.role, name: user.name }
    }
}

/// Finds, makes or binds the user behind a WeChat account, for the relay alone.
async fn resolve(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<ResolveBody>,
) -> Result<Answer<ResolvedView>, Refusal> {
    let resolve = body.read()?;
    let epoch = app.auth().epoch().clone();
    app.write(&caller, move |tx, actor| {
        Answer::new("获取成功", ResolvedView::from(wechat::resolve(tx, actor, &epoch, resolve)?))
    })
    .await
}

/// A dish of today.
#[derive(Serialize, ToSchema)]
pub struct TodayDishView {
    id: DishId,
    /// 菜品名称
    #[schema(example = "小米粥")]
    name: String,
    /// 分类
    #[schema(example = "汤品")]
    category: String,
    /// 描述
    #[schema(example = "营养丰富")]
    description: Option<String>,
}

impl From<MenuDish> for TodayDishView {
    fn from(dish: MenuDish) -> Self {
        Self { id: dish.dish_id, name: dish.name, category: dish.category, description: dish.description }
    }
}

/// What the kitchen serves today.
#[derive(Serialize, ToSchema)]
pub struct TodayMenuView {
    /// 日期
    date: Day,
    /// 早餐
    breakfast: Vec<TodayDishView>,
    /// 午餐
    lunch: Vec<TodayDishView>,
    /// 晚餐
    dinner: Vec<TodayDishView>,
}

impl TodayMenuView {
    /// The menus of this day.
    pub fn of(date: jiff::civil::Date, menus: Vec<Menu>) -> Self {
        let mut view = Self { date: Day(date), breakfast: Vec::new(), lunch: Vec::new(), dinner: Vec::new() };
        for menu in menus {
            let dishes = match menu.meal {
                Meal::Breakfast => &mut view.breakfast,
                Meal::Lunch => &mut view.lunch,
                Meal::Dinner => &mut view.dinner,
            };
            dishes.extend(menu.dishes.into_iter().map(TodayDishView::from));
        }
        view
    }
}

async fn menu(State(app): State<App>, caller: Caller, fields: Fields) -> Result<Answer<TodayMenuView>, Refusal> {
    let (date, menus) = app.read(&caller, |tx, _| menus::today(tx)).await?;
    Ok(Answer::only("获取成功", &TodayMenuView::of(date, menus), &fields)?)
}

/// A notification on the dashboard.
#[derive(Serialize, ToSchema)]
pub struct RecentView {
    id: NotificationId,
    /// 标题
    #[schema(example = "新客户预约")]
    title: String,
    /// 内容
    content: String,
    /// 时间
    time: LocalTime,
}

impl RecentView {
    fn of(notification: Notification, zone: &Zone) -> Self {
        Self {
            id: notification.id,
            title: notification.title,
            content: notification.content,
            time: LocalTime::of(notification.created_at, zone),
        }
    }
}

/// The day at a glance.
#[derive(Serialize, ToSchema)]
pub struct DashboardView {
    /// 今日在住客户
    today_customers: i64,
    /// 今日订单
    today_orders: i64,
    /// 待确认的预约
    pending_tasks: i64,
    /// 最新通知
    recent_notifications: Vec<RecentView>,
}

impl DashboardView {
    /// The dashboard, with the times of this zone.
    pub fn of(dashboard: Dashboard, zone: &Zone) -> Self {
        let recent = dashboard.recent_notifications.into_iter();
        Self {
            today_customers: dashboard.today_customers,
            today_orders: dashboard.today_orders,
            pending_tasks: dashboard.pending_tasks,
            recent_notifications: recent.map(|notification| RecentView::of(notification, zone)).collect(),
        }
    }
}

async fn dashboard(State(app): State<App>, caller: Caller, fields: Fields) -> Result<Answer<DashboardView>, Refusal> {
    let dashboard = app.read(&caller, dashboard::read).await?;
    Ok(Answer::only("获取成功", &DashboardView::of(dashboard, app.db().zone()), &fields)?)
}

/// A punch of the caller's own.
#[derive(Deserialize, ToSchema)]
pub struct OwnPunchBody {
    /// 打卡类型
    #[serde(rename = "type")]
    pub kind: PunchType,
}

impl Labels for OwnPunchBody {
    const LABELS: &'static [(&'static str, &'static str)] = &[("type", "打卡类型")];
}

/// What came of a punch.
#[derive(Serialize, ToSchema)]
pub struct OwnPunchView {
    /// Always `success`.
    #[schema(example = "success")]
    status: &'static str,
    /// What to show.
    #[schema(example = "上班打卡成功，时间：08:00:00")]
    message: String,
}

impl OwnPunchView {
    /// A punch that the relay has received for the site at this moment.
    pub fn accepted(received_at: Instant, zone: &Zone) -> Self {
        Self { status: "success", message: format!("打卡已受理，时间：{}", Clock::of(received_at, zone)) }
    }

    fn of(kind: PunchType, punched: &Punched, zone: &Zone) -> Self {
        let (done, at) = match (kind, punched.row.check_in_at) {
            (PunchType::CheckIn, Some(first)) if !punched.changed => ("今日已打卡", first),
            (PunchType::CheckIn, _) => ("上班打卡成功", punched.effective_at),
            (PunchType::CheckOut, _) => ("下班打卡成功", punched.effective_at),
        };
        Self { status: "success", message: format!("{done}，时间：{}", Clock::of(at, zone)) }
    }
}

async fn punch(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<OwnPunchBody>,
) -> Result<Answer<OwnPunchView>, Refusal> {
    app.write(&caller, move |tx, actor| {
        let punched = attendance::punch_own(tx, actor, body.kind)?;
        Answer::new("打卡成功", OwnPunchView::of(body.kind, &punched, tx.zone))
    })
    .await
}
