//! The settlement file of a day: Base64 of a zlib stream of a ZIP, in whose `ZM` file each line is a transaction in columns of fixed width.
//!
//! `payments.md` does not hold the format of that file. The columns are those that copies of UnionPay's own demo program take it apart with; what
//! is read of them beyond the widths (the sign before fees, the text's encoding) is from memory and to be checked with a real file first.

use std::collections::HashMap;
use std::io::{Cursor, Read};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use encoding_rs::GBK;
use flate2::read::ZlibDecoder;
use jiff::civil::Date;
use zip::ZipArchive;

use super::Unionpay;
use super::ask::Kind;
use super::codes::{self, DONE, NO_FILE};
use super::orders::{amount_fen, traced};
use crate::domain::time::{HOUR_MS, Instant};
use crate::payments::china_time::{instant, packed};
use crate::payments::fields::fields;
use crate::payments::http::BILL_BYTES_MAX;
use crate::payments::signing::sha256_hex;
use crate::payments::{Bill, BillKind, BillRow, Trouble};

const FILE: Kind = Kind { txn_type: "76", txn_sub_type: "01" };
/// The longest file once it is unpacked; a packed one may claim anything.
const UNPACKED_BYTES_MAX: u64 = 4 * BILL_BYTES_MAX as u64;
const FILES_MAX: usize = 64;
/// The same answer says that there is no file yet and that there will be none: at this hour of the next day it is the latter.
const EMPTY_FROM_HOUR: i64 = 12;

/// The widths of the columns, each followed by a space, as far as they are read.
const WIDTHS: [usize; 28] =
    [3, 11, 11, 6, 10, 19, 12, 4, 2, 21, 2, 32, 2, 6, 10, 13, 13, 4, 15, 2, 2, 6, 2, 4, 32, 1, 21, 15];
/// In the name of the file with the transactions, such as `INN26030288ZM_777290058110048`; `ZME` holds those that went wrong, others hold sums.
const ZM: &[u8] = b"ZM_";
const TRACE_TIME: usize = 4;
const AMOUNT: usize = 6;
const QUERY_ID: usize = 9;
const ORDER_ID: usize = 11;
const FEE: usize = 15;
const TXN_TYPE: usize = 19;
const ORIG_QUERY_ID: usize = 26;
const MERCHANT_ID: usize = 27;

impl Unionpay {
    pub(super) async fn fetch_settlement(&self, date: Date, now: Instant) -> Result<Bill, Trouble> {
        let request = self.request(
            &FILE,
            [("txnTime", &packed(now)), ("fileType", "00"), ("settleDate", &date.strftime("%m%d").to_string())],
        );
        // Base64 in a form is a third longer, and more.
        let answer = self.make(self.file_url.clone(), request, now, 2 * BILL_BYTES_MAX).await?;
        match codes::response(&answer) {
            DONE => {}
            NO_FILE => return Ok(absent(date, now)),
            _ => return Err(codes::trouble(&answer)),
        }
        let unreadable = |problem: String| Trouble::unknown(format!("the settlement file can't be read: {problem}"));
        let content = answer.get("fileContent").map_or("", String::as_str);
        let archive = unpack(content).map_err(unreadable)?;
        let rows = read(&archive, &self.merchant_id, date).map_err(unreadable)?;
        Ok(Bill::Ready { rows, sha256: sha256_hex(&archive), raw: STANDARD.encode(&archive) })
    }
}

fn absent(date: Date, now: Instant) -> Bill {
    let next = date.tomorrow().ok().and_then(|next| instant(next.at(0, 0, 0, 0)));
    let is_late = next.is_some_and(|next| now.ms_since(next) >= EMPTY_FROM_HOUR * HOUR_MS);
    if is_late { Bill::Empty } else { Bill::NotReady }
}

/// The ZIP.
fn unpack(content: &str) -> Result<Vec<u8>, String> {
    let packed = STANDARD.decode(content).map_err(|_| "it is not Base64")?;
    unpacked(ZlibDecoder::new(packed.as_slice()))
}

fn unpacked(file: impl Read) -> Result<Vec<u8>, String> {
    let mut whole = Vec::new();
    file.take(UNPACKED_BYTES_MAX + 1)
        .read_to_end(&mut whole)
        .map_err(|error| format!("it can't be unpacked: {error}"))?;
    if whole.len() as u64 > UNPACKED_BYTES_MAX { Err("it is longer than any should be".to_owned()) } else { Ok(whole) }
}

