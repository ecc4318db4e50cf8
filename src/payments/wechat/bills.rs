//! The trade bill of a day (`payments.md`, section 2.9). The download is the one answer that is not signed: its hash is, in the answer
//! before it.

use std::collections::HashMap;
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use jiff::civil::Date;
use reqwest::{Method, Url};
use rust_decimal::prelude::ToPrimitive as _;
use rust_decimal::{Decimal, RoundingStrategy};
use serde::Deserialize;

use super::Wechat;
use super::refusals::Failure;
use crate::domain::time::Instant;
use crate::payments::amounts::fen;
use crate::payments::china_time::from_spaced;
use crate::payments::http::BILL_BYTES_MAX;
use crate::payments::signing::{sha1_hex, sha256_hex};
use crate::payments::{Bill, BillKind, BillRow, Trouble};

/// The longest bill once it is unpacked; a packed one may claim anything.
const UNPACKED_BYTES_MAX: usize = 4 * BILL_BYTES_MAX;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const BOM: &str = "\u{feff}";
/// The first column of the summary, which ends the rows.
const SUMMARY: &str = "总交易单数";

#[derive(Deserialize)]
struct Place {
    hash_type: String,
    hash_value: String,
    download_url: String,
}

impl Wechat {
    pub(super) async fn fetch_bill(&self, date: Date, now: Instant) -> Result<Bill, Trouble> {
        let target = format!("/v3/bill/tradebill?bill_date={date}&bill_type=ALL&tar_type=GZIP");
        let place: Place = match self.get(&target, now).await {
            Ok(place) => place,
            Err(Failure::Refused(refused)) if refused.is(&["NOSTATEMENTEXIST"]) => return Ok(Bill::Empty),
            Err(Failure::Refused(refused)) if refused.is(&["STATEMENTCREATING"]) => return Ok(Bill::NotReady),
            Err(failure) => return Err(failure.into()),
        };
        let target =
            download_target(&place.download_url).ok_or_else(|| Trouble::unknown("the bill is at no address"))?;
        let request = self.request(Method::GET, &target, Vec::new(), now);
        let raw = self.send(request, now, BILL_BYTES_MAX).await?;
        if raw.status.as_u16() != 200 {
            return Err(Trouble::unknown(format!("the bill's download answers {}", raw.status.as_u16())));
        }
        let file = unpack(&raw.body)?;
        if place.hash_type != "SHA1" || !sha1_hex(&file).eq_ignore_ascii_case(&place.hash_value) {
            return Err(Trouble::unknown("the bill does not have the hash that was announced"));
        }
        let rows = parse(&file).map_err(|problem| Trouble::unknown(format!("the bill can't be read: {problem}")))?;
        Ok(Bill::Ready { rows, sha256: sha256_hex(&raw.body), raw: STANDARD.encode(&raw.body) })
    }
}

/// The path and query of a download, which is asked of the configured host: the token in it is for nobody else.
fn download_target(address: &str) -> Option<String> {
    let url = Url::parse(address).ok()?;
    let query = url.query().map_or(String::new(), |query| format!("?{query}"));
    url.path().starts_with("/v3/").then(|| format!("{}{query}", url.path()))
}

fn unpack(file: &[u8]) -> Result<Vec<u8>, Trouble> {
    if !file.starts_with(&GZIP_MAGIC) {
        return Ok(file.to_vec());
    }
    let mut whole = Vec::new();
    GzDecoder::new(file)
        .take(UNPACKED_BYTES_MAX as u64 + 1)
        .read_to_end(&mut whole)
        .map_err(|error| Trouble::Unknown("the bill can't be unpacked".to_owned(), Some(Box::new(error))))?;
    if whole.len() > UNPACKED_BYTES_MAX {
        return Err(Trouble::unknown("the bill is longer than any should be"));
    }
    Ok(whole)
}

