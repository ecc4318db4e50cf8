//! Statements on `canshi_mailboxes` and `canshi_messages`: what is asked of the sites, in order, and what they answered.

use std::time::Duration;

use canshi_sync::wire::{Message, OnBehalf, Reply};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, IsolationLevel, Params, Row, Transaction, TxOpts, Value, params};

use crate::error::{Error, Result};
use crate::store::vault::{Place, Vault};

/// Messages of one site that may wait at once.
pub const WAITING_MAX: i64 = 1_000;

const TABLE: &str = "canshi_messages";

/// Whether somebody waits for a message's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Somebody does, for a moment.
    Live,
    /// It is done even when nobody does.
    Queued,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Kind::Live => "live",
            Kind::Queued => "queued",
        }
    }
}

/// A message to be kept.
pub struct NewMessage<'a> {
    /// Its identity within the site.
    pub id: &'a str,
    /// Whether somebody waits for it.
    pub kind: Kind,
    /// The method.
    pub method: &'a str,
    /// The path with its query.
    pub target: &'a str,
    /// The JSON body.
    pub body: Option<&'a str>,
    /// Tells a repeat from another request under the same id.
    pub fingerprint: &'a str,
    /// For whom it is carried out.
    pub on_behalf: &'a OnBehalf,
    /// The id of what it makes.
    pub assigned_id: Option<i64>,
    /// How long it may wait for the site.
    pub life: Duration,
}

/// What the site said to a message.
#[derive(Clone, PartialEq, Eq)]
pub struct Answered {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
}

/// A message that is kept.
pub struct Receipt {
    /// Its place in the site's order.
    pub no: i64,
    /// When it was received first, milliseconds since the Unix epoch.
    pub received_at: i64,
    /// The id of what it makes.
    pub assigned_id: Option<i64>,
    /// The answer, when this is a repeat of a message that has one.
    pub answer: Option<Answered>,
}

/// What came of posting.
pub enum Posted {
    /// The message is on the disk, since now or before.
    Kept(Receipt),
    /// Its id is that of another request.
    Taken,
    /// Too many wait already.
    Full,
}

fn writing() -> TxOpts {
    let mut options = TxOpts::default();
    options.with_isolation_level(IsolationLevel::ReadCommitted);
    options
}

fn corrupt() -> Error {
    Error::Corrupt("a message of the mailbox".to_owned())
}

fn body_place(site: i64) -> String {
    format!("body.{site}")
}

fn answer_place(site: i64) -> String {
    format!("answer.{site}")
}

fn seal(vault: &Vault, column: &str, no: i64, text: &str) -> Result<String> {
    vault.seal(Place { table: TABLE, column, id: no }, text)
}

fn open(vault: &Vault, column: &str, no: i64, sealed: &str) -> Result<String> {
    vault.open(Place { table: TABLE, column, id: no }, sealed)
}

/// Keeps a message behind all others of its site. A repeat under the same id gets what came of the first, unless the time of
/// the first was over before it was carried out: then it waits again.
pub async fn post(conn: &mut Conn, vault: &Vault, site: i64, new: &NewMessage<'_>) -> Result<Posted> {
    let mut tx = conn.start_transaction(writing()).await?;
    // Locks the site's mailbox until the end: numbers become visible in their order.
    tx.exec_drop(
        "insert into canshi_mailboxes (site_id, last_no) values (?, 1)
         on duplicate key update last_no = last_no + 1",
        (site,),
    )
    .await?;
    let place: Option<(i64, i64)> = tx
        .exec_first(
            "select last_no, timestampdiff(microsecond, '1970-01-01', utc_timestamp(3)) div 1000
             from canshi_mailboxes where site_id = ?",
            (site,),
        )
        .await?;
    let (no, now) = place.ok_or_else(corrupt)?;
    match before(&mut tx, vault, site, new).await? {
        Before::Nothing => {}
        Before::Same(receipt) => {
            tx.rollback().await?;
            return Ok(Posted::Kept(receipt));
        }
        Before::Other => {
            tx.rollback().await?;
            return Ok(Posted::Taken);
        }
        Before::Lapsed(old) => {
            tx.exec_drop("delete from canshi_messages where site_id = ? and no = ?", (site, old)).await?;
        }
    }
    let waiting: Option<i64> = tx
        .exec_first(
            "select count(*) from canshi_messages
             where site_id = ? and state in ('waiting', 'expired') and (kind = 'queued' or expires_at > utc_timestamp(3))",
            (site,),
        )
        .await?;
    if waiting.unwrap_or(0) >= WAITING_MAX {
        tx.rollback().await?;
        return Ok(Posted::Full);
    }
    insert(&mut tx, vault, site, new, (no, now)).await?;
    tx.commit().await?;
    Ok(Posted::Kept(Receipt { no, received_at: now, assigned_id: new.assigned_id, answer: None }))
}