/// The rows of a ZIP.
///
/// # Errors
/// What is wrong with it; nothing of a file is used when a line of it can't be read.
fn read(archive: &[u8], merchant_id: &str, date: Date) -> Result<Vec<BillRow>, String> {
    let mut archive = ZipArchive::new(Cursor::new(archive)).map_err(|error| format!("it is no ZIP: {error}"))?;
    if archive.len() > FILES_MAX {
        return Err("it has too many files".to_owned());
    }
    let mut text = None;
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(|error| format!("it can't be unpacked: {error}"))?;
        if entry.name_raw().windows(ZM.len()).any(|part| part == ZM) {
            text = Some(unpacked(entry)?);
        }
    }
    parse(&text.ok_or("there are no transactions in it")?, merchant_id, date)
}

/// The rows of the transactions.
fn parse(file: &[u8], merchant_id: &str, date: Date) -> Result<Vec<BillRow>, String> {
    let lines: Vec<Line<'_>> = file
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .enumerate()
        .filter(|(_, line)| !line.is_empty())
        .map(|(number, line)| Line::cut(line).ok_or_else(|| format!("line {} is too short", number + 1)))
        .collect::<Result<_, _>>()?;
    // A void or refund names its payment by UnionPay's own number.
    let orders: HashMap<String, String> = lines.iter().map(|line| (line.text(QUERY_ID), line.text(ORDER_ID))).collect();
    let midday = instant(date.at(12, 0, 0, 0)).ok_or("there is no such day")?;
    lines
        .iter()
        .enumerate()
        .map(|(index, line)| {
            line.row(&orders, merchant_id, midday).map_err(|problem| format!("transaction {}: {problem}", index + 1))
        })
        .collect()
}

/// A line, in bytes: what is written in Chinese in it has two for a character.
struct Line<'a>([&'a [u8]; WIDTHS.len()]);

impl<'a> Line<'a> {
    fn cut(mut line: &'a [u8]) -> Option<Self> {
        let mut cells = [&b""[..]; WIDTHS.len()];
        for (cell, width) in cells.iter_mut().zip(WIDTHS) {
            *cell = line.get(..width)?;
            line = line.get(width + 1..).unwrap_or_default();
        }
        Some(Self(cells))
    }

    fn text(&self, column: usize) -> String {
        GBK.decode_without_bom_handling(self.0[column]).0.trim().to_owned()
    }

    fn row(&self, orders: &HashMap<String, String>, merchant_id: &str, midday: Instant) -> Result<BillRow, String> {
        if self.text(MERCHANT_ID) != merchant_id {
            return Err("it belongs to another merchant".to_owned());
        }
        let kind = match self.text(TXN_TYPE).as_str() {
            "01" => BillKind::Payment,
            "31" | "04" => BillKind::Refund,
            _ => return Err("its kind is none that is known".to_owned()),
        };
        let number = self.text(ORDER_ID);
        let (order_no, refund_no) = match kind {
            BillKind::Payment | BillKind::Transfer => (number, None),
            // The payment may be in the file of an earlier day; its number is then not told.
            BillKind::Refund => (orders.get(&self.text(ORIG_QUERY_ID)).cloned().unwrap_or_default(), Some(number)),
        };
        let at = traced(&fields([("traceTime", &self.text(TRACE_TIME))]), midday).ok_or("its time is none")?;
        Ok(BillRow {
            kind,
            order_no,
            refund_no,
            platform_no: self.text(QUERY_ID),
            amount_fen: amount_fen(&self.text(AMOUNT)).ok_or("its amount is none")?,
            fee_fen: fee_fen(&self.text(FEE)).ok_or("its fee is none")?,
            at_ms: at.0,
        })
    }
}

