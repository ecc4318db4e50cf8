//! Making the mirror equal to the site: what differs goes through the outbox once more, in order with everything else. The first
//! load of a mirror is the same work: everything differs.

use std::time::Duration;

use canshi_sync::capture::Table;
use canshi_sync::wire;
use serde_json::Value;

use super::Means;
use super::client::Client;
use super::compare::{Comparison, Different};
use super::enrolment::Enrolment;
use crate::error::{Error, Result};
use crate::service::sync::{Progress, REPAIR};
use crate::store::sync::{self, Task};

/// How often the site looks whether a repair is wanted.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The wait before a repair that failed goes on.
const AGAIN_WAIT: Duration = Duration::from_secs(5);
/// Rows that one write puts into the outbox, so that no other write waits long.
const ROWS_AT_ONCE: usize = 100;
/// Changes that may wait to be sent while a repair adds to them.
const BACKLOG_MAX: i64 = 20_000;

/// Repairs the mirror whenever that is asked for, and goes on with what a restart cut off.
pub async fn when_wanted(means: &Means, client: &Client, enrolment: &Enrolment) {
    loop {
        match wanted(means).await {
            Ok(Some(progress)) => {
                if let Err(error) = repair(means, client, enrolment, progress).await {
                    means.status.failed(&error);
                    tracing::warn!(error = %error, "the repair of the mirror has to wait");
                    tokio::time::sleep(AGAIN_WAIT).await;
                }
            }
            Ok(None) => tokio::time::sleep(LOOK_EVERY).await,
            Err(error) => {
                tracing::error!(error = %error, "the wanted repair can't be read");
                tokio::time::sleep(AGAIN_WAIT).await;
            }
        }
    }
}

/// Where to go on, if a repair is wanted or was cut off.
async fn wanted(means: &Means) -> Result<Option<Progress>> {
    let task = means.db.read_rows(|tx| sync::task(tx, REPAIR)).await?;
    let Some(task) = task.filter(|task| task.state == "wanted" || task.state == "running") else { return Ok(None) };
    let progress = if task.state == "wanted" { Progress::default() } else { Progress::of(&task)? };
    Ok(Some(progress))
}

async fn repair(means: &Means, client: &Client, enrolment: &Enrolment, progress: Progress) -> Result<()> {
    let mut comparison = Comparison::resume(&means.db, client, progress).await?;
    save(means, "running", &comparison.progress).await?;
    while let Some((table, different)) = comparison.next().await? {
        for rows in different.chunks(ROWS_AT_ONCE) {
            room(means).await?;
            for row in rows {
                keep(client, &table, row).await?;
            }
            enqueue(means, &table, rows).await?;
        }
        save(means, "running", &comparison.progress).await?;
    }
    sent(means).await?;
    if enrolment.loading {
        client.ask::<_, Value>("loaded", &serde_json::json!({})).await?;
    }
    tracing::info!(
        rows = comparison.progress.rows,
        different = comparison.progress.different,
        "the mirror was made equal"
    );
    save(means, "done", &comparison.progress).await
}

async fn save(means: &Means, state: &str, progress: &Progress) -> Result<()> {
    let progress = serde_json::to_string(progress).map_err(|error| Error::Corrupt(error.to_string()))?;
    let task = Task { state: state.to_owned(), progress };
    means.db.write(move |tx| sync::save_task(tx, REPAIR, &task)).await
}

/// Keeps a row of the mirror that is about to be overwritten or removed: somebody may want to know what it was.
async fn keep(client: &Client, table: &Table, row: &Different) -> Result<()> {
    let Some(center) = &row.center else { return Ok(()) };
    let text = |image: &Vec<Value>| Value::from(image.clone()).to_string();
    let difference = wire::Difference {
        table: table.name.clone(),
        pk: Value::from(row.key.clone()).to_string(),
        center_image: Some(text(center)),
        site_image: row.site.as_ref().map(text),
    };
    client.ask::<_, Value>("difference", &difference).await.map(drop)
}

async fn enqueue(means: &Means, table: &Table, rows: &[Different]) -> Result<()> {
    let (table, keys) = (table.clone(), rows.iter().map(|row| row.key.clone()).collect::<Vec<_>>());
    means.db.write(move |tx| keys.iter().try_for_each(|key| sync::enqueue(tx, &table, key))).await
}

/// Waits until little enough is to be sent.
async fn room(means: &Means) -> Result<()> {
    while means.db.read_rows(sync::tip).await? - means.status.reached() > BACKLOG_MAX {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// Waits until the center has everything that there is now.
async fn sent(means: &Means) -> Result<()> {
    let tip = means.db.read_rows(sync::tip).await?;
    while means.status.reached() < tip {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}