/// What is there under a message's id.
enum Before {
    Nothing,
    Same(Receipt),
    Other,
    /// Its time was over before it was carried out; this is its number.
    Lapsed(i64),
}

async fn before(tx: &mut Transaction<'_>, vault: &Vault, site: i64, new: &NewMessage<'_>) -> Result<Before> {
    let row: Option<Row> = tx
        .exec_first(
            "select no, fingerprint, timestampdiff(microsecond, '1970-01-01', received_at) div 1000, assigned_id, status,
                 answer_sealed, kind = 'live' and (state = 'done' or expires_at <= utc_timestamp(3)) and status is null
             from canshi_messages where site_id = ? and id = ?",
            (site, new.id),
        )
        .await?;
    let Some(mut row) = row else { return Ok(Before::Nothing) };
    let no: i64 = row.take(0).ok_or_else(corrupt)?;
    let fingerprint: String = row.take(1).ok_or_else(corrupt)?;
    if fingerprint != new.fingerprint {
        return Ok(Before::Other);
    }
    if row.take::<i64, _>(6).ok_or_else(corrupt)? != 0 {
        return Ok(Before::Lapsed(no));
    }
    Ok(Before::Same(Receipt {
        no,
        received_at: row.take(2).ok_or_else(corrupt)?,
        assigned_id: row.take(3).ok_or_else(corrupt)?,
        answer: answered(vault, site, no, row.take(4).ok_or_else(corrupt)?, row.take(5).ok_or_else(corrupt)?)?,
    }))
}

fn answered(
    vault: &Vault,
    site: i64,
    no: i64,
    status: Option<u16>,
    sealed: Option<String>,
) -> Result<Option<Answered>> {
    let Some((status, sealed)) = status.zip(sealed) else { return Ok(None) };
    Ok(Some(Answered { status, body: open(vault, &answer_place(site), no, &sealed)? }))
}

async fn insert(
    tx: &mut Transaction<'_>,
    vault: &Vault,
    site: i64,
    new: &NewMessage<'_>,
    (no, now): (i64, i64),
) -> Result<()> {
    let on_behalf = serde_json::to_string(new.on_behalf).map_err(|error| Error::Corrupt(error.to_string()))?;
    let user_id = match new.on_behalf {
        OnBehalf::User { user_id } => Some(*user_id),
        OnBehalf::Relay | OnBehalf::Headquarters { .. } => None,
    };
    tx.exec_drop(
        "insert into canshi_messages (site_id, no, id, kind, state, method, target, body_sealed, fingerprint, on_behalf,
             user_id, received_at, expires_at, assigned_id)
         values (:site, :no, :id, :kind, 'waiting', :method, :target, :body, :fingerprint, :on_behalf, :user_id,
             timestampadd(microsecond, :received_us, '1970-01-01 00:00:00'),
             timestampadd(microsecond, :expires_us, '1970-01-01 00:00:00'), :assigned_id)",
        params! {
            "site" => site,
            "no" => no,
            "id" => new.id,
            "kind" => new.kind.as_str(),
            "method" => new.method,
            "target" => new.target,
            "body" => new.body.map(|body| seal(vault, &body_place(site), no, body)).transpose()?,
            "fingerprint" => new.fingerprint,
            "on_behalf" => on_behalf,
            "user_id" => user_id,
            "received_us" => now * 1000,
            "expires_us" => now * 1000 + new.life.as_micros() as i64,
            "assigned_id" => new.assigned_id,
        },
    )
    .await?;
    Ok(())
}

/// A message that has no answer yet, without its contents.
pub struct Pending {
    /// Its number.
    pub no: i64,
    /// Its identity.
    pub id: String,
    /// Whether somebody waits for it.
    pub kind: Kind,
    /// Whether its time was found to be over.
    pub expired: bool,
    /// Whether its time is over.
    pub over: bool,
    /// Bytes of its sealed body.
    pub bytes: usize,
}

/// Whether a message has this id.
pub async fn is_kept(conn: &mut Conn, site: i64, id: &str) -> Result<bool> {
    let sql = "select 1 from canshi_messages where site_id = ? and id = ?";
    Ok(conn.exec_first::<i64, _, _>(sql, (site, id)).await?.is_some())
}

