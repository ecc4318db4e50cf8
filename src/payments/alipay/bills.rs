//! The trade bill of a day (`payments.md`, section 3.6): a ZIP of two GBK files, the details and a summary by shop. No hash comes with it, so
//! the lines that sum up the details are compared with them. Transfers are in another bill, of the account's flow, and not in this one.

use std::collections::HashMap;
use std::io::{Cursor, Read as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use encoding_rs::GBK;
use jiff::civil::Date;
use reqwest::Url;
use serde::Deserialize;
use serde_json::json;
use zip::ZipArchive;

use super::Alipay;
use super::refusals::Failure;
use crate::domain::time::Instant;
use crate::payments::amounts::fen;
use crate::payments::china_time::{self, from_spaced};
use crate::payments::http::{BILL_BYTES_MAX, body as read_body, is_private_enough};
use crate::payments::signing::sha256_hex;
use crate::payments::{Bill, BillKind, BillRow, Trouble};

/// The longest file of a bill once it is unpacked; a packed one may claim anything.
const UNPACKED_BYTES_MAX: u64 = 4 * BILL_BYTES_MAX as u64;
const FILES_MAX: usize = 16;
/// Only the details have this column.
const TRADE_NO: &str = "支付宝交易号";
/// Alipay has no word of its own for a day without trades: one whose bill is not there at this hour of the next day had none. Bills are
/// there by nine as a rule, and may be late.
const EMPTY_FROM_HOUR: i64 = 12;

#[derive(Deserialize)]
struct Place {
    bill_download_url: String,
}

impl Alipay {
    pub(super) async fn fetch_bill(&self, date: Date, now: Instant) -> Result<Bill, Trouble> {
        let asked = json!({ "bill_type": "trade", "bill_date": date.to_string() });
        let place: Place = match self.ask("alipay.data.dataservice.bill.downloadurl.query", &asked, now).await {
            Ok(place) => place,
            Err(Failure::Refused(refused)) if is_absent(&refused.sub_code) => return Ok(absent(date, now)),
            Err(failure) => return Err(failure.trouble(&[])),
        };
        // The address works for 30 seconds and holds what opens the bill, so it is in no error.
        let address = download_address(&place.bill_download_url);
        let address = address.ok_or_else(|| Trouble::unknown("the bill is at no address that may be used"))?;
        let answer = self.client.get(address).send().await.map_err(Trouble::unreachable)?;
        let status = answer.status().as_u16();
        if status != 200 {
            return Err(Trouble::unknown(format!("the bill's download answers {status}")));
        }
        let file = read_body(answer, BILL_BYTES_MAX).await?;
        let rows = read(&file).map_err(|problem| Trouble::unknown(format!("the bill can't be read: {problem}")))?;
        Ok(Bill::Ready { rows, sha256: sha256_hex(&file), raw: STANDARD.encode(&file) })
    }
}

/// Where the bill is. Alipay's own addresses have been `http`, and nothing else would tell whether that was read or changed on the way.
fn download_address(text: &str) -> Option<Url> {
    let mut address = Url::parse(text).ok()?;
    if !is_private_enough(&address) {
        address.set_scheme("https").ok()?;
    }
    Some(address)
}

fn is_absent(sub_code: &str) -> bool {
    sub_code.replace('-', "_").to_ascii_lowercase().ends_with("bill_not_exist")
}

fn absent(date: Date, now: Instant) -> Bill {
    let next = date.tomorrow().ok().map(|next| next.at(0, 0, 0, 0)).and_then(china_time::instant);
    let is_late = next.is_some_and(|next| now.ms_since(next) >= EMPTY_FROM_HOUR * crate::domain::time::HOUR_MS);
    if is_late { Bill::Empty } else { Bill::NotReady }
}

/// The rows of a packed bill.
///
/// # Errors
/// What is wrong with it; nothing of a bill is used when a line of it can't be read.
fn read(file: &[u8]) -> Result<Vec<BillRow>, String> {
    let mut archive = ZipArchive::new(Cursor::new(file)).map_err(|error| format!("it is no ZIP: {error}"))?;
    if archive.len() > FILES_MAX {
        return Err("it has too many files".to_owned());
    }
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(|error| format!("it can't be unpacked: {error}"))?;
        let mut bytes = Vec::new();
        entry
            .take(UNPACKED_BYTES_MAX + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| format!("it can't be unpacked: {error}"))?;
        if bytes.len() as u64 > UNPACKED_BYTES_MAX {
            return Err("it is longer than any should be".to_owned());
        }
        // A byte order mark, if there is one, tells that it is UTF-8 after all.
        let (text, _, is_broken) = GBK.decode(&bytes);
        if is_broken {
            return Err("it is not GBK".to_owned());
        }
        if text.contains(TRADE_NO) {
            return parse(&text);
        }
    }
    Err("there are no details in it".to_owned())
}

