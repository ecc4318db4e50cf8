//! `kill -9` at any moment loses nothing that was acknowledged and doubles nothing.

use std::collections::HashMap;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::process::{Site, canshi, exchange, free_address, request};
use crate::schedule::rounds;

/// Rounds unless `CANSHI_CRASH_ROUNDS` says otherwise.
const ROUNDS: u64 = 50;
const CLIENTS: u64 = 8;

/// What one client was told.
struct Acknowledged {
    employee: i64,
    punches: i64,
    entries: Vec<u64>,
}

/// Punches for one employee and adds entries, each named by its own number, until the connection breaks.
fn write_until_cut(site: &Site, token: &str, employee: i64, next: &AtomicU64) -> Acknowledged {
    let mut acknowledged = Acknowledged { employee, punches: 0, entries: Vec::new() };
    let Ok(mut stream) = TcpStream::connect(site.address) else { return acknowledged };
    loop {
        let mark = next.fetch_add(1, Ordering::Relaxed);
        let body =
            json!({"employee_id": employee, "type": if mark.is_multiple_of(2) { "check_in" } else { "check_out" }});
        match exchange(&mut stream, "POST", "/api/employees/attendance", token, Some(&body)) {
            Some((200, _)) => acknowledged.punches += 1,
            Some((status, answer)) => panic!("{status} {answer}"),
            None => return acknowledged,
        }
        let body = json!({"type": "income", "category": "餐费", "amount": 1, "description": mark.to_string()});
        match exchange(&mut stream, "POST", "/api/finance/transactions", token, Some(&body)) {
            Some((201, _)) => acknowledged.entries.push(mark),
            Some((status, answer)) => panic!("{status} {answer}"),
            None => return acknowledged,
        }
    }
}

/// Starts the site, lets the clients write, and kills it after so many requests, at another moment every round.
fn one_round(data: &Path, round: u64, next: &AtomicU64) -> Vec<Acknowledged> {
    let mut site = Site::start(data);
    let token = site.login();
    let staff: Vec<Value> = (0..CLIENTS).map(|_| json!({"name": "王五", "position": "厨师"})).collect();
    let (status, answer) =
        request(site.address, "POST", "/api/employees/batch", &token, Some(&json!({"create": staff}))).unwrap();
    assert_eq!(status, 200, "{answer}");
    let seen = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS as usize)
            .map(|client| {
                let employee = answer["data"]["created"][client]["id"].as_i64().unwrap();
                let (site, token) = (&site, &token);
                scope.spawn(move || write_until_cut(site, token, employee, next))
            })
            .collect();
        let until = next.load(Ordering::Relaxed) + 1 + (round * 7919) % 60;
        while next.load(Ordering::Relaxed) < until && clients.iter().any(|client| !client.is_finished()) {
            std::thread::yield_now();
        }
        let killed = Command::new("kill").args(["-9", &site.child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    site.child.wait().unwrap();
    seen
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_by_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let next = AtomicU64::new(0);
    let rounds = rounds("CANSHI_CRASH_ROUNDS", ROUNDS);
    let seen: Vec<Acknowledged> = (0..rounds).flat_map(|round| one_round(&data, round, &next)).collect();
    drop(Site::start(&data));
    let connection = Connection::open(data.join("canshi.db")).unwrap();
    let mut statement = connection.prepare("select description, count(*) from transactions group by 1").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))).unwrap();
    let kept: HashMap<String, i64> = rows.map(Result::unwrap).collect();
    assert!(kept.values().all(|count| *count == 1), "an entry is doubled");
    for client in &seen {
        let lost: Vec<_> = client.entries.iter().filter(|mark| !kept.contains_key(&mark.to_string())).collect();
        assert!(lost.is_empty(), "acknowledged but lost: {lost:?}");
        let sql = "select count(*) from punches where employee_id = ?1";
        let punches: i64 = connection.query_row(sql, [client.employee], |row| row.get(0)).unwrap();
        // The one that was on its way at the kill may be there without having been acknowledged.
        let exactly = client.punches..=client.punches + 1;
        assert!(exactly.contains(&punches), "{} punches were acknowledged, {punches} are there", client.punches);
    }
    let acknowledged: i64 = seen.iter().map(|client| client.punches).sum();
    assert!(acknowledged >= 5 * rounds as i64, "the clients hardly wrote: {acknowledged}");
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
    let mut unshare = Command::new("unshare");
    unshare.args(["--map-root-user", "--mount", "sh", "-c", &script]);
    unshare.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(Stdio::null());
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
    let remount = Command::new("nsenter")
        .args(["--target", &site.child.id().to_string(), "--user", "--mount", "--preserve-credentials"])
        .args(["mount", "-o", "remount,size=64m", directory.path().to_str().unwrap()])
        .output()
        .unwrap();
    assert!(remount.status.success(), "{}", String::from_utf8_lossy(&remount.stderr));
    assert!(Path::new(&inside("data/canshi.db")).exists());
    assert_eq!(post().0, 201, "room again, and it writes again");
    assert_eq!(total(200), written + 1);
}
