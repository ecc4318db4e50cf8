//! Statements on `canshi_sessions`: which token of which login at the relay is good.

use mysql_async::prelude::Queryable;

use crate::domain::ids::UserId;
use crate::error::{Error, Result};

/// Outlived sessions are kept this long for questions about them, in days.
const KEPT_DAYS: u32 = 30;
/// Outlived sessions that are forgotten at once.
const FORGOTTEN_MAX: u32 = 100;

/// A login that lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Identity, random.
    pub id: String,
    /// The site whose user it is; none is headquarters.
    pub site: Option<i64>,
    /// Whose.
    pub user_id: UserId,
    /// The one token of the session that is good.
    pub token_id: String,
}

/// Opens a session whose token may be exchanged for so many seconds.
///
/// # Errors
/// [`Error::Center`].
pub async fn insert(conn: &mut impl Queryable, session: &Session, refreshable_s: i64) -> Result<()> {
    conn.exec_drop(
        "insert into canshi_sessions (id, site_id, user_id, token_id, refreshable_until, created_at)
         values (?, ?, ?, ?, timestampadd(second, ?, utc_timestamp(3)), utc_timestamp(3))",
        (&session.id, session.site, session.user_id.get(), &session.token_id, refreshable_s),
    )
    .await?;
    Ok(())
}

/// The session, if it has not been ended.
///
/// # Errors
/// [`Error::Center`], [`Error::Corrupt`].
pub async fn find_live(conn: &mut impl Queryable, id: &str) -> Result<Option<Session>> {
    let row: Option<(Option<i64>, i64, String)> = conn
        .exec_first("select site_id, user_id, token_id from canshi_sessions where id = ? and ended_at is null", (id,))
        .await?;
    row.map(|(site, user_id, token_id)| {
        let user_id = UserId::try_from(user_id).map_err(|error| Error::Corrupt(format!("a session: {error}")))?;
        Ok(Session { id: id.to_owned(), site, user_id, token_id })
    })
    .transpose()
}

/// Makes another token the good one, if this one is it now and the session lives; whether it was.
///
/// # Errors
/// [`Error::Center`].
pub async fn renew(conn: &mut impl Queryable, id: &str, (old, new): (&str, &str), refreshable_s: i64) -> Result<bool> {
    let renewed = conn
        .exec_iter(
            "update canshi_sessions set token_id = ?, refreshable_until = timestampadd(second, ?, utc_timestamp(3))
             where id = ? and token_id = ? and ended_at is null",
            (new, refreshable_s, id, old),
        )
        .await?
        .affected_rows();
    Ok(renewed > 0)
}

/// Ends one session.
///
/// # Errors
/// [`Error::Center`].
pub async fn end(conn: &mut impl Queryable, id: &str) -> Result<()> {
    let sql = "update canshi_sessions set ended_at = utc_timestamp(3) where id = ? and ended_at is null";
    conn.exec_drop(sql, (id,)).await?;
    Ok(())
}

/// Ends every session of somebody at headquarters.
///
/// # Errors
/// [`Error::Center`].
pub async fn end_all_of(conn: &mut impl Queryable, user_id: UserId) -> Result<()> {
    conn.exec_drop(
        "update canshi_sessions set ended_at = utc_timestamp(3)
         where site_id is null and user_id = ? and ended_at is null",
        (user_id.get(),),
    )
    .await?;
    Ok(())
}

/// Forgets some of the sessions that are long over.
///
/// # Errors
/// [`Error::Center`].
pub async fn forget_old(conn: &mut impl Queryable) -> Result<()> {
    conn.exec_drop(
        "delete from canshi_sessions where refreshable_until < timestampadd(day, -?, utc_timestamp(3)) limit ?",
        (KEPT_DAYS, FORGOTTEN_MAX),
    )
    .await?;
    Ok(())
}
