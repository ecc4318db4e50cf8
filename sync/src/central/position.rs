//! Where a site's mirror is, and which box may move it: the fence.
//!
//! # Decision
//! A box is known by its epoch and by the random word of its last start (`boot`). Two boxes with one credential (a copied
//! data directory) have the same history up to the copy, so the chain alone can't tell which is the copy while neither has changed
//! anything. The lease does: while one of them is connected, the other waits, and the connected one is asked to show that it lives by
//! repeating a word. If it does, the other is the copy and is fenced; if it does not, it is gone and the other takes its place.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Row, Transaction, params};

use super::{Central, CentralError, writing};
use crate::batch::Batch;
use crate::chain::{Hash, Mark};
use crate::wire::{Answer, Hello};

/// How long a poll keeps the box's place beyond the time that it is held.
const LEASE_GRACE: Duration = Duration::from_secs(10);
/// How long a box that is asked whether it lives may take to show it, on a slow line and a busy machine.
const CHALLENGE_WAIT: Duration = Duration::from_secs(10);
/// How long a box whose poll was cut off keeps its place, to come back.
const RETURN_WAIT: Duration = Duration::from_secs(3);

const OTHER_EPOCH: &str = "another box took over this site; this one was replaced";
const FORK: &str =
    "the history of this box is not the one that the center has: it was copied, or restored from an older backup";
const COPY: &str = "another box with the same credential is connected and alive: this one is a copy";

/// A row of `canshi_positions`, locked.
pub(super) struct Place {
    pub epoch: String,
    pub applied: Mark,
    pub staged: Mark,
    pub quarantined: i64,
    boot: Option<String>,
    leased: bool,
    contender: Option<String>,
    fenced_boot: Option<String>,
    fenced_reason: Option<String>,
}

/// What a place makes of a batch or a hello.
pub(super) enum Verdict {
    /// It follows on what is applied.
    Next,
    /// It follows on the parts that were set aside.
    NextPart,
    /// It does not; this is the answer.
    Answer(Answer),
}

/// Reads a site's place and locks it until the transaction ends.
pub(super) async fn lock(tx: &mut Transaction<'_>, site: i64) -> Result<Place, CentralError> {
    let row: Option<Row> = tx
        .exec_first(
            "select epoch, seq, hash, staged_seq, staged_hash, quarantined, boot,
                 coalesce(lease_until > utc_timestamp(3), 0), contender, fenced_boot, fenced_reason
             from canshi_positions where site_id = ? for update",
            (site,),
        )
        .await?;
    let mut row = row.ok_or(CentralError::NoSite)?;
    let wrong = || CentralError::Corrupt("a position".to_owned());
    let mark = |seq: Option<i64>, hash: Option<String>| -> Result<Mark, CentralError> {
        let hash: Hash = hash.ok_or_else(wrong)?.parse().map_err(|_| wrong())?;
        Ok(Mark { seq: seq.ok_or_else(wrong)?, hash })
    };
    Ok(Place {
        epoch: row.take(0).ok_or_else(wrong)?,
        applied: mark(row.take(1), row.take(2))?,
        staged: mark(row.take(3), row.take(4))?,
        quarantined: row.take(5).ok_or_else(wrong)?,
        boot: row.take(6).ok_or_else(wrong)?,
        leased: row.take::<i64, _>(7).ok_or_else(wrong)? != 0,
        contender: row.take(8).ok_or_else(wrong)?,
        fenced_boot: row.take(9).ok_or_else(wrong)?,
        fenced_reason: row.take(10).ok_or_else(wrong)?,
    })
}

/// What stands against a box.
enum Objection {
    None,
    Fenced(&'static str),
    FencedBefore(String),
    Contended,
}

impl Place {
    fn objection(&self, epoch: &str, boot: &str) -> Objection {
        if self.epoch != epoch {
            return Objection::Fenced(OTHER_EPOCH);
        }
        if self.fenced_boot.as_deref() == Some(boot) {
            return Objection::FencedBefore(self.fenced_reason.clone().unwrap_or_else(|| FORK.to_owned()));
        }
        match &self.boot {
            Some(holder) if holder != boot && self.leased => Objection::Contended,
            _ => Objection::None,
        }
    }

