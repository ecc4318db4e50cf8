//! Refunds of payment orders.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::payouts::OrderPath;
use crate::domain::access::Access::{May, MayAny};
use crate::domain::access::Permission::{PaymentsPay, PaymentsRead, PaymentsRefund};
use crate::domain::payments::RefundStatus;
use crate::domain::time::Zone;
use crate::http::App;
use crate::http::answer::{Answer, Created, Fields, Items};
use crate::http::caller::Caller;
use crate::http::error::Refusal;
use crate::http::extract::{Body, Labels};
use crate::http::route::{Route, get, post};
use crate::http::wire::{LocalTime, Money, Reference, RefundReason, present};
use crate::service::payments::refunds::{self, NewRefund};
use crate::store::payment_refunds::Refund;

/// The routes of this noun.
pub fn routes() -> Vec<Route> {
    vec![
        post("/api/payment/orders/{order_id}/refunds", May(PaymentsRefund), create).summary("退款"),
        get("/api/payment/orders/{order_id}/refunds", MayAny(&[PaymentsRead, PaymentsPay]), list)
            .summary("获取订单的退款"),
    ]
}

/// A refund to be made.
#[derive(Deserialize, ToSchema)]
struct RefundBody {
    /// 退款金额，应大于0
    amount: Money,
    /// 退款原因，付款人可见
    #[schema(example = "提前出所")]
    reason: RefundReason,
    /// 线下退款的凭证号
    #[serde(default, deserialize_with = "present")]
    reference: Option<Reference>,
}

impl Labels for RefundBody {
    const LABELS: &'static [(&'static str, &'static str)] =
        &[("amount", "退款金额"), ("reason", "退款原因"), ("reference", "凭证号")];
}

/// A refund.
#[derive(Serialize, ToSchema)]
struct RefundView {
    /// 退款单号
    refund_id: String,
    /// 退款金额
    amount: Money,
    /// 退款原因
    reason: String,
    /// 退款状态
    status: RefundStatus,
    /// 失败的原因
    failure: Option<String>,
    /// 凭证号
    reference: Option<String>,
    /// 申请时间
    created_at: LocalTime,
    /// 到账时间
    succeeded_at: Option<LocalTime>,
}

impl RefundView {
    fn new(refund: Refund, zone: &Zone) -> Self {
        Self {
            refund_id: refund.refund_no.to_string(),
            amount: Money(refund.amount),
            reason: refund.reason,
            status: refund.status,
            failure: refund.failure,
            reference: refund.reference,
            created_at: LocalTime::of(refund.created_at, zone),
            succeeded_at: refund.succeeded_at.map(|at| LocalTime::of(at, zone)),
        }
    }
}

async fn create(
    State(app): State<App>,
    caller: Caller,
    OrderPath(number): OrderPath,
    Body(body): Body<RefundBody>,
) -> Result<Created<RefundView>, Refusal> {
    app.write(&caller, move |tx, actor| {
        let new = NewRefund {
            amount: body.amount.0,
            reason: body.reason.into(),
            reference: body.reference.map(String::from),
        };
        let refund = refunds::refund(tx, actor, &number, new)?;
        Created::new("退款申请成功", RefundView::new(refund, tx.zone))
    })
    .await
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    OrderPath(number): OrderPath,
    fields: Fields,
) -> Result<Answer<Items<RefundView>>, Refusal> {
    let refunds = app.read(&caller, move |tx, actor| refunds::list(tx, actor, &number)).await?;
    let zone = app.db().zone();
    let views: Vec<RefundView> = refunds.into_iter().map(|refund| RefundView::new(refund, zone)).collect();
    Ok(Answer::items(&views, &fields)?)
}
