//! Statements on `canshi_secrets`: the keys that all relays on one MySQL share.

use mysql_async::prelude::Queryable;

use crate::error::{Error, Result};
use crate::store::keys::Keys;

/// The row that holds the keys.
const KEYS: &str = "keys";

/// The keys, made by whichever relay comes first.
///
/// # Errors
/// [`Error::Center`]; [`Error::Corrupt`] when the row is no keys.
pub async fn keys(conn: &mut impl Queryable) -> Result<Keys> {
    if let Some(keys) = find(conn).await? {
        return Ok(keys);
    }
    let text = serde_json::to_string(&Keys::generate()?).map_err(|error| Error::Corrupt(error.to_string()))?;
    // Another relay may be as fast: then its keys are the ones.
    conn.exec_drop("insert ignore into canshi_secrets (name, value) values (?, ?)", (KEYS, text)).await?;
    find(conn).await?.ok_or_else(|| Error::Corrupt("the relay's keys were not kept".to_owned()))
}

async fn find(conn: &mut impl Queryable) -> Result<Option<Keys>> {
    let text: Option<String> = conn.exec_first("select value from canshi_secrets where name = ?", (KEYS,)).await?;
    text.map(|text| {
        serde_json::from_str(&text).map_err(|_| Error::Corrupt("the relay's keys in MySQL can't be read".to_owned()))
    })
    .transpose()
}
