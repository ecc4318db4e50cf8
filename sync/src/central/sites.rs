//! Which sites there are, and what lets a box in as one of them.

use aws_lc_rs::digest::{SHA256, digest};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Row, Transaction, params};

use super::{Central, CentralError, writing};
use crate::capture::Layout;
use crate::chain::{Hash, Mark};

/// How long a code is good, in hours.
const CODE_HOURS: i64 = 24;
/// What codes are written in: no letter that looks like another.
const CODE_LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
/// Letters of a code: 100 random bits.
const CODE_LENGTH: usize = 20;

/// A site as it was added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// The site.
    pub site_id: i64,
    /// The one-time code; it is kept nowhere.
    pub code: String,
}

/// A site, for the relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The site.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// The zone that its books are kept in.
    pub time_zone: String,
}

/// How a site stands, from what the center has confirmed. Times are milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteState {
    /// The site.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Whether its credential was taken back.
    pub revoked: bool,
    /// Whether a box was ever enrolled.
    pub enrolled: bool,
    /// The box's program version.
    pub version: Option<String>,
    /// The box's schema version.
    pub schema: Option<i64>,
    /// Whether a box is connected now.
    pub online: bool,
    /// When one was last heard of.
    pub seen_at: Option<i64>,
    /// Changes that the site has told of and that are not here yet.
    pub pending: i64,
    /// As of when the mirror shows the site.
    pub as_of: Option<i64>,
    /// Whether the mirror is being made equal for the first time.
    pub loading: bool,
    /// Why a box was refused last, and when.
    pub fenced: Option<(String, i64)>,
    /// Transactions in quarantine.
    pub quarantined: i64,
}

/// What a box brings to be let in.
#[derive(Debug, Clone)]
pub struct Enrolment {
    /// SHA-256 of the credential that the box made for itself, in hexadecimal.
    pub credential_hash: String,
    /// The zone that its books are kept in.
    pub time_zone: String,
    /// Tells its keys from others'.
    pub keys_id: String,
    /// Its keys, sealed by the relay.
    pub keys_sealed: String,
    /// The key of its own tokens, sealed by the relay.
    pub token_key_sealed: String,
    /// The key of the tokens that the relay issues for it, sealed by the relay; that of an earlier box of the site stays.
    pub relay_key_sealed: String,
    /// The layouts of its changes.
    pub layouts: Vec<Layout>,
    /// Its newest change.
    pub tip: Mark,
    /// Whether its outbox has every change from the first on.
    pub complete: bool,
}

/// What a box is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolled {
    /// The site that it is from now on.
    pub site_id: i64,
    /// The site's name.
    pub name: String,
    /// The epoch; whatever had the one before is fenced.
    pub epoch: String,
    /// The place that the center is at.
    pub base: Mark,
    /// Whether the mirror has to be made equal by a repair.
    pub loading: bool,
    /// The key of the relay's tokens, as it was sealed.
    pub relay_key_sealed: String,
    /// The site's keys, as they were sealed.
    pub keys_sealed: Option<String>,
    /// The newest layout.
    pub layout: Option<Layout>,
    /// Changes that the last box told of and that never came.
    pub lost: i64,
    /// When the last box was heard of, milliseconds since the Unix epoch.
    pub seen_at: Option<i64>,
}

/// SHA-256 in hexadecimal, for credentials and codes: both are random, so nothing slower is needed.
pub fn secret_hash(secret: &str) -> String {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
    Hash(hash).to_string()
}

fn random<const N: usize>() -> Result<[u8; N], CentralError> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| CentralError::Corrupt("the random generator failed".to_owned()))?;
    Ok(bytes)
}

fn new_code() -> Result<String, CentralError> {
    let bytes: [u8; CODE_LENGTH] = random()?;
    Ok(bytes.iter().map(|byte| char::from(CODE_LETTERS[usize::from(byte % 32)])).collect())
}

