//! Transfers to Alipay accounts (`payments.md`, section 3.5). Alipay offers them in certificate mode only, and takes none back.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Alipay;
use super::refusals::{Failure, OF_TRANSFERS};
use crate::domain::time::Instant;
use crate::payments::amounts::yuan;
use crate::payments::china_time::from_spaced;
use crate::payments::{Transfer, TransferState, Trouble, cut};

const PRODUCT: &str = "TRANS_ACCOUNT_NO_PWD";
const SCENE: &str = "DIRECT_TRANSFER";
const AMOUNT_FEN_MIN: i64 = 10;
const TITLE_CHARACTERS_MAX: usize = 128;
const REMARK_CHARACTERS_MAX: usize = 200;
/// What every user id begins with, and how long it is.
const USER_ID_PREFIX: &str = "2088";
const USER_ID_DIGITS: usize = 16;

#[derive(Serialize)]
struct NewTransfer<'a> {
    out_biz_no: &'a str,
    trans_amount: String,
    product_code: &'static str,
    biz_scene: &'static str,
    order_title: &'a str,
    /// Needed from 50,000 yuan up.
    remark: &'a str,
    payee_info: Payee<'a>,
}

#[derive(Serialize)]
struct Payee<'a> {
    identity: &'a str,
    identity_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

#[derive(Deserialize)]
struct Made {
    out_biz_no: Option<String>,
    order_id: Option<String>,
    status: Option<String>,
    trans_date: Option<String>,
}

#[derive(Deserialize)]
struct Found {
    out_biz_no: Option<String>,
    order_id: Option<String>,
    status: Option<String>,
    pay_date: Option<String>,
    error_code: Option<String>,
    fail_reason: Option<String>,
}

impl Alipay {
    pub(super) async fn create_transfer(&self, call: &Transfer, now: Instant) -> Result<TransferState, Trouble> {
        if call.amount_fen < AMOUNT_FEN_MIN {
            return Err(Trouble::final_refusal("AMOUNT_TOO_LOW", "支付宝转账不能低于0.10元"));
        }
        let transfer = NewTransfer {
            out_biz_no: &call.order_no,
            trans_amount: yuan(call.amount_fen),
            product_code: PRODUCT,
            biz_scene: SCENE,
            order_title: cut(&call.subject, TITLE_CHARACTERS_MAX),
            remark: cut(&call.subject, REMARK_CHARACTERS_MAX),
            payee_info: payee(call)?,
        };
        let made: Made = self
            .ask("alipay.fund.trans.uni.transfer", &transfer, now)
            .await
            .map_err(|failure| failure.trouble(OF_TRANSFERS))?;
        if made.out_biz_no.is_some_and(|number| number != call.order_no) {
            return Err(Trouble::unknown("the answer is about another transfer"));
        }
        match (made.status.as_deref(), made.order_id) {
            (Some("SUCCESS"), Some(order_id)) => {
                let at = made.trans_date.as_deref().and_then(from_spaced).unwrap_or(now);
                Ok(TransferState::Succeeded { at_ms: at.0, platform_no: order_id })
            }
            // Whatever else it says here, only the query decides.
            _ => Ok(TransferState::Processing),
        }
    }

    pub(super) async fn ask_transfer(&self, call: &Transfer, now: Instant) -> Result<TransferState, Trouble> {
        let asked = json!({ "out_biz_no": call.order_no, "product_code": PRODUCT, "biz_scene": SCENE });
        match self.ask::<Found>("alipay.fund.trans.common.query", &asked, now).await {
            Ok(found) => found.standing(call, now),
            // It may still be on its way: whoever repeats it repeats the same number.
            Err(Failure::Refused(refused)) if refused.is("ORDER_NOT_EXIST") => Ok(TransferState::NotFound),
            Err(failure) => Err(failure.trouble(OF_TRANSFERS)),
        }
    }
}

