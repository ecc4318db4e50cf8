//! Payment orders (seed API, section 3.7).

mod callback;
mod refunds;

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::payouts::OrderPath;
use crate::domain::access::Access::{May, MayAny, SignedIn};
use crate::domain::access::Permission::{PaymentsConfirm, PaymentsPay, PaymentsRead, PaymentsWrite};
use crate::domain::ids::{CustomerId, ID_MAX};
use crate::domain::money::Fen;
use crate::domain::payments::{OrderStatus, OrderType, PaymentMethod, Trade};
use crate::domain::time::{Instant, Zone};
use crate::error::{Error, Result as Done};
use crate::http::App;
use crate::http::answer::{Answer, Fields, List};
use crate::http::caller::Caller;
use crate::http::endpoint::{Data, Draft, Gives};
use crate::http::error::Refusal;
use crate::http::extract::{Body, Labels, Paging, Path, Query};
use crate::http::route::{Route, get, post};
use crate::http::wire::{CardTail, Day, Line, LocalTime, Money, Reference, Whole, Word, present};
use crate::service::payments::errands;
use crate::service::payments::orders::{self, NewOrder};
use crate::service::payouts;
use crate::store::ReadTx;
use crate::store::payment_orders::{self, PaymentOrder, PaymentOrderFilter, Sealed, Slip};
use crate::store::payment_refunds;
use crate::store::payment_tasks::Subject;

/// How long whoever pays waits for the platform before the order is forwarded without him.
const PLATFORM_WAIT: Duration = Duration::from_secs(3);

/// The routes of this noun.
pub fn routes() -> Vec<Route> {
    let mut routes = vec![
        get("/api/payment/orders", MayAny(&[PaymentsRead, PaymentsPay]), list).summary("获取支付订单列表"),
        post("/api/payment/orders", MayAny(&[PaymentsWrite, PaymentsPay]), create).summary("创建支付订单"),
        // A payee may read the payout that is his.
        get("/api/payment/orders/{order_id}", SignedIn, read).summary("查询支付状态"),
        post("/api/payment/orders/{order_id}/close", May(PaymentsWrite), close).summary("关闭支付订单"),
        post("/api/payment/orders/{order_id}/confirm", May(PaymentsConfirm), confirm).summary("确认线下收付款"),
        get("/api/customers/{id}/account", MayAny(&[PaymentsRead, PaymentsPay]), account).summary("获取客户付款情况"),
    ];
    routes.extend(refunds::routes());
    routes.extend(callback::routes());
    routes
}

const LABELS: &[(&str, &str)] = &[
    ("amount", "金额"),
    ("payment_method", "支付方式"),
    ("order_type", "订单类型"),
    ("related_id", "关联ID"),
    ("trade", "交易方式"),
    ("subject", "付款说明"),
    ("category", "分类"),
    ("expires_in", "有效分钟数"),
    ("pos", "POS签购单"),
    ("reference", "凭证号"),
    ("terminal", "终端号"),
    ("batch", "批次号"),
    ("card_tail", "卡号末四位"),
    ("status", "订单状态"),
    ("start_date", "开始日期"),
    ("end_date", "结束日期"),
    ("refund_due", "待退款"),
];

type RelatedId = Whole<1, ID_MAX>;
type Minutes = Whole<5, 120>;

/// The slip of a POS terminal; never a whole card number.
#[derive(Deserialize, ToSchema)]
struct SlipBody {
    /// 参考号
    reference: Reference,
    /// 终端号
    terminal: Option<Word>,
    /// 批次号
    batch: Option<Word>,
    /// 卡号末四位
    card_tail: Option<CardTail>,
}

impl From<SlipBody> for Slip {
    fn from(body: SlipBody) -> Self {
        Self {
            reference: body.reference.into(),
            terminal: body.terminal.map(String::from),
            batch: body.batch.map(String::from),
            card_tail: body.card_tail.map(String::from),
        }
    }
}

