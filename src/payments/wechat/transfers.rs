//! Transfers to users, who accept them within a day (`payments.md`, section 2.8). An error says nothing about the transfer itself, so a code
//! that was never seen before leaves it unknown; only a query says that it failed.

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::ask::read;
use super::refusals::found;
use super::{Wechat, cut, path_segment};
use crate::domain::time::Instant;
use crate::payments::china_time::from_rfc3339;
use crate::payments::{Refusal, Transfer, TransferState, Trouble};

const TARGET: &str = "/v3/fund-app/mch-transfer/transfer-bills";
const REMARK_CHARACTERS_MAX: usize = 32;
/// From here on the payee's name has to be given: 2,000 yuan.
const NAME_FROM_FEN: i64 = 200_000;
/// Below this it must not be: 0.3 yuan.
const NAME_NEVER_BELOW_FEN: i64 = 30;

/// What is reported about the scene of a transfer.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub info_type: String,
    pub info_content: String,
}

#[derive(Serialize)]
struct NewTransfer<'a> {
    appid: &'a str,
    out_bill_no: &'a str,
    transfer_scene_id: &'a str,
    openid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_name: Option<String>,
    transfer_amount: i64,
    transfer_remark: &'a str,
    notify_url: &'a str,
    transfer_scene_report_infos: &'a [Report],
}

/// What an answer, and a notification, say of a transfer.
#[derive(Deserialize)]
pub struct Transferred {
    /// Both spellings of the merchant's number are about.
    pub mch_id: Option<String>,
    pub mchid: Option<String>,
    pub appid: Option<String>,
    pub out_bill_no: String,
    transfer_bill_no: Option<String>,
    state: String,
    pub transfer_amount: Option<i64>,
    fail_reason: Option<String>,
    package_info: Option<String>,
    create_time: Option<String>,
    update_time: Option<String>,
}

impl Wechat {
    pub(super) async fn create_transfer(&self, call: &Transfer, now: Instant) -> Result<TransferState, Trouble> {
        if self.transfer_scene.is_empty() {
            return Err(Trouble::Refused {
                refusal: Refusal::Configuration,
                code: "NO_TRANSFER_SCENE".to_owned(),
                message: "wechatpay_transfer_scene is not set".to_owned(),
            });
        }
        // The name is encrypted for a key that may have to be fetched first.
        self.refresh_certificates(now).await;
        let (platform_serial, user_name) = self.user_name(call, now)?.unzip();
        let body = NewTransfer {
            appid: &self.appid,
            out_bill_no: &call.order_no,
            transfer_scene_id: &self.transfer_scene,
            openid: &call.account,
            user_name,
            transfer_amount: call.amount_fen,
            transfer_remark: cut(&call.subject, REMARK_CHARACTERS_MAX),
            notify_url: &self.callback_url,
            transfer_scene_report_infos: &self.transfer_report,
        };
        let answer: Transferred = match platform_serial {
            Some(serial) => self.post_sealed(TARGET, &body, serial, now).await?,
            None => self.post(TARGET, &body, now).await?,
        };
        self.answered(call, answer)
    }

    pub(super) async fn ask_transfer(&self, call: &Transfer, now: Instant) -> Result<TransferState, Trouble> {
        let target = format!("{TARGET}/out-bill-no/{}", path_segment(&call.order_no)?);
        match found(self.get::<Transferred>(&target, now).await)? {
            Some(answer) => self.answered(call, answer),
            None => Ok(TransferState::NotFound),
        }
    }

    pub(super) async fn take_transfer_back(&self, call: &Transfer, now: Instant) -> Result<TransferState, Trouble> {
        let target = format!("{TARGET}/out-bill-no/{}/cancel", path_segment(&call.order_no)?);
        let request = self.request(Method::POST, &target, Vec::new(), now);
        let answer = self.ask(request, now).await.and_then(|body| read::<Transferred>(&body));
        match found(answer)? {
            Some(answer) => self.answered(call, answer),
            None => Ok(TransferState::NotFound),
        }
    }

    /// The payee's name, encrypted for the platform, where it wants it; and the serial number of the key that it is encrypted for.
    fn user_name(&self, call: &Transfer, now: Instant) -> Result<Option<(String, String)>, Trouble> {
        let Some(name) = call.name.as_deref().filter(|_| call.amount_fen >= NAME_NEVER_BELOW_FEN) else {
            return match call.amount_fen >= NAME_FROM_FEN {
                true => Err(Trouble::final_refusal("NAME_REQUIRED", "转账2000元及以上须提供收款人姓名")),
                false => Ok(None),
            };
        };
        let key = self.trust.sealing_key(now);
        let (serial, key) = key.ok_or_else(|| Trouble::unknown("WeChat Pay's key is not here yet"))?;
        let sealed =
            key.encrypt(name.as_bytes()).map_err(|_| Trouble::final_refusal("NAME_TOO_LONG", "收款人姓名过长"))?;
        Ok(Some((serial, sealed)))
    }

    fn answered(&self, call: &Transfer, answer: Transferred) -> Result<TransferState, Trouble> {
        let other_amount = answer.transfer_amount.is_some_and(|amount| amount != call.amount_fen);
        if answer.out_bill_no != call.order_no || other_amount {
            return Err(Trouble::unknown("the answer is about another transfer, or another amount"));
        }
        self.transfer_standing(answer).map_err(Trouble::unknown)
    }

    /// How a transfer stands.
    ///
    /// # Errors
    /// What does not fit.
    pub(super) fn transfer_standing(&self, transferred: Transferred) -> Result<TransferState, String> {
        match transferred.state.as_str() {
            "ACCEPTED" | "PROCESSING" | "TRANSFERING" => Ok(TransferState::Processing),
            "WAIT_USER_CONFIRM" => Ok(TransferState::WaitConfirm {
                launch: transferred
                    .package_info
                    .map(|package| json!({ "mchId": self.mchid, "appId": self.appid, "package": package })),
            }),
            "CANCELING" => Ok(TransferState::Cancelling),
            "CANCELLED" => Ok(TransferState::Cancelled),
            "FAIL" => {
                Ok(TransferState::Failed { reason: transferred.fail_reason.unwrap_or_else(|| "FAIL".to_owned()) })
            }
            "SUCCESS" => {
                let at = transferred.update_time.or(transferred.create_time);
                Ok(TransferState::Succeeded {
                    at_ms: at.as_deref().and_then(from_rfc3339).ok_or("it says not when it was made")?.0,
                    platform_no: transferred.transfer_bill_no.ok_or("it has no number of WeChat's own")?,
                })
            }
            other => Err(format!("its state is {:?}", cut(other, 32))),
        }
    }
}
