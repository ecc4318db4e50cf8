//! The line to the center: what a site does when it is enrolled and the internet is there. It pushes changes, fetches mail and
//! carries it out, and repairs the mirror. Nothing on the LAN waits for any of it.
//!
//! It must not know the business: changes are rows, mail is HTTP requests for the site's own router.

pub mod client;
pub mod compare;
pub mod enrolment;
pub mod journal;
mod mail;
mod pay;
pub mod rebuild;
pub mod repair;

use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use canshi_sync::chain::Mark;
use canshi_sync::push::{self, Hints, LineError, Pace, PushError, Watch};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::error::{Error, Result};
use crate::http::App;
use crate::payments::forwarder::Forwarder;
use crate::service::payments::SITE_FACT;
use crate::service::sync::{self, LineStatus};
use crate::store::{Db, WriteTx, site};
use client::Client;
use enrolment::Enrolment;
use journal::SiteJournal;

/// The line looks at the enrolment, and at whether the push loop moves, this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A push loop that has not tried anything for so long while something waits is started anew; its own waits are shorter.
const STANDSTILL: Duration = Duration::from_secs(180);
/// The wait between attempts to enrol.
const ENROL_EVERY: Duration = Duration::from_secs(5);

/// What the line needs of the site.
#[derive(Clone)]
pub struct Means {
    /// The site's database.
    pub db: Db,
    /// The data directory.
    pub data: PathBuf,
    /// The random word of this start.
    pub boot: String,
    /// Certificates of a private authority that the relay's may be signed by, PEM; none for public ones only.
    pub authority: Option<Vec<u8>>,
    /// What the line tells of itself.
    pub status: LineStatus,
    /// The way to the payment platforms, which may lead over the center.
    pub payments: Forwarder,
}

/// The line at work, until it is stopped.
pub struct Line {
    task: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

/// An invitation to become a site of a center, from the command line.
#[derive(Clone)]
pub struct Invitation {
    /// The relay's URL.
    pub relay: String,
    /// The one-time code.
    pub code: String,
}

impl Line {
    /// Starts the line; it waits for an enrolment if there is none, and makes one when it is invited.
    pub fn start(app: &App, router: Router, means: Means, invitation: Option<Invitation>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let app = app.clone();
        let task = tokio::spawn(async move {
            let work = serve(&app, &router, &means, invitation);
            let mut stopped = stopped;
            tokio::select! {
                () = work => {}
                // A sender that is gone means the same.
                _ = stopped.wait_for(|stop| *stop) => {}
            }
        });
        Self { task, stop }
    }

    /// Stops it. Whatever was on its way is repeated after the next start; none of it happens twice.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if self.task.await.is_err() {
            tracing::error!("the line panicked");
        }
    }
}

