//! One request to Alipay's gateway: all parameters are signed, those that name the call go into the query, and the answer is verified over
//! the very text that came.

use std::collections::HashMap;

use reqwest::header::CONTENT_TYPE;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::Alipay;
use super::refusals::{Failure, Refused, Verdict};
use crate::domain::time::Instant;
use crate::payments::Trouble;
use crate::payments::china_time::spaced;
use crate::payments::fields::{Fields, encode_form, fields, signed_text};
use crate::payments::http::{ANSWER_BYTES_MAX, body as read_body};

/// Where errors of the gateway itself are, in place of the method's own member.
const ERROR_MEMBER: &str = "error_response";

impl Alipay {
    /// Asks for something; gives the answer if it is verified and says yes.
    pub(super) async fn ask<A: DeserializeOwned>(
        &self,
        method: &str,
        content: &impl Serialize,
        now: Instant,
    ) -> Result<A, Failure> {
        let request = self.request(method, content, now)?;
        self.make(method, request).await
    }

    /// As [`Alipay::ask`], for something that Alipay tells us of afterwards.
    pub(super) async fn ask_and_be_told<A: DeserializeOwned>(
        &self,
        method: &str,
        content: &impl Serialize,
        now: Instant,
    ) -> Result<A, Failure> {
        let mut request = self.request(method, content, now)?;
        request.insert("notify_url".to_owned(), self.callback_url.clone());
        self.make(method, request).await
    }

    fn request(&self, method: &str, content: &impl Serialize, now: Instant) -> Result<Fields, Trouble> {
        let content = serde_json::to_string(content)
            .map_err(|error| Trouble::Unknown("the request can't be written".to_owned(), Some(error.into())))?;
        let mut request = fields([
            ("app_id", &self.app_id),
            ("method", method),
            ("format", "JSON"),
            ("charset", "utf-8"),
            ("sign_type", "RSA2"),
            // To the second, in China; a request of another time is refused.
            ("timestamp", &spaced(now)),
            ("version", "1.0"),
            ("biz_content", &content),
        ]);
        if let Some(serials) = &self.certificates {
            request.insert("app_cert_sn".to_owned(), serials.app.clone());
            request.insert("alipay_root_cert_sn".to_owned(), serials.root.clone());
        }
        Ok(request)
    }

    async fn make<A: DeserializeOwned>(&self, method: &str, mut request: Fields) -> Result<A, Failure> {
        // `sign_type` is signed here, and is not in notifications.
        let sign = self.signing.sign(signed_text(&request, &[]).as_bytes());
        let content = request.remove("biz_content").unwrap_or_default();
        request.insert("sign".to_owned(), sign);
        let answer = self
            .client
            .post(format!("{}?{}", self.base_url, encode_form(&request)))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded;charset=utf-8")
            .body(encode_form(&fields([("biz_content", &content)])))
            .send()
            .await
            .map_err(Trouble::unreachable)?;
        let status = answer.status().as_u16();
        let body = read_body(answer, ANSWER_BYTES_MAX).await?;
        if status != 200 {
            return Err(Trouble::unknown(format!("Alipay answers {status}")).into());
        }
        let member = self.verified(method, &body)?;
        accept(method, member)
    }

    /// The text of the method's answer, verified.
    fn verified<'a>(&self, method: &str, body: &'a [u8]) -> Result<&'a str, Trouble> {
        let members: HashMap<&str, &'a RawValue> = serde_json::from_slice(body)
            .map_err(|error| Trouble::Unknown("the answer can't be read".to_owned(), Some(error.into())))?;
        let own = format!("{}_response", method.replace('.', "_"));
        let member = members.get(own.as_str()).or_else(|| members.get(ERROR_MEMBER));
        let member = member.ok_or_else(|| Trouble::unknown("the answer is none to the question"))?.get();
        let text = |name: &str| members.get(name).and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
        // What is wrong with the app's own key or id may come unsigned: nobody can be sure that Alipay said it, but it helps whoever looks.
        let said = || Refused::read(member).map_or(String::new(), |refused| format!(" ({refused})"));
        let Some(sign) = text("sign") else {
            return Err(Trouble::unknown(format!("the answer is not signed{}", said())));
        };
        if let (Some(serials), Some(serial)) = (&self.certificates, text("alipay_cert_sn"))
            && serials.alipay != serial
        {
            return Err(Trouble::unknown(format!(
                "the answer is signed with another certificate than alipay_certificate{}",
                said()
            )));
        }
        if !self.alipay_key.verify(member.as_bytes(), &sign) {
            return Err(Trouble::unknown(format!("the answer does not verify{}", said())));
        }
        Ok(member)
    }
}

/// A verified answer that says yes.
fn accept<A: DeserializeOwned>(method: &str, member: &str) -> Result<A, Failure> {
    let unreadable = |error: serde_json::Error| Trouble::Unknown("the answer can't be read".into(), Some(error.into()));
    let verdict: Verdict = serde_json::from_str(member).map_err(unreadable)?;
    if verdict.is_yes() {
        return serde_json::from_str(member).map_err(|error| unreadable(error).into());
    }
    let refused = Refused::from(verdict);
    tracing::warn!(method, code = refused.code, sub_code = refused.sub_code, "Alipay did not do it");
    Err(Failure::Refused(refused))
}
