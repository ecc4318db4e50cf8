//! Files of payouts for the bank, and the bank's results.

use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::access::Access::May;
use crate::domain::access::Permission::{PaymentsConfirm, PaymentsRead, PaymentsWrite};
use crate::domain::ids::PayrollFileId;
use crate::domain::payments::{OrderNo, OrderStatus};
use crate::domain::salaries::PayPeriod;
use crate::domain::time::Zone;
use crate::error::{Error, Result as Done};
use crate::http::App;
use crate::http::answer::{Answer, Created, Fields, List};
use crate::http::caller::Caller;
use crate::http::endpoint::{Draft, Gives, Takes};
use crate::http::error::Refusal;
use crate::http::extract::{BODY_BYTES_MAX, Body, Labels, Paging, Path, Query, read_body};
use crate::http::route::{Route, get, post};
use crate::http::wire::{LocalTime, Money, Whole, Word};
use crate::service::payroll_files::{self, ORDERS_MAX, Outcome, Overview};
use crate::service::sheets;

/// The routes of this noun.
pub fn routes() -> Vec<Route> {
    vec![
        get("/api/payment/payroll-files", May(PaymentsRead), list).summary("获取代发文件列表"),
        post("/api/payment/payroll-files", May(PaymentsWrite), make).summary("生成代发文件"),
        get("/api/payment/payroll-files/{id}", May(PaymentsWrite), export).summary("下载代发文件"),
        post("/api/payment/payroll-files/{id}/results", May(PaymentsConfirm), take_results).summary("导入银行代发结果"),
    ]
}

const CSV: &str = "text/csv";
const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
const MEDIA: &[&str] = &[CSV, XLSX];

/// Which payouts go into a file: these, those of a month's salaries, or all that wait.
#[derive(Deserialize, ToSchema)]
struct PayrollFileBody {
    /// 薪资周期
    pay_period: Option<PayPeriod>,
    /// 订单号，最多1000个
    order_ids: Option<Vec<Word>>,
}

impl Labels for PayrollFileBody {
    const LABELS: &'static [(&'static str, &'static str)] = &[("pay_period", "薪资周期"), ("order_ids", "订单号")];
}

impl PayrollFileBody {
    fn numbers(&self) -> Done<Option<Vec<OrderNo>>> {
        let Some(texts) = &self.order_ids else { return Ok(None) };
        if self.pay_period.is_some() {
            return Err(Error::invalid("order_ids", "薪资周期和订单号只能提供一个"));
        }
        if texts.len() > ORDERS_MAX {
            return Err(Error::invalid("order_ids", format!("订单号不能超过{ORDERS_MAX}个")));
        }
        let number = |(place, text): (usize, &Word)| {
            text.as_str()
                .parse::<OrderNo>()
                .map_err(|error| Error::invalid(format!("order_ids[{place}]"), error.to_string()))
        };
        texts.iter().enumerate().map(number).collect::<Done<_>>().map(Some)
    }
}

/// A file for the bank.
#[derive(Serialize, ToSchema)]
struct PayrollFileView {
    id: PayrollFileId,
    /// 薪资周期
    pay_period: Option<PayPeriod>,
    /// 笔数
    orders: i64,
    /// 总金额
    amount: Money,
    /// 生成时间
    created_at: LocalTime,
    /// 各状态的笔数
    states: Vec<PayrollFileState>,
}

/// How many payouts of a file have a state.
#[derive(Serialize, ToSchema)]
struct PayrollFileState {
    /// 订单状态
    status: OrderStatus,
    /// 笔数
    orders: i64,
}

impl PayrollFileView {
    fn of(overview: Overview, zone: &Zone) -> Self {
        let Overview { file, states } = overview;
        Self {
            id: file.id,
            pay_period: file.pay_period,
            orders: file.orders,
            amount: Money(file.amount),
            created_at: LocalTime::of(file.created_at, zone),
            states: states.into_iter().map(|(status, orders)| PayrollFileState { status, orders }).collect(),
        }
    }
}

/// As what a file is taken.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum FileFormat {
    /// UTF-8 with BOM.
    Csv,
    /// Every cell a text.
    Xlsx,
}

#[derive(Deserialize, ToSchema)]
struct FormatQuery {
    /// 文件格式
    format: FileFormat,
}

impl Labels for FormatQuery {
    const LABELS: &'static [(&'static str, &'static str)] = &[("format", "文件格式")];
}

/// A file to be kept.
struct Download {
    name: String,
    media: &'static str,
    bytes: Vec<u8>,
}

