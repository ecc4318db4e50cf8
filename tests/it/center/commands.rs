//! `canshi sync` and its exit codes.

use serde_json::json;

use super::{Rig, add_customer, run, run_json};
use crate::proxy::Fault;

#[test]
fn verify_finds_what_was_changed_at_the_center_and_repair_makes_it_equal() {
    let mut rig = Rig::new();
    let token = rig.site.login();
    for number in 0..30 {
        assert!(add_customer(&rig.site, &token, &format!("客户{number}")));
    }
    rig.drained();
    let data = rig.data.to_str().unwrap().to_owned();
    assert_eq!(run_json(&["sync", "verify", "--data", &data, "--json"])["equal"], json!(true));
    rig.server.query(&rig.database, "update customers set name = '改' where id = 3");
    rig.server.query(&rig.database, "delete from customers where id in (7, 8)");
    rig.server.query(&rig.database, "insert into customers (site_id, id, name, mirror_seq) values (1, 99, '假', 0)");
    let (code, said) = run(&["sync", "verify", "--data", &data]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("customers: 4 rows differ"), "{said}");
    // Beside the running server.
    let repaired = run_json(&["sync", "repair", "--data", &data, "--json"]);
    assert_eq!(repaired["different"], json!(4));
    assert_eq!(run(&["sync", "verify", "--data", &data]).0, Some(0));
    rig.assert_equal();
    // And without one.
    rig.server.query(&rig.database, "delete from customers where id = 9");
    rig.site.kill();
    let repaired = run_json(&["sync", "repair", "--data", &data, "--json"]);
    assert_eq!(repaired["different"], json!(1));
    assert_eq!(run(&["sync", "verify", "--data", &data]).0, Some(0));
}

#[test]
fn commands_say_what_is_wrong() {
    let rig = Rig::new();
    rig.drained();
    let data = rig.data.to_str().unwrap();
    rig.line.set(Fault::Cut);
    assert_eq!(run(&["sync", "verify", "--data", data]).0, Some(2), "it could not tell");
    rig.line.set(Fault::Pass);
    let empty = tempfile::tempdir().unwrap();
    let nowhere = empty.path().to_str().unwrap();
    assert_eq!(run(&["sync", "verify", "--data", nowhere]).0, Some(2));
    assert_eq!(run(&["sync", "status", "--data", nowhere]).0, Some(1));
    assert_eq!(run(&["sync", "repair", "--data", nowhere]).0, Some(1));
    assert_eq!(run(&["sync", "mend", "--data", data]).0, Some(2), "wrong use");
    assert_eq!(run(&["restore", "--data", nowhere]).0, Some(2), "wrong use");
    let relay = format!("http://{}", rig.line.address);
    let (code, said) = run(&["enroll", "--data", nowhere, "--relay", &relay, "--code", "WRONG"]);
    assert_eq!(code, Some(1), "{said}");
    let (code, said) = run(&["enroll", "--data", nowhere, "--relay", "http://example.com", "--code", "WRONG"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("https"), "{said}");
}
