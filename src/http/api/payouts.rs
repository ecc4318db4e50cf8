//! What people do with payouts once they are made; they are made, listed and read as any other payment order.

use axum::extract::{FromRequestParts, RawPathParams, State};
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::domain::access::Access::May;
use crate::domain::access::Permission::{PaymentsApprove, PaymentsWrite};
use crate::domain::ids::UserId;
use crate::domain::payees::Payee;
use crate::domain::payments::{OrderNo, OrderStatus, OrderType, PaymentMethod};
use crate::error::{Error, Result as Done};
use crate::http::App;
use crate::http::answer::{Answer, Created};
use crate::http::caller::Caller;
use crate::http::endpoint::{Draft, Takes};
use crate::http::error::Refusal;
use crate::http::extract::{Body, Labels};
use crate::http::route::{Route, post};
use crate::http::wire::{Line, LocalTime, Money, present};
use crate::service::payouts;
use crate::store::ReadTx;
use crate::store::payment_orders::PaymentOrder;

/// The routes of this noun.
pub fn routes() -> Vec<Route> {
    vec![
        post("/api/payment/orders/{order_id}/approve", May(PaymentsApprove), approve).summary("审批付款"),
        post("/api/payment/orders/{order_id}/reject", May(PaymentsApprove), reject).summary("驳回付款"),
        post("/api/payment/orders/{order_id}/cancel", May(PaymentsWrite), cancel).summary("撤销付款"),
        post("/api/payment/orders/{order_id}/reissue", May(PaymentsWrite), reissue).summary("重新付款"),
    ]
}

/// The number of an order in the path.
struct OrderPath(OrderNo);

impl<S: Send + Sync> FromRequestParts<S> for OrderPath {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let missing = || Error::NotFound("付款单不存在");
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| missing())?;
        let (_, text) = params.iter().next().ok_or_else(missing)?;
        // What can't be a number of ours is no order of ours.
        Ok(Self(text.parse().map_err(|_| missing())?))
    }
}

impl Takes for OrderPath {
    fn describe(draft: &mut Draft) {
        let schema = json!({"type": "string", "pattern": "^P[0-9]{19,31}$", "example": "P20240101101000001234567"});
        draft.parameters.push(json!({"name": "order_id", "in": "path", "required": true, "schema": schema}));
    }
}

/// Nothing needs to be said.
#[derive(Deserialize, ToSchema)]
struct PayoutStepBody {}

impl Labels for PayoutStepBody {
    const LABELS: &'static [(&'static str, &'static str)] = &[];
}

/// Why a payout is not agreed to.
#[derive(Deserialize, ToSchema)]
struct PayoutRejectionBody {
    /// 驳回原因
    #[schema(example = "金额有误")]
    reason: Line,
}

impl Labels for PayoutRejectionBody {
    const LABELS: &'static [(&'static str, &'static str)] = &[("reason", "驳回原因")];
}

/// How a payout is made anew.
#[derive(Deserialize, ToSchema)]
struct ReissueBody {
    /// 支付方式, as before unless given
    #[serde(default, deserialize_with = "present")]
    payment_method: Option<PaymentMethod>,
}

impl Labels for ReissueBody {
    const LABELS: &'static [(&'static str, &'static str)] = &[("payment_method", "支付方式")];
}

/// A payout.
#[derive(Serialize, ToSchema)]
pub struct PayoutView {
    /// 订单号
    order_id: String,
    /// 订单类型
    order_type: OrderType,
    /// 支付方式
    payment_method: PaymentMethod,
    /// 金额
    amount: Money,
    /// 薪资或供应商的编号
    related_id: i64,
    /// 付款说明
    subject: String,
    /// 订单状态
    status: OrderStatus,
    /// 收款账户
    payee: PayoutPayeeView,
    /// 失败、驳回或撤销的原因
    failure: Option<String>,
    /// 制单人
    created_by: Option<UserId>,
    /// 制单时间
    created_at: LocalTime,
    /// 审批人
    approved_by: Option<UserId>,
    /// 审批时间
    approved_at: Option<LocalTime>,
    /// 付款时间
    paid_at: Option<LocalTime>,
}

/// Where a payout goes.
#[derive(Serialize, ToSchema)]
pub struct PayoutPayeeView {
    /// 账号，只显示末四位
    #[schema(example = "****5678")]
    account: String,
    /// 户名
    account_name: String,
    /// 开户行
    bank_name: Option<String>,
}

impl From<Payee> for PayoutPayeeView {
    fn from(payee: Payee) -> Self {
        Self { account: payee.account.masked(), account_name: payee.account_name, bank_name: payee.bank_name }
    }
}

impl PayoutView {
    fn of(tx: &ReadTx<'_>, order: PaymentOrder) -> Done<Self> {
        let local = |instant| LocalTime::of(instant, tx.zone);
        Ok(Self {
            payee: payouts::payee_of(tx, &order)?.into(),
            order_id: order.order_no.to_string(),
            order_type: order.order_type,
            payment_method: order.payment_method,
            amount: Money(order.amount),
            related_id: order.related_id,
            subject: order.subject,
            status: order.status,
            failure: order.failure,
            created_by: order.created_by,
            created_at: local(order.created_at),
            approved_by: order.approved_by,
            approved_at: order.approved_at.map(local),
            paid_at: order.paid_at.map(local),
        })
    }
}

async fn approve(
    State(app): State<App>,
    caller: Caller,
    OrderPath(number): OrderPath,
    Body(PayoutStepBody {}): Body<PayoutStepBody>,
) -> Result<Answer<PayoutView>, Refusal> {
    app.write(&caller, move |tx, actor| {
        Answer::new("审批成功", PayoutView::of(tx, payouts::approve(tx, actor, &number)?)?)
    })
    .await
}

async fn reject(
    State(app): State<App>,
    caller: Caller,
    OrderPath(number): OrderPath,
    Body(body): Body<PayoutRejectionBody>,
) -> Result<Answer<PayoutView>, Refusal> {
    app.write(&caller, move |tx, actor| {
        Answer::new("已驳回", PayoutView::of(tx, payouts::reject(tx, actor, &number, body.reason.as_str())?)?)
    })
    .await
}

async fn cancel(
    State(app): State<App>,
    caller: Caller,
    OrderPath(number): OrderPath,
    Body(PayoutStepBody {}): Body<PayoutStepBody>,
) -> Result<Answer<PayoutView>, Refusal> {
    app.write(&caller, move |tx, actor| {
        Answer::new("撤销成功", PayoutView::of(tx, payouts::cancel(tx, actor, &number)?)?)
    })
    .await
}

async fn reissue(
    State(app): State<App>,
    caller: Caller,
    OrderPath(number): OrderPath,
    Body(body): Body<ReissueBody>,
) -> Result<Created<PayoutView>, Refusal> {
    app.write(&caller, move |tx, actor| {
        Created::new("创建成功", PayoutView::of(tx, payouts::reissue(tx, actor, &number, body.payment_method)?)?)
    })
    .await
}
