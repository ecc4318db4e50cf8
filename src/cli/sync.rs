//! `canshi sync`: what waits, whether the mirror is equal, and making it so. All of it works beside a running server.

use std::path::Path;
use std::time::Duration;

use canshi_sync::wire::{DigestAnswer, DigestRequest};
use serde_json::json;

use super::progress::Progress as Bar;
use super::{Refused, config, say};
use crate::domain::time::Instant;
use crate::error::{self, Error};
use crate::http::api::sync::SyncView;
use crate::line::client::Client;
use crate::line::compare::Comparison;
use crate::line::enrolment::Enrolment;
use crate::line::{self, Means};
use crate::payments::forwarder::Forwarder;
use crate::payments::gateways::Gateways;
use crate::service::setup::note_start;
use crate::service::sync::{self, LineStatus, Progress, REPAIR, want_repair};
use crate::store::Db;
use crate::store::db::{Clock, Context, WriterThread};
use crate::store::keys::{FILE_NAME, Keys};
use crate::store::open::{DATABASE, DataDir, Options, prepare};
use crate::store::sync::{layout, task, tip};
use crate::store::vault::Vault;

/// How long the center may take to say how far it is.
const ASK_WAIT: Duration = Duration::from_secs(3);
/// How often a repair that a running server makes is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A site's database, opened for one command: alone, or beside the server that works on it.
pub struct Opened {
    means: Means,
    writer: WriterThread,
    /// Held when no server works on the directory.
    alone: Option<DataDir>,
}

