//! Counters that never go back.

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, TxOpts};

use crate::error::{Error, Result};

/// What gives rows their ids that are born at the center on a site's behalf.
pub const IDS: &str = "ids";

/// The counter's next value: more than the last one, and at least the time in milliseconds, so that a center which comes back
/// from an older backup gives none out twice.
pub async fn next(conn: &mut Conn, name: &str) -> Result<i64> {
    let mut tx = conn.start_transaction(TxOpts::default()).await?;
    tx.exec_drop(
        "insert into canshi_counters (name, value)
         values (?, timestampdiff(microsecond, '1970-01-01', utc_timestamp(3)) div 1000)
         on duplicate key update value = greatest(value + 1, values(value))",
        (name,),
    )
    .await?;
    let value: Option<i64> = tx.exec_first("select value from canshi_counters where name = ?", (name,)).await?;
    tx.commit().await?;
    value.ok_or_else(|| Error::Corrupt(format!("the counter {name}")))
}