fn new_epoch() -> Result<String, CentralError> {
    let bytes: [u8; 16] = random()?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

impl Central {
    /// Adds a site and makes its first code.
    ///
    /// # Errors
    /// [`CentralError::Db`].
    pub async fn add_site(&self, name: &str) -> Result<Code, CentralError> {
        let mut conn = self.connection().await?;
        let mut tx = conn.start_transaction(writing()).await?;
        let last: Option<i64> =
            tx.query_first("select id from canshi_sites order by id desc limit 1 for update").await?;
        let site = last.unwrap_or(0) + 1;
        tx.exec_drop("insert into canshi_sites (id, name, created_at) values (?, ?, utc_timestamp(3))", (site, name))
            .await?;
        let code = keep_code(&mut tx, site).await?;
        tx.commit().await?;
        Ok(Code { site_id: site, code })
    }

    /// Makes another code for a site: for a box that was fenced, or one that takes the place of a dead one.
    ///
    /// # Errors
    /// [`CentralError::NoSite`].
    pub async fn new_code(&self, site: i64) -> Result<Code, CentralError> {
        let mut conn = self.connection().await?;
        let mut tx = conn.start_transaction(writing()).await?;
        let name: Option<String> = tx.exec_first("select name from canshi_sites where id = ?", (site,)).await?;
        name.ok_or(CentralError::NoSite)?;
        let code = keep_code(&mut tx, site).await?;
        tx.commit().await?;
        Ok(Code { site_id: site, code })
    }

    /// Takes a site's credential back: its box is a stranger from now on.
    ///
    /// # Errors
    /// [`CentralError::NoSite`].
    pub async fn revoke(&self, site: i64) -> Result<(), CentralError> {
        let mut conn = self.connection().await?;
        conn.exec_drop(
            "update canshi_sites set revoked_at = utc_timestamp(3), credential_hash = null where id = ?",
            (site,),
        )
        .await?;
        if conn.affected_rows() == 0 {
            return Err(CentralError::NoSite);
        }
        conn.exec_drop("delete from canshi_codes where site_id = ?", (site,)).await?;
        Ok(())
    }

    /// The site that a credential belongs to.
    ///
    /// # Errors
    /// [`CentralError::Db`].
    pub async fn site_of(&self, credential: &str) -> Result<Option<i64>, CentralError> {
        let mut conn = self.connection().await?;
        let hash = secret_hash(credential);
        Ok(conn.exec_first("select id from canshi_sites where credential_hash = ?", (hash,)).await?)
    }

    /// The sites that have a box.
    ///
    /// # Errors
    /// [`CentralError::Db`].
    pub async fn sites(&self) -> Result<Vec<Site>, CentralError> {
        let mut conn = self.connection().await?;
        let rows: Vec<(i64, String, String)> = conn
            .query("select id, name, time_zone from canshi_sites where credential_hash is not null order by id")
            .await?;
        Ok(rows.into_iter().map(|(id, name, time_zone)| Site { id, name, time_zone }).collect())
    }

    /// How every site stands.
    ///
    /// # Errors
    /// [`CentralError::Db`].
    pub async fn states(&self) -> Result<Vec<SiteState>, CentralError> {
        let mut conn = self.connection().await?;
        let rows: Vec<Row> = conn
            .query(
                "select s.id, s.name, s.revoked_at is not null, p.site_id is not null, s.version, p.schema_version,
                     coalesce(p.lease_until > utc_timestamp(3), 0),
                     timestampdiff(microsecond, '1970-01-01', p.told_at) div 1000,
                     coalesce(greatest(p.tip - p.seq, 0), 0),
                     timestampdiff(microsecond, '1970-01-01',
                         if(p.tip <= p.seq, p.told_at, least(p.committed_at, p.told_at))) div 1000,
                     coalesce(p.state = 'loading', 0), p.fenced_reason,
                     timestampdiff(microsecond, '1970-01-01', p.fenced_at) div 1000, coalesce(p.quarantined, 0)
                 from canshi_sites as s left join canshi_positions as p on p.site_id = s.id order by s.id",
            )
            .await?;
        let corrupt = || CentralError::Corrupt("a site".to_owned());
        rows.into_iter().map(|row| state(row).ok_or_else(corrupt)).collect()
    }

    /// Trades a code for a place as a site. A repeat with the same credential gets the same.
    ///
    /// # Errors
    /// [`CentralError::BadCode`]; [`CentralError::OtherKeys`] when the site's rows are sealed with other keys.
    pub async fn enrol(&self, code: &str, enrolment: &Enrolment) -> Result<Enrolled, CentralError> {
        let mut conn = self.connection().await?;
        let mut tx = conn.start_transaction(writing()).await?;
        let (site, repeat) = trade(&mut tx, code, &enrolment.credential_hash).await?;
        let before = before(&mut tx, site).await?;
        if before.keys_id.as_ref().is_some_and(|kept| *kept != enrolment.keys_id) {
            return Err(CentralError::OtherKeys);
        }
        let twin: Option<i64> = tx
            .exec_first(
                "select id from canshi_sites where keys_id = ? and id <> ? and credential_hash is not null",
                (&enrolment.keys_id, site),
            )
            .await?;
        // Two sites with one box's keys would take each other's users for their own.
        if twin.is_some() {
            return Err(CentralError::OtherKeys);
        }
        let first = before.enrolled.epoch.is_empty();
        if !repeat {
            let base = if first && enrolment.complete { Mark::START } else { enrolment.tip };
            let loading = base != Mark::START;
            begin_epoch(&mut tx, site, base, if loading { "loading" } else { "current" }).await?;
            forget_oddities(&mut tx, site).await?;
            admit_credential(&mut tx, site, enrolment).await?;
        }
        keep_layouts(&mut tx, site, &enrolment.layouts).await?;
        let enrolled = self::before(&mut tx, site).await?.enrolled;
        tx.commit().await?;
        Ok(enrolled)
    }

    /// Trades a code for the place of a box that is gone: the box that has it now is fenced from here on, and the mirror
    /// stands still until the new one has read it. A repeat with the same credential gets the same.
    ///
    /// # Errors
    /// [`CentralError::BadCode`]; [`CentralError::NoSite`] when the site never had a box.
    pub async fn take_over(&self, code: &str, credential_hash: &str) -> Result<Enrolled, CentralError> {
        let mut conn = self.connection().await?;
        let mut tx = conn.start_transaction(writing()).await?;
        let (site, repeat) = trade(&mut tx, code, credential_hash).await?;
        let mut before = before(&mut tx, site).await?;
        if before.enrolled.epoch.is_empty() {
            return Err(CentralError::NoSite);
        }
        if !repeat {
            begin_epoch(&mut tx, site, before.enrolled.base, "current").await?;
            tx.exec_drop(
                "update canshi_sites set credential_hash = ?, revoked_at = null where id = ?",
                (credential_hash, site),
            )
            .await?;
            before.enrolled.epoch = self::before(&mut tx, site).await?.enrolled.epoch;
        }
        tx.commit().await?;
        Ok(before.enrolled)
    }

    /// Notes that the mirror of a site has been made equal.
    ///
    /// # Errors
    /// [`CentralError::Db`].
    pub async fn loaded(&self, site: i64) -> Result<(), CentralError> {
        let mut conn = self.connection().await?;
        conn.exec_drop("update canshi_positions set state = 'current' where site_id = ?", (site,)).await?;
        Ok(())
    }
}

async fn keep_code(tx: &mut Transaction<'_>, site: i64) -> Result<String, CentralError> {
    let code = new_code()?;
    // One good code a site: an older one that was never used is void.
    tx.exec_drop("delete from canshi_codes where site_id = ? and used_by is null", (site,)).await?;
    tx.exec_drop(
        "insert into canshi_codes (code_hash, site_id, expires_at) values (?, ?, timestampadd(hour, ?, utc_timestamp(3)))",
        (secret_hash(&code), site, CODE_HOURS),
    )
    .await?;
    Ok(code)
}

/// Uses a code up; gives its site and whether this very credential used it before.
async fn trade(tx: &mut Transaction<'_>, code: &str, credential_hash: &str) -> Result<(i64, bool), CentralError> {
    let hash = secret_hash(code);
    let row: Option<(i64, i64, Option<String>)> = tx
        .exec_first(
            "select site_id, expires_at > utc_timestamp(3), used_by from canshi_codes where code_hash = ? for update",
            (&hash,),
        )
        .await?;
    match row {
        Some((site, _, Some(used_by))) if used_by == credential_hash => Ok((site, true)),
        Some((site, 1, None)) => {
            tx.exec_drop("update canshi_codes set used_by = ? where code_hash = ?", (credential_hash, hash)).await?;
            Ok((site, false))
        }
        _ => Err(CentralError::BadCode),
    }
}

struct Before {
    keys_id: Option<String>,
    enrolled: Enrolled,
}

async fn before(tx: &mut Transaction<'_>, site: i64) -> Result<Before, CentralError> {
    let row: Option<Row> = tx
        .exec_first(
            "select s.name, s.keys_id, s.keys_sealed, s.relay_key_sealed, p.epoch, p.seq, p.hash,
                 coalesce(p.state = 'loading', 0), coalesce(greatest(p.tip - p.seq, 0), 0),
                 timestampdiff(microsecond, '1970-01-01', p.told_at) div 1000,
                 (select l.layout from canshi_layouts as l where l.site_id = s.id and l.schema_version = p.schema_version)
             from canshi_sites as s left join canshi_positions as p on p.site_id = s.id where s.id = ? for update",
            (site,),
        )
        .await?;
    let corrupt = || CentralError::Corrupt("a site".to_owned());
    let mut row = row.ok_or(CentralError::NoSite)?;
    let hash: Option<String> = row.take(6).ok_or_else(corrupt)?;
    let hash = hash.map_or(Ok(crate::chain::GENESIS), |hash| hash.parse().map_err(|_| corrupt()))?;
    let layout: Option<String> = row.take(10).ok_or_else(corrupt)?;
    let layout = layout.map(|layout| serde_json::from_str(&layout).map_err(|_| corrupt())).transpose()?;
    Ok(Before {
        keys_id: row.take(1).ok_or_else(corrupt)?,
        enrolled: Enrolled {
            site_id: site,
            name: row.take(0).ok_or_else(corrupt)?,
            epoch: row.take::<Option<String>, _>(4).ok_or_else(corrupt)?.unwrap_or_default(),
            base: Mark { seq: row.take::<Option<i64>, _>(5).ok_or_else(corrupt)?.unwrap_or(0), hash },
            loading: row.take::<i64, _>(7).ok_or_else(corrupt)? != 0,
            relay_key_sealed: row.take::<Option<String>, _>(3).ok_or_else(corrupt)?.unwrap_or_default(),
            keys_sealed: row.take(2).ok_or_else(corrupt)?,
            layout,
            lost: row.take(8).ok_or_else(corrupt)?,
            seen_at: row.take(9).ok_or_else(corrupt)?,
        },
    })
}

/// Gives the site a new epoch: nobody holds its place, and what was fenced or set aside is over.
async fn begin_epoch(tx: &mut Transaction<'_>, site: i64, base: Mark, state: &str) -> Result<(), CentralError> {
    tx.exec_drop("delete from canshi_parts where site_id = ?", (site,)).await?;
    tx.exec_drop(
        "insert into canshi_positions (site_id, epoch, seq, hash, staged_seq, staged_hash, applied_at, committed_at, tip,
             told_at, schema_version, state, quarantined)
         values (:site, :epoch, :seq, :hash, :seq, :hash, utc_timestamp(3), utc_timestamp(3), :seq, utc_timestamp(3), 0,
             :state, 0)
         on duplicate key update epoch = values(epoch), seq = values(seq), hash = values(hash),
             staged_seq = values(staged_seq), staged_hash = values(staged_hash), tip = greatest(tip, values(tip)), state = values(state),
             boot = null, lease_until = null, contender = null, contender_at = null, fenced_at = null, fenced_boot = null,
             fenced_reason = null",
        params! {
            "site" => site,
            "epoch" => new_epoch()?,
            "seq" => base.seq,
            "hash" => base.hash.to_string(),
            "state" => state,
        },
    )
    .await?;
    Ok(())
}

