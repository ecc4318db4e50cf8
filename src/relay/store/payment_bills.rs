//! Statements on `canshi_payment_bills` and `canshi_payment_bill_pieces`: the merchant's bills as they were downloaded.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::civil::Date;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Transaction, TxOpts};

use crate::error::{Error, Result};
use crate::payments::BillRow;
use crate::store::vault::{Place, Vault};

/// Characters of a piece at most, before it is sealed.
const PIECE_MAX: usize = 4 << 20;

const TABLE: &str = "canshi_payment_bill_pieces";
const RAW: &str = "raw";
const ROWS: &str = "rows";

/// Which bill.
#[derive(Debug, Clone, Copy)]
pub struct Of<'a> {
    /// The platform.
    pub channel: &'a str,
    /// The day.
    pub date: Date,
}

impl Of<'_> {
    fn column(&self, part: &str) -> String {
        format!("{part}.{}.{}", self.channel, self.date)
    }
}

/// What a bill says, and the hash of its file; none when it was not downloaded yet.
pub async fn find(conn: &mut Conn, vault: &Vault, of: Of<'_>) -> Result<Option<(Vec<BillRow>, String)>> {
    let date = of.date.to_string();
    let sql = "select sha256 from canshi_payment_bills where channel = ? and date = ?";
    let Some(sha256) = conn.exec_first(sql, (of.channel, &date)).await? else { return Ok(None) };
    let pieces: Vec<(i64, String)> = conn
        .exec(
            "select place, piece_sealed from canshi_payment_bill_pieces
             where channel = ? and date = ? and part = ? order by place",
            (of.channel, &date, ROWS),
        )
        .await?;
    let column = of.column(ROWS);
    let mut text = String::new();
    for (id, sealed) in pieces {
        text += &vault.open(Place { table: TABLE, column: &column, id }, &sealed)?;
    }
    let corrupt = || Error::Corrupt(format!("the bill {column}"));
    let text = STANDARD.decode(text).map_err(|_| corrupt())?;
    Ok(Some((serde_json::from_slice(&text).map_err(|_| corrupt())?, sha256)))
}

/// Keeps a bill, unless another relay was faster; whether this one kept it. `raw` is the file, Base64.
pub async fn keep(conn: &mut Conn, vault: &Vault, of: Of<'_>, rows: &[BillRow], file: (&str, &str)) -> Result<bool> {
    let (sha256, raw) = file;
    let text = serde_json::to_vec(rows).map_err(|error| Error::Corrupt(error.to_string()))?;
    let mut tx = conn.start_transaction(TxOpts::default()).await?;
    let sql = "insert ignore into canshi_payment_bills (channel, date, sha256, fetched_at) values (?, ?, ?, utc_timestamp(3))";
    tx.exec_drop(sql, (of.channel, of.date.to_string(), sha256)).await?;
    if tx.affected_rows() == 0 {
        tx.rollback().await?;
        return Ok(false);
    }
    keep_part(&mut tx, vault, of, RAW, raw).await?;
    keep_part(&mut tx, vault, of, ROWS, &STANDARD.encode(text)).await?;
    tx.commit().await?;
    Ok(true)
}

async fn keep_part(tx: &mut Transaction<'_>, vault: &Vault, of: Of<'_>, part: &str, text: &str) -> Result<()> {
    let column = of.column(part);
    let sql =
        "insert into canshi_payment_bill_pieces (channel, date, part, place, piece_sealed) values (?, ?, ?, ?, ?)";
    for (id, piece) in (0..).zip(text.as_bytes().chunks(PIECE_MAX)) {
        // Base64 can be cut anywhere.
        let piece = std::str::from_utf8(piece).map_err(|_| Error::Corrupt("a bill is not Base64".to_owned()))?;
        let sealed = vault.seal(Place { table: TABLE, column: &column, id }, piece)?;
        tx.exec_drop(sql, (of.channel, of.date.to_string(), part, id, sealed)).await?;
    }
    Ok(())
}