/// The messages of a site that have no answer yet, in order.
pub async fn pending(conn: &mut Conn, site: i64) -> Result<Vec<Pending>> {
    let rows: Vec<(i64, String, i64, i64, i64, usize)> = conn
        .exec(
            "select no, id, kind = 'queued', state = 'expired', expires_at <= utc_timestamp(3), coalesce(length(body_sealed), 0)
             from canshi_messages where site_id = ? and state in ('waiting', 'expired') order by no",
            (site,),
        )
        .await?;
    let pending = rows.into_iter().map(|(no, id, queued, expired, over, bytes)| Pending {
        no,
        id,
        kind: if queued != 0 { Kind::Queued } else { Kind::Live },
        expired: expired != 0,
        over: over != 0,
        bytes,
    });
    Ok(pending.collect())
}

/// Notes that the time of a queued message is over: it is not carried out any more.
pub async fn expire(conn: &mut Conn, site: i64, no: i64) -> Result<()> {
    let sql = "update canshi_messages set state = 'expired' where site_id = ? and no = ? and state = 'waiting'";
    Ok(conn.exec_drop(sql, (site, no)).await?)
}

/// Closes a live message whose time is over: nobody waits for it.
pub async fn close(conn: &mut Conn, site: i64, no: i64) -> Result<()> {
    let sql = "update canshi_messages set state = 'done', body_sealed = null, answered_at = utc_timestamp(3)
               where site_id = ? and no = ? and state = 'waiting'";
    Ok(conn.exec_drop(sql, (site, no)).await?)
}

/// These messages of a site, as they are sent to it.
pub async fn read(conn: &mut Conn, vault: &Vault, site: i64, numbers: &[i64]) -> Result<Vec<Message>> {
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "select no, id, kind = 'queued', state = 'expired', method, target, body_sealed, on_behalf,
             timestampdiff(microsecond, '1970-01-01', received_at) div 1000, assigned_id
         from canshi_messages where site_id = ? and no in ({}) and state in ('waiting', 'expired') order by no",
        holes(numbers.len())
    );
    let values = std::iter::once(&site).chain(numbers).map(|number| Value::Int(*number)).collect();
    let rows: Vec<Row> = conn.exec(sql, Params::Positional(values)).await?;
    rows.into_iter().map(|row| message(vault, site, row)).collect()
}

fn message(vault: &Vault, site: i64, mut row: Row) -> Result<Message> {
    let no: i64 = row.take(0).ok_or_else(corrupt)?;
    let body: Option<String> = row.take(6).ok_or_else(corrupt)?;
    let on_behalf: String = row.take(7).ok_or_else(corrupt)?;
    Ok(Message {
        id: row.take(1).ok_or_else(corrupt)?,
        no,
        method: row.take(4).ok_or_else(corrupt)?,
        target: row.take(5).ok_or_else(corrupt)?,
        body: body.map(|sealed| open(vault, &body_place(site), no, &sealed)).transpose()?,
        on_behalf: serde_json::from_str(&on_behalf).map_err(|_| corrupt())?,
        received_at: row.take(8).ok_or_else(corrupt)?,
        assigned_id: row.take(9).ok_or_else(corrupt)?,
        queued: row.take::<i64, _>(2).ok_or_else(corrupt)? != 0,
        expired: row.take::<i64, _>(3).ok_or_else(corrupt)? != 0,
    })
}

fn holes(count: usize) -> String {
    vec!["?"; count].join(", ")
}

/// Keeps what a site answered to its own messages; gives those that had no answer before.
pub async fn answer(conn: &mut Conn, vault: &Vault, site: i64, replies: &[Reply]) -> Result<Vec<Reply>> {
    let mut news = Vec::new();
    let mut tx = conn.start_transaction(writing()).await?;
    for reply in replies {
        let no: Option<i64> = tx
            .exec_first(
                "select no from canshi_messages where site_id = ? and id = ? and status is null for update",
                (site, &reply.id),
            )
            .await?;
        let Some(no) = no else { continue };
        tx.exec_drop(
            "update canshi_messages
             set state = 'done', status = ?, answer_sealed = ?, answered_at = utc_timestamp(3), body_sealed = null
             where site_id = ? and no = ?",
            (reply.status, seal(vault, &answer_place(site), no, &reply.body)?, site, no),
        )
        .await?;
        news.push(reply.clone());
    }
    tx.commit().await?;
    Ok(news)
}

/// Site, id, number, status, sealed answer.
type AnswerRow = (i64, String, i64, Option<u16>, Option<String>);

