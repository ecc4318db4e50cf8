//! Forgetting what has outlived its use, a little at a time, so that no write waits for it.

use crate::error::Result;
use crate::service::sync;
use crate::store::{Db, bind_codes, idempotency, payment_requests, sessions};

/// Rows of one table that one transaction forgets at most.
const ROWS_MAX: u32 = 500;

/// Forgets old answers, sessions and bind codes, and changes that the center has had for long.
pub async fn forget_old(db: &Db) -> Result<usize> {
    let mut forgotten = 0;
    loop {
        let (now, full) = db
            .write(|tx| {
                let counts = [
                    idempotency::forget_old(tx, ROWS_MAX)?,
                    sessions::forget_old(tx, ROWS_MAX)?,
                    bind_codes::forget_old(tx, ROWS_MAX)?,
                    payment_requests::forget_old(tx, ROWS_MAX)?,
                ];
                Ok((counts.iter().sum::<usize>(), counts.contains(&(ROWS_MAX as usize))))
            })
            .await?;
        forgotten += now;
        if !full {
            break;
        }
    }
    loop {
        let now = db.write(sync::forget_confirmed).await?;
        forgotten += now;
        if now == 0 {
            return Ok(forgotten);
        }
    }
}
