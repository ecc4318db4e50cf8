//! Processes are killed and lines are cut at any moment; nothing that was acknowledged is lost, doubled or torn, and once the
//! faults stop, everything arrives.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;

use super::{Rig, add_customer};
use crate::process::request;
use crate::proxy::Fault;
use crate::schedule::{Seed, rounds};

/// Rounds unless `CANSHI_FAULT_ROUNDS` says otherwise.
const ROUNDS: u64 = 24;

/// Names of customers that the site acknowledged.
fn write_for_a_while(rig: &Rig, next: &AtomicU64, stop: &AtomicBool) -> Vec<String> {
    let mut acknowledged = Vec::new();
    let token = rig.site.login();
    while !stop.load(Ordering::Relaxed) {
        let name = format!("客户{}", next.fetch_add(1, Ordering::Relaxed));
        if !add_customer(&rig.site, &token, &name) {
            break;
        }
        acknowledged.push(name);
    }
    acknowledged
}

/// Checks that the mirror shows whole transactions only: a customer and its audit row come together.
fn assert_whole(rig: &Rig) {
    let sql = "select (select count(*) from customers) - (select count(*) from audit where noun = 'customers' and action = 'create')";
    assert_eq!(rig.one(sql).as_deref(), Some("0"), "a torn transaction");
}

#[test]
fn nothing_is_lost_doubled_or_torn_whatever_dies() {
    let mut seed = Seed::from_env("CANSHI_FAULT_SEED");
    let mut rig = Rig::new();
    rig.drained();
    let next = AtomicU64::new(0);
    let mut acknowledged = Vec::new();
    for _ in 0..rounds("CANSHI_FAULT_ROUNDS", ROUNDS) {
        let stop = AtomicBool::new(false);
        let writes = 1 + seed.below(12);
        let fault = *seed.pick(&[
            Fault::Pass,
            Fault::Cut,
            Fault::BlackHole,
            Fault::LoseAnswers,
            Fault::Latency(Duration::from_millis(120)),
            Fault::CutAfter(300),
        ]);
        rig.line.set(fault);
        let from = next.load(Ordering::Relaxed);
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| write_for_a_while(&rig, &next, &stop));
            while next.load(Ordering::Relaxed) < from + writes {
                std::thread::yield_now();
            }
            assert_whole(&rig);
            stop.store(true, Ordering::Relaxed);
            acknowledged.extend(writer.join().unwrap());
        });
        match seed.below(8) {
            0 | 1 => rig.restart_site(),
            2 | 3 => rig.restart_relay(),
            4 => {
                rig.server.kill();
                rig.server.restart();
            }
            _ => {}
        }
        rig.line.set(Fault::Pass);
    }
    rig.assert_equal();
    let rows = rig.server.query(&rig.database, "select name, count(*) from customers group by name");
    let mut found: HashMap<String, String> =
        rows.into_iter().map(|mut row| (row.remove(0).unwrap(), row.remove(0).unwrap())).collect();
    for name in &acknowledged {
        assert_eq!(found.remove(name).as_deref(), Some("1"), "{name}");
    }
}

#[test]
fn a_site_that_is_killed_amid_its_writes_sends_exactly_what_it_keeps() {
    let mut seed = Seed::from_env("CANSHI_FAULT_SEED");
    let mut rig = Rig::new();
    let next = AtomicU64::new(0);
    for _ in 0..rounds("CANSHI_FAULT_ROUNDS", 6) {
        let stop = AtomicBool::new(false);
        let (from, writes) = (next.load(Ordering::Relaxed), 1 + seed.below(30));
        let process = rig.site.child.id().to_string();
        let acknowledged = std::thread::scope(|scope| {
            let writer = scope.spawn(|| write_for_a_while(&rig, &next, &stop));
            while next.load(Ordering::Relaxed) < from + writes {
                std::thread::yield_now();
            }
            assert!(std::process::Command::new("kill").args(["-9", &process]).status().unwrap().success());
            writer.join().unwrap()
        });
        rig.restart_site();
        rig.assert_equal();
        for name in acknowledged {
            assert_eq!(rig.one(&format!("select count(*) from customers where name = '{name}'")).as_deref(), Some("1"));
        }
    }
}

#[test]
fn mysql_from_an_older_backup_is_filled_again_by_itself() {
    let mut rig = Rig::new();
    let token = rig.site.login();
    assert!(add_customer(&rig.site, &token, "之前"));
    rig.drained();
    let backup = rig.server.snapshot();
    assert!(add_customer(&rig.site, &token, "之后"));
    rig.drained();
    rig.server.rewind(&backup);
    assert_eq!(rig.one("select count(*) from customers").as_deref(), Some("1"));
    // Without any further change on the site.
    super::until(|| match rig.differences() {
        found if found.is_empty() => Ok(()),
        found => Err(json!(found)),
    });
}

#[test]
fn the_site_does_not_notice_that_the_center_is_away() {
    let mut rig = Rig::new();
    rig.drained();
    rig.relay.kill();
    let token = rig.site.login();
    for name in ["甲", "乙", "丙"] {
        assert!(add_customer(&rig.site, &token, name));
    }
    let standing = super::until(|| {
        let standing = super::standing(&rig.site, &token);
        if standing["state"] == "offline" { Ok(standing) } else { Err(standing) }
    });
    assert!(standing["pending_changes"].as_i64().unwrap() >= 6, "{standing}");
    assert!(standing["oldest_pending_at"].is_string(), "{standing}");
    let (status, _) = request(rig.site.address, "GET", "/api/customers", &token, None).unwrap();
    assert_eq!(status, 200);
    rig.relay = crate::relay::Relay::start_on(&rig.url(), rig.relay.address);
    rig.assert_equal();
}
