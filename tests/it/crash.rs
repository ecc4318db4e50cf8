//! `kill -9` at any moment loses nothing that was acknowledged and doubles nothing.

use std::collections::HashMap;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use serde_json::json;

use crate::process::{Site, canshi, exchange, free_address, request};

/// Rounds unless `CANSHI_CRASH_ROUNDS` says otherwise.
const ROUNDS: u64 = 50;
const CLIENTS: u64 = 8;

fn rounds() -> u64 {
    std::env::var("CANSHI_CRASH_ROUNDS").ok().map_or(ROUNDS, |rounds| rounds.parse().unwrap())
}

/// Adds entries, each with its own amount as its name, until the connection breaks; gives those that were acknowledged.
fn write_until_cut(site: &Site, token: &str, next: &AtomicU64, stop: &AtomicBool) -> Vec<u64> {
    let mut acknowledged = Vec::new();
    let Ok(mut stream) = TcpStream::connect(site.address) else { return acknowledged };
    while !stop.load(Ordering::Relaxed) {
        let mark = next.fetch_add(1, Ordering::Relaxed);
        let body = json!({"employee_id": 1, "type": if mark % 2 == 0 { "check_in" } else { "check_out" }});
        let path = "/api/employees/attendance";
        match exchange(&mut stream, "POST", path, token, Some(&body)) {
            Some((200, _)) => {}
            Some((status, answer)) => panic!("{status} {answer}"),
            None => break,
        }
        let body = json!({"type": "income", "category": "餐费", "amount": 1, "description": mark.to_string()});
        match exchange(&mut stream, "POST", "/api/finance/transactions", token, Some(&body)) {
            Some((201, _)) => acknowledged.push(mark),
            Some((status, answer)) => panic!("{status} {answer}"),
            None => break,
        }
    }
    acknowledged
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_by_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let next = AtomicU64::new(0);
    let mut acknowledged: Vec<u64> = Vec::new();
    let mut punched = 0;
    for round in 0..rounds() {
        let mut site = Site::start(&data);
        let token = site.login();
        if round == 0 {
            let body = json!({"name": "王五", "position": "厨师"});
            assert_eq!(request(site.address, "POST", "/api/employees", &token, Some(&body)).unwrap().0, 201);
        }
        let stop = AtomicBool::new(false);
        let seen: Vec<Vec<u64>> = std::thread::scope(|scope| {
            let clients: Vec<_> =
                (0..CLIENTS).map(|_| scope.spawn(|| write_until_cut(&site, &token, &next, &stop))).collect();
            // The moment of the kill differs from round to round: after so many answers, not after so much time.
            let until = next.load(Ordering::Relaxed) + 1 + (round * 7919) % 60;
            while next.load(Ordering::Relaxed) < until && clients.iter().any(|client| !client.is_finished()) {
                std::thread::sleep(Duration::from_micros(50 + (round * 37) % 400));
            }
            let killer =
                std::process::Command::new("kill").args(["-9", &site.child.id().to_string()]).status().unwrap();
            assert!(killer.success());
            stop.store(true, Ordering::Relaxed);
            clients.into_iter().map(|client| client.join().unwrap()).collect()
        });
        site.child.wait().unwrap();
        punched += seen.iter().map(Vec::len).sum::<usize>();
        acknowledged.extend(seen.into_iter().flatten());
    }
    let site = Site::start(&data);
    drop(site);
    let connection = Connection::open(data.join("canshi.db")).unwrap();
    let mut statement = connection.prepare("select description, count(*) from transactions group by 1").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))).unwrap();
    let kept: HashMap<String, i64> = rows.map(Result::unwrap).collect();
    assert!(kept.values().all(|count| *count == 1), "an entry is doubled");
    let lost: Vec<&u64> = acknowledged.iter().filter(|mark| !kept.contains_key(&mark.to_string())).collect();
    assert!(lost.is_empty(), "acknowledged but lost: {lost:?}");
    assert!(acknowledged.len() as u64 >= rounds(), "the clients hardly wrote: {}", acknowledged.len());
    let punches: i64 = connection.query_row("select count(*) from punches", [], |row| row.get(0)).unwrap();
    assert!(punches >= punched as i64, "{punched} punches were acknowledged, {punches} are there");
    crate::outbox::assert_replays(&connection);
    let doctor = canshi(&["doctor", "--data", data.to_str().unwrap()]).output().unwrap();
    assert!(doctor.status.success(), "{}", String::from_utf8_lossy(&doctor.stdout));
}

#[test]
fn a_full_disk_refuses_writes_keeps_everything_and_recovers() {
    let directory = tempfile::tempdir().unwrap();
    let address = free_address();
    // A file system of eight megabytes in a mount namespace of its own.
    let script = format!(
        "mount -t tmpfs -o size=8m tmpfs {dir} && exec {binary} serve --data {dir}/data --listen {address}",
        dir = directory.path().display(),
        binary = env!("CARGO_BIN_EXE_canshi"),
    );
    let mut command = canshi(&[]);
    let mut unshare = std::process::Command::new("unshare");
    unshare.args(["--map-root-user", "--mount", "sh", "-c", &script]);
    unshare.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(std::process::Stdio::null());
    let site = Site::spawn(unshare, address);
    let token = site.login();
    let inside = |path: &str| format!("/proc/{}/root{}/{path}", site.child.id(), directory.path().display());
    let text = "很长的说明".repeat(300);
    let entry = json!({"type": "expense", "category": "食材采购", "amount": 1.5, "description": text});
    let post = || request(address, "POST", "/api/finance/transactions", &token, Some(&entry)).unwrap();
    let mut written = 0;
    let refused = loop {
        match post() {
            (201, _) => written += 1,
            (507, answer) => break answer,
            other => panic!("{other:?}"),
        }
        assert!(written < 10_000, "the disk never filled");
    };
    assert_eq!(refused["message"], "存储空间不足");
    assert!(refused["data"]["error"].is_string());
    let total = |status: u16| {
        let (got, answer) = request(address, "GET", "/api/finance/transactions?page_size=1", &token, None).unwrap();
        assert_eq!(got, status, "{answer}");
        answer["data"]["total"].as_i64().unwrap()
    };
    assert_eq!(total(200), written, "reads go on and see what was acknowledged");
    let remount = std::process::Command::new("nsenter")
        .args(["--target", &site.child.id().to_string(), "--user", "--mount", "--preserve-credentials"])
        .args(["mount", "-o", "remount,size=64m", directory.path().to_str().unwrap()])
        .output()
        .unwrap();
    assert!(remount.status.success(), "{}", String::from_utf8_lossy(&remount.stderr));
    assert!(std::path::Path::new(&inside("data/canshi.db")).exists());
    assert_eq!(post().0, 201, "room again, and it writes again");
    assert_eq!(total(200), written + 1);
}
