//! Income and expense (seed API, sections 3.6.1 and 3.6.2).

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::batch::{BatchBody, BatchView, Identified};
use crate::domain::access::Access::May;
use crate::domain::access::Permission::{FinanceRead, FinanceWrite};
use crate::domain::ids::{ID_MAX, TransactionId};
use crate::domain::time::Zone;
use crate::domain::transactions::Direction;
use crate::error::Error;
use crate::http::App;
use crate::http::answer::{Answer, Created, Fields, List};
use crate::http::caller::Caller;
use crate::http::error::Refusal;
use crate::http::extract::{Body, Labels, Paging, Path, Query};
use crate::http::route::{Route, get, post};
use crate::http::wire::{Day, Line, LocalTime, Money, Paragraph, Whole, Word};
use crate::service::transactions::{self, NewTransaction};
use crate::store::transactions::{Transaction, TransactionFilter};

/// The routes of this noun.
pub fn routes() -> Vec<Route> {
    vec![
        get("/api/finance/transactions", May(FinanceRead), list).summary("获取收支记录"),
        post("/api/finance/transactions", May(FinanceWrite), create).summary("添加收支记录"),
        post("/api/finance/transactions/batch", May(FinanceWrite), batch).summary("批量添加收支记录"),
        get("/api/finance/transactions/{id}", May(FinanceRead), read).summary("获取收支记录详情"),
        post("/api/finance/transactions/{id}/void", May(FinanceWrite), void).summary("作废收支记录"),
    ]
}

const LABELS: &[(&str, &str)] = &[
    ("id", "编号"),
    ("type", "类型"),
    ("category", "分类"),
    ("amount", "金额"),
    ("description", "描述"),
    ("payment_method", "支付方式"),
    ("related_id", "关联ID"),
    ("related_type", "关联类型"),
    ("transaction_date", "交易时间"),
];

type RelatedId = Whole<1, ID_MAX>;

/// A transaction to be added.
#[derive(Deserialize, ToSchema)]
struct TransactionBody {
    /// 类型
    #[serde(rename = "type")]
    direction: Direction,
    /// 分类
    #[schema(example = "食材采购")]
    category: Word,
    /// 金额，应大于0
    amount: Money,
    /// 描述
    #[schema(example = "购买蔬菜")]
    description: Option<Paragraph>,
    /// 支付方式
    #[schema(example = "alipay")]
    payment_method: Option<Word>,
    /// 关联ID，与关联类型同时提供
    related_id: Option<RelatedId>,
    /// 关联类型
    #[schema(example = "supplier")]
    related_type: Option<Word>,
    /// 交易时间, now unless given
    transaction_date: Option<LocalTime>,
}

impl Labels for TransactionBody {
    const LABELS: &'static [(&'static str, &'static str)] = LABELS;
}

impl TransactionBody {
    fn into_new(self, zone: &Zone) -> Result<NewTransaction, Error> {
        let transaction_at = match self.transaction_date {
            Some(local) => {
                Some(zone.instant(local.0).ok_or_else(|| Error::invalid("transaction_date", "交易时间超出可用范围"))?)
            }
            None => None,
        };
        Ok(NewTransaction {
            direction: self.direction,
            category: self.category.into(),
            amount: self.amount.0,
            description: self.description.map(String::from),
            transaction_at,
            payment_method: self.payment_method.map(String::from),
            related_id: self.related_id.map(i64::from),
            related_type: self.related_type.map(String::from),
        })
    }
}

/// A change of a transaction, which is always refused: a wrong one is voided.
#[derive(Deserialize, ToSchema)]
struct TransactionPatch {}

/// Why a transaction is voided.
#[derive(Deserialize, ToSchema)]
struct VoidBody {
    /// 作废原因
    #[schema(example = "金额录入错误")]
    reason: Line,
}

impl Labels for VoidBody {
    const LABELS: &'static [(&'static str, &'static str)] = &[("reason", "作废原因")];
}

/// Whether a transaction counts.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum TransactionStatus {
    /// It counts.
    Completed,
    /// It was voided.
    Void,
}

/// A transaction.
#[derive(Serialize, ToSchema)]
struct TransactionView {
    id: TransactionId,
    /// 类型
    #[serde(rename = "type")]
    direction: Direction,
    /// 分类
    #[schema(example = "食材采购")]
    category: String,
    /// 金额
    amount: Money,
    /// 描述
    description: Option<String>,
    /// 交易时间
    transaction_date: LocalTime,
    /// 支付方式
    payment_method: Option<String>,
    /// 状态
    status: TransactionStatus,
    /// 关联ID
    related_id: Option<i64>,
    /// 关联类型
    related_type: Option<String>,
    /// 作废原因
    void_reason: Option<String>,
    /// 作废时间
    voided_at: Option<LocalTime>,
}

