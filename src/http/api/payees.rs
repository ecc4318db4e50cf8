//! Where employees and suppliers are paid.

use axum::extract::{FromRequestParts, RawPathParams, State};
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::domain::access::Access::May;
use crate::domain::access::Permission::{FinanceRead, FinanceWrite};
use crate::domain::ids::{EmployeeId, NotAnId, SupplierId};
use crate::domain::payees::{Owner, Payee};
use crate::domain::payments::PaymentMethod;
use crate::error::Error;
use crate::http::App;
use crate::http::answer::{Answer, Fields, Nothing};
use crate::http::caller::Caller;
use crate::http::endpoint::{Draft, Takes};
use crate::http::error::Refusal;
use crate::http::extract::{Body, Labels};
use crate::http::route::{Route, delete, get, put};
use crate::http::wire::{Line, LinePatch, Name, Patch, present};
use crate::service::payees::{self, BankName, PayeeChange};

/// The routes of this noun.
pub fn routes() -> Vec<Route> {
    const OF_EMPLOYEES: &str = "/api/employees/{id}/payees/{payment_method}";
    const OF_SUPPLIERS: &str = "/api/suppliers/{id}/payees/{payment_method}";
    vec![
        get(OF_EMPLOYEES, May(FinanceRead), read::<EmployeeId>).summary("获取员工收款账户"),
        put(OF_EMPLOYEES, May(FinanceWrite), set::<EmployeeId>).summary("登记员工收款账户"),
        delete(OF_EMPLOYEES, May(FinanceWrite), remove::<EmployeeId>).summary("删除员工收款账户"),
        get(OF_SUPPLIERS, May(FinanceRead), read::<SupplierId>).summary("获取供应商收款账户"),
        put(OF_SUPPLIERS, May(FinanceWrite), set::<SupplierId>).summary("登记供应商收款账户"),
        delete(OF_SUPPLIERS, May(FinanceWrite), remove::<SupplierId>).summary("删除供应商收款账户"),
    ]
}

/// Somebody who can be paid.
trait Payable: TryFrom<i64, Error = NotAnId> + ToSchema {
    /// As an owner of accounts.
    fn owner(self) -> Owner;
}

impl Payable for EmployeeId {
    fn owner(self) -> Owner {
        Owner::Employee(self)
    }
}

impl Payable for SupplierId {
    fn owner(self) -> Owner {
        Owner::Supplier(self)
    }
}

/// Whose account, and for which way to pay.
struct PayeePath<T> {
    id: T,
    method: PaymentMethod,
}

impl<T: Payable, S: Send + Sync> FromRequestParts<S> for PayeePath<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let not_an_id = || Error::invalid("id", "编号应为正整数");
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| not_an_id())?;
        let param = |name: &str| params.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value);
        let id = param("id").parse::<i64>().ok().and_then(|id| T::try_from(id).ok()).ok_or_else(not_an_id)?;
        let method = param("payment_method").parse::<PaymentMethod>();
        let method = method.map_err(|error| Error::invalid("payment_method", error.to_string()))?;
        Ok(Self { id, method })
    }
}

impl<T: Payable> Takes for PayeePath<T> {
    fn describe(draft: &mut Draft) {
        for (name, schema) in [("id", draft.component::<T>()), ("payment_method", draft.component::<PaymentMethod>())] {
            draft.parameters.push(json!({"name": name, "in": "path", "required": true, "schema": schema}));
        }
    }
}

/// A change of where somebody is paid: what is not there stays, `null` clears.
#[derive(Deserialize, ToSchema)]
struct PayeePatch {
    /// 账号：微信为openid，支付宝为手机号、邮箱或用户号，银行为卡号；首次登记时必填
    #[serde(default, deserialize_with = "present")]
    #[schema(example = "6222020200012345678")]
    account: Option<Line>,
    /// 户名；首次登记时必填
    #[serde(default, deserialize_with = "present")]
    #[schema(example = "王五")]
    account_name: Option<Name>,
    /// 开户行；银行账户必填
    #[serde(default)]
    #[schema(example = "中国工商银行上海浦东支行")]
    bank_name: LinePatch,
}

impl Labels for PayeePatch {
    const LABELS: &'static [(&'static str, &'static str)] =
        &[("account", "账号"), ("account_name", "户名"), ("bank_name", "开户行")];
}

impl From<PayeePatch> for PayeeChange {
    fn from(patch: PayeePatch) -> Self {
        Self {
            account: patch.account.map(String::from),
            account_name: patch.account_name.map(String::from),
            bank_name: match patch.bank_name {
                Patch::Keep => BankName::Keep,
                Patch::Clear => BankName::Set(None),
                Patch::Set(name) => BankName::Set(Some(name.into())),
            },
        }
    }
}

/// Where somebody is paid.
#[derive(Serialize, ToSchema)]
struct PayeeView {
    /// 支付方式
    payment_method: PaymentMethod,
    /// 账号，只显示末四位
    #[schema(example = "****5678")]
    account: String,
    /// 户名
    account_name: String,
    /// 开户行
    bank_name: Option<String>,
}

impl PayeeView {
    fn of(payee: Payee, payment_method: PaymentMethod) -> Self {
        Self {
            payment_method,
            account: payee.account.masked(),
            account_name: payee.account_name,
            bank_name: payee.bank_name,
        }
    }
}

async fn read<T: Payable + Send>(
    State(app): State<App>,
    caller: Caller,
    PayeePath { id, method }: PayeePath<T>,
    fields: Fields,
) -> Result<Answer<PayeeView>, Refusal> {
    let payee = app.read_rows(&caller, |tx, _| payees::read(tx, id.owner(), method)).await?;
    Ok(Answer::only("获取成功", &PayeeView::of(payee, method), &fields)?)
}

async fn set<T: Payable + Send + 'static>(
    State(app): State<App>,
    caller: Caller,
    PayeePath { id, method }: PayeePath<T>,
    Body(patch): Body<PayeePatch>,
) -> Result<Answer<PayeeView>, Refusal> {
    app.write(&caller, move |tx, actor| {
        let payee = payees::set(tx, actor, id.owner(), method, patch.into())?;
        Answer::new("更新成功", PayeeView::of(payee, method))
    })
    .await
}

async fn remove<T: Payable + Send + 'static>(
    State(app): State<App>,
    caller: Caller,
    PayeePath { id, method }: PayeePath<T>,
) -> Result<Answer<Nothing>, Refusal> {
    app.write(&caller, move |tx, actor| {
        payees::delete(tx, actor, id.owner(), method)?;
        Answer::new("删除成功", Nothing)
    })
    .await
}