/// What the merchant pays (`D`, a debit) or gets back (`C`, a credit), and twelve digits.
fn fee_fen(text: &str) -> Option<i64> {
    match text.split_at_checked(1)? {
        ("D", digits) => amount_fen(digits),
        ("C", digits) => amount_fen(digits).map(|fen| -fen),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;
    use jiff::civil::date;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;
    use crate::payments::china_time::from_spaced;

    const MERCHANT: &str = "777290058110048";

    /// A line with these columns; the others are blank, and more follow, as in a real file.
    fn line(columns: &[(usize, &str)]) -> String {
        let cell = |index: usize| columns.iter().find(|(column, _)| *column == index).map_or("", |(_, text)| *text);
        let cells: Vec<String> =
            WIDTHS.iter().enumerate().map(|(index, width)| format!("{:width$}", cell(index))).collect();
        format!("{} 1 {:15}", cells.join(" "), "")
    }

    fn transaction(kind: &str, number: &str, query_id: &str, origin: &str, fee: &str) -> String {
        line(&[
            (TRACE_TIME, "0302093015"),
            (AMOUNT, "000000012800"),
            (QUERY_ID, query_id),
            (ORDER_ID, number),
            (FEE, fee),
            (TXN_TYPE, kind),
            (ORIG_QUERY_ID, origin),
            (MERCHANT_ID, MERCHANT),
        ])
    }

    fn content(files: &[(&str, &str)]) -> String {
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, text) in files {
            archive.start_file(*name, SimpleFileOptions::default()).unwrap();
            archive.write_all(text.as_bytes()).unwrap();
        }
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::default());
        packed.write_all(&archive.finish().unwrap().into_inner()).unwrap();
        STANDARD.encode(packed.finish().unwrap())
    }

    fn rows(text: &str) -> Result<Vec<BillRow>, String> {
        let name = format!("INN26030288ZM_{MERCHANT}");
        let error_file = format!("INN26030288ZME_{MERCHANT}");
        let content = content(&[(&error_file, "x"), (&name, text)]);
        unpack(&content).and_then(|archive| read(&archive, MERCHANT, date(2026, 3, 2)))
    }

    #[test]
    fn transactions_are_read_from_their_columns() {
        let payment = transaction("01", "P1", "202603020930150000001", "", "D000000000077");
        let void = transaction("31", "R1", "202603020930150000002", "202603020930150000001", "C000000000077");
        let refund = transaction("04", "R2", "202603020930150000003", "202603010000000000009", "C000000000000");
        let row = |kind, order_no: &str, refund_no: Option<&str>, query_id: &str, fee_fen| BillRow {
            kind,
            order_no: order_no.to_owned(),
            refund_no: refund_no.map(str::to_owned),
            platform_no: query_id.to_owned(),
            amount_fen: 12_800,
            fee_fen,
            at_ms: from_spaced("2026-03-02 09:30:15").unwrap().0,
        };
        assert_eq!(
            rows(&format!("{payment}\r\n{void}\r\n{refund}\r\n")),
            Ok(vec![
                row(BillKind::Payment, "P1", None, "202603020930150000001", 77),
                row(BillKind::Refund, "P1", Some("R1"), "202603020930150000002", -77),
                row(BillKind::Refund, "", Some("R2"), "202603020930150000003", 0),
            ])
        );
        assert_eq!(rows(""), Ok(Vec::new()));
    }

    #[test]
    fn a_file_with_a_line_that_cannot_be_read_is_refused() {
        let payment = transaction("01", "P1", "2026", "", "D000000000077");
        for (text, why) in [
            (payment[..200].to_owned(), "line 1 is too short"),
            (payment.replace(MERCHANT, "777290058110049"), "another merchant"),
            (payment.replace(" 01 ", " 12 "), "its kind"),
            (payment.replace("000000012800", "00000000128x"), "its amount"),
            (payment.replace("D000000000077", "X000000000077"), "its fee"),
            (payment.replace("0302093015", "1302093015"), "its time"),
        ] {
            let refused = rows(&text).unwrap_err();
            assert!(refused.contains(why), "{why}: {refused}");
        }
    }

    #[test]
    fn what_is_no_file_is_refused() {
        assert!(unpack("not Base64!").is_err());
        assert!(unpack(&STANDARD.encode("not packed")).is_err());
        assert!(read(b"not a ZIP", MERCHANT, date(2026, 3, 2)).is_err());
        let others = unpack(&content(&[("INN26030288ZME_1", "x")])).unwrap();
        assert!(read(&others, MERCHANT, date(2026, 3, 2)).unwrap_err().contains("no transactions"));
    }

    #[test]
    fn a_file_that_is_not_there_by_noon_would_have_been_empty() {
        let at = |text: &str| absent(date(2026, 3, 2), from_spaced(text).unwrap());
        assert_eq!(at("2026-03-03 11:59:59"), Bill::NotReady);
        assert_eq!(at("2026-03-03 12:00:00"), Bill::Empty);
    }
}