    /// What the place makes of a batch, and in the last case what the answer leaves behind in the row.
    pub(super) async fn judge(
        &self,
        tx: &mut Transaction<'_>,
        site: i64,
        batch: &Batch,
    ) -> Result<Verdict, CentralError> {
        if let Some(answer) = self.refuse(tx, site, &batch.epoch, &batch.boot).await? {
            return Ok(Verdict::Answer(answer));
        }
        let answer = match batch {
            // Only who has said hello since the last other box did may go on.
            _ if self.boot.as_deref() != Some(&batch.boot) => Answer::Rewind(self.applied),
            _ if batch.from == self.applied => return Ok(Verdict::Next),
            _ if batch.from == self.staged => return Ok(Verdict::NextPart),
            _ if batch.to == self.applied || (batch.to == self.staged && !batch.whole) => {
                Answer::AlreadyApplied(batch.to)
            }
            _ if batch.from.seq == self.applied.seq => {
                return self.fork(tx, site, &batch.boot).await.map(Verdict::Answer);
            }
            _ => Answer::Rewind(self.applied),
        };
        Ok(Verdict::Answer(answer))
    }

    /// The answer to a box that may not go on at all.
    async fn refuse(
        &self,
        tx: &mut Transaction<'_>,
        site: i64,
        epoch: &str,
        boot: &str,
    ) -> Result<Option<Answer>, CentralError> {
        match self.objection(epoch, boot) {
            Objection::None => Ok(None),
            Objection::FencedBefore(reason) => Ok(Some(Answer::Fenced { reason })),
            Objection::Fenced(reason) => {
                note_fence(tx, site, boot, reason).await?;
                Ok(Some(Answer::Fenced { reason: reason.to_owned() }))
            }
            Objection::Contended => Err(CentralError::Contended),
        }
    }

    async fn fork(&self, tx: &mut Transaction<'_>, site: i64, boot: &str) -> Result<Answer, CentralError> {
        note_fence(tx, site, boot, FORK).await?;
        Ok(Answer::Fenced { reason: FORK.to_owned() })
    }
}

async fn note_fence(tx: &mut Transaction<'_>, site: i64, boot: &str, reason: &str) -> Result<(), CentralError> {
    tx.exec_drop(
        "update canshi_positions set fenced_boot = ?, fenced_reason = ?, fenced_at = utc_timestamp(3) where site_id = ?",
        (boot, reason, site),
    )
    .await?;
    Ok(())
}

/// What a site says when it asks for mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poll {
    /// The epoch of the box.
    pub epoch: String,
    /// The random word of its last start.
    pub boot: String,
    /// The word that the last answer asked it to repeat.
    pub echo: Option<String>,
    /// Its newest change.
    pub tip: i64,
    /// The newest change that the center has confirmed to it.
    pub confirmed: i64,
    /// How long the poll is going to be held.
    pub hold: Duration,
}

/// What the place makes of a poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Polled {
    /// The box holds the site's place.
    Holds,
    /// It does, and has to show at once that it lives by repeating this word.
    Challenged(String),
    /// It does not: it has to say hello first.
    HelloFirst,
    /// It never will.
    Fenced(String),
}

/// A site's place as others may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Whether a box is connected.
    pub online: bool,
    /// Since when none is, milliseconds since the Unix epoch; also when one is, of the last time.
    pub seen_at: Option<i64>,
    /// As of when the mirror shows the site, milliseconds since the Unix epoch.
    pub as_of: i64,
}

impl Central {
    /// Answers a hello. Who gets [`Answer::Applied`] holds the site's place from then on.
    ///
    /// # Errors
    /// [`CentralError::Contended`] while another box holds the place and has not been asked yet whether it lives.
    pub async fn hello(&self, site: i64, hello: &Hello) -> Result<Answer, CentralError> {
        let mut conn = self.connection().await?;
        let mut tx = conn.start_transaction(writing()).await?;
        let place = lock(&mut tx, site).await?;
        let outcome = place.refuse(&mut tx, site, &hello.epoch, &hello.boot).await;
        let answer = match outcome {
            Ok(Some(answer)) => answer,
            Ok(None) if hello.at == place.applied => {
                admit(&mut tx, site, hello).await?;
                Answer::Applied(place.applied)
            }
            Ok(None) if hello.at.seq == place.applied.seq => place.fork(&mut tx, site, &hello.boot).await?,
            Ok(None) => Answer::Rewind(place.applied),
            Err(error) => {
                if matches!(error, CentralError::Contended) {
                    contend(&mut tx, site, &hello.boot).await?;
                    tx.commit().await?;
                }
                return Err(error);
            }
        };
        tx.commit().await?;
        Ok(answer)
    }

