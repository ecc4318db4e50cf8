//! Any mix of writes over a line with any faults: in the end the mirror is the site, and nothing came twice.

use serde_json::{Value, json};

use super::{Fault, Pair};
use crate::mariadb::MariaDb;
use crate::schedule::{Seed, rounds};

async fn write_something(pair: &Pair, seed: &mut Seed) {
    let name = ["张三", "O'Brien \\ \"x\"", "😀餐食", "上午：\u{200d}👩\u{200d}🍼", " 空格 "][seed.below(5) as usize];
    match seed.below(5) {
        0 => drop(pair.app.post("/api/customers", json!({"name": name, "contact": "13800138000"})).await.expect(201)),
        1 => {
            let entry = json!({"type": "income", "category": "餐费", "amount": 0.01, "description": name});
            drop(pair.app.post("/api/finance/transactions", entry).await.expect(201));
        }
        2 => {
            let items: Vec<Value> =
                (0..seed.below(40) + 1).map(|at| json!({"name": format!("菜{at}"), "category": "肉菜"})).collect();
            drop(pair.app.post("/api/dishes/batch", json!({"create": items})).await.expect(200));
        }
        3 => {
            let dish = pair.app.post("/api/dishes", json!({"name": name, "category": "主食"})).await.expect(201);
            let path = format!("/api/dishes/{}", dish["id"]);
            pair.app.put(&path, json!({"price": 58.00, "description": null})).await.expect(200);
            if seed.below(2) == 0 {
                pair.app.delete(&path).await.expect(200);
            }
        }
        _ => {
            let role =
                json!({"name": format!("role{}", seed.below(1 << 40)), "permissions": ["menus.read", "dishes.read"]});
            let role = pair.app.post("/api/roles", role).await.expect(201);
            let path = format!("/api/roles/{}", role["id"]);
            // Rows go away and come back.
            pair.app.put(&path, json!({"permissions": ["menus.read"]})).await.expect(200);
            pair.app.put(&path, json!({"permissions": ["menus.read", "dishes.read"]})).await.expect(200);
        }
    }
}

#[tokio::test]
async fn after_any_faults_the_mirror_is_the_site() {
    let mut seed = Seed::from_env("CANSHI_FAULT_SEED");
    let pair = Pair::new().await;
    for _ in 0..rounds("CANSHI_SYNC_ROUNDS", 200) {
        for _ in 0..seed.below(6) {
            write_something(&pair, &mut seed).await;
        }
        let faults = (0..seed.below(8))
            .map(|_| *seed.pick(&[Fault::Good, Fault::Lost, Fault::AnswerLost, Fault::Twice, Fault::Busy]))
            .collect();
        let line = pair.line().with(faults).await;
        pair.drain_over(&line).await.unwrap();
    }
    pair.assert_equal().await;
    // The audit trail has one row for each thing that was done: none came twice under another id.
    let quarantined = MariaDb::shared().query(&pair.database, "select count(*) from canshi_quarantine");
    assert_eq!(quarantined[0][0].as_deref(), Some("0"));
}

#[tokio::test]
async fn a_center_that_was_restored_from_an_older_backup_is_filled_again() {
    let mut seed = Seed::from_env("CANSHI_FAULT_SEED");
    // A server of its own, since all of it goes back.
    let mut server = MariaDb::start();
    let database = server.new_database();
    let pair = Pair::at(&server, database).await;
    write_something(&pair, &mut seed).await;
    pair.drain_over(&pair.line()).await.unwrap();
    let backup = server.snapshot();
    for _ in 0..5 {
        write_something(&pair, &mut seed).await;
        pair.drain_over(&pair.line()).await.unwrap();
    }
    server.rewind(&backup);
    write_something(&pair, &mut seed).await;
    pair.drain_over(&pair.line()).await.unwrap();
    pair.assert_equal_at(&server).await;
}
