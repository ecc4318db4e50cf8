//! Notifications: an ordinary form, signed as answers are.

use super::Unionpay;
use super::codes::DONE;
use super::orders::{amount_fen, paid, traced};
use crate::domain::time::Instant;
use crate::payments::china_time::from_packed;
use crate::payments::fields::{Fields, decode_form};
use crate::payments::{Distrust, Event, Notice, NoticeChannel, PaymentState, RefundState};

pub fn read(unionpay: &Unionpay, body: &[u8], now: Instant) -> Result<Notice, Distrust> {
    let fields = decode_form(body).ok_or_else(|| Distrust::Forged("it is no form".to_owned()))?;
    unionpay.verify(&fields, now).map_err(|why| Distrust::Forged(why.to_owned()))?;
    let text = |name: &str| fields.get(name).map_or("", String::as_str);
    if text("merId") != unionpay.merchant_id {
        return Err(Distrust::Mismatch("it is for another merchant".to_owned()));
    }
    let (order_no, kind) = (text("orderId"), text("txnType"));
    if order_no.is_empty() {
        return Err(Distrust::Mismatch("it is about no order".to_owned()));
    }
    // There is no id of the notification: a repeat is about the same transaction and says the same.
    let event_key = format!("{kind}-{order_no}-{}-{}", text("queryId"), text("respCode"));
    let event = event(&fields, now).map_err(|why| Distrust::Mismatch(why.to_owned()))?;
    Ok(Notice { channel: NoticeChannel::Unionpay, event_key, event })
}

fn event(fields: &Fields, now: Instant) -> Result<Event, &'static str> {
    let text = |name: &str| fields.get(name).map_or("", String::as_str);
    let order_no = text("orderId").to_owned();
    // Of what did not come about no notification is sent; should one come, the query decides.
    if text("respCode") != DONE {
        return Ok(Event::Nothing { order_no });
    }
    let at = from_packed(text("txnTime")).ok_or("it has no time")?;
    match (text("txnType"), text("txnSubType")) {
        ("01", "07") => {
            let standing = PaymentState::Paid(paid(fields, at, now)?);
            Ok(Event::Payment { order_no, standing })
        }
        ("31" | "04", "00") => Ok(Event::Refund {
            refund_no: order_no,
            amount_fen: Some(amount_fen(text("txnAmt")).ok_or("its amount is none")?),
            standing: RefundState::Succeeded {
                at_ms: traced(fields, at).unwrap_or(now).0,
                platform_no: fields.get("queryId").cloned(),
            },
        }),
        _ => Ok(Event::Nothing { order_no }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payments::fields::fields;

    fn told(more: &[(&str, &str)]) -> Result<Event, &'static str> {
        let mut all = fields([
            ("orderId", "P1"),
            ("txnType", "01"),
            ("txnSubType", "07"),
            ("txnTime", "20260302120000"),
            ("txnAmt", "1990"),
            ("currencyCode", "156"),
            ("queryId", "2026"),
            ("respCode", "00"),
        ]);
        all.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        event(&all, Instant(7))
    }

    #[test]
    fn voids_and_refunds_are_refunds() {
        for kind in ["31", "04"] {
            let refund = Event::Refund {
                refund_no: "R1".to_owned(),
                amount_fen: Some(1_990),
                standing: RefundState::Succeeded { at_ms: 7, platform_no: Some("2026".to_owned()) },
            };
            assert_eq!(told(&[("txnType", kind), ("txnSubType", "00"), ("orderId", "R1")]), Ok(refund));
        }
    }

    #[test]
    fn only_what_came_about_is_a_payment() {
        assert!(matches!(told(&[]), Ok(Event::Payment { standing: PaymentState::Paid(_), .. })));
        for more in [("respCode", "03"), ("respCode", "51"), ("txnType", "02"), ("txnSubType", "01")] {
            assert_eq!(told(&[more]), Ok(Event::Nothing { order_no: "P1".to_owned() }), "{more:?}");
        }
        assert_eq!(told(&[("currencyCode", "840")]), Err("it is in another currency"));
        assert_eq!(told(&[("txnAmt", "19.90")]), Err("its amount is none"));
        assert_eq!(told(&[("txnTime", "")]), Err("it has no time"));
    }
}
