//! One request to UnionPay: a signed form there, and signed fields back that are not encoded at all.

use std::collections::btree_map::Entry;

use reqwest::header::CONTENT_TYPE;

use super::{Unionpay, signature};
use crate::domain::time::Instant;
use crate::payments::Trouble;
use crate::payments::fields::{Fields, encode_form, fields};
use crate::payments::http::{ANSWER_BYTES_MAX, body as read_body};

/// Where everything that changes something goes.
pub const CHANGES: &str = "/gateway/api/backTransReq.do";
/// Where questions go.
pub const QUESTIONS: &str = "/gateway/api/queryTrans.do";

/// What a request is about.
pub struct Kind {
    pub txn_type: &'static str,
    pub txn_sub_type: &'static str,
}

impl Unionpay {
    /// Fields of a request, with those that every one has.
    pub(super) fn request<const N: usize>(&self, kind: &Kind, more: [(&str, &str); N]) -> Fields {
        let mut request = fields([
            ("version", "5.1.0"),
            ("encoding", "UTF-8"),
            ("certId", &self.certificate_id),
            ("signMethod", "01"),
            ("txnType", kind.txn_type),
            ("txnSubType", kind.txn_sub_type),
            ("bizType", "000000"),
            ("accessType", "0"),
            ("merId", &self.merchant_id),
        ]);
        request.extend(fields(more));
        request
    }

    /// Makes a request; gives the fields of a verified answer, whatever it says.
    pub(super) async fn ask(&self, path: &str, request: Fields, now: Instant) -> Result<Fields, Trouble> {
        self.make(format!("{}{path}", self.base_url), request, now, ANSWER_BYTES_MAX).await
    }

    /// As [`Unionpay::ask`], at this address.
    pub(super) async fn make(
        &self,
        address: String,
        mut request: Fields,
        now: Instant,
        bytes_max: usize,
    ) -> Result<Fields, Trouble> {
        signature::sign(&mut request, &self.signing);
        let answer = self
            .client
            .post(address)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded;charset=UTF-8")
            .body(encode_form(&request))
            .send()
            .await
            .map_err(Trouble::unreachable)?;
        let status = answer.status().as_u16();
        let body = read_body(answer, bytes_max).await?;
        if status != 200 {
            return Err(Trouble::unknown(format!("UnionPay answers {status}")));
        }
        let answer = str::from_utf8(&body).ok().and_then(decode_answer);
        let answer = answer.ok_or_else(|| Trouble::unknown("the answer can't be read"))?;
        self.verify(&answer, now).map_err(|why| Trouble::unknown(format!("the answer does not verify: {why}")))?;
        for name in ["merId", "orderId", "txnTime"] {
            // A refusal may leave some of them out.
            if answer.get(name).is_some_and(|value| Some(value) != request.get(name)) {
                return Err(Trouble::unknown("the answer is to another question"));
            }
        }
        Ok(answer)
    }

    /// Checks the certificate that came with the fields, and their signature with it.
    pub(super) fn verify(&self, fields: &Fields, now: Instant) -> Result<(), &'static str> {
        let pem = fields.get("signPubKeyCert").ok_or("it has no certificate")?;
        let key = self.chain.signer(pem, now)?;
        if signature::fits(fields, &key) { Ok(()) } else { Err("the signature does not fit") }
    }
}

/// The fields of an answer: split at `&` and at the first `=`, and not decoded. A value in brackets may hold both.
fn decode_answer(text: &str) -> Option<Fields> {
    let mut fields = Fields::new();
    let mut rest = text.trim_end();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let end = end_of_value(after)?;
        let (value, tail) = after.split_at(end);
        rest = tail.strip_prefix('&').unwrap_or(tail);
        match fields.entry(name.to_owned()) {
            Entry::Vacant(place) => place.insert(value.to_owned()),
            Entry::Occupied(_) => return None,
        };
    }
    Some(fields)
}

/// Where a value ends: at the next `&`, and if it begins with a bracket not before the one that closes it.
fn end_of_value(text: &str) -> Option<usize> {
    let closing = match text.bytes().next() {
        Some(b'{') => '}',
        Some(b'[') => ']',
        _ => return Some(text.find('&').unwrap_or(text.len())),
    };
    let mut depth = 0_usize;
    for (at, character) in text.char_indices() {
        if character == closing {
            depth -= 1;
        } else if text.starts_with(character) {
            depth += 1;
        }
        if depth == 0 {
            return Some(at + 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_split_and_not_decoded() {
        let answer = "respCode=00&signature=a+b/c%2B==&qrCode=https://qr.95516.com/1?a=b&respMsg=成功[0000000]";
        assert_eq!(
            decode_answer(answer),
            Some(fields([
                ("respCode", "00"),
                ("signature", "a+b/c%2B=="),
                ("qrCode", "https://qr.95516.com/1?a=b"),
                ("respMsg", "成功[0000000]"),
            ]))
        );
    }

    #[test]
    fn a_value_in_brackets_is_kept_whole() {
        let answer = "reserved={a=1&b={c=2&d=3}}&list=[x&y]&respCode=00\r\n";
        let expected = fields([("reserved", "{a=1&b={c=2&d=3}}"), ("list", "[x&y]"), ("respCode", "00")]);
        assert_eq!(decode_answer(answer), Some(expected));
    }

    #[test]
    fn what_is_no_answer_is_none() {
        for text in ["respCode", "a=1&a=2", "a={b=1&c", "<html>"] {
            assert_eq!(decode_answer(text), None, "{text}");
        }
        assert_eq!(decode_answer(""), Some(Fields::new()));
    }
}
