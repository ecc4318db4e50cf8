//! The outbox holds every change of every travelling table, whole and in order.

use std::collections::BTreeMap;

use axum::http::Method;
use canshi::service::setup;
use canshi::store::migrations::TRAVELLING;
use canshi_sync::capture::describe;
use canshi_sync::outbox::{Op, changes_after};
use rusqlite::Connection;
use serde_json::json;

use crate::app::TestApp;
use crate::mail::headquarters;

/// Replays the outbox from its beginning and compares what comes out with the tables, row by row.
pub fn assert_replays(connection: &Connection) {
    let changes = changes_after(connection, 0, 1_000_000).unwrap();
    let mut replayed: BTreeMap<(String, String), String> = BTreeMap::new();
    let mut txn = 0;
    for (index, change) in changes.into_iter().enumerate() {
        assert_eq!(change.seq, index as i64 + 1, "the places have a gap");
        assert!(change.txn >= txn, "the transactions are out of order");
        txn = change.txn;
        let key = (change.table, change.pk);
        match (change.op, change.image) {
            (Op::Insert, Some(image)) => assert!(replayed.insert(key, image).is_none(), "inserted twice"),
            (Op::Update, Some(image)) => assert!(replayed.insert(key, image).is_some(), "updated before inserted"),
            (Op::Delete, None) => assert!(replayed.remove(&key).is_some(), "deleted before inserted"),
            other => panic!("{key:?}: {other:?}"),
        }
    }
    let mut kept = BTreeMap::new();
    for table in TRAVELLING {
        let shape = describe(connection, table).unwrap();
        let sql = format!(
            "select json_array({}), json_array({}) from {table}",
            shape.key.join(", "),
            shape.columns.join(", ")
        );
        let mut statement = connection.prepare(&sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))).unwrap();
        for row in rows {
            let (key, image) = row.unwrap();
            kept.insert((table.to_owned(), key), image);
        }
    }
    assert_eq!(replayed, kept);
}

#[tokio::test]
async fn every_travelling_table_is_written_to_and_replays() {
    let app = TestApp::new().await;
    let customer = app.post("/api/customers", json!({"name": "张三", "contact": "13800138000"})).await.expect(201);
    app.put(&format!("/api/customers/{}", customer["id"]), json!({"name": "张三😀", "age": 30})).await.expect(200);
    let dish = app.post("/api/dishes", json!({"name": "清蒸鱼", "category": "肉菜", "price": 58.00})).await.expect(201);
    let second = app.post("/api/dishes", json!({"name": "白米饭", "category": "主食"})).await.expect(201);
    let dishes = json!([{"dish_id": dish["id"], "quantity": 2}, {"dish_id": second["id"], "quantity": 1}]);
    let menu =
        app.post("/api/menus", json!({"date": "2024-01-01", "type": "lunch", "dishes": dishes})).await.expect(201);
    let fewer = json!({"dishes": [{"dish_id": second["id"], "quantity": 3}]});
    app.put(&format!("/api/menus/{}", menu["id"]), fewer).await.expect(200);
    let employee = app.post("/api/employees", json!({"name": "王五", "position": "厨师"})).await.expect(201);
    app.post("/api/employees/attendance", json!({"employee_id": employee["id"], "type": "check_in"})).await.expect(200);
    let entry = json!({"type": "income", "category": "餐费", "amount": 0.01});
    let entry = app.post("/api/finance/transactions", entry).await.expect(201);
    app.post(&format!("/api/finance/transactions/{}/void", entry["id"]), json!({"reason": "重复"})).await.expect(200);
    app.put("/api/settings", json!({"center_name": "春晖月子中心"})).await.expect(200);
    app.post("/api/roles", json!({"name": "nurse", "permissions": ["menus.read"]})).await.expect(201);
    app.db()
        .write(|tx| {
            use canshi::service::notifications::{Audience, notify};
            notify(tx, Audience::Everyone, "标题", "内容").map(drop)
        })
        .await
        .unwrap();
    let appointment = json!({"service_type": "陪护", "date": "2024-01-02", "time": "14:00"});
    app.post("/api/wechat/customer/appointment", appointment).await.expect(201);
    app.post("/api/appointments/1/confirm", json!({})).await.expect(200);
    app.post("/api/notifications/1/read", json!({})).await.expect(200);
    setup::note_start(app.db()).await.unwrap();
    let letter = headquarters("m1");
    app.deliver(letter, Method::POST, "/api/customers", Some(json!({"name": "李四"}))).await.expect(201);
    app.post("/api/suppliers", json!({"name": "鲜蔬配送行", "category": "食材采购"})).await.expect(201);
    let payee = json!({"account": "6222020200012345678", "account_name": "王五", "bank_name": "中国工商银行"});
    app.put(&format!("/api/employees/{}/payees/bank", employee["id"]), payee).await.expect(200);
    app.put("/api/settings", json!({"payout_approval_limit": 9000})).await.expect(200);
    crate::payouts::pay_wages(&app, employee["id"].as_i64().unwrap(), "2024-01").await;
    app.post("/api/payment/payroll-files", json!({})).await.expect(201);
    crate::reconciliations::find_something(&app).await;
    let connection = app.rows();
    for table in TRAVELLING {
        let changes: i64 =
            connection.query_row("select count(*) from outbox where tbl = ?1", [table], |row| row.get(0)).unwrap();
        assert!(changes > 0, "nothing of {table} was captured");
    }
}

#[tokio::test]
async fn a_refused_write_leaves_no_change_and_no_gap() {
    let app = TestApp::new().await;
    let before: i64 = app.rows().query_row("select max(seq) from outbox", [], |row| row.get(0)).unwrap();
    let batch = json!({"create": [{"name": "甲"}, {"name": "乙"}], "delete": [99]});
    assert_eq!(app.post("/api/customers/batch", batch).await.refused(404, "delete[0]"), "客户不存在");
    let after: i64 = app.rows().query_row("select max(seq) from outbox", [], |row| row.get(0)).unwrap();
    assert_eq!(before, after);
    app.post("/api/customers", json!({"name": "丙"})).await.expect(201);
}