/// Forgets what stood aside in an epoch whose history is not this one's: the repair that follows makes the mirror equal.
async fn forget_oddities(tx: &mut Transaction<'_>, site: i64) -> Result<(), CentralError> {
    tx.exec_drop("delete from canshi_quarantine where site_id = ?", (site,)).await?;
    tx.exec_drop("delete from canshi_tombstones where site_id = ?", (site,)).await?;
    tx.exec_drop("update canshi_positions set quarantined = 0 where site_id = ?", (site,)).await?;
    Ok(())
}

async fn admit_credential(tx: &mut Transaction<'_>, site: i64, enrolment: &Enrolment) -> Result<(), CentralError> {
    tx.exec_drop(
        "update canshi_sites set credential_hash = ?, time_zone = ?, keys_id = ?, keys_sealed = ?, token_key_sealed = ?,
             relay_key_sealed = coalesce(relay_key_sealed, ?), revoked_at = null
         where id = ?",
        (
            &enrolment.credential_hash,
            &enrolment.time_zone,
            &enrolment.keys_id,
            &enrolment.keys_sealed,
            &enrolment.token_key_sealed,
            &enrolment.relay_key_sealed,
            site,
        ),
    )
    .await?;
    Ok(())
}

/// Keeps layouts that a site has told of.
pub(super) async fn keep_layouts(tx: &mut Transaction<'_>, site: i64, layouts: &[Layout]) -> Result<(), CentralError> {
    for layout in layouts {
        let text = serde_json::to_string(layout).map_err(|error| CentralError::Corrupt(error.to_string()))?;
        tx.exec_drop(
            "insert into canshi_layouts (site_id, schema_version, layout) values (?, ?, ?)
             on duplicate key update layout = values(layout)",
            (site, layout.schema, text),
        )
        .await?;
    }
    Ok(())
}

fn state(mut row: Row) -> Option<SiteState> {
    let flag = |number: i64| number != 0;
    let fenced_reason: Option<String> = row.take(11)?;
    let fenced_at: Option<i64> = row.take(12)?;
    Some(SiteState {
        id: row.take(0)?,
        name: row.take(1)?,
        revoked: flag(row.take(2)?),
        enrolled: flag(row.take(3)?),
        version: row.take(4)?,
        schema: row.take(5)?,
        online: flag(row.take(6)?),
        seen_at: row.take(7)?,
        pending: row.take(8)?,
        as_of: row.take(9)?,
        loading: flag(row.take(10)?),
        fenced: fenced_reason.zip(fenced_at),
        quarantined: row.take(13)?,
    })
}