/// The rows of a bill.
///
/// # Errors
/// What is wrong with it; nothing of a bill is used when a line of it can't be read.
fn parse(file: &[u8]) -> Result<Vec<BillRow>, String> {
    let text = str::from_utf8(file).map_err(|_| "it is not UTF-8")?;
    let mut lines = text.strip_prefix(BOM).unwrap_or(text).lines();
    let header = lines.next().ok_or("it is empty")?;
    let columns: HashMap<&str, usize> =
        header.split(',').enumerate().map(|(index, name)| (name.trim(), index)).collect();
    let mut rows = Vec::new();
    for (number, line) in lines.enumerate() {
        if line.starts_with(SUMMARY) {
            return Ok(rows);
        }
        let line = line.strip_prefix('`').ok_or_else(|| format!("line {} does not begin with `", number + 2))?;
        let row = Row { columns: &columns, cells: line.split(",`").collect() };
        rows.extend(row.read().map_err(|problem| format!("line {}: {problem}", number + 2))?);
    }
    Err("it ends without its summary".to_owned())
}

/// A line, whose cells are found by the names of their columns: WeChat appends new ones.
struct Row<'a> {
    columns: &'a HashMap<&'a str, usize>,
    cells: Vec<&'a str>,
}

impl Row<'_> {
    fn cell(&self, column: &str) -> Result<&str, String> {
        let index = self.columns.get(column).ok_or_else(|| format!("there is no column {column}"))?;
        self.cells.get(*index).map(|cell| cell.trim()).ok_or_else(|| format!("{column} is missing"))
    }

    fn amount(&self, column: &str) -> Result<i64, String> {
        fen(self.cell(column)?).filter(|fen| *fen >= 0).ok_or_else(|| format!("{column} is not an amount"))
    }

    fn read(&self) -> Result<Option<BillRow>, String> {
        let at = from_spaced(self.cell("交易时间")?).ok_or("交易时间 is not a time")?;
        let order_no = self.cell("商户订单号")?.to_owned();
        let fee_fen = whole_fen(self.cell("手续费")?).ok_or("手续费 is not an amount")?;
        match self.cell("交易状态")? {
            "SUCCESS" => Ok(Some(BillRow {
                kind: BillKind::Payment,
                order_no,
                refund_no: None,
                platform_no: self.cell("微信订单号")?.to_owned(),
                amount_fen: self.amount("订单金额")?,
                fee_fen,
                at_ms: at.0,
            })),
            // Of a refund that failed no money moved.
            "REFUND" | "REVOKED" if self.cell("退款状态")? == "FAIL" => Ok(None),
            "REFUND" | "REVOKED" => Ok(Some(BillRow {
                kind: BillKind::Refund,
                order_no,
                refund_no: Some(self.cell("商户退款单号")?.to_owned()),
                platform_no: self.cell("微信退款单号")?.to_owned(),
                amount_fen: self.amount("申请退款金额")?,
                fee_fen,
                at_ms: at.0,
            })),
            _ => Err("交易状态 is none that is known".to_owned()),
        }
    }
}