/// The rows of the details.
fn parse(text: &str) -> Result<Vec<BillRow>, String> {
    let (comments, lines): (Vec<&str>, Vec<&str>) =
        text.lines().filter(|line| !line.trim().is_empty()).partition(|line| line.starts_with('#'));
    let lines = lines.join("\n");
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(lines.as_bytes());
    let header = reader.headers().map_err(|error| error.to_string())?.clone();
    let columns = header.iter().enumerate().map(|(index, name)| (plain(name), index)).collect();
    let (mut rows, mut payments, mut refunds) = (Vec::new(), Sum::default(), Sum::default());
    for (number, record) in reader.records().enumerate() {
        let record = record.map_err(|error| error.to_string())?;
        let row = Line { columns: &columns, record };
        let (read, received) = row.read().map_err(|problem| format!("row {}: {problem}", number + 1))?;
        match read.kind {
            BillKind::Payment => payments.add(received),
            BillKind::Refund | BillKind::Transfer => refunds.add(received),
        }
        rows.push(read);
    }
    if Some(payments) != Sum::told(&comments, "#交易合计：") || Some(refunds) != Sum::told(&comments, "#退款合计：")
    {
        return Err("its rows are not those that it sums up".to_owned());
    }
    Ok(rows)
}

/// The name of a column without its unit.
fn plain(name: &str) -> &str {
    name.split(['（', '(']).next().unwrap_or(name).trim()
}

/// How many there were, and what the merchant got for them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sum {
    count: i64,
    received_fen: i64,
}

impl Sum {
    fn add(&mut self, received_fen: i64) {
        self.count += 1;
        self.received_fen = self.received_fen.saturating_add(received_fen);
    }

    /// What a line such as `#交易合计：2笔，商家实收共147.90元，商家优惠共0.00元` says.
    fn told(comments: &[&str], label: &str) -> Option<Self> {
        let told = comments.iter().find_map(|line| line.strip_prefix(label))?;
        let (count, rest) = told.split_once('笔')?;
        let (_, amount) = rest.split_once('共')?;
        let (amount, _) = amount.split_once('元')?;
        Some(Self { count: count.trim().parse().ok()?, received_fen: fen(amount.trim())? })
    }
}

/// A line, whose cells are found by the names of their columns.
struct Line<'a> {
    columns: &'a HashMap<&'a str, usize>,
    record: csv::StringRecord,
}

