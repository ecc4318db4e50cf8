//! Notifications (`payments.md`, section 3.4): a form, whose values are signed as they are after one decoding.

use super::Alipay;
use crate::domain::payments::OrderNo;
use crate::payments::amounts::fen;
use crate::payments::china_time::from_spaced;
use crate::payments::fields::{Fields, decode_form, signed_text, signed_text_with_empty};
use crate::payments::signing::VerifyingKey;
use crate::payments::{Distrust, Event, Notice, NoticeChannel, Paid, PaymentState, RefundState, cut};

/// What is not signed in notifications of trades.
const UNSIGNED: [&str; 2] = ["sign", "sign_type"];
/// What is not signed in notifications of a few other kinds.
const SIGN: [&str; 1] = ["sign"];
const NOTIFY_ID_BYTES_MAX: usize = 128;
/// `2026-03-02 12:00:00`; some times have milliseconds behind it.
const TIME_CHARACTERS: usize = 19;

pub fn read(alipay: &Alipay, body: &[u8]) -> Result<Notice, Distrust> {
    let fields = decode_form(body).ok_or_else(|| forged("it is no form"))?;
    verify(&alipay.alipay_key, &fields)?;
    let text = |name: &str| fields.get(name).map(String::as_str).filter(|value| !value.is_empty());
    if text("app_id") != Some(&alipay.app_id) {
        return Err(mismatch("it is for another app"));
    }
    if text("seller_id") != Some(&alipay.seller_id) {
        return Err(mismatch("it is for another merchant"));
    }
    if ["trans_currency", "settle_currency"].iter().any(|name| text(name).is_some_and(|currency| currency != "CNY")) {
        return Err(mismatch("it is in another currency"));
    }
    let event_key =
        text("notify_id").filter(|id| id.len() <= NOTIFY_ID_BYTES_MAX).ok_or_else(|| forged("it has no id"))?;
    let event = event(&fields)?;
    Ok(Notice { channel: NoticeChannel::Alipay, event_key: event_key.to_owned(), event })
}

/// Checks the signature over the fields as they came.
fn verify(key: &VerifyingKey, fields: &Fields) -> Result<(), Distrust> {
    if fields.get("sign_type").is_some_and(|sign_type| sign_type != "RSA2") {
        return Err(forged("it is signed in another way"));
    }
    if fields.get("charset").is_some_and(|charset| !charset.eq_ignore_ascii_case("utf-8")) {
        return Err(forged("it is not UTF-8"));
    }
    let sign = fields.get("sign").ok_or_else(|| forged("it is not signed"))?;
    let has_empty = fields.values().any(String::is_empty);
    for without in [&UNSIGNED[..], &SIGN] {
        // Alipay's own programs do not agree whether what is empty is signed.
        let fits = key.verify(signed_text_with_empty(fields, without).as_bytes(), sign)
            || (has_empty && key.verify(signed_text(fields, without).as_bytes(), sign));
        if fits {
            return Ok(());
        }
    }
    Err(forged("the signature does not fit"))
}

fn event(fields: &Fields) -> Result<Event, Distrust> {
    let text = |name: &str| fields.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let needed = |name: &str| text(name).ok_or_else(|| mismatch(&format!("it has no {name}")));
    let time = |name: &str| text(name).and_then(|time| from_spaced(cut(time, TIME_CHARACTERS)));
    let Some(order_no) = text("out_trade_no").map(str::to_owned) else {
        return Ok(Event::Nothing { order_no: text("out_biz_no").unwrap_or_default().to_owned() });
    };
    // Every refund tells of its trade anew, which must not look like another payment. `refund_fee` adds up all refunds of the trade, so
    // it is not the amount of this one.
    if text("refund_fee").is_some() || text("gmt_refund").is_some() {
        let refund_no =
            text("out_biz_no").filter(|number| number.parse().is_ok_and(|number: OrderNo| number.is_refund()));
        return Ok(match (refund_no, time("gmt_refund")) {
            (Some(refund_no), Some(at)) => Event::Refund {
                refund_no: refund_no.to_owned(),
                amount_fen: None,
                standing: RefundState::Succeeded { at_ms: at.0, platform_no: None },
            },
            _ => Event::Nothing { order_no },
        });
    }
    let standing = match needed("trade_status")? {
        "WAIT_BUYER_PAY" => PaymentState::Unpaid,
        "TRADE_SUCCESS" | "TRADE_FINISHED" => PaymentState::Paid(Paid {
            platform_no: needed("trade_no")?.to_owned(),
            amount_fen: fen(needed("total_amount")?).ok_or_else(|| mismatch("its amount is none"))?,
            paid_at_ms: time("gmt_payment").ok_or_else(|| mismatch("it says not when it was paid"))?.0,
            payer: None,
        }),
        // Closed without having been paid. A paid one is closed by its refunds, which are told otherwise.
        "TRADE_CLOSED" if text("gmt_payment").is_none() => PaymentState::Closed,
        _ => return Ok(Event::Nothing { order_no }),
    };
    Ok(Event::Payment { order_no, standing })
}