/// An order to be made.
#[derive(Deserialize, ToSchema)]
struct PaymentOrderBody {
    /// 金额，应大于0
    amount: Money,
    /// 支付方式
    payment_method: PaymentMethod,
    /// 订单类型
    order_type: OrderType,
    /// 关联ID：客户、薪资或供应商的编号
    related_id: RelatedId,
    /// 交易方式，默认按支付方式
    trade: Option<Trade>,
    /// 付款说明，付款人可见
    subject: Option<Line>,
    /// 入账分类
    #[schema(example = "餐费")]
    category: Option<Word>,
    /// 有效分钟数，默认30
    expires_in: Option<Minutes>,
    /// POS签购单信息
    pos: Option<SlipBody>,
    /// 银行转账的流水号
    reference: Option<Reference>,
}

impl Labels for PaymentOrderBody {
    const LABELS: &'static [(&'static str, &'static str)] = LABELS;
}

impl From<PaymentOrderBody> for NewOrder {
    fn from(body: PaymentOrderBody) -> Self {
        let by_reference =
            |reference: Reference| Slip { reference: reference.into(), terminal: None, batch: None, card_tail: None };
        Self {
            amount: body.amount.0,
            payment_method: body.payment_method,
            order_type: body.order_type,
            related_id: body.related_id.0,
            trade: body.trade.or_else(|| body.reference.as_ref().map(|_| Trade::BankTransfer)),
            subject: body.subject.map(String::from),
            category: body.category.map(String::from),
            expires_minutes: body.expires_in.map(|minutes| minutes.0),
            slip: body.pos.map(Slip::from).or(body.reference.map(by_reference)),
        }
    }
}

/// An order.
#[derive(Serialize, ToSchema)]
pub struct PaymentOrderView {
    /// 订单号
    #[schema(example = "P20240101100001123456")]
    pub(super) order_id: String,
    /// 金额
    amount: Money,
    /// 支付方式
    payment_method: PaymentMethod,
    /// 二维码内容；未转发到支付平台时为空
    #[schema(example = "weixin://wxpay/bizpayurl?pr=xxx")]
    payment_url: Option<String>,
    /// 支付截止时间
    expire_time: Option<LocalTime>,
    /// 订单状态
    status: OrderStatus,
    /// 支付时间
    transaction_time: Option<LocalTime>,
    /// 订单类型
    order_type: OrderType,
    /// 关联ID
    related_id: i64,
    /// 交易方式
    trade: Trade,
    /// 付款说明
    subject: String,
    /// 入账分类
    category: String,
    /// 小程序调起支付或确认收款的参数，仅本人可见
    pay_params: Option<serde_json::Value>,
    /// 支付平台的交易号
    platform_no: Option<String>,
    /// 凭证号
    reference: Option<String>,
    /// 已退金额
    refunded_amount: Money,
    /// 关闭后被支付，应退款
    refund_due: bool,
    /// 失败或关闭的原因
    failure: Option<String>,
    /// 创建时间
    created_at: LocalTime,
}

impl PaymentOrderView {
    fn of(tx: &ReadTx<'_>, order: PaymentOrder, pay_params: Option<serde_json::Value>) -> Done<Self> {
        let refunded = payment_refunds::returned(tx, order.id)?;
        Ok(Self { pay_params, ..Self::without_params(order, refunded, tx.zone) })
    }

    /// The order of which so much has been given back, without what the payer's mini-program needs to pay.
    pub fn without_params(order: PaymentOrder, refunded: Fen, zone: &Zone) -> Self {
        let local = |instant: Instant| LocalTime::of(instant, zone);
        Self {
            order_id: order.order_no.to_string(),
            amount: Money(order.amount),
            payment_method: order.payment_method,
            payment_url: order.payment_url.filter(|_| order.status == OrderStatus::Pending),
            expire_time: order.expires_at.map(local),
            status: order.status,
            transaction_time: order.paid_at.map(local),
            order_type: order.order_type,
            related_id: order.related_id,
            trade: order.trade,
            subject: order.subject,
            category: order.category,
            pay_params: None,
            platform_no: order.platform_no,
            reference: order.slip.map(|slip| slip.reference),
            refunded_amount: Money(refunded),
            refund_due: order.refund_due,
            failure: order.failure,
            created_at: local(order.created_at),
        }
    }

