//! Which user of which site logs in with a WeChat account.

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Params};

use crate::error::Result;

/// The sites that know the account.
pub async fn sites_of(conn: &mut Conn, openid_index: &str) -> Result<Vec<i64>> {
    let sql = "select site_id from canshi_wechat where openid_index = ? order by site_id";
    Ok(conn.exec(sql, (openid_index,)).await?)
}

/// The site's user behind the account.
pub async fn find(conn: &mut Conn, openid_index: &str, site: i64) -> Result<Option<i64>> {
    let sql = "select user_id from canshi_wechat where openid_index = ? and site_id = ?";
    Ok(conn.exec_first(sql, (openid_index, site)).await?)
}

/// Notes the user behind the account as the site has told.
pub async fn bind(conn: &mut Conn, openid_index: &str, site: i64, user: i64) -> Result<()> {
    let sql = "insert into canshi_wechat (openid_index, site_id, user_id) values (?, ?, ?)
               on duplicate key update user_id = values(user_id)";
    Ok(conn.exec_drop(sql, (openid_index, site, user)).await?)
}

/// Promises an id to the user of an account that the site does not know yet; gives the one that was promised first.
pub async fn promise(conn: &mut Conn, openid_index: &str, site: i64, user: i64) -> Result<i64> {
    let sql = "insert into canshi_wechat (openid_index, site_id, user_id) values (?, ?, ?)
               on duplicate key update user_id = user_id";
    conn.exec_drop(sql, Params::from((openid_index, site, user))).await?;
    Ok(find(conn, openid_index, site).await?.unwrap_or(user))
}
