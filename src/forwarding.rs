//! The loop that tells the platforms what they have to be told, and asks them what they have to be asked, for as long as the site runs.
//! Nobody has to press anything after an outage: whatever is due is tried again and again, and what is over is closed.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::error::Result;
use crate::payments::forwarder::Forwarder;
use crate::service::payments::errands;
use crate::store::Db;

/// How often the loop looks whether something is due: one look-up by an index.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The wait after the database failed.
const FAILED_WAIT: Duration = Duration::from_secs(5);

/// The loop at work, until it is stopped.
pub struct Forwarding {
    task: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl Forwarding {
    /// Starts it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn start(db: Db, platforms: Forwarder) -> Result<Self> {
        let taken = db.write(errands::take_up).await?;
        if taken > 0 {
            tracing::info!(tasks = taken, "orders and refunds without a task were taken up");
        }
        let (stop, mut stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            tokio::select! {
                () = work(&db, &platforms) => {}
                // A sender that is gone means the same.
                _ = stopped.wait_for(|stop| *stop) => {}
            }
        });
        Ok(Self { task, stop })
    }

    /// Stops it. A call that was on its way is made again after the next start.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if self.task.await.is_err() {
            tracing::error!("the loop to the payment platforms panicked");
        }
    }
}

async fn work(db: &Db, platforms: &Forwarder) {
    loop {
        match errands::forward_due(db, platforms).await {
            Ok(0) => tokio::time::sleep(LOOK_EVERY).await,
            Ok(_) => {}
            Err(error) => {
                tracing::error!(error = %error, "what the platforms are to be asked could not be worked off");
                tokio::time::sleep(FAILED_WAIT).await;
            }
        }
    }
}