    fn full(tx: &ReadTx<'_>, caller: &Caller, order: PaymentOrder) -> Done<Self> {
        let pay_params = match order.order_type {
            OrderType::CustomerOrder
                if order.created_by == caller.user_id() && order.status == OrderStatus::Pending =>
            {
                payment_orders::kept(tx, order.id, Sealed::Launch)?
            }
            OrderType::CustomerOrder => None,
            OrderType::Salary | OrderType::SupplierPayment => payouts::launch(tx, caller, &order)?,
        };
        Self::of(tx, order, pay_params)
    }
}

/// An order that was made, and that its platform has or will have: 201 or 202.
pub struct Placed(Response);

impl IntoResponse for Placed {
    fn into_response(self) -> Response {
        self.0
    }
}

impl Gives for Placed {
    fn describe(draft: &mut Draft) {
        Answer::<PaymentOrderView, 201>::describe(draft);
        draft.accepted = Some(<PaymentOrderView as Data>::describe(draft));
    }
}

async fn create(State(app): State<App>, caller: Caller, Body(body): Body<PaymentOrderBody>) -> Result<Placed, Refusal> {
    let request = app.request_key(&caller);
    let (actor, platforms) = (caller.actor.clone(), app.payments().clone());
    let made = app.db().write(move |tx| {
        let reaches = |channel| platforms.reaches(channel);
        orders::create(tx, &actor, body.into(), reaches, request.as_ref())
    });
    let order = made.await?;
    if matches!(order.status, OrderStatus::Queued) && order.trade.is_online() {
        ask_platform(&app, Subject::Order(order.id)).await;
    }
    let shown = app
        .read_rows(&caller, |tx, _| {
            let order = payment_orders::find(tx, order.id)?.ok_or(crate::service::payments::NO_SUCH)?;
            PaymentOrderView::full(tx, &caller, order)
        })
        .await?;
    let answer = match (shown.status, shown.trade.is_online()) {
        (OrderStatus::Queued, true) => Answer::<_, 202>::new("已离线受理，联网后自动转发", shown)?.into_response(),
        (OrderStatus::Failed, _) | (OrderStatus::Closing, true) if !shown.order_type.is_payout() => {
            let why = shown.failure.as_deref().unwrap_or("支付平台拒绝了该订单").to_owned();
            return Err(Error::Conflict(format!("支付平台拒绝：{why}").into()).into());
        }
        (OrderStatus::AwaitingApproval, _) => Answer::<_, 202>::new("已提交，等待审批", shown)?.into_response(),
        _ => Answer::<_, 201>::new("创建成功", shown)?.into_response(),
    };
    Ok(Placed(answer))
}

/// Has the platform asked or told at once, for as long as somebody may be kept waiting; it goes on without him.
async fn ask_platform(app: &App, subject: Subject) {
    let (db, platforms) = (app.db().clone(), app.payments().clone());
    let asked = tokio::spawn(async move {
        if let Err(error) = errands::forward(&db, &platforms, subject).await {
            tracing::error!(error = %error, "what a platform was asked could not be noted");
        }
    });
    // Whatever has come by then is shown; the rest is done whether or not anybody waits.
    drop(tokio::time::timeout(PLATFORM_WAIT, asked).await);
}

#[derive(Deserialize, ToSchema)]
struct PaymentOrderQuery {
    /// 订单类型筛选
    order_type: Option<OrderType>,
    /// 支付方式筛选
    payment_method: Option<PaymentMethod>,
    /// 状态筛选
    status: Option<OrderStatus>,
    /// 关联ID筛选
    related_id: Option<RelatedId>,
    /// 开始日期，按创建时间
    start_date: Option<Day>,
    /// 结束日期，包含当天
    end_date: Option<Day>,
    /// 只看应退款的
    refund_due: Option<bool>,
}