impl TransactionView {
    fn new(transaction: Transaction, zone: &Zone) -> Self {
        let status = if transaction.void.is_some() { TransactionStatus::Void } else { TransactionStatus::Completed };
        let voided_at = transaction.void.as_ref().map(|void| LocalTime::of(void.at, zone));
        Self {
            id: transaction.id,
            direction: transaction.direction,
            category: transaction.category,
            amount: Money(transaction.amount),
            description: transaction.description,
            transaction_date: LocalTime::of(transaction.transaction_at, zone),
            payment_method: transaction.payment_method,
            status,
            related_id: transaction.related_id,
            related_type: transaction.related_type,
            void_reason: transaction.void.map(|void| void.reason),
            voided_at,
        }
    }
}

#[derive(Deserialize, ToSchema)]
struct TransactionQuery {
    /// 类型筛选
    #[serde(rename = "type")]
    direction: Option<Direction>,
    /// 分类筛选
    category: Option<Word>,
    /// 支付方式筛选
    payment_method: Option<Word>,
    /// 开始日期
    start_date: Option<Day>,
    /// 结束日期，包含当天
    end_date: Option<Day>,
    /// 关联类型筛选
    related_type: Option<Word>,
    /// 关联ID筛选
    related_id: Option<RelatedId>,
}

impl Labels for TransactionQuery {
    const LABELS: &'static [(&'static str, &'static str)] = &[
        ("type", "类型"),
        ("category", "分类"),
        ("payment_method", "支付方式"),
        ("start_date", "开始日期"),
        ("end_date", "结束日期"),
        ("related_type", "关联类型"),
        ("related_id", "关联ID"),
    ];
}

impl From<TransactionQuery> for TransactionFilter {
    fn from(query: TransactionQuery) -> Self {
        Self {
            direction: query.direction,
            category: query.category.map(String::from),
            payment_method: query.payment_method.map(String::from),
            start_date: query.start_date.map(|day| day.0),
            end_date: query.end_date.map(|day| day.0),
            related_type: query.related_type.map(String::from),
            related_id: query.related_id.map(i64::from),
        }
    }
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<TransactionQuery>,
    paging: Paging,
    fields: Fields,
) -> Result<Answer<List<TransactionView>>, Refusal> {
    let filter = TransactionFilter::from(query);
    let listed = app.read(&caller, move |tx, _| transactions::list(tx, &filter, paging.page)).await?;
    let zone = app.db().zone().clone();
    Ok(Answer::list(listed, &paging, &fields, |transaction| TransactionView::new(transaction, &zone))?)
}

async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<TransactionBody>,
) -> Result<Created<TransactionView>, Refusal> {
    app.write(&caller, move |tx, actor| {
        let transaction = transactions::create(tx, actor, body.into_new(tx.zone)?)?;
        Created::new("添加成功", TransactionView::new(transaction, tx.zone))
    })
    .await
}

async fn read(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<TransactionId>,
    fields: Fields,
) -> Result<Answer<TransactionView>, Refusal> {
    let transaction = app.read_rows(&caller, |tx, _| transactions::read(tx, id)).await?;
    let view = TransactionView::new(transaction, app.db().zone());
    Ok(Answer::only("获取成功", &view, &fields)?)
}

async fn void(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<TransactionId>,
    Body(body): Body<VoidBody>,
) -> Result<Answer<TransactionView>, Refusal> {
    app.write(&caller, move |tx, actor| {
        let transaction = transactions::void(tx, actor, id, body.reason.into())?;
        Answer::new("作废成功", TransactionView::new(transaction, tx.zone))
    })
    .await
}

fn never_changed() -> Error {
    Error::Conflict("收支记录不可修改或删除，请作废".into())
}

type Batch = BatchBody<TransactionBody, Identified<TransactionId, TransactionPatch>, TransactionId>;

async fn batch(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<Batch>,
) -> Result<Answer<BatchView<TransactionView, TransactionId>>, Refusal> {
    app.write(&caller, move |tx, actor| {
        let done = body.carry_out(
            |new| {
                let transaction = transactions::create(tx, actor, new.into_new(tx.zone)?)?;
                Ok(TransactionView::new(transaction, tx.zone))
            },
            |_| Err(never_changed()),
            |_| Err(never_changed()),
        )?;
        Answer::new("批量操作成功", done)
    })
    .await
}