impl Opened {
    /// Opens the database of a data directory.
    ///
    /// # Errors
    /// When there is none, or it is not of this program's version.
    pub fn new(data: &Path) -> Result<Self, Refused> {
        let config = config(None)?;
        let alone = match DataDir::lock(data) {
            Ok(directory) => Some(directory),
            Err(Error::Conflict(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let keys = match &alone {
            Some(directory) => prepare(directory, config.zone.name())?,
            None => Keys::load(&data.join(FILE_NAME))?,
        };
        let context = Context { vault: Vault::new(&keys)?, zone: config.zone.clone(), clock: Clock::System };
        let (db, writer) = Db::open(&data.join(DATABASE), Options::default(), context)?;
        let means = Means {
            db,
            data: data.to_owned(),
            boot: String::new(),
            authority: config.relay_authority,
            status: LineStatus::new(Clock::System),
            payments: Forwarder::new(Gateways::default()),
        };
        Ok(Self { means, writer, alone })
    }

    /// Does something with it and closes it in good order.
    ///
    /// # Errors
    /// What the work gives.
    pub fn run<T>(self, work: impl AsyncFnOnce(&Means) -> error::Result<T>) -> Result<T, Refused> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let outcome = runtime.block_on(work(&self.means));
        drop(self.means);
        runtime.shutdown_timeout(Duration::from_millis(500));
        self.writer.join();
        drop(self.alone);
        Ok(outcome?)
    }
}

fn existing(data: &Path) -> Result<Opened, Refused> {
    if !data.join(DATABASE).exists() {
        return Err(Refused::Said(format!("{} holds no canshi database", data.display())));
    }
    Opened::new(data)
}

fn enrolment(data: &Path) -> Result<Enrolment, Refused> {
    Enrolment::load(data)?.ok_or_else(|| Refused::Said(format!("{} is not enrolled at any center", data.display())))
}

pub fn status(data: &Path, json: bool) -> Result<(), Refused> {
    let opened = existing(data)?;
    let enrolled = Enrolment::load(data)?;
    let (standing, zone) = opened.run(async |means| {
        if let Some(enrolment) = &enrolled {
            means.status.set_relay(&enrolment.relay, enrolment.site_id, &enrolment.name);
        }
        if let Some(enrolment) = &enrolled {
            match tokio::time::timeout(ASK_WAIT, ask(means, enrolment)).await {
                Ok(Ok(seq)) => {
                    means.status.confirmed(seq);
                    if means.db.read(tip).await? > seq {
                        // How fast it goes shows in how far it is a moment later.
                        tokio::time::sleep(LOOK_EVERY).await;
                        means.status.confirmed(ask(means, enrolment).await?);
                    }
                }
                Ok(Err(error @ Error::Unauthenticated(_))) => means.status.fenced(&error.to_string()),
                Ok(Err(error)) => means.status.failed(&error),
                Err(_) => means.status.failed(&"the center did not answer in time"),
            }
        }
        let status = means.status.clone();
        Ok((means.db.read(move |tx| sync::standing(tx, &status)).await?, means.db.zone().clone()))
    })?;
    let now = Clock::System.now();
    if json {
        let view = SyncView::of(standing, now, &zone);
        return say(&serde_json::to_value(view).map_err(|error| Refused::Said(error.to_string()))?);
    }
    let Some((relay, site_id, name)) = &standing.line.site else {
        return say(&"This site belongs to no center.");
    };
    say(&format!("site {site_id} ({name}) of {relay}"))?;
    let local = |at: Instant| zone.local(at).to_string();
    match (standing.pending_changes, standing.oldest_pending_at) {
        (0, _) => say(&"Everything is at the center.")?,
        (changes, Some(at)) if at.0 > 0 => {
            let age = Duration::from_millis(now.ms_since(at).max(0).unsigned_abs());
            say(&format!(
                "{changes} changes are not at the center, the oldest of {} ({} min)",
                local(at),
                age.as_secs() / 60
            ))?;
        }
        (changes, _) => say(&format!("{changes} changes are not at the center"))?,
    }
    if let Some(seconds) = standing.line.seconds_for(standing.pending_changes) {
        say(&format!("About {seconds} s left at this speed."))?;
    }
    if let Some((why, _)) = standing.line.error.as_ref().filter(|_| standing.fenced.is_none()) {
        say(&format!("The center can't be asked just now: {why}."))?;
    }
    if let Some((seq, at)) = standing.confirmed {
        say(&format!("The center has confirmed change {seq}, last at {}.", local(at)))?;
    }
    if let Some(reason) = &standing.fenced {
        say(&format!(
            "FENCED: {reason}\nThe site goes on alone. If this box is the right one: `canshi site code {site_id}` at the center, then `canshi enroll` here."
        ))?;
    }
    if let Some(task) = &standing.repair {
        let progress = Progress::of(task)?;
        say(&format!(
            "repair: {}, {} of {} rows compared, {} differed",
            task.state, progress.rows, progress.rows_total, progress.different
        ))?;
    }
    Ok(())
}

/// How far the center has the site's changes, from the center itself.
async fn ask(means: &Means, enrolment: &Enrolment) -> error::Result<i64> {
    let client = Client::new(&enrolment.relay, Some(&enrolment.credential), means.authority.as_deref())?;
    let layout = means.db.read(layout).await?;
    let table = layout.tables.first().map(|table| table.name.clone()).unwrap_or_default();
    let question = DigestRequest { schema: layout.schema, table, stretches: Vec::new() };
    let answer: DigestAnswer = client.ask("digest", &question).await?;
    Ok(answer.seq)
}

pub fn verify(data: &Path, json: bool) -> Result<(), Refused> {
    let could_not = |refused: Refused| Refused::CouldNotTell(said(&refused));
    let opened = existing(data).map_err(could_not)?;
    let enrolment = enrolment(data).map_err(could_not)?;
    let mut bar = Bar::new("rows");
    let outcome = opened.run(async |means| {
        let client = Client::new(&enrolment.relay, Some(&enrolment.credential), means.authority.as_deref())?;
        let mut comparison = Comparison::resume(&means.db, &client, Progress::default()).await?;
        let mut tables: Vec<(String, u64)> = Vec::new();
        while let Some((table, different)) = comparison.next().await? {
            bar.show(comparison.progress.rows, comparison.progress.rows_total)?;
            if !different.is_empty() {
                match tables.last_mut() {
                    Some((name, count)) if *name == table.name => *count += different.len() as u64,
                    _ => tables.push((table.name, different.len() as u64)),
                }
            }
        }
        Ok((comparison.progress, tables))
    });
    let (progress, tables) = outcome.map_err(could_not)?;
    bar.end()?;
    if json {
        let tables: serde_json::Map<_, _> = tables.into_iter().map(|(table, rows)| (table, rows.into())).collect();
        let equal = progress.different == 0;
        say(&json!({"equal": equal, "rows": progress.rows, "different": progress.different, "tables": tables}))?;
    } else {
        for (table, rows) in tables {
            say(&format!("{table}: {rows} rows differ"))?;
        }
    }
    match progress.different {
        0 if json => Ok(()),
        0 => say(&format!("The mirror is equal: {} rows.", progress.rows)),
        rows => Err(Refused::Said(format!("{rows} rows differ; `canshi sync repair` sends them once more"))),
    }
}

fn said(refused: &Refused) -> String {
    let cause = std::error::Error::source(refused).map_or_else(String::new, |cause| format!(": {cause}"));
    format!("{refused}{cause}")
}

pub fn repair(data: &Path, json: bool) -> Result<(), Refused> {
    let opened = existing(data)?;
    let enrolment = enrolment(data)?;
    let alone = opened.alone.is_some();
    let progress = opened.run(async |means| {
        means.db.write(want_repair).await?;
        if alone {
            let means = Means { boot: note_start(&means.db).await?, ..means.clone() };
            tokio::select! {
                progress = finished(&means) => progress,
                error = line::repair_alone(&means, &enrolment) => Err(error),
            }
        } else {
            finished(means).await
        }
    })?;
    if json {
        return say(&json!({"rows": progress.rows, "different": progress.different}));
    }
    say(&format!("{} rows were compared, {} were sent once more.", progress.rows, progress.different))
}

/// Waits until the repair is done.
async fn finished(means: &Means) -> error::Result<Progress> {
    let mut bar = Bar::new("rows");
    loop {
        let task = means.db.read(|tx| task(tx, REPAIR)).await?;
        let task = task.ok_or_else(|| Error::Corrupt("the repair is gone".to_owned()))?;
        let progress = Progress::of(&task)?;
        if task.state == "done" {
            bar.end()?;
            return Ok(progress);
        }
        bar.show(progress.rows, progress.rows_total)?;
        if let Some(reason) = means.db.read(crate::store::sync::position).await?.and_then(|position| position.fenced) {
            return Err(Error::Conflict(format!("the center has fenced this box: {reason}").into()));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
