//! What happens by the clock: when, the name, the function.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::http::App;
use crate::http::edge::Edge as _;
use crate::service::{housekeeping, reconciliations};
use crate::store::backup::{self, Retention};
use crate::store::open::BACKUPS;

/// When what was missed while the program did not run is made up for: once the line to the center is up.
const SOON: Duration = Duration::from_secs(60);

/// The jobs at work.
pub struct Jobs(JobScheduler);

/// What a job may need.
#[derive(Clone)]
struct Means {
    app: App,
    backups: Arc<PathBuf>,
    retention: Retention,
}

impl Jobs {
    /// Starts them all.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the scheduler refuses a schedule.
    pub async fn start(app: &App, config: &Config, data: &Path) -> Result<Self> {
        let means = Means { app: app.clone(), backups: Arc::new(data.join(BACKUPS)), retention: config.retention };
        means.app.note_backup(backup::newest(&means.backups)?);
        let backup_at = format!("0 {} {} * * *", config.backup_at.minute(), config.backup_at.hour());
        let table: [Row<'_>; 4] = [
            (&backup_at, "daily backup", |means| Box::pin(daily_backup(means))),
            ("0 17 * * * *", "forget what is old", |means| Box::pin(forget_old(means))),
            ("0 31 * * * *", RECONCILE, |means| Box::pin(reconcile(means))),
            ("30 * * * * *", "forget idle callers", |means| Box::pin(forget_idle(means))),
        ];
        let scheduler = JobScheduler::new().await.map_err(refused)?;
        let zone: chrono_tz::Tz = config
            .zone
            .name()
            .parse()
            .map_err(|_| Error::Corrupt(format!("the scheduler does not know the zone {}", config.zone.name())))?;
        for (when, name, work) in table {
            let means = means.clone();
            let job = Job::new_async_tz(when, zone, move |_, _| run(name, work(means.clone()))).map_err(refused)?;
            scheduler.add(job).await.map_err(refused)?;
        }
        let soon = Job::new_one_shot_async(SOON, move |_, _| run(RECONCILE, Box::pin(reconcile(means.clone()))));
        scheduler.add(soon.map_err(refused)?).await.map_err(refused)?;
        scheduler.start().await.map_err(refused)?;
        Ok(Self(scheduler))
    }

    /// Stops them; what has begun runs to its end with the runtime.
    pub async fn stop(mut self) {
        if let Err(error) = self.0.shutdown().await {
            tracing::error!(error = %error, "the jobs could not be stopped");
        }
    }
}

const RECONCILE: &str = "compare the platforms' bills";

/// When, the name, the function.
type Row<'a> = (&'a str, &'static str, fn(Means) -> Boxed);

type Boxed = std::pin::Pin<Box<dyn Future<Output = Result<()>> + Send>>;

fn run(name: &'static str, work: Boxed) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        match work.await {
            Ok(()) => tracing::debug!(job = name, "done"),
            Err(error) => tracing::error!(job = name, error = %error, "a job failed"),
        }
    })
}

fn refused(error: JobSchedulerError) -> Error {
    Error::Corrupt(format!("the scheduler: {error}"))
}

async fn daily_backup(means: Means) -> Result<()> {
    let day = means.app.db().zone().day(means.app.db().now());
    let from = means.app.db().path().to_owned();
    let (directory, retention) = (means.backups.clone(), means.retention);
    let made = tokio::task::spawn_blocking(move || backup::daily(&from, &directory, day, retention));
    let newest = made.await.map_err(|_| Error::Panicked)??;
    means.app.note_backup(newest);
    Ok(())
}

async fn forget_old(means: Means) -> Result<()> {
    let forgotten = housekeeping::forget_old(means.app.db()).await?;
    tracing::debug!(rows = forgotten, "forgot what is old");
    Ok(())
}

/// Every hour: a bill that is there is not asked for again.
async fn reconcile(means: Means) -> Result<()> {
    reconciliations::run_due(means.app.db(), means.app.payments()).await
}

async fn forget_idle(means: Means) -> Result<()> {
    means.app.limits().forget_idle();
    Ok(())
}
