//! The adapter of WeChat Pay against a platform that checks every signature itself and refuses what the real one refuses.

mod bills;
mod notices;
mod orders;
mod refunds;
mod transfers;
mod trust;

use std::fmt::Debug;
use std::ops::Deref;
use std::path::Path;

use canshi::domain::time::Instant;
use canshi::payments::config::WechatConfig;
use canshi::payments::wechat::Wechat;
use canshi::payments::{Create, Gateway as _, Outcome, Query, Refund, Refusal, Scene, Transfer, Trouble};

use crate::platform::Platform;

/// 2026-03-02T12:00:00+08:00
const NOON: Instant = Instant(1_772_424_000_000);
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// Nobody listens there: notifications are delivered by hand.
const CALLBACK: &str = "http://127.0.0.1:9/api/payment/callback/wechat";
const ORDER: &str = "P20260302110001000001";
const OPENID: &str = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o";

/// WeChat Pay as the adapter sees it, and as the platform does; it is noon at both.
struct Pay {
    platform: Platform,
    wechat: Wechat,
}

impl Deref for Pay {
    type Target = Wechat;

    fn deref(&self) -> &Wechat {
        &self.wechat
    }
}

impl Pay {
    /// With a public key and with certificates.
    async fn start() -> Self {
        Self::with(|_, _| ()).await
    }

    /// With this change to the configuration; files may be put into the directory.
    async fn with(change: impl FnOnce(&mut WechatConfig, &Path)) -> Self {
        let platform = Platform::start().await;
        platform.set_clock_ms(NOON.0).await;
        platform.notify_by_hand().await;
        let mut config = platform.payments_config().wechat;
        change(&mut config, platform.config_toml().parent().unwrap());
        let wechat = Wechat::new(&config, CALLBACK.to_owned()).unwrap();
        Self { platform, wechat }
    }

    /// Moves both clocks to this moment.
    async fn at(&self, now: Instant) -> Instant {
        self.platform.set_clock_ms(now.0).await;
        now
    }

    /// The order, made and paid.
    async fn paid(&self) {
        self.create(&code(), NOON).await.unwrap();
        self.platform.pay("wechat", ORDER).await.unwrap();
    }

    /// How often the platform was asked for this since the start.
    async fn asked(&self, op: &str) -> usize {
        let requests = self.platform.ask(&format!("requests?op={op}")).await;
        requests.as_array().unwrap().len()
    }

    /// Ends with the certainty that the platform found no fault with any request itself.
    async fn nothing_was_wrong(&self) {
        let refusals = self.platform.refusals().await;
        assert!(refusals.iter().all(|refusal| refusal["kind"] != "protocol"), "{refusals:?}");
    }
}

/// A code for 128 yuan, good for half an hour.
fn code() -> Create {
    Create {
        order_no: ORDER.to_owned(),
        scene: Scene::Code,
        amount_fen: 12_800,
        subject: "月子套餐，定金".to_owned(),
        at_ms: NOON.0,
        expires_at_ms: NOON.0 + 30 * MINUTE_MS,
    }
}

fn question() -> Query {
    Query { order_no: ORDER.to_owned(), amount_fen: 12_800, at_ms: NOON.0 }
}

/// 28 yuan of the order, given back.
fn refund() -> Refund {
    Refund {
        refund_no: "R20260302110001000002".to_owned(),
        order_no: ORDER.to_owned(),
        platform_no: String::new(),
        amount_fen: 2_800,
        paid_fen: 12_800,
        reason: "少住一天".to_owned(),
        at_ms: NOON.0,
        paid_at_ms: NOON.0,
    }
}

/// So much for a nurse.
fn wage(amount_fen: i64) -> Transfer {
    Transfer {
        order_no: "P20260302110009000009".to_owned(),
        amount_fen,
        account: OPENID.to_owned(),
        name: Some("张三丰".to_owned()),
        subject: "三月护理费".to_owned(),
        at_ms: NOON.0,
    }
}

fn url(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Created { payment_url: Some(url), launch: None } => url,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused<T: Debug>(outcome: Result<T, Trouble>) -> (Refusal, String) {
    match outcome {
        Err(Trouble::Refused { refusal, code, .. }) => (refusal, code),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn unknown<T: Debug>(outcome: Result<T, Trouble>) -> String {
    match outcome {
        Err(Trouble::Unknown(what, _)) => what,
        other => panic!("{other:?}"),
    }
}
