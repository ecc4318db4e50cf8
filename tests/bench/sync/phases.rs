//! Where the time of a drained batch goes: the steps one after the other, in this process, with the same MySQL.

use std::path::Path;
use std::time::Instant;

use canshi::relay::start::open;
use canshi_sync::batch::{Batch, Limits, cut};
use canshi_sync::central::Enrolment;
use canshi_sync::chain::Mark;
use canshi_sync::ledger::layouts;
use canshi_sync::wire::{Answer, Hello};

use crate::mariadb::MariaDb;
use crate::{database, say};

/// Cuts, packs, unpacks and applies the whole backlog of a site.
pub fn measure(server: &MariaDb, data: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (changes, seconds) = runtime.block_on(drain(&server.url(&server.new_database()), data));
    let [cut, pack, unpack, apply] = seconds.map(|seconds| seconds * 1e6 / changes as f64);
    say(&format!(
        "  ms for 1,000 rows, alone in one process: cut and hash {cut:.1}, pack {pack:.1}, unpack and check {unpack:.1}, apply {apply:.1}"
    ));
}

async fn drain(url: &str, data: &Path) -> (usize, [f64; 4]) {
    let central = open(url, 4).await.unwrap();
    let outbox = database(data);
    let layouts = layouts(&outbox).unwrap();
    let code = central.add_site("春晖").await.unwrap();
    let enrolment = Enrolment {
        credential_hash: String::new(),
        time_zone: "Asia/Shanghai".to_owned(),
        keys_id: String::new(),
        keys_sealed: String::new(),
        token_key_sealed: String::new(),
        relay_key_sealed: String::new(),
        layouts: layouts.clone(),
        tip: Mark::START,
        complete: true,
    };
    let epoch = central.enrol(&code.code, &enrolment).await.unwrap().epoch;
    let boot = "boot".to_owned();
    let hello =
        Hello { epoch: epoch.clone(), boot: boot.clone(), version: "0".to_owned(), layouts, at: Mark::START, tip: 0 };
    assert_eq!(central.hello(code.site_id, &hello).await.unwrap(), Answer::Applied(Mark::START));
    let (mut from, mut within, mut count, mut seconds) = (Mark::START, false, 0, [0.0; 4]);
    loop {
        let started = Instant::now();
        let Some((to, whole, changes)) = cut(&outbox, from, within, Limits::default()).unwrap() else { break };
        seconds[0] += started.elapsed().as_secs_f64();
        let schema = changes[0].schema;
        let batch = Batch { epoch: epoch.clone(), boot: boot.clone(), schema, from, to, whole, changes };
        let started = Instant::now();
        let packed = batch.pack().unwrap();
        seconds[1] += started.elapsed().as_secs_f64();
        let started = Instant::now();
        let batch = Batch::unpack(&packed).unwrap();
        seconds[2] += started.elapsed().as_secs_f64();
        let started = Instant::now();
        assert_eq!(central.push(code.site_id, &batch, &packed).await.unwrap(), Answer::Applied(to));
        seconds[3] += started.elapsed().as_secs_f64();
        (from, within, count) = (to, !whole, count + batch.changes.len());
    }
    central.pool().clone().disconnect().await.unwrap();
    (count, seconds)
}