impl Labels for PaymentOrderQuery {
    const LABELS: &'static [(&'static str, &'static str)] = LABELS;
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<PaymentOrderQuery>,
    paging: Paging,
    fields: Fields,
) -> Result<Answer<List<PaymentOrderView>>, Refusal> {
    let (start, end) = (query.start_date.map(|day| day.0), query.end_date.map(|day| day.0));
    crate::domain::time::check_period(start, end).map_err(Error::from)?;
    let filter = PaymentOrderFilter {
        order_type: query.order_type,
        payment_method: query.payment_method,
        status: query.status,
        related_id: query.related_id.map(i64::from),
        from: start.and_then(|day| app.db().zone().instant(day.at(0, 0, 0, 0))),
        until: end.and_then(|day| app.db().zone().instant(day.tomorrow().ok()?.at(0, 0, 0, 0))),
        refund_due: query.refund_due,
    };
    let listed = app
        .read(&caller, move |tx, actor| {
            let listed = orders::list(tx, actor, filter, paging.page)?;
            let views = listed.items.into_iter().map(|order| PaymentOrderView::of(tx, order, None));
            Ok(crate::store::page::Listed { total: listed.total, items: views.collect::<Done<Vec<_>>>()? })
        })
        .await?;
    Ok(Answer::list(listed, &paging, &fields, |view| view)?)
}

async fn read(
    State(app): State<App>,
    caller: Caller,
    OrderPath(number): OrderPath,
    fields: Fields,
) -> Result<Answer<PaymentOrderView>, Refusal> {
    let order = app.read_rows(&caller, |tx, actor| orders::read(tx, actor, &number)).await?;
    if matches!(order.status, OrderStatus::Pending | OrderStatus::Closing) {
        let (id, subject) = (order.id, Subject::Order(order.id));
        if app.db().write(move |tx| orders::refresh(tx, id)).await? {
            ask_platform(&app, subject).await;
        }
    }
    let shown = app
        .read_rows(&caller, |tx, actor| PaymentOrderView::full(tx, &caller, orders::read(tx, actor, &number)?))
        .await?;
    Ok(Answer::only("获取成功", &shown, &fields)?)
}

/// Nothing needs to be said.
#[derive(Deserialize, ToSchema)]
struct CloseBody {}

impl Labels for CloseBody {
    const LABELS: &'static [(&'static str, &'static str)] = &[];
}

async fn close(
    State(app): State<App>,
    caller: Caller,
    OrderPath(number): OrderPath,
    Body(_): Body<CloseBody>,
) -> Result<Answer<PaymentOrderView>, Refusal> {
    app.write(&caller, move |tx, actor| {
        let order = orders::close(tx, actor, &number)?;
        let message = if order.status == OrderStatus::Closing { "正在关闭" } else { "关闭成功" };
        Answer::new(message, PaymentOrderView::of(tx, order, None)?)
    })
    .await
}

/// That the money is there.
#[derive(Deserialize, ToSchema)]
struct ConfirmBody {
    /// 银行流水号或签购单参考号
    #[serde(default, deserialize_with = "present")]
    reference: Option<Reference>,
}

impl Labels for ConfirmBody {
    const LABELS: &'static [(&'static str, &'static str)] = LABELS;
}

async fn confirm(
    State(app): State<App>,
    caller: Caller,
    OrderPath(number): OrderPath,
    Body(body): Body<ConfirmBody>,
) -> Result<Answer<PaymentOrderView>, Refusal> {
    app.write(&caller, move |tx, actor| {
        let order = orders::confirm(tx, actor, &number, body.reference.map(String::from))?;
        Answer::new("确认成功", PaymentOrderView::of(tx, order, None)?)
    })
    .await
}

/// What a customer has paid.
#[derive(Serialize, ToSchema)]
struct AccountView {
    /// 客户
    customer_id: CustomerId,
    /// 已付金额
    paid_amount: Money,
    /// 已退金额
    refunded_amount: Money,
    /// 净付金额
    net_amount: Money,
}

async fn account(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<CustomerId>,
    fields: Fields,
) -> Result<Answer<AccountView>, Refusal> {
    let account = app.read(&caller, move |tx, actor| orders::account(tx, actor, id)).await?;
    let view = AccountView {
        customer_id: id,
        paid_amount: Money(account.paid),
        refunded_amount: Money(account.refunded),
        net_amount: Money(account.paid - account.refunded),
    };
    Ok(Answer::only("获取成功", &view, &fields)?)
}
