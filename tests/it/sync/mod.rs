//! Sync of a site with the center: the push loop against the code that applies batches, over a real MySQL-family server, with
//! a line between them that loses, repeats and delays at will.

mod answers;
mod batches;
mod faults;
mod ledger;
mod oddities;

use std::time::Duration;

use canshi::line::journal::SiteJournal;
use canshi::service::setup;
use canshi::store::sync as rows;
use canshi_sync::batch::Batch;
use canshi_sync::central::{self, Central, Enrolment};
use canshi_sync::chain::Mark;
use canshi_sync::push::{self, Hints, Journal as _, LineError, Pace, PushError, Transport, Watch};
use canshi_sync::wire::{Answer, Hello};
use mysql_async::prelude::Queryable as _;
use tokio::sync::{Mutex, watch};

use crate::app::TestApp;
use crate::equality::differences;
use crate::mariadb::MariaDb;

/// How long changes may take to reach the center once nothing is in their way, on a busy machine.
const DRAINED_WITHIN: Duration = Duration::from_secs(60);

/// A center with one enrolled site.
pub struct Pair {
    pub app: TestApp,
    pub central: Central,
    pub site: i64,
    pub database: String,
    pub boot: String,
}

/// The schema of the center, as the relay makes it.
pub async fn make_center(url: &str) -> Central {
    let pool = central::pool(url, 8).unwrap();
    let mut conn = pool.get_conn().await.unwrap();
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/center");
    let mut files: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        conn.query_drop(std::fs::read_to_string(file).unwrap()).await.unwrap();
    }
    drop(conn);
    Central::open(pool).await.unwrap()
}

impl Pair {
    /// A new site, enrolled at a new center.
    pub async fn new() -> Self {
        let server = MariaDb::shared();
        Self::at(server, server.new_database()).await
    }

    /// The same at a center in this empty database of this server.
    pub async fn at(server: &MariaDb, database: String) -> Self {
        let central = make_center(&server.url(&database)).await;
        let app = TestApp::new().await;
        let boot = setup::note_start(app.db()).await.unwrap();
        let code = central.add_site("春晖").await.unwrap();
        let layouts = app.db().read(rows::layouts).await.unwrap();
        let enrolment = Enrolment {
            credential_hash: central::secret_hash("credential"),
            time_zone: "Asia/Shanghai".to_owned(),
            keys_id: "keys".to_owned(),
            keys_sealed: String::new(),
            token_key_sealed: String::new(),
            relay_key_sealed: String::new(),
            layouts,
            tip: Mark::START,
            complete: true,
        };
        let enrolled = central.enrol(&code.code, &enrolment).await.unwrap();
        let epoch = enrolled.epoch;
        app.db().write(move |tx| rows::begin(tx, &epoch, Mark::START)).await.unwrap();
        Self { app, central, site: enrolled.site_id, database, boot }
    }

    /// What the site remembers of its sending.
    pub fn journal(&self) -> SiteJournal {
        SiteJournal::new(self.app.db().clone(), self.boot.clone())
    }

    /// A line without faults.
    pub fn line(&self) -> Line {
        Line { central: self.central.clone(), site: self.site, faults: Mutex::new(Vec::new()) }
    }

    /// Pushes over this line until everything there is has arrived; gives the reason if the box is fenced instead.
    pub async fn drain_over(&self, line: &Line) -> Result<(), String> {
        let tip = self.app.db().read_rows(rows::tip).await.unwrap();
        let (reached, mut arrived) = watch::channel(0);
        let hints = Hints::default();
        let pace = Pace {
            tick: Duration::from_millis(10),
            linger: Duration::ZERO,
            backoff_min: Duration::from_millis(1),
            backoff_max: Duration::from_millis(4),
        };
        let (journal, reporter) = (self.journal(), Reached(reached));
        tokio::select! {
            reason = push::run(&journal, line, &reporter, &hints, pace) => Err(reason),
            outcome = tokio::time::timeout(DRAINED_WITHIN, arrived.wait_for(|seq| *seq >= tip)) => {
                outcome.expect("the queue drains once nothing is in its way").unwrap();
                Ok(())
            }
        }
    }

    /// Pushes over a good line and checks that the mirror is the site, row by row.
    pub async fn assert_equal(&self) {
        self.assert_equal_at(MariaDb::shared()).await;
    }

    /// The same at another server.
    pub async fn assert_equal_at(&self, server: &MariaDb) {
        self.drain_over(&self.line()).await.unwrap();
        let mut conn = server.connect(&self.database).await;
        let found = differences(self.app.db().path(), &mut conn, self.site).await;
        assert!(found.is_empty(), "{}", found.join("\n"));
    }

    /// The next batch that the site would send after this place.
    pub async fn cut(&self, after: Mark) -> Batch {
        self.journal().cut(after, false).await.unwrap().expect("there is more")
    }

    /// Says hello from this place.
    pub async fn hello_at(&self, at: Mark) -> Answer {
        let hello = Hello { at, ..self.journal().hello().await.unwrap() };
        self.central.hello(self.site, &hello).await.unwrap()
    }

    /// Where the center is.
    pub async fn at_center(&self) -> Mark {
        match self.hello_at(Mark::START).await {
            Answer::Applied(mark) | Answer::AlreadyApplied(mark) | Answer::Rewind(mark) => mark,
            Answer::Fenced { reason } => panic!("{reason}"),
        }
    }

    /// Sends a batch.
    pub async fn push(&self, batch: &Batch) -> Answer {
        self.central.push(self.site, batch, &batch.pack().unwrap()).await.unwrap()
    }
}

struct Reached(watch::Sender<i64>);

impl Watch for Reached {
    fn reached(&self, mark: Mark) {
        self.0.send_replace(mark.seq);
    }

    fn failed(&self, _: &PushError, _: Duration) {}
}

/// What a line does to a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It carries it.
    Good,
    /// It loses it on the way there.
    Lost,
    /// It loses the answer: the center has applied it.
    AnswerLost,
    /// It carries it twice.
    Twice,
    /// The center asks to come again.
    Busy,
}

/// A line to a center in this process; faults come off the end of the list, and then there are none.
pub struct Line {
    central: Central,
    site: i64,
    faults: Mutex<Vec<Fault>>,
}

impl Line {
    /// A line that does this, in order.
    pub async fn with(self, mut faults: Vec<Fault>) -> Self {
        faults.reverse();
        *self.faults.lock().await = faults;
        self
    }

    async fn carry(&self, packed: &[u8]) -> Result<Answer, LineError> {
        let batch = Batch::unpack(packed).unwrap();
        self.central.push(self.site, &batch, packed).await.map_err(|error| LineError::Unreachable(Box::new(error)))
    }
}

fn lost() -> LineError {
    LineError::Unreachable("the test cut the line".into())
}

impl Transport for Line {
    async fn hello(&self, hello: &Hello) -> Result<Answer, LineError> {
        self.central.hello(self.site, hello).await.map_err(|error| LineError::Unreachable(Box::new(error)))
    }

    async fn push(&self, packed: Vec<u8>) -> Result<Answer, LineError> {
        let fault = self.faults.lock().await.pop().unwrap_or(Fault::Good);
        match fault {
            Fault::Good => self.carry(&packed).await,
            Fault::Lost => Err(lost()),
            Fault::AnswerLost => {
                self.carry(&packed).await?;
                Err(lost())
            }
            Fault::Twice => {
                self.carry(&packed).await?;
                self.carry(&packed).await
            }
            Fault::Busy => Err(LineError::Busy { after: Duration::ZERO }),
        }
    }
}
