//! How far the mirror is behind a site that writes all the time.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable as _;
use serde_json::json;

use crate::mariadb::MariaDb;
use crate::process::Site;
use crate::relay::{Relay, add_site};
use crate::{Desk, quantile, say, seconds};

/// The time from one write to the next: 50 a second.
const EVERY: Duration = Duration::from_millis(20);
/// The pause between two looks at the mirror.
const LOOK: Duration = Duration::from_millis(2);
/// How long the last row may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Measures it.
pub fn measure(server: &MariaDb, home: &Path) {
    let database = server.new_database();
    let url = server.url(&database);
    let relay = Relay::start(&url);
    let (_, code) = add_site(&url, "春晖");
    let site = Site::start_enrolled(&home.join("site"), &format!("http://{}", relay.address), &code);
    let mut desk = Desk::open(&site);
    let ended = AtomicBool::new(false);
    let (acknowledged, seen) = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(server, &database, &ended));
        // The first writes find the connections cold, and are not counted.
        let began = Instant::now();
        let mut acknowledged = HashMap::new();
        let (mut writes, warm) = (0, began + Duration::from_secs(2));
        while began.elapsed() < seconds() * 2 + Duration::from_secs(2) {
            writes += 1;
            let answer = desk.call("POST", "/api/customers", &json!({"name": format!("客户{writes}")}));
            let now = Instant::now();
            if now >= warm {
                acknowledged.insert(answer["id"].as_i64().unwrap(), now);
            }
            std::thread::sleep((EVERY * writes).saturating_sub(began.elapsed()));
        }
        std::thread::sleep(Duration::from_secs(1));
        ended.store(true, Ordering::Relaxed);
        (acknowledged, watcher.join().unwrap())
    });
    let mut lags: Vec<f64> = acknowledged
        .iter()
        .map(|(id, at)| seen.get(id).expect("every row came").saturating_duration_since(*at).as_secs_f64() * 1e3)
        .collect();
    let mut bare = bare(server);
    say(&format!("\n3. From the site's acknowledgment to the row in MySQL, {} writes at 50 a second", lags.len()));
    say("               |   p50 ms |   p99 ms |   max ms");
    for (what, values) in [("replication", &mut lags), ("a bare insert", &mut bare)] {
        let [half, most, all] = [0.5, 0.99, 1.0].map(|part| quantile(values, part));
        say(&format!("  {what:<13}| {half:>8.1} | {most:>8.1} | {all:>8.1}"));
    }
}

/// When each customer was first seen in the mirror.
fn watch(server: &MariaDb, database: &str, ended: &AtomicBool) -> HashMap<i64, Instant> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut conn = server.connect(database).await;
        let (mut seen, mut newest) = (HashMap::new(), 0_i64);
        let began = Instant::now();
        while !ended.load(Ordering::Relaxed) {
            let sql = "select id from customers where site_id = 1 and id > ? order by id";
            let found: Vec<i64> = conn.exec(sql, (newest,)).await.unwrap();
            let now = Instant::now();
            newest = found.last().copied().unwrap_or(newest);
            seen.extend(found.into_iter().map(|id| (id, now)));
            assert!(began.elapsed() < seconds() * 2 + PATIENCE, "the writes have an end");
            tokio::time::sleep(LOOK).await;
        }
        conn.disconnect().await.unwrap();
        seen
    })
}

/// How long a durable insert of one row takes, in milliseconds.
fn bare(server: &MariaDb) -> Vec<f64> {
    let database = server.new_database();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut conn = server.connect(&database).await;
        conn.query_drop("create table facts (id bigint primary key, name varchar(255))").await.unwrap();
        let mut times = Vec::new();
        let began = Instant::now();
        while began.elapsed() < seconds() {
            let started = Instant::now();
            conn.exec_drop("insert into facts values (?, '客户')", (times.len(),)).await.unwrap();
            times.push(started.elapsed().as_secs_f64() * 1e3);
            tokio::time::sleep(EVERY.saturating_sub(started.elapsed())).await;
        }
        conn.disconnect().await.unwrap();
        times
    })
}