impl IntoResponse for Download {
    fn into_response(self) -> Response {
        let disposition = HeaderValue::try_from(format!("attachment; filename=\"{}\"", self.name));
        let mut response = ([(header::CONTENT_TYPE, self.media)], self.bytes).into_response();
        if let Ok(disposition) = disposition {
            response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
        }
        response
    }
}

impl Gives for Download {
    fn describe(draft: &mut Draft) {
        draft.status = 200;
        draft.answer_media = MEDIA;
    }
}

/// A table that somebody hands over as a file.
struct Table(Vec<Vec<String>>);

impl<S: Sync> FromRequest<S> for Table {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        let declared = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = declared.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if !MEDIA.contains(&essence.as_str()) {
            return Err(Refusal::NotATable);
        }
        let repeat = request.extensions().get::<Caller>().and_then(|caller| caller.repeat.clone());
        let bytes = read_body(request, BODY_BYTES_MAX).await?;
        if let Some(repeat) = repeat {
            // Nobody else reads this request's body.
            repeat.body.get_or_init(|| bytes.to_vec());
        }
        let rows = tokio::task::spawn_blocking(move || sheets::read(&bytes)).await.map_err(|_| Error::Panicked)??;
        Ok(Self(rows))
    }
}

impl Takes for Table {
    fn describe(draft: &mut Draft) {
        draft.body_media = MEDIA;
    }
}

#[derive(Deserialize, ToSchema)]
struct ResultsQuery {
    /// 1为只检查不导入
    dry_run: Option<Whole<0, 1>>,
}

impl Labels for ResultsQuery {
    const LABELS: &'static [(&'static str, &'static str)] = &[("dry_run", "只检查")];
}

/// What came, or would come, of the bank's results.
#[derive(Serialize, ToSchema)]
struct PayrollResultsView {
    /// 结果行数
    total: usize,
    /// 付款成功的笔数
    paid: usize,
    /// 付款失败的笔数
    failed: usize,
    /// 付款后退回的笔数
    returned: usize,
    /// 已经知道结果的笔数
    unchanged: usize,
    /// 不能使用的行
    bad: Vec<BadLine>,
}

/// A line that can't be used.
#[derive(Serialize, ToSchema)]
struct BadLine {
    /// 行号，从1开始
    line: usize,
    /// 原因
    error: String,
}

impl From<Outcome> for PayrollResultsView {
    fn from(outcome: Outcome) -> Self {
        Self {
            total: outcome.total,
            paid: outcome.paid,
            failed: outcome.failed,
            returned: outcome.returned,
            unchanged: outcome.unchanged,
            bad: outcome.bad.into_iter().map(|(line, error)| BadLine { line, error }).collect(),
        }
    }
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    paging: Paging,
    fields: Fields,
) -> Result<Answer<List<PayrollFileView>>, Refusal> {
    let listed = app.read(&caller, move |tx, _| payroll_files::list(tx, paging.page)).await?;
    let zone = app.db().zone();
    Ok(Answer::list(listed, &paging, &fields, |overview| PayrollFileView::of(overview, zone))?)
}

async fn make(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<PayrollFileBody>,
) -> Result<Created<PayrollFileView>, Refusal> {
    app.write(&caller, move |tx, actor| {
        let made = payroll_files::make(tx, actor, body.pay_period, body.numbers()?.as_deref())?;
        Created::new("生成成功", PayrollFileView::of(made, tx.zone))
    })
    .await
}

async fn export(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<PayrollFileId>,
    Query(query): Query<FormatQuery>,
) -> Result<Download, Refusal> {
    let actor = caller.actor.clone();
    let (file, rows) = app.db().write(move |tx| payroll_files::export(tx, &actor, id)).await?;
    let rendered = tokio::task::spawn_blocking(move || match query.format {
        FileFormat::Csv => sheets::csv(&rows).map(|bytes| ("csv", CSV, bytes)),
        FileFormat::Xlsx => sheets::xlsx(&rows, file.created_at).map(|bytes| ("xlsx", XLSX, bytes)),
    });
    let (suffix, media, bytes) = rendered.await.map_err(|_| Error::Panicked)??;
    Ok(Download { name: format!("payroll-{id}.{suffix}"), media, bytes })
}

async fn take_results(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<PayrollFileId>,
    Query(query): Query<ResultsQuery>,
    Table(rows): Table,
) -> Result<Answer<PayrollResultsView>, Refusal> {
    if query.dry_run == Some(Whole(1)) {
        let outcome = app.read(&caller, move |tx, _| payroll_files::rehearse(tx, id, &rows)).await?;
        return Ok(Answer::new("检查完成", outcome.into())?);
    }
    app.write(&caller, move |tx, actor| {
        Answer::new("导入成功", payroll_files::take_results(tx, actor, id, &rows)?.into())
    })
    .await
}
