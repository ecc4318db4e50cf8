//! What the store promises: all of a write or nothing, on the disk before it is acknowledged.

use std::time::Duration;

use canshi::error::{Error, Result};
use canshi::http::app::EdgeConfig;
use canshi::store::audit::verify_chain;
use canshi::store::open::{DataDir, Options, prepare};
use canshi::store::settings;
use serde_json::json;

use crate::app::TestApp;

fn keys(app: &TestApp) -> Vec<String> {
    let connection = app.rows();
    let mut statement = connection.prepare("select key from settings where key like 'test.%' order by key").unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(|key| key.unwrap()).collect()
}

#[tokio::test]
async fn of_a_group_exactly_the_good_writes_are_kept() {
    let app = TestApp::new().await;
    let tasks: Vec<_> = (0..200)
        .map(|n| {
            let db = app.db().clone();
            tokio::spawn(async move {
                db.write(move |tx| {
                    settings::set(tx, &format!("test.{n:03}"), "1")?;
                    if n % 3 == 0 { Err(Error::Conflict("no".into())) } else { Ok(n) }
                })
                .await
            })
        })
        .collect();
    for (n, task) in tasks.into_iter().enumerate() {
        let outcome = task.await.unwrap();
        if n % 3 == 0 {
            assert!(matches!(outcome, Err(Error::Conflict(_))), "{n}: {outcome:?}");
        } else {
            assert_eq!(outcome.unwrap(), n);
        }
    }
    let good: Vec<String> = (0..200).filter(|n| n % 3 != 0).map(|n| format!("test.{n:03}")).collect();
    assert_eq!(keys(&app), good);
    assert_eq!(app.db().writes_waiting(), 0);
}

#[tokio::test]
async fn a_write_that_panics_leaves_nothing_and_the_next_one_works() {
    let app = TestApp::new().await;
    let outcome = app
        .db()
        .write(|tx| -> Result<()> {
            settings::set(tx, "test.partial", "1")?;
            panic!("on purpose")
        })
        .await;
    assert!(matches!(outcome, Err(Error::Panicked)), "{outcome:?}");
    app.db().write(|tx| settings::set(tx, "test.next", "1")).await.unwrap();
    assert_eq!(keys(&app), ["test.next"]);
}

#[tokio::test]
async fn a_full_database_refuses_writes_and_keeps_what_was_acknowledged() {
    let app = TestApp::with(EdgeConfig::default(), Options { database_bytes_max: Some(2 << 20) }).await;
    let long = "清".repeat(2000);
    let mut acknowledged = 0;
    let refused = loop {
        let body = json!({"name": format!("客户{acknowledged}"), "preferences": long});
        let reply = app.post("/api/customers", body).await;
        if reply.status != 201 {
            break reply;
        }
        acknowledged += 1;
        assert!(acknowledged < 450, "the database never gets full");
    };
    refused.refused(507, None);
    assert_eq!(refused.json()["message"], "存储空间不足");
    assert!(acknowledged > 0);
    let list = app.get("/api/customers?page_size=1").await.expect(200);
    assert_eq!(list["total"], acknowledged);
    for n in 0..10 {
        let reply = app.post("/api/customers", json!({"name": format!("小{n}")})).await;
        assert!(matches!(reply.status, 201 | 507), "{}", reply.text);
        acknowledged += i64::from(reply.status == 201);
    }
    assert_eq!(app.get("/api/customers?page_size=1").await.expect(200)["total"], acknowledged);
    let rows: i64 = app.rows().query_row("select count(*) from customers", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, acknowledged);
    let check: String = app.rows().query_row("pragma integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}

#[tokio::test]
async fn a_caller_that_hangs_up_does_not_break_later_writes() {
    let app = TestApp::new().await;
    let dropped = app.db().write(|tx| settings::set(tx, "test.dropped", "1"));
    drop(tokio::time::timeout(Duration::ZERO, dropped).await);
    for n in 0..20 {
        let db = app.db().clone();
        let key = format!("test.aborted.{n}");
        let task = tokio::spawn(async move { db.write(move |tx| settings::set(tx, &key, "1")).await });
        tokio::task::yield_now().await;
        task.abort();
        drop(task.await);
    }
    app.db().write(|tx| settings::set(tx, "test.later", "1")).await.unwrap();
    let keys = keys(&app);
    assert!(keys.contains(&"test.later".to_owned()));
    // It was accepted before its caller hung up, so it is done all the same.
    assert!(keys.contains(&"test.dropped".to_owned()), "{keys:?}");
    app.post("/api/customers", json!({"name": "张三"})).await.expect(201);
}

#[tokio::test]
async fn the_audit_trail_shows_that_it_was_altered() {
    let app = TestApp::new().await;
    for name in ["甲", "乙", "丙"] {
        app.post("/api/customers", json!({"name": name})).await.expect(201);
    }
    let length = app.db().read(verify_chain).await.unwrap();
    let connection = app.rows();
    let rows: i64 = connection.query_row("select count(*) from audit", [], |row| row.get(0)).unwrap();
    assert_eq!(length, rows);
    assert!(length >= 3);
    let trigger: String = connection
        .query_row("select sql from sqlite_schema where name = 'capture_audit_update'", [], |row| row.get(0))
        .unwrap();
    connection.execute_batch("drop trigger capture_audit_update").unwrap();
    connection.execute("update audit set role = 'x' || role where id = 2", []).unwrap();
    match app.db().read(verify_chain).await {
        Err(Error::Corrupt(why)) => assert_eq!(why, "audit row 2 was changed"),
        other => panic!("{other:?}"),
    }
    connection.execute("update audit set role = substr(role, 2) where id = 2", []).unwrap();
    assert_eq!(app.db().read(verify_chain).await.unwrap(), length);
    connection.execute_batch(&trigger).unwrap();
    app.post("/api/customers", json!({"name": "丁"})).await.expect(201);
    assert!(app.db().read(verify_chain).await.unwrap() > length);
}

#[test]
fn a_database_of_a_newer_program_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let data = DataDir::lock(directory.path()).unwrap();
    drop(prepare(&data, "Asia/Shanghai").unwrap());
    drop(prepare(&data, "Asia/Shanghai").unwrap());
    let connection = rusqlite::Connection::open(data.database()).unwrap();
    let sql = "insert into refinery_schema_history (version, name, applied_on, checksum)
               values (9999, 'future', '2024-01-01T00:00:00Z', '0')";
    connection.execute(sql, []).unwrap();
    drop(connection);
    match prepare(&data, "Asia/Shanghai") {
        Err(Error::Conflict(why)) => assert!(why.contains("9999"), "{why}"),
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("a newer database was opened"),
    }
}

#[test]
fn sqlite_is_past_the_wal_reset_bug() {
    assert!(rusqlite::version_number() >= 3_051_003, "{}", rusqlite::version());
}