fn payee(call: &Transfer) -> Result<Payee<'_>, Trouble> {
    let identity = call.account.as_str();
    let is_user_id = identity.len() == USER_ID_DIGITS
        && identity.starts_with(USER_ID_PREFIX)
        && identity.bytes().all(|byte| byte.is_ascii_digit());
    // An empty name is none: the platform checks a name that is given.
    let name = call.name.as_deref().filter(|name| !name.is_empty());
    match (is_user_id, name) {
        (true, name) => Ok(Payee { identity, identity_type: "ALIPAY_USER_ID", name }),
        (false, Some(_)) => Ok(Payee { identity, identity_type: "ALIPAY_LOGON_ID", name }),
        (false, None) => Err(Trouble::final_refusal("NAME_REQUIRED", "向支付宝登录账号转账须提供收款人姓名")),
    }
}

impl Found {
    fn standing(self, call: &Transfer, now: Instant) -> Result<TransferState, Trouble> {
        if self.out_biz_no.is_some_and(|number| number != call.order_no) {
            return Err(Trouble::unknown("the answer is about another transfer"));
        }
        let reason = format!("{} {}", self.error_code.unwrap_or_default(), self.fail_reason.unwrap_or_default());
        let reason = cut(reason.trim(), REMARK_CHARACTERS_MAX).to_owned();
        match self.status.as_deref() {
            Some("SUCCESS") => {
                let platform_no = self.order_id.ok_or_else(|| Trouble::unknown("it has no number of Alipay's own"))?;
                let at = self.pay_date.as_deref().and_then(from_spaced).unwrap_or(now);
                Ok(TransferState::Succeeded { at_ms: at.0, platform_no })
            }
            Some("DEALING" | "WAIT_PAY") => Ok(TransferState::Processing),
            Some("FAIL" | "CLOSED") => Ok(TransferState::Failed { reason }),
            // The payee's bank sent it back, which may be after it had been paid.
            Some("REFUND") => Ok(TransferState::Returned { reason }),
            other => Err(Trouble::unknown(format!("its state is {:?}", cut(other.unwrap_or_default(), 32)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(account: &str, name: Option<&str>) -> Transfer {
        Transfer {
            order_no: "P1".to_owned(),
            amount_fen: 100_000,
            account: account.to_owned(),
            name: name.map(str::to_owned),
            subject: "工资".to_owned(),
            at_ms: 0,
        }
    }

    #[test]
    fn a_payee_is_a_user_id_or_a_login_with_a_name() {
        let kind = |account: &str, name| {
            let call = call(account, name);
            payee(&call).map(|payee| (payee.identity_type, payee.name.map(str::to_owned))).ok()
        };
        let named = Some("张三".to_owned());
        assert_eq!(kind("2088102146225135", None), Some(("ALIPAY_USER_ID", None)));
        assert_eq!(kind("2088102146225135", Some("张三")), Some(("ALIPAY_USER_ID", named.clone())));
        assert_eq!(kind("13800138000", Some("张三")), Some(("ALIPAY_LOGON_ID", named)));
        assert_eq!(kind("a@example.com", Some("")), None);
        assert_eq!(kind("20881021462251", None), None);
    }

    #[test]
    fn each_status_is_a_state() {
        let state = |status: Option<&str>| {
            let found = Found {
                out_biz_no: Some("P1".to_owned()),
                order_id: Some("2026".to_owned()),
                status: status.map(str::to_owned),
                pay_date: None,
                error_code: Some("PAYEE_CARD_INFO_ERROR".to_owned()),
                fail_reason: Some("收款方银行卡信息有误".to_owned()),
            };
            found.standing(&call("2088102146225135", None), Instant(7)).ok()
        };
        let reason = "PAYEE_CARD_INFO_ERROR 收款方银行卡信息有误".to_owned();
        assert_eq!(state(Some("SUCCESS")), Some(TransferState::Succeeded { at_ms: 7, platform_no: "2026".to_owned() }));
        assert_eq!(state(Some("DEALING")), Some(TransferState::Processing));
        assert_eq!(state(Some("WAIT_PAY")), Some(TransferState::Processing));
        assert_eq!(state(Some("FAIL")), Some(TransferState::Failed { reason: reason.clone() }));
        assert_eq!(state(Some("CLOSED")), Some(TransferState::Failed { reason: reason.clone() }));
        assert_eq!(state(Some("REFUND")), Some(TransferState::Returned { reason }));
        assert_eq!((state(Some("NEW")), state(None)), (None, None));
    }
}