/// The answers to these messages that are there.
pub async fn answers(
    conn: &mut Conn,
    vault: &Vault,
    messages: &[(i64, String)],
) -> Result<Vec<((i64, String), Answered)>> {
    if messages.is_empty() {
        return Ok(Vec::new());
    }
    let either = vec!["(site_id = ? and id = ?)"; messages.len()].join(" or ");
    let sql = format!(
        "select site_id, id, no, status, answer_sealed from canshi_messages where status is not null and ({either})"
    );
    let values = messages.iter().flat_map(|(site, id)| [Value::from(*site), Value::from(id)]).collect();
    let rows: Vec<AnswerRow> = conn.exec(sql, Params::Positional(values)).await?;
    let mut found = Vec::new();
    for (site, id, no, status, sealed) in rows {
        found.extend(answered(vault, site, no, status, sealed)?.map(|answer| ((site, id), answer)));
    }
    Ok(found)
}

/// Forgets the text of an answer that was picked up, since it holds a token.
pub async fn forget_answer(conn: &mut Conn, site: i64, id: &str) -> Result<()> {
    let sql = "update canshi_messages set answer_sealed = null where site_id = ? and id = ?";
    Ok(conn.exec_drop(sql, (site, id)).await?)
}

/// What somebody who holds a poll has to know of his site.
pub struct Bell {
    /// The site.
    pub site: i64,
    /// The number of its newest message.
    pub last_no: i64,
    /// Whether another start of its program wants its place.
    pub contended: bool,
}

/// What those who hold the polls of these sites have to know.
pub async fn bells(conn: &mut Conn, sites: &[i64]) -> Result<Vec<Bell>> {
    if sites.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "select p.site_id, coalesce(m.last_no, 0), p.contender is not null
         from canshi_positions as p left join canshi_mailboxes as m on m.site_id = p.site_id
         where p.site_id in ({})",
        holes(sites.len())
    );
    let values = sites.iter().map(|site| Value::Int(*site)).collect();
    let rows: Vec<(i64, i64, i64)> = conn.exec(sql, Params::Positional(values)).await?;
    Ok(rows.into_iter().map(|(site, last_no, contended)| Bell { site, last_no, contended: contended != 0 }).collect())
}

/// What a user has asked of a site by one path, and the site does not know yet.
pub struct Asked {
    /// The id of what it makes.
    pub assigned_id: i64,
    /// The body.
    pub body: String,
    /// When it was received, milliseconds since the Unix epoch.
    pub received_at: i64,
}

/// What this user waits for under this path, newest first.
pub async fn asked_by(conn: &mut Conn, vault: &Vault, site: i64, user: i64, path: &str) -> Result<Vec<Asked>> {
    let rows: Vec<(i64, i64, String, i64)> = conn
        .exec(
            "select no, assigned_id, body_sealed, timestampdiff(microsecond, '1970-01-01', received_at) div 1000
             from canshi_messages
             where site_id = ? and state = 'waiting' and kind = 'queued' and user_id = ?
                 and substring_index(target, '?', 1) = ?
                 and assigned_id is not null and body_sealed is not null
             order by no desc",
            (site, user, path),
        )
        .await?;
    rows.into_iter()
        .map(|(no, assigned_id, sealed, received_at)| {
            Ok(Asked { assigned_id, body: open(vault, &body_place(site), no, &sealed)?, received_at })
        })
        .collect()
}

/// How many messages wait, by site.
pub async fn queues(conn: &mut Conn) -> Result<Vec<(i64, i64)>> {
    let sql = "select site_id, count(*) from canshi_messages where state in ('waiting', 'expired') group by site_id";
    Ok(conn.query(sql).await?)
}

/// The sites that have a mailbox.
pub async fn sites(conn: &mut Conn) -> Result<Vec<i64>> {
    Ok(conn.query("select site_id from canshi_mailboxes order by site_id").await?)
}

/// Removes what is older than this and nobody asks for any more; gives how many messages that were.
pub async fn purge(conn: &mut Conn, site: i64, kind: Kind, older_than: Duration) -> Result<u64> {
    let done = match kind {
        Kind::Live => "state in ('done', 'waiting')",
        Kind::Queued => "state = 'done'",
    };
    let sql = format!(
        "delete from canshi_messages where site_id = ? and {done} and kind = ?
             and received_at < timestampadd(second, -?, utc_timestamp(3))
             and coalesce(answered_at, received_at) < timestampadd(second, -?, utc_timestamp(3))"
    );
    let seconds = older_than.as_secs();
    conn.exec_drop(sql, (site, kind.as_str(), seconds, seconds)).await?;
    Ok(conn.affected_rows())
}
