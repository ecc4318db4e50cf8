//! Forgetting what has outlived its use, a little at a time, so that no write waits for it.

use crate::error::Result;
use crate::store::{Db, idempotency, sessions};

/// Rows that one transaction forgets at most.
const ROWS_MAX: u32 = 500;

/// Forgets old answers and sessions.
pub async fn forget_old(db: &Db) -> Result<usize> {
    let mut forgotten = 0;
    loop {
        let now =
            db.write(|tx| Ok(idempotency::forget_old(tx, ROWS_MAX)? + sessions::forget_old(tx, ROWS_MAX)?)).await?;
        forgotten += now;
        if now < ROWS_MAX as usize {
            return Ok(forgotten);
        }
    }
}
