//! Running the site: the command line, backups, stopping.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use serde_json::json;

use crate::process::{Site, canshi, request};

fn text(output: &std::process::Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_backup_made_while_serving_restores_to_the_same_site() {
    let directory = tempfile::tempdir().unwrap();
    let (data, copy) = (directory.path().join("data"), directory.path().join("copy"));
    let file = directory.path().join("backup.db");
    let (data, copy, file) = (data.to_str().unwrap(), copy.to_str().unwrap(), file.to_str().unwrap());
    let mut site = Site::start(data.as_ref());
    let token = site.login();
    let body = json!({"name": "张三", "contact": "13800138000"});
    assert_eq!(request(site.address, "POST", "/api/customers", &token, Some(&body)).unwrap().0, 201);
    let made = canshi(&["backup", "--data", data, "--to", file]).output().unwrap();
    assert!(made.status.success(), "{}", text(&made));
    assert_eq!(canshi(&["backup", "--data", data, "--to", file]).output().unwrap().status.code(), Some(1));
    assert!(site.terminate() < Duration::from_secs(5));
    assert!(!String::from_utf8_lossy(&fs::read(file).unwrap()).contains("13800138000"));

    let restored = canshi(&["restore", "--data", copy, "--from", file]).output().unwrap();
    assert!(restored.status.success(), "{}", text(&restored));
    assert_eq!(canshi(&["restore", "--data", copy, "--from", file]).output().unwrap().status.code(), Some(1));
    let site = Site::start(copy.as_ref());
    let token = site.login();
    let (_, answer) = request(site.address, "GET", "/api/customers?search=13800138000", &token, None).unwrap();
    assert_eq!(answer["data"]["items"][0]["contact"], "13800138000");
}

#[test]
fn a_wrong_or_truncated_backup_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    drop(Site::start(&data));
    let file = directory.path().join("backup.db");
    let (data, file) = (data.to_str().unwrap(), file.to_str().unwrap());
    assert!(canshi(&["backup", "--data", data, "--to", file]).output().unwrap().status.success());
    let whole = fs::read(file).unwrap();
    let mut flipped = whole.clone();
    for byte in &mut flipped[4096..8192] {
        *byte = !*byte;
    }
    for (name, bytes) in
        [("half", &whole[..whole.len() / 2]), ("text", b"not a database".as_slice()), ("bits", &flipped)]
    {
        let bad = directory.path().join(name);
        fs::write(&bad, bytes).unwrap();
        let into = directory.path().join(format!("into-{name}"));
        let keys = format!("{file}.keys");
        let arguments = ["restore", "--data", into.to_str().unwrap(), "--from", bad.to_str().unwrap(), "--keys", &keys];
        let refused = canshi(&arguments).output().unwrap();
        assert_eq!(refused.status.code(), Some(1), "{name}: {}", text(&refused));
        assert!(!into.join("canshi.db").exists(), "{name}");
    }
}

#[test]
fn wrong_use_is_refused_with_a_reason() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let data = data.to_str().unwrap();
    assert_eq!(canshi(&["serve"]).output().unwrap().status.code(), Some(2));
    assert_eq!(canshi(&["fly"]).output().unwrap().status.code(), Some(2));
    let site = Site::start(data.as_ref());
    let second = canshi(&["serve", "--data", data, "--listen", "127.0.0.1:0"]).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second).contains("in use by another"), "{}", text(&second));
    drop(site);
    let demo = canshi(&["serve", "--data", data, "--listen", "127.0.0.1:0", "--demo"]).output().unwrap();
    assert_eq!(demo.status.code(), Some(1));
    assert!(text(&demo).contains("empty"), "{}", text(&demo));
    let zone =
        canshi(&["serve", "--data", data, "--listen", "127.0.0.1:0"]).env("CANSHI_TIME_ZONE", "UTC").output().unwrap();
    assert_eq!(zone.status.code(), Some(1));
}

#[test]
fn the_doctor_finds_what_was_tampered_with() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let site = Site::start(&data);
    let token = site.login();
    let entry = json!({"type": "income", "category": "餐费", "amount": 10});
    assert_eq!(request(site.address, "POST", "/api/finance/transactions", &token, Some(&entry)).unwrap().0, 201);
    let doctor = || canshi(&["doctor", "--data", data.to_str().unwrap()]).output().unwrap();
    let healthy = doctor();
    assert!(healthy.status.success(), "{}", text(&healthy));
    drop(site);
    let connection = rusqlite::Connection::open(data.join("canshi.db")).unwrap();
    let tampered = |sql: &str, undo: &str| {
        connection.execute_batch(sql).unwrap();
        assert_eq!(doctor().status.code(), Some(1), "{sql}");
        connection.execute_batch(undo).unwrap();
        let healthy = doctor();
        assert!(healthy.status.success(), "{undo}: {}", text(&healthy));
    };
    tampered(
        "update transaction_totals set sum_fen = sum_fen + 1",
        "update transaction_totals set sum_fen = sum_fen - 1",
    );
    let trigger: String = connection
        .query_row("select sql from sqlite_schema where name = 'capture_audit_update'", [], |row| row.get(0))
        .unwrap();
    connection.execute_batch("drop trigger capture_audit_update").unwrap();
    assert_eq!(doctor().status.code(), Some(1), "a missing trigger");
    let change = "update audit set address = 'x' || address where id = 2";
    connection.execute_batch(change).unwrap();
    connection.execute_batch(&trigger).unwrap();
    assert!(text(&doctor()).contains("audit row 2 was changed"), "{}", text(&doctor()));
    let keys = data.join("keys.json");
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(text(&doctor()).contains("mode"));
}

#[test]
fn a_missing_trigger_or_key_keeps_the_site_from_starting() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    drop(Site::start(&data));
    let start = || canshi(&["serve", "--data", data.to_str().unwrap(), "--listen", "127.0.0.1:0"]).output().unwrap();
    fs::rename(data.join("keys.json"), data.join("away")).unwrap();
    assert_eq!(start().status.code(), Some(1));
    fs::rename(data.join("away"), data.join("keys.json")).unwrap();
    let connection = rusqlite::Connection::open(data.join("canshi.db")).unwrap();
    connection.execute_batch("drop trigger capture_punches_insert").unwrap();
    assert!(text(&start()).contains("capture_punches_insert"));
}

#[test]
fn a_forgotten_password_is_set_on_the_command_line() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    drop(Site::start(&data));
    let made = canshi(&["user", "password", "--data", data.to_str().unwrap(), "--username", "admin"]).output().unwrap();
    assert!(made.status.success(), "{}", text(&made));
    let password = String::from_utf8(made.stdout).unwrap().split_whitespace().last().unwrap().to_owned();
    let site = Site::start(&data);
    let login = json!({"username": "admin", "password": password});
    assert_eq!(request(site.address, "POST", "/api/auth/login", "", Some(&login)).unwrap().0, 200);
    let old = json!({"username": "admin", "password": crate::app::PASSWORD});
    assert_eq!(request(site.address, "POST", "/api/auth/login", "", Some(&old)).unwrap().0, 401);
}
