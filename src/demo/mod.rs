//! A believable care center, for whoever tries canshi out.

use crate::error::Result;
use crate::service::passwords::Passwords;
use crate::store::Db;

/// What the demonstration prints of its logins.
pub const LOGINS: &str = "";

/// Fills an empty site.
pub async fn fill(_db: &Db, _passwords: &Passwords) -> Result<()> {
    Ok(())
}