    /// Takes a poll's word that the box is there, and says whether it may have the site's mail.
    pub async fn poll(&self, site: i64, poll: &Poll) -> Result<Polled, CentralError> {
        let mut conn = self.connection().await?;
        let mut tx = conn.start_transaction(writing()).await?;
        let place = lock(&mut tx, site).await?;
        let polled = match place.objection(&poll.epoch, &poll.boot) {
            Objection::Fenced(reason) => Polled::Fenced(reason.to_owned()),
            Objection::FencedBefore(reason) => Polled::Fenced(reason),
            Objection::Contended => Polled::HelloFirst,
            Objection::None if place.boot.as_deref() != Some(&poll.boot) => Polled::HelloFirst,
            // MySQL was restored from an older backup: what the box believes to be here is gone.
            Objection::None if poll.confirmed > place.applied.seq => Polled::HelloFirst,
            Objection::None => match &place.contender {
                Some(contender) if poll.echo.as_ref() != Some(contender) => Polled::Challenged(contender.clone()),
                contender => {
                    if let Some(contender) = contender {
                        note_fence(&mut tx, site, contender, COPY).await?;
                    }
                    Polled::Holds
                }
            },
        };
        if polled == Polled::Holds {
            let lease = (poll.hold + LEASE_GRACE).as_micros() as i64;
            tx.exec_drop(
                "update canshi_positions set lease_until = timestampadd(microsecond, ?, utc_timestamp(3)),
                     contender = null, contender_at = null, tip = ?, told_at = utc_timestamp(3)
                 where site_id = ?",
                (lease, poll.tip, site),
            )
            .await?;
        }
        tx.commit().await?;
        Ok(polled)
    }

    /// Notes that the line to the box was cut off: it keeps its place for a moment, to come back.
    pub async fn cut_off(&self, site: i64, boot: &str) -> Result<(), CentralError> {
        let mut conn = self.connection().await?;
        shorten_lease(&mut conn, site, RETURN_WAIT, Some(boot)).await
    }

    /// Whether a box of the site is connected, and how old the mirror is.
    pub async fn standing(&self, site: i64) -> Result<Standing, CentralError> {
        let mut conn = self.connection().await?;
        let row: Option<(i64, Option<i64>, i64)> = conn
            .exec_first(
                "select coalesce(lease_until > utc_timestamp(3), 0),
                     timestampdiff(microsecond, '1970-01-01', told_at) div 1000,
                     timestampdiff(microsecond, '1970-01-01', if(tip <= seq, told_at, least(committed_at, told_at))) div 1000
                 from canshi_positions where site_id = ?",
                (site,),
            )
            .await?;
        let (online, seen_at, as_of) = row.ok_or(CentralError::NoSite)?;
        Ok(Standing { online: online != 0, seen_at, as_of })
    }
}

/// Gives the place to who said hello: parts that another start had set aside are void.
async fn admit(tx: &mut Transaction<'_>, site: i64, hello: &Hello) -> Result<(), CentralError> {
    super::sites::keep_layouts(tx, site, &hello.layouts).await?;
    tx.exec_drop("delete from canshi_parts where site_id = ?", (site,)).await?;
    tx.exec_drop(
        "update canshi_positions
         set lease_until = if(boot = :boot and lease_until > utc_timestamp(3), lease_until,
                 timestampadd(microsecond, :wait, utc_timestamp(3))), boot = :boot, contender = null, contender_at = null,
             staged_seq = seq, staged_hash = hash, schema_version = :schema, tip = :tip, told_at = utc_timestamp(3)
         where site_id = :site",
        params! {
            "boot" => &hello.boot,
            // Until its first poll comes.
            "wait" => RETURN_WAIT.as_micros() as i64,
            "schema" => hello.layouts.iter().map(|layout| layout.schema).max().unwrap_or(0),
            "tip" => hello.tip,
            "site" => site,
        },
    )
    .await?;
    tx.exec_drop("update canshi_sites set version = ? where id = ?", (&hello.version, site)).await?;
    Ok(())
}

/// Notes that another start of the site's program wants the place: the holder is asked soon, and does not keep it for long if
/// it does not answer.
async fn contend(tx: &mut Transaction<'_>, site: i64, boot: &str) -> Result<(), CentralError> {
    tx.exec_drop(
        "update canshi_positions set contender_at = if(contender <=> ?, contender_at, utc_timestamp(3)), contender = ?
         where site_id = ?",
        (boot, boot, site),
    )
    .await?;
    shorten_lease(tx, site, CHALLENGE_WAIT, None).await
}

async fn shorten_lease(
    conn: &mut impl Queryable,
    site: i64,
    to: Duration,
    holder: Option<&str>,
) -> Result<(), CentralError> {
    conn.exec_drop(
        "update canshi_positions
         set lease_until = least(lease_until, timestampadd(microsecond, ?, utc_timestamp(3)))
         where site_id = ? and (? is null or boot = ?)",
        (to.as_micros() as i64, site, holder, holder),
    )
    .await?;
    Ok(())
}