/// A fee, which the bill writes with five decimals, rounded to the fen away from zero at the half.
fn whole_fen(yuan: &str) -> Option<i64> {
    let yuan: Decimal = yuan.parse().ok()?;
    yuan.checked_mul(Decimal::ONE_HUNDRED)?.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero).to_i64()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,\
        应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,\
        申请退款金额,费率备注";
    const PAYMENT: &str = "`2026-03-02 09:30:15,`wx1,`1900000109,`0,`,`4200001,`P20260302110001000001,`oX,`NATIVE,`SUCCESS,`OTHERS,\
        `CNY,`118.00,`10.00,`0,`0,`0.00,`0.00,`,`,`月子套餐, 定金,`,`0.77000,`0.60%,`128.00,`0.00,`";
    const REFUND: &str = "`2026-03-02 18:00:00,`wx1,`1900000109,`0,`,`4200001,`P20260302110001000001,`oX,`NATIVE,`REFUND,`OTHERS,\
        `CNY,`0.00,`0.00,`5000001,`R20260302110001000002,`28.00,`0.00,`ORIGINAL,`SUCCESS,`月子套餐,`,`-0.16800,`0.60%,`0.00,`28.00,`";
    const SUMMARY_LINES: &str = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额\r\n\
        `2,`118.00,`28.00,`0.00,`0.60000,`128.00,`28.00\r\n";

    fn file(rows: &[&str]) -> String {
        let rows: String = rows.iter().map(|row| format!("{row}\r\n")).collect();
        format!("{BOM}{HEADER}\r\n{rows}{SUMMARY_LINES}")
    }

    #[test]
    fn payments_and_refunds_are_rows_of_their_own() {
        let rows = parse(file(&[PAYMENT, REFUND]).as_bytes());
        let at = |text: &str| from_spaced(text).map_or(0, |at| at.0);
        let order_no = "P20260302110001000001".to_owned();
        assert_eq!(
            rows,
            Ok(vec![
                BillRow {
                    kind: BillKind::Payment,
                    order_no: order_no.clone(),
                    refund_no: None,
                    platform_no: "4200001".to_owned(),
                    amount_fen: 12_800,
                    fee_fen: 77,
                    at_ms: at("2026-03-02 09:30:15"),
                },
                BillRow {
                    kind: BillKind::Refund,
                    order_no,
                    refund_no: Some("R20260302110001000002".to_owned()),
                    platform_no: "5000001".to_owned(),
                    amount_fen: 2_800,
                    fee_fen: -17,
                    at_ms: at("2026-03-02 18:00:00"),
                },
            ])
        );
    }

    #[test]
    fn columns_are_found_by_name_and_new_ones_do_no_harm() {
        let moved =
            file(&[]).replace("交易时间,公众账号ID", "公众账号ID,交易时间").replace(",费率备注", ",费率备注,新列");
        let (at, appid) = ("2026-03-02 09:30:15", "wx1");
        let row = PAYMENT.replacen(&format!("`{at},`{appid}"), &format!("`{appid},`{at}"), 1) + ",`new";
        let text = moved.replace("总交易单数", &format!("{row}\r\n总交易单数"));
        assert_eq!(parse(text.as_bytes()).map(|rows| rows[0].amount_fen), Ok(12_800));
    }

    #[test]
    fn a_day_with_a_header_alone_has_no_rows_and_a_failed_refund_is_none() {
        assert_eq!(parse(file(&[]).as_bytes()), Ok(Vec::new()));
        assert_eq!(parse(file(&[&REFUND.replace("`SUCCESS,", "`FAIL,")]).as_bytes()), Ok(Vec::new()));
    }

    #[test]
    fn a_bill_that_is_cut_off_or_spoilt_is_not_used_at_all() {
        let whole = file(&[PAYMENT, REFUND]);
        let cut = whole.split("总交易单数").next().map_or("", |cut| cut);
        for (text, why) in [
            ("", "empty"),
            (cut, "summary"),
            (&whole.replace("128.00", "128.001"), "订单金额"),
            (&whole.replace("`128.00", "`-128.00"), "订单金额"),
            (&whole.replace("2026-03-02 09:30:15", "2026-02-30 09:30:15"), "交易时间"),
            (&whole.replace("NATIVE,`SUCCESS", "NATIVE,`NEW"), "交易状态"),
            (&whole.replace("订单金额,申请", "订单额,申请"), "订单金额"),
            (&whole.replace("`2026-03-02 18", "2026-03-02 18"), "line 3"),
            (&whole.replace(",`0.60%,`0.00,`28.00,`", ""), "申请退款金额"),
        ] {
            let problem = parse(text.as_bytes()).expect_err(why);
            assert!(problem.contains(why) || why == "empty", "{why}: {problem}");
        }
        assert!(parse(b"\xff\xfe").is_err());
    }

    #[test]
    fn a_fee_below_a_fen_is_rounded() {
        for (yuan, fen) in [("0.00000", 0), ("0.00499", 0), ("0.00500", 1), ("-0.00500", -1), ("1.23456", 123)] {
            assert_eq!(whole_fen(yuan), Some(fen), "{yuan}");
        }
        assert_eq!(whole_fen("0.77元"), None);
    }

    #[test]
    fn a_packed_bill_is_unpacked_and_another_is_taken_as_it_is() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut packed, b"plain").unwrap();
        let packed = packed.finish().unwrap();
        assert_eq!(unpack(&packed).unwrap(), b"plain");
        assert_eq!(unpack(b"plain").unwrap(), b"plain");
        assert!(unpack(&packed[..packed.len() - 9]).is_err());
    }

    #[test]
    fn a_download_is_asked_of_the_configured_host() {
        let token = "/v3/billdownload/file?token=a%2Fb";
        assert_eq!(download_target(&format!("https://api.mch.weixin.qq.com{token}")).as_deref(), Some(token));
        for address in ["", "/v3/billdownload/file", "https://api.mch.weixin.qq.com/elsewhere"] {
            assert_eq!(download_target(address), None, "{address}");
        }
    }
}
