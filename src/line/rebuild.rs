//! A dead box's site on a new box: its rows are read from the center's mirror, its place is taken over, and the old box is fenced.

use std::path::Path;

use canshi_sync::wire::{RowsAnswer, RowsRequest, Stretch, TakeOverAnswer, TakeOverRequest};

use super::Invitation;
use super::client::Client;
use super::enrolment::{self, Enrolment};
use crate::domain::time::{Instant, Zone};
use crate::error::{Error, Result};
use crate::store::db::{Clock, Context};
use crate::store::keys::{FILE_NAME, Keys};
use crate::store::rebuild::Rebuild;
use crate::store::vault::Vault;
use crate::store::{migrations, open};
use canshi_sync::digest::key_of;

/// Rows of one question.
const PAGE: u32 = 1_000;
/// How often a question that found no relay is asked again before the work is given up; running the command again goes on.
const TRIES: u32 = 5;
/// The first wait before it; each further one is twice as long.
const FIRST_WAIT: std::time::Duration = std::time::Duration::from_millis(250);

/// What became of a rebuild.
#[derive(Debug, Clone)]
pub struct Rebuilt {
    /// The site.
    pub site_id: i64,
    /// Its name.
    pub name: String,
    /// Rows that were read.
    pub rows: u64,
    /// The newest change that they show.
    pub seq: i64,
    /// Changes that the old box told of and that never came.
    pub lost: i64,
    /// When the old box was heard of last.
    pub seen_at: Option<Instant>,
    /// The zone that the books are kept in.
    pub zone: Zone,
}

/// How far a rebuild is, for whoever watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The table at work.
    pub table: String,
    /// Tables that are done, and all.
    pub tables: (usize, usize),
    /// Rows that were read.
    pub rows: u64,
}

/// Fills a data directory, which only this process works on, from the center. One that was cut off goes on.
///
/// # Errors
/// [`Error::Invalid`] for a code that is not good; [`Error::Conflict`] when the directory has a database, or the mirror is of a
/// newer version; [`Error::Unreachable`] when the relay does not answer.
pub async fn rebuild(
    data: &Path,
    invitation: &Invitation,
    authority: Option<&[u8]>,
    mut watch: impl FnMut(&Step) -> Result<()>,
) -> Result<Rebuilt> {
    if data.join(open::DATABASE).exists() {
        return Err(Error::Conflict(format!("{} has a database already", data.display()).into()));
    }
    let credential = enrolment::pending_credential(data, &invitation.code)?;
    let stranger = Client::new(&invitation.relay, None, authority)?;
    let request = TakeOverRequest { code: invitation.code.clone(), credential: credential.reveal().to_owned() };
    let answer: TakeOverAnswer = stranger.ask("takeover", &request).await?;
    if answer.layout.schema > migrations::newest() {
        return Err(Error::Conflict(
            format!(
                "the site's rows are of schema {}, this program knows {}",
                answer.layout.schema,
                migrations::newest()
            )
            .into(),
        ));
    }
    let keys = own_keys(data, &answer.keys)?;
    let zone = Zone::named(&answer.time_zone).map_err(|error| Error::Corrupt(error.to_string()))?;
    let context = Context { vault: Vault::new(&keys)?, zone: zone.clone(), clock: Clock::System };
    let mut rebuild = Rebuild::open(data, context)?;
    let client = Client::new(&invitation.relay, Some(&credential), authority)?;
    let enrolment = Enrolment::of(answer.enrolled, invitation, credential)?;
    let mut rows = 0;
    for (at, table) in answer.layout.tables.iter().enumerate() {
        let mut after = rebuild.last_key(table)?;
        rows += rebuild.count(table)?;
        loop {
            watch(&Step { table: table.name.clone(), tables: (at, answer.layout.tables.len()), rows })?;
            let stretch = Stretch { after: after.clone(), until: None };
            let request = RowsRequest { schema: answer.layout.schema, table: table.name.clone(), stretch, limit: PAGE };
            let page = patiently(&client, &request).await?;
            rebuild.add(table, &page.rows)?;
            rows += page.rows.len() as u64;
            match page.rows.last() {
                Some(last) if page.more => after = Some(key_of(table, last)),
                _ => break,
            }
        }
    }
    rebuild.finish(answer.layout.schema, &enrolment.epoch, enrolment.base)?;
    enrolment.save(data)?;
    Ok(Rebuilt {
        site_id: enrolment.site_id,
        name: enrolment.name,
        rows,
        seq: enrolment.base.seq,
        lost: answer.lost,
        seen_at: answer.seen_at.map(Instant),
        zone,
    })
}

/// The keys of the site, in the directory's own key file; those of an attempt that was cut off stay.
fn own_keys(data: &Path, text: &str) -> Result<Keys> {
    let path = data.join(FILE_NAME);
    if !path.exists() {
        Keys::of_another_box(text)?.save_new(&path)?;
    }
    Keys::load(&path)
}

async fn patiently(client: &Client, request: &RowsRequest) -> Result<RowsAnswer> {
    let mut tries = 0;
    loop {
        match client.ask("rows", request).await {
            Err(Error::Unreachable(_) | Error::Busy) if tries < TRIES => {
                tries += 1;
                tokio::time::sleep(FIRST_WAIT * 2_u32.pow(tries)).await;
            }
            other => return other,
        }
    }
}
