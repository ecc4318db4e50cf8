//! Many boxes that push to one relay all the time. They are played by this process; the relay and MySQL are real.

use std::path::Path;
use std::time::{Duration, Instant};

use canshi::line::client::Client;
use canshi::line::enrolment::Credential;
use canshi::store::migrations::{TRAVELLING, newest};
use canshi::store::open::{DataDir, prepare};
use canshi_sync::batch::Batch;
use canshi_sync::capture::Layout;
use canshi_sync::central::{Central, Enrolment, pool, secret_hash};
use canshi_sync::chain::Mark;
use canshi_sync::outbox::{Change, Op};
use canshi_sync::push::{LineError, Transport as _};
use canshi_sync::wire::{Answer, Hello};
use rusqlite::Connection;

use crate::mariadb::MariaDb;
use crate::relay::Relay;
use crate::{quantile, say, seconds};

const BOXES: usize = 200;
/// Transactions of a batch; each is a punch with its audit row.
const PUNCHES: i64 = 10;

/// Measures it, for one box and for many.
pub fn measure(server: &MariaDb, home: &Path) {
    let directory = DataDir::lock(&home.join("site")).unwrap();
    prepare(&directory, "Asia/Shanghai").unwrap();
    let connection = Connection::open(directory.database()).unwrap();
    let layout = Layout::describe(&connection, &TRAVELLING, newest()).unwrap();
    let database = server.new_database();
    let url = server.url(&database);
    let relay = Relay::start(&url);
    let address = format!("http://{}", relay.address);
    say(&format!("\n6. Boxes that push {} changes at a time, all the time", 2 * PUNCHES));
    say(
        "  boxes | changes/s | ms for a batch, of the boxes' means: p50 | p99 | max | the longest batch | Jain's index",
    );
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let central = Central::open(pool(&url, 2).unwrap()).await.unwrap();
        let alone = load(&central, &address, &layout, 1).await;
        let many = load(&central, &address, &layout, BOXES).await;
        say(&format!("  {BOXES} boxes / one box: {:.2}x the changes", many / alone));
        central.pool().clone().disconnect().await.unwrap();
    });
}

/// What so many boxes get in, in changes a second.
async fn load(central: &Central, relay: &str, layout: &Layout, boxes: usize) -> f64 {
    let mut ready = Vec::new();
    for _ in 0..boxes {
        ready.push(Pusher::enrol(central, relay, layout).await);
    }
    let began = Instant::now();
    let until = began + seconds();
    let tasks: Vec<_> = ready.into_iter().map(|pusher| tokio::spawn(pusher.push_until(until))).collect();
    let mut times: Vec<Vec<f64>> = Vec::new();
    for task in tasks {
        times.push(task.await.unwrap());
    }
    let took = began.elapsed().as_secs_f64();
    let batches: Vec<f64> = times.iter().map(|times| times.len() as f64).collect();
    let (sum, squares) = (batches.iter().sum::<f64>(), batches.iter().map(|count| count * count).sum::<f64>());
    let mut longest: Vec<f64> = times.iter().flatten().copied().collect();
    let mut means: Vec<f64> = times.iter().map(|times| times.iter().sum::<f64>() / times.len() as f64).collect();
    let [half, most, all] = [0.5, 0.99, 1.0].map(|part| quantile(&mut means, part));
    let changes = sum * (2 * PUNCHES) as f64 / took;
    say(&format!(
        "  {boxes:>5} | {changes:>9.0} | {half:>40.0} | {most:>3.0} | {all:>3.0} | {:>17.0} | {:>12.4}",
        quantile(&mut longest, 1.0),
        sum * sum / (boxes as f64 * squares)
    ));
    changes
}

struct Pusher {
    client: Client,
    epoch: String,
    boot: String,
    at: Mark,
}

impl Pusher {
    async fn enrol(central: &Central, relay: &str, layout: &Layout) -> Self {
        let credential = Credential::random().unwrap();
        let code = central.add_site("春晖").await.unwrap();
        let enrolment = Enrolment {
            credential_hash: secret_hash(credential.reveal()),
            time_zone: "Asia/Shanghai".to_owned(),
            keys_id: code.code.clone(),
            keys_sealed: String::new(),
            token_key_sealed: String::new(),
            relay_key_sealed: String::new(),
            layouts: vec![layout.clone()],
            tip: Mark::START,
            complete: true,
        };
        let enrolled = central.enrol(&code.code, &enrolment).await.unwrap();
        let client = Client::new(relay, Some(&credential), None).unwrap();
        let boot = format!("{:032x}", enrolled.site_id);
        let hello = Hello {
            epoch: enrolled.epoch.clone(),
            boot: boot.clone(),
            version: "0".to_owned(),
            layouts: vec![layout.clone()],
            at: Mark::START,
            tip: 0,
        };
        assert_eq!(client.hello(&hello).await.unwrap(), Answer::Applied(Mark::START));
        Self { client, epoch: enrolled.epoch, boot, at: Mark::START }
    }

    /// Gives the milliseconds that each batch took from its making to its answer.
    async fn push_until(mut self, until: Instant) -> Vec<f64> {
        let mut times = Vec::new();
        while Instant::now() < until {
            let batch = self.batch();
            let packed = batch.pack().unwrap();
            let made = Instant::now();
            loop {
                match self.client.push(packed.clone()).await {
                    Ok(answer) => {
                        assert!(matches!(answer, Answer::Applied(to) | Answer::AlreadyApplied(to) if to == batch.to));
                        break;
                    }
                    Err(LineError::Busy { after }) => tokio::time::sleep(after).await,
                    // One whose answer was lost is repeated too.
                    Err(LineError::Unreachable(_)) => tokio::time::sleep(Duration::from_millis(250)).await,
                    Err(error) => panic!("{error}"),
                }
            }
            self.at = batch.to;
            times.push(made.elapsed().as_secs_f64() * 1e3);
        }
        times
    }

    fn batch(&self) -> Batch {
        let first = self.at.seq / 2 + 1;
        let changes: Vec<Change> = (first..first + PUNCHES).flat_map(punch).collect();
        let to = changes.iter().fold(self.at, Mark::after);
        let (epoch, boot) = (self.epoch.clone(), self.boot.clone());
        Batch { epoch, boot, schema: newest(), from: self.at, to, whole: true, changes }
    }
}

/// The changes of a punch.
fn punch(n: i64) -> [Change; 2] {
    let at = 1_767_225_600_000 + n * 180;
    let employee = n % 50 + 1;
    let images = [
        ("punches", format!(r#"[{n},{employee},"check_in",{at},{at},null,0,1]"#)),
        (
            "audit",
            format!(
                r#"[{n},{at},1,"admin","192.168.1.20","{n:032x}","create","attendance",{n},null,"{{\"employee_id\":{employee}}}","{n:064x}"]"#
            ),
        ),
    ];
    let mut seq = 2 * n - 2;
    images.map(|(table, image)| {
        seq += 1;
        let (pk, op, schema) = (format!("[{n}]"), Op::Insert, newest());
        Change { seq, txn: n, at, table: table.to_owned(), op, pk, image: Some(image), schema }
    })
}