fn forged(why: &str) -> Distrust {
    Distrust::Forged(why.to_owned())
}

fn mismatch(why: &str) -> Distrust {
    Distrust::Mismatch(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payments::fields::fields;
    use crate::payments::keys::parse_verifying_key;

    /// From the tests of the official Node SDK: real notifications of 2019, with the keys of that time.
    mod published {
        pub const TRADE_KEY: &str = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAqObrdC7hrgAVM98tK0nv3hSQRGGKT4lBsQjHiGjeYZjOPIPHR5knm2jnnz/YGIXIofVHkA/tAlBAd5DrY7YpvI4tP5EONLtZKC2ghBMx7McI2wRD0xiqzxOQr1FuhZGJ8/AUokBzJrzY+aGX2xcOrxFYRlFilvVLTXg4LWjR1tdPkO6+i7wQZAIVMClPkwVRZEbaERRHlKqTzv2gGv5rDU8gRoe1LeaN+6BlbTqHWkQcNCUNrA8C6l17XAXGKDsm/9TFWwO8EPHHHCaQdjtV5/FdcWIt+L8SR1ss7EXTjYDFtxcKVv9rEoY1lX8T4mX+GbXfZHraG5NCF1+XioL5JwIDAQAB";
        pub const SERVICE_KEY: &str = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAk6DCsBIUhWriFohzRV8Fic6oQWNnLKKILNk97VU5qcHEuxYzCujKoyva5gy1170mFJw4IcgJF8AyS7iDUwzAwF4Pp9CpWxDhUhe7mdQJhjBmvTcPLGFFrzlj6unO5lAcbdwaxPUtSxOaNxPJGrTK/wnKQSbjTMMltp1J68q2Tfgrsn/NdZ6lrxO9rvmky8kowqaH5NjntyHO59jCGabMj5sI14z8N61wB/QuIJrDuzIPMPrSNbq0cOWcSCDG09oUHTp9fk7suDB8UiFcmVTXOvK3d4HbeX8V9YsEMxrwxEoYgRRj6K2qrC6oxw480cqf2ueumCmHg6xrcgkyXK81hwIDAQAB";
        pub const TRADE: [(&str, &str); 25] = [
            ("gmt_create", "2019-08-15 15:56:22"),
            ("charset", "utf-8"),
            ("seller_email", "z97-yuquerevenue@service.aliyun.com"),
            ("subject", "语雀空间 500人规模"),
            (
                "sign",
                "QfTb8tqE1BMhS5qAnXtvsF3/jBkEvu9q9en0pdbBUDDjvKycZhQb7h8GDs4FKfi049PynaNuatxSgLb/nLWZpXyyh0LEWdK2S6Ri7nPwrVgOs08zugLO20vOQz44y3ti2Ncm8/wZts1Fr2gZ7pShnVX3d1B50hbsXnObT1r/U8ONNQjWXd0HIul4TG+Q3fm3svmSvFEy0WnzuhcyHPX5Gm4ELNctL6Qd5YniGJFNcc7kopHYtI/XD9YCKCH6Ct02rzUs9i11C9CsadtZn+WhxF26Dqt9sGEFajkJ8cxUTLi8+VCpLHsgPE8P0y095uQcDdK0YjCh4x7wVSov+lrmOQ==",
            ),
            ("buyer_id", "2088102534368455"),
            ("invoice_amount", "0.10"),
            ("notify_id", "2019081500222155624068450559358070"),
            ("fund_bill_list", r#"[{"amount":"0.10","fundChannel":"ALIPAYACCOUNT"}]"#),
            ("notify_type", "trade_status_sync"),
            ("trade_status", "TRADE_SUCCESS"),
            ("receipt_amount", "0.10"),
            ("buyer_pay_amount", "0.10"),
            ("sign_type", "RSA2"),
            ("app_id", "2019073166072302"),
            ("seller_id", "2088531891668739"),
            ("gmt_payment", "2019-08-15 15:56:24"),
            ("notify_time", "2019-08-15 15:56:25"),
            ("version", "1.0"),
            ("out_trade_no", "20190815155618536-564-57"),
            ("total_amount", "0.10"),
            ("trade_no", "2019081522001468450512505578"),
            ("auth_app_id", "2019073166072302"),
            ("buyer_logon_id", "xud***@126.com"),
            ("point_amount", "0.00"),
        ];
        pub const SERVICE: [(&str, &str); 21] = [
            ("app_id", "2017122801303261"),
            ("charset", "UTF-8"),
            ("commodity_order_id", "2019030800000018079639"),
            ("contactor", "技术支持测试的公司"),
            ("merchant_pid", "2088721996721370"),
            ("method", "alipay.open.servicemarket.order.notify"),
            ("name", "技术支持测试的公司"),
            ("notify_id", "2019030800222102023008121054923345"),
            ("notify_time", "2019-03-08 10:20:23"),
            ("notify_type", "servicemarket_order_notify"),
            ("order_item_num", "1"),
            ("order_ticket", "29b1c37d99ab48c5bd5bdaeaeaefbB37"),
            ("order_time", "2019-03-08 10:20:08"),
            ("phone", "17826894615"),
            ("service_code", "58621634"),
            (
                "sign",
                "MsK5SCw8oqLw4f0hiNSd5OVGXxBY3wnQeT8vn5PklJSZFWSZbK4hQbNvkp4ZezeXQH514cEv0ul6Qow8yh6e6yM06LfEL+EZjcpZ0nxzFGRNQ5qq2AUc1OaXQdk92AGvxh+Iq4NGpPQFBd4D8EBJa3NJd8+czMfQskceosOQFqUtLQMYa5DPs+VpN7VM5BdXjaVIuKn5d9Wm2B9dI9ObIM+YRySDkZZPv14DVmUvcrcqJfOR8aHvtSd7B4l92wUQPQgQKNcOQho7xOHS/Bk+Y74AZL2y7TkNmdDoq9OGsThuF5tDW9rI9nVwXxOtsuB+bstra+W7aw9x9DvkKgdSRw==",
            ),
            ("sign_type", "RSA2"),
            ("timestamp", "2019-03-08 10:20:23"),
            ("title", "麦禾商城模版"),
            ("total_price", "0.00"),
            ("version", "1.0"),
        ];
    }

    fn key(text: &str) -> VerifyingKey {
        parse_verifying_key(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_published_notifications_verify_and_each_change_of_one_shows() {
        for (key_text, pairs) in
            [(published::TRADE_KEY, &published::TRADE[..]), (published::SERVICE_KEY, &published::SERVICE[..])]
        {
            let notice: Fields = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            assert_eq!(verify(&key(key_text), &notice), Ok(()));
            for name in notice.keys().filter(|name| *name != "sign_type") {
                let mut changed = notice.clone();
                changed.entry(name.clone()).or_default().push('1');
                assert!(verify(&key(key_text), &changed).is_err(), "{name}");
            }
            let mut more = notice.clone();
            more.insert("more".to_owned(), "1".to_owned());
            assert!(verify(&key(key_text), &more).is_err());
        }
        let trade = fields(published::TRADE);
        assert!(verify(&key(published::SERVICE_KEY), &trade).is_err(), "another key");
    }

    #[test]
    fn the_published_payment_is_read() {
        let paid = PaymentState::Paid(Paid {
            platform_no: "2019081522001468450512505578".to_owned(),
            amount_fen: 10,
            paid_at_ms: from_spaced("2019-08-15 15:56:24").unwrap().0,
            payer: None,
        });
        let order_no = "20190815155618536-564-57".to_owned();
        assert_eq!(event(&fields(published::TRADE)), Ok(Event::Payment { order_no, standing: paid }));
        assert_eq!(event(&fields(published::SERVICE)), Ok(Event::Nothing { order_no: String::new() }));
    }

    fn of_trade(more: &[(&str, &str)]) -> Result<Event, Distrust> {
        let mut all = fields([
            ("out_trade_no", "P20260302110001000001"),
            ("trade_no", "2026"),
            ("total_amount", "19.90"),
            ("gmt_payment", "2026-03-02 23:49:59"),
            ("trade_status", "TRADE_SUCCESS"),
        ]);
        all.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        event(&all)
    }

    #[test]
    fn a_refund_never_looks_like_a_payment() {
        let refund = Event::Refund {
            refund_no: "R20260302110001000002".to_owned(),
            amount_fen: None,
            standing: RefundState::Succeeded { at_ms: 1_772_466_599_000, platform_no: None },
        };
        let nothing = Event::Nothing { order_no: "P20260302110001000001".to_owned() };
        let told = |out_biz_no| {
            of_trade(&[("refund_fee", "5.00"), ("gmt_refund", "2026-03-02 23:49:59.123"), ("out_biz_no", out_biz_no)])
        };
        assert_eq!(told("R20260302110001000002"), Ok(refund));
        for other in ["P20260302110001000001", "somebody", ""] {
            assert_eq!(told(other), Ok(nothing.clone()), "{other}");
        }
        assert_eq!(of_trade(&[("refund_fee", "5.00")]), Ok(nothing.clone()));
        assert_eq!(of_trade(&[("trade_status", "TRADE_CLOSED")]), Ok(nothing), "a paid one can't be closed unpaid");
    }

    #[test]
    fn what_was_not_paid_is_not_shown_paid() {
        let standing = |status| match of_trade(&[("trade_status", status), ("gmt_payment", "")]) {
            Ok(Event::Payment { standing, .. }) => Some(standing),
            _ => None,
        };
        assert_eq!(standing("WAIT_BUYER_PAY"), Some(PaymentState::Unpaid));
        assert_eq!(standing("TRADE_CLOSED"), Some(PaymentState::Closed));
        assert_eq!(standing("TRADE_SUCCESS"), None, "without a time");
        assert_eq!(of_trade(&[("total_amount", "19.9.0")]), Err(mismatch("its amount is none")));
    }
}