impl Line<'_> {
    fn cell(&self, column: &str) -> Result<&str, String> {
        let index = self.columns.get(column).ok_or_else(|| format!("there is no column {column}"))?;
        self.record.get(*index).ok_or_else(|| format!("{column} is missing"))
    }

    fn amount(&self, column: &str) -> Result<i64, String> {
        fen(self.cell(column)?).ok_or_else(|| format!("{column} is not an amount"))
    }

    /// The row, and what the merchant got for it.
    fn read(&self) -> Result<(BillRow, i64), String> {
        let kind = match self.cell("业务类型")? {
            "交易" => BillKind::Payment,
            "退款" => BillKind::Refund,
            _ => return Err("业务类型 is none that is known".to_owned()),
        };
        let at = from_spaced(self.cell("完成时间")?).ok_or("完成时间 is not a time")?;
        let refund_no = match kind {
            BillKind::Refund => Some(self.cell("退款批次号/请求号")?.to_owned()),
            BillKind::Payment | BillKind::Transfer => None,
        };
        let row = BillRow {
            kind,
            order_no: self.cell("商户订单号")?.to_owned(),
            refund_no,
            platform_no: self.cell(TRADE_NO)?.to_owned(),
            // What goes out is written with a minus.
            amount_fen: self.amount("订单金额")?.abs(),
            fee_fen: -self.amount("服务费")?,
            at_ms: at.0,
        };
        Ok((row, self.amount("商家实收")?))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    const HEAD: &str = "#支付宝业务明细查询\r\n#账号：[20880000000000010156]\r\n#----业务明细列表----\r\n\
        支付宝交易号,商户订单号,业务类型,商品名称,完成时间,订单金额（元）,商家实收（元）,退款批次号/请求号,服务费（元）,备注\r\n";
    const PAYMENT: &str = "2026001\t,P20260302110001000001\t,交易\t,月子套餐 定金\t,2026-03-02 09:30:15\t,128.00\t,118.00\t,\t,-0.77\t,\t\r\n";
    const REFUND: &str = "2026001\t,P20260302110001000001\t,退款\t,月子套餐 定金\t,2026-03-02 18:00:00\t,-28.00\t,-28.00\t,R20260302110001000002\t,0.17\t,\t\r\n";
    const TAIL: &str = "#----业务明细列表结束----\r\n#交易合计：1笔，商家实收共118.00元，商家优惠共10.00元\r\n\
        #退款合计：1笔，商家实收退款共-28.00元，商家优惠退款共0.00元\r\n#导出时间：[2026年03月03日 09:00:00]\r\n";

    fn details() -> String {
        format!("{HEAD}{PAYMENT}{REFUND}{TAIL}")
    }

    fn packed(files: &[&[u8]]) -> Vec<u8> {
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        for (index, file) in files.iter().enumerate() {
            archive.start_file(format!("{index}.csv"), SimpleFileOptions::default()).unwrap();
            archive.write_all(file).unwrap();
        }
        archive.finish().unwrap().into_inner()
    }

    fn gbk(text: &str) -> Vec<u8> {
        GBK.encode(text).0.into_owned()
    }

    fn row(kind: BillKind, refund_no: Option<&str>, amount_fen: i64, fee_fen: i64, at: &str) -> BillRow {
        BillRow {
            kind,
            order_no: "P20260302110001000001".to_owned(),
            refund_no: refund_no.map(str::to_owned),
            platform_no: "2026001".to_owned(),
            amount_fen,
            fee_fen,
            at_ms: from_spaced(at).unwrap().0,
        }
    }

    #[test]
    fn the_details_of_a_packed_bill_are_read_from_gbk() {
        let summary = gbk("#支付宝业务汇总查询\r\n门店编号,门店名称\r\n合计\t,\t\r\n");
        let rows = vec![
            row(BillKind::Payment, None, 12_800, 77, "2026-03-02 09:30:15"),
            row(BillKind::Refund, Some("R20260302110001000002"), 2_800, -17, "2026-03-02 18:00:00"),
        ];
        assert_eq!(read(&packed(&[&summary, &gbk(&details())])), Ok(rows.clone()));
        let with_mark = format!("\u{feff}{}", details());
        assert_eq!(read(&packed(&[with_mark.as_bytes()])), Ok(rows), "UTF-8 with a byte order mark");
    }

    #[test]
    fn a_bill_that_does_not_fit_its_sums_is_refused() {
        for (text, why) in [
            (details().replace(PAYMENT, ""), "sums up"),
            (details().replace(REFUND, ""), "sums up"),
            (details().replace("\t,118.00", "\t,118.01"), "sums up"),
            (details().replace("#退款合计", "#别的合计"), "sums up"),
            (details().replace("-28.00\t", "二十八\t"), "row 2: 订单金额 is not an amount"),
            (details().replace("-0.77", ""), "row 1: 服务费 is not an amount"),
            (details().replace("\t,退款\t", "\t,转账\t"), "row 2: 业务类型"),
            (details().replace("2026-03-02 09:30:15", "昨天"), "row 1: 完成时间"),
            (details().replace("订单金额（元）", "金额（元）"), "there is no column 订单金额"),
            (details().replace("定金\t,", "定金\t,多一列,"), "fields"),
        ] {
            let refused = read(&packed(&[&gbk(&text)])).err();
            assert!(refused.as_ref().is_some_and(|refused| refused.contains(why)), "{why}: {refused:?}");
        }
    }

    #[test]
    fn what_is_no_bill_is_refused() {
        assert!(read(b"<html>gone</html>").is_err());
        assert!(read(&packed(&[&gbk("门店编号\r\n")])).unwrap_err().contains("no details"));
        assert!(read(&packed(&[b"\xff\xff\xff"])).unwrap_err().contains("GBK"));
        let many: Vec<&[u8]> = vec![b"a"; FILES_MAX + 1];
        assert!(read(&packed(&many)).unwrap_err().contains("too many"));
        let mut broken = packed(&[&gbk(&details())]);
        let middle = broken.len() / 3;
        broken[middle] ^= 0xff;
        assert!(read(&broken).is_err());
    }

    #[test]
    fn a_bill_that_is_not_there_by_noon_had_nothing_in_it() {
        let date = jiff::civil::date(2026, 3, 2);
        let at = |text: &str| absent(date, from_spaced(text).unwrap());
        assert_eq!(at("2026-03-03 11:59:59"), Bill::NotReady);
        assert_eq!(at("2026-03-03 12:00:00"), Bill::Empty);
        for code in ["isp.bill_not_exist", "BILL_NOT_EXIST", "isp.bill-not-exist"] {
            assert!(is_absent(code), "{code}");
        }
        assert!(!is_absent("isp.unknow-error"));
    }

    #[test]
    fn a_bill_is_fetched_over_tls() {
        let address = |text: &str| download_address(text).map(String::from);
        assert_eq!(address("http://a.example/b?c=d").as_deref(), Some("https://a.example/b?c=d"));
        assert_eq!(address("http://127.0.0.1:5/b").as_deref(), Some("http://127.0.0.1:5/b"));
        assert_eq!(address("file:///etc/passwd"), None);
        assert_eq!(address("nowhere"), None);
    }
}
