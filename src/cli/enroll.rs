//! `canshi enroll` and `canshi restore --relay`.

use std::path::Path;

use serde_json::json;

use super::progress::Progress;
use super::sync::Opened;
use super::{Refused, config, say};
use crate::line::rebuild::{self, Step};
use crate::line::{Invitation, enrolment};
use crate::store::open::DataDir;

pub fn enroll(data: &Path, invitation: &Invitation, json: bool) -> Result<(), Refused> {
    let opened = Opened::new(data)?;
    let enrolment = opened.run(async |means| enrolment::enrol(means, invitation).await)?;
    if json {
        return say(&json!({
            "site_id": enrolment.site_id,
            "name": enrolment.name,
            "relay": enrolment.relay,
            "loading": enrolment.loading,
        }));
    }
    say(&format!("{} is site {} ({}) of {}.", data.display(), enrolment.site_id, enrolment.name, enrolment.relay))?;
    say(&if enrolment.loading {
        "The center's mirror is made equal while the site serves; `canshi sync status` says how far it is."
    } else {
        "Everything that the site has goes to the center while it serves; `canshi sync status` says how much waits."
    })
}

pub fn rebuild(data: &Path, invitation: &Invitation, json: bool) -> Result<(), Refused> {
    let config = config(None)?;
    let directory = DataDir::lock(data)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut progress = Progress::new("tables");
    let watch = |step: &Step| Ok(progress.show(step.tables.0 as u64, step.tables.1 as u64)?);
    let rebuilt =
        runtime.block_on(rebuild::rebuild(&directory.path, invitation, config.relay_authority.as_deref(), watch))?;
    progress.end()?;
    let seen_at = rebuilt.seen_at.map(|at| rebuilt.zone.local(at).to_string());
    if json {
        return say(&json!({
            "site_id": rebuilt.site_id,
            "name": rebuilt.name,
            "rows": rebuilt.rows,
            "seq": rebuilt.seq,
            "lost": rebuilt.lost,
            "last_heard_at": seen_at,
        }));
    }
    say(&format!(
        "{} is site {} ({}) now, with {} rows up to change {}. The old box is fenced.",
        data.display(),
        rebuilt.site_id,
        rebuilt.name,
        rebuilt.rows,
        rebuilt.seq
    ))?;
    let heard = seen_at.map_or_else(String::new, |at| format!(" (last heard of {at})"));
    say(&match rebuilt.lost {
        0 => format!(
            "The old box{heard} had told of no change that is not here. What it did after that is not known here."
        ),
        lost => format!("LOST: {lost} changes that the old box{heard} told of never reached the center."),
    })
}