async fn serve(app: &App, router: &Router, means: &Means, invitation: Option<Invitation>) {
    if let Some(invitation) = invitation {
        accept(means, &invitation).await;
    }
    loop {
        match Enrolment::load(&means.data) {
            Ok(Some(enrolment)) => {
                app.auth().trust_relay(&enrolment.relay_key, enrolment.site_id);
                means.status.set_relay(&enrolment.relay, enrolment.site_id, &enrolment.name);
                if let Err(error) = work(router, means, &enrolment).await {
                    means.status.failed(&error);
                    tracing::error!(error = %error, "the line can't work");
                }
            }
            Ok(None) => {}
            Err(error) => {
                means.status.failed(&error);
                tracing::error!(error = %error, "the enrolment can't be read");
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Enrols with the code that `serve` was started with, unless the site is enrolled already; tries until it is done or refused.
async fn accept(means: &Means, invitation: &Invitation) {
    // The command line of a service says the same at every start.
    if matches!(Enrolment::load(&means.data), Ok(Some(_))) {
        return;
    }
    loop {
        match enrolment::enrol(means, invitation).await {
            Ok(_) => return,
            Err(error @ (Error::Conflict(_) | Error::Invalid(_))) => {
                means.status.failed(&error);
                tracing::error!(error = %error, "the enrolment was refused");
                return;
            }
            Err(error) => {
                means.status.failed(&error);
                tracing::warn!(error = %error, "the enrolment has to wait");
                tokio::time::sleep(ENROL_EVERY).await;
            }
        }
    }
}

/// Works with one enrolment until another takes its place.
async fn work(router: &Router, means: &Means, enrolment: &Enrolment) -> Result<()> {
    let client = begin(means, enrolment).await?;
    let payments = payments(means, enrolment, &client).await?;
    let hints = Hints { changed: means.db.changed(), ..Hints::default() };
    tokio::select! {
        () = pushing(means, &client, &hints) => {}
        () = mail::fetch(router, means, &client, &hints) => {}
        () = repair::when_wanted(means, &client, enrolment) => {}
        () = replaced(means, enrolment) => return Ok(()),
    }
    // Fenced: the center is left alone until somebody enrols this box again. What platforms would tell goes to the box that is there in its
    // place, so this one lets nobody pay.
    drop(payments);
    replaced(means, enrolment).await;
    Ok(())
}

/// Pushes and repairs, and fetches no mail: for a command, when no server works on the directory. Ends only when it can't go on.
pub async fn repair_alone(means: &Means, enrolment: &Enrolment) -> Error {
    let client = match begin(means, enrolment).await {
        Ok(client) => client,
        Err(error) => return error,
    };
    let hints = Hints { changed: means.db.changed(), ..Hints::default() };
    tokio::select! {
        () = pushing(means, &client, &hints) => {}
        () = repair::when_wanted(means, &client, enrolment) => {}
    }
    Error::Conflict("the center has fenced this box".into())
}

/// Opens the way of payments over the center, unless the box is fenced.
async fn payments(means: &Means, enrolment: &Enrolment, client: &Client) -> Result<Option<pay::Open>> {
    let position = means.db.read(crate::store::sync::position).await?;
    let fenced = position.is_some_and(|position| position.fenced.is_some());
    let way = || pay::ViaRelay::new(client.clone(), enrolment.epoch.clone());
    Ok((!fenced).then(|| pay::Open::new(&means.payments, way())))
}

async fn begin(means: &Means, enrolment: &Enrolment) -> Result<Client> {
    let own = enrolment.clone();
    let take_up = move |tx: &WriteTx<'_>| {
        // Numbers of orders carry it: by them the center knows whose they are.
        site::record(tx, SITE_FACT, &own.site_id.to_string())?;
        sync::take_up(tx, &own.epoch, own.base, own.loading)
    };
    means.db.write(take_up).await?;
    Client::new(&enrolment.relay, Some(&enrolment.credential), means.authority.as_deref())
}

/// Returns when the enrolment file says something else than this.
async fn replaced(means: &Means, enrolment: &Enrolment) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        match Enrolment::load(&means.data) {
            Ok(Some(now)) if now == *enrolment => {}
            Ok(_) => return,
            Err(error) => tracing::error!(error = %error, "the enrolment can't be read"),
        }
    }
}

/// Keeps the push loop going; a fenced box pushes no more.
async fn pushing(means: &Means, client: &Client, hints: &Hints) {
    loop {
        let journal = SiteJournal::new(means.db.clone(), means.boot.clone());
        match journal.fenced().await {
            Ok(Some(reason)) => {
                means.status.fenced(&reason);
                return;
            }
            Ok(None) => {}
            Err(error) => means.status.failed(&error),
        }
        let reporter = Reporter(means.status.clone());
        tokio::select! {
            reason = push::run(&journal, client, &reporter, hints, Pace::default()) => {
                tracing::error!(reason, "the center has fenced this box: nothing is sent any more; see `canshi sync status`");
                means.status.fenced(&reason);
                return;
            }
            () = standstill(means) => tracing::error!("the push loop stood still and is started anew"),
        }
    }
}

/// Returns when changes wait and nothing has been tried for [`STANDSTILL`].
async fn standstill(means: &Means) {
    loop {
        tokio::time::sleep(STANDSTILL / 4).await;
        let waiting = means
            .db
            .read_rows(crate::store::sync::backlog)
            .await
            .is_ok_and(|backlog| backlog.changes > 0 && backlog.tip > means.status.reached());
        if waiting && means.status.tried_ago(means.db.now()) > STANDSTILL {
            return;
        }
    }
}

/// Passes on what the push loop tells.
struct Reporter(LineStatus);

impl Watch for Reporter {
    fn reached(&self, mark: Mark) {
        self.0.confirmed(mark.seq);
    }

    fn failed(&self, why: &PushError, wait: Duration) {
        if let PushError::HelloWanted = why {
            return;
        }
        tracing::warn!(error = %why, cause = std::error::Error::source(why).map(tracing::field::display), wait_ms = wait.as_millis() as u64, "changes could not be sent");
        match why {
            PushError::Line(LineError::Unknown) => self.0.fenced(&why.to_string()),
            PushError::Line(_) | PushError::Journal(_) | PushError::Pack(_) | PushError::Nonsense => self.0.failed(why),
            PushError::HelloWanted => {}
        }
    }
}
