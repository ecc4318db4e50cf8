//! Statements on `canshi_sites` and `canshi_codes` that need the relay's vault.

use mysql_async::prelude::Queryable;

use crate::error::Result;

/// Sites whose keys are tried on a token at most.
const SITES_MAX: u32 = 10_000;

/// The site that a code, by its hash, is or was for.
///
/// # Errors
/// [`crate::error::Error::Center`].
pub async fn of_code(conn: &mut impl Queryable, code_hash: &str) -> Result<Option<i64>> {
    Ok(conn.exec_first("select site_id from canshi_codes where code_hash = ?", (code_hash,)).await?)
}

/// The sealed key of the tokens that the relay issues for a site, unless its credential was taken back.
///
/// # Errors
/// [`crate::error::Error::Center`].
pub async fn relay_key_sealed(conn: &mut impl Queryable, site: i64) -> Result<Option<String>> {
    let sql = "select relay_key_sealed from canshi_sites where id = ? and credential_hash is not null";
    Ok(conn.exec_first::<Option<String>, _, _>(sql, (site,)).await?.flatten())
}

/// The sealed keys of a site, without the key of its tokens.
///
/// # Errors
/// [`crate::error::Error::Center`].
pub async fn keys_sealed(conn: &mut impl Queryable, site: i64) -> Result<Option<String>> {
    let sql = "select keys_sealed from canshi_sites where id = ? and credential_hash is not null";
    Ok(conn.exec_first::<Option<String>, _, _>(sql, (site,)).await?.flatten())
}

/// The sealed keys of the tokens that the sites issue themselves, but for sites whose credential was taken back.
///
/// # Errors
/// [`crate::error::Error::Center`].
pub async fn token_keys_sealed(conn: &mut impl Queryable) -> Result<Vec<(i64, String)>> {
    let sql = "select id, token_key_sealed from canshi_sites
               where credential_hash is not null and token_key_sealed is not null order by id limit ?";
    Ok(conn.exec(sql, (SITES_MAX,)).await?)
}

/// Whether there is such a site.
///
/// # Errors
/// [`crate::error::Error::Center`].
pub async fn exists(conn: &mut impl Queryable, site: i64) -> Result<bool> {
    Ok(conn.exec_first::<i64, _, _>("select id from canshi_sites where id = ?", (site,)).await?.is_some())
}

/// The zone that a site's books are kept in.
///
/// # Errors
/// [`crate::error::Error::Center`].
pub async fn time_zone(conn: &mut impl Queryable, site: i64) -> Result<Option<String>> {
    let sql = "select time_zone from canshi_sites where id = ?";
    Ok(conn.exec_first::<Option<String>, _, _>(sql, (site,)).await?.flatten())
}
