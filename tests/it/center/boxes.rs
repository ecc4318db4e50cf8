//! Boxes that are copied, restored, dead and rebuilt: which of them is the site, and which is fenced.

use std::process::Command;

use serde_json::json;

use super::{Rig, add_customer, another_address, differing, drained, run_json, standing, until};
use crate::process::Site;

fn copy(from: &std::path::Path, to: &std::path::Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

/// Waits until a site says that it is fenced.
fn fenced(site: &Site) {
    let token = site.login();
    until(|| {
        let standing = standing(site, &token);
        if standing["state"] == "fenced" { Ok(()) } else { Err(standing) }
    });
    // The LAN goes on.
    assert!(add_customer(site, &token, "围栏后"));
}

#[test]
fn a_copy_started_beside_the_living_box_is_fenced_before_anything_of_it_is_applied() {
    let mut rig = Rig::new();
    rig.drained();
    rig.site.kill();
    let copied = rig.data.with_file_name("copy");
    copy(&rig.data, &copied);
    rig.site = Site::start_on(&rig.data, rig.site.address);
    rig.drained();
    let copy = Site::start_on(&copied, another_address());
    fenced(&copy);
    let token = rig.site.login();
    assert!(add_customer(&rig.site, &token, "真"));
    rig.assert_equal();
    assert_eq!(rig.one("select count(*) from customers where name = '围栏后'").as_deref(), Some("0"));
    assert!(rig.one("select fenced_reason from canshi_positions").is_some(), "headquarters sees it");
}

#[test]
fn a_copy_of_a_box_that_did_nothing_since_is_fenced_while_that_box_lives() {
    let rig = Rig::new();
    rig.drained();
    // It is connected: its first poll is held.
    until(|| {
        match rig.one("select count(*) from canshi_positions where lease_until > utc_timestamp(3) + interval 5 second")
        {
            Some(count) if count == "1" => Ok(()),
            other => Err(json!(other)),
        }
    });
    let copied = rig.data.with_file_name("copy");
    // Copied while it runs, and the box itself stays idle: only the lease tells them apart.
    copy(&rig.data, &copied);
    let copy = Site::start_on(&copied, another_address());
    fenced(&copy);
    rig.assert_equal();
}

#[test]
fn an_older_backup_is_fenced_and_enrolled_again_and_the_mirror_becomes_equal() {
    let mut rig = Rig::new();
    let token = rig.site.login();
    assert!(add_customer(&rig.site, &token, "备份前"));
    rig.drained();
    let backup = rig.data.with_file_name("backup.db");
    let data = rig.data.to_str().unwrap().to_owned();
    let (code, said) = super::run(&["backup", "--data", &data, "--to", backup.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    assert!(add_customer(&rig.site, &token, "备份后"));
    rig.drained();
    rig.site.kill();
    // The disk is lost but for the backup and the enrolment.
    let old = rig.data.with_file_name("old");
    std::fs::rename(&rig.data, &old).unwrap();
    let (code, said) = super::run(&["restore", "--data", &data, "--from", backup.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    std::fs::copy(old.join("relay.json"), rig.data.join("relay.json")).unwrap();
    rig.site = Site::start_on(&rig.data, rig.site.address);
    fenced(&rig.site);
    assert_eq!(rig.one("select count(*) from customers where name = '备份后'").as_deref(), Some("1"));
    let status = run_json(&["sync", "status", "--data", &data, "--json"]);
    assert_eq!(status["state"], "fenced", "{status}");

    let url = rig.url();
    let code = run_json(&["site", "code", &rig.site_id.to_string(), "--mysql", &url, "--json"]);
    let relay = format!("http://{}", rig.line.address);
    let code = code["code"].as_str().unwrap();
    let enrolled = run_json(&["enroll", "--data", &data, "--relay", &relay, "--code", code, "--json"]);
    assert_eq!(enrolled["site_id"], json!(rig.site_id));
    until(|| match rig.differences() {
        found if found.is_empty() => Ok(()),
        found => Err(json!(found)),
    });
    assert_eq!(rig.one("select count(*) from customers where name = '备份后'").as_deref(), Some("0"));
    let kept = rig.one("select count(*) from canshi_differences where tbl = 'customers'");
    assert_ne!(kept.as_deref(), Some("0"), "what was overwritten is kept");
    rig.assert_equal();
}

#[test]
fn a_dead_box_is_rebuilt_from_the_center_and_the_old_one_is_fenced() {
    let mut rig = Rig::new();
    let token = rig.site.login();
    let contact = json!({"name": "张三", "contact": "13800138000", "dietary_restrictions": "不吃香菜"});
    let (status, answer) =
        crate::process::request(rig.site.address, "POST", "/api/customers", &token, Some(&contact)).unwrap();
    assert_eq!(status, 201, "{answer}");
    let entry = json!({"type": "income", "category": "餐费", "amount": 58.5});
    crate::process::request(rig.site.address, "POST", "/api/finance/transactions", &token, Some(&entry)).unwrap();
    rig.drained();
    rig.site.kill();

    let url = rig.url();
    let code = run_json(&["site", "code", &rig.site_id.to_string(), "--mysql", &url, "--json"]);
    let rebuilt = rig.data.with_file_name("rebuilt");
    let relay = format!("http://{}", rig.line.address);
    let new = rebuilt.to_str().unwrap();
    let code = code["code"].as_str().unwrap();
    let said = run_json(&["restore", "--data", new, "--relay", &relay, "--code", code, "--json"]);
    assert_eq!((&said["site_id"], &said["lost"]), (&json!(rig.site_id), &json!(0)), "{said}");
    assert_eq!(differing(&rig.server, &rig.database, &rebuilt, rig.site_id), Vec::<String>::new());

    // The old box comes back to life: it is fenced, and nothing of it arrives.
    let old = Site::start_on(&rig.data, rig.site.address);
    let site = Site::start_on(&rebuilt, another_address());
    fenced(&old);
    // What was taken away from a role is not given back.
    let facts = rusqlite::Connection::open(rebuilt.join("canshi.db")).unwrap();
    let granted: i64 =
        facts.query_row("select count(*) from site where key like 'granted.%'", [], |row| row.get(0)).unwrap();
    assert!(granted > 0);
    // The new one is the site: sealed fields open, searches find, totals add up.
    let token = site.login();
    let get = |path: &str| crate::process::request(site.address, "GET", path, &token, None).unwrap().1["data"].clone();
    assert_eq!(get("/api/customers?search=zhangsan")["items"][0]["contact"], "13800138000");
    assert_eq!(get("/api/customers?search=13800138000")["total"], 1);
    assert!(add_customer(&site, &token, "新盒"));
    drained(&site);
    assert_eq!(differing(&rig.server, &rig.database, &rebuilt, rig.site_id), Vec::<String>::new());
    assert_eq!(rig.one("select count(*) from customers where name = '围栏后'").as_deref(), Some("0"));
    let (code, said) = super::run(&["doctor", "--data", new]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_site_whose_credential_was_taken_back_is_locked_out_until_it_is_enrolled_again() {
    let rig = Rig::new();
    rig.drained();
    let (url, site) = (rig.url(), rig.site_id.to_string());
    let (code, said) = super::run(&["site", "revoke", &site, "--mysql", &url]);
    assert_eq!(code, Some(0), "{said}");
    let token = rig.site.login();
    until(|| {
        // Something to send.
        assert!(add_customer(&rig.site, &token, "吊销后"));
        let standing = standing(&rig.site, &token);
        if standing["state"] == "fenced" { Ok(()) } else { Err(standing) }
    });
    let data = rig.data.to_str().unwrap();
    let status = run_json(&["sync", "status", "--data", data, "--json"]);
    assert_eq!(status["state"], "fenced", "{status}");
    assert!(status["fenced"].as_str().unwrap().contains("credential"), "{status}");
    let again = run_json(&["site", "code", &site, "--mysql", &url, "--json"]);
    let relay = format!("http://{}", rig.line.address);
    let code = again["code"].as_str().unwrap();
    let enrolled = run_json(&["enroll", "--data", data, "--relay", &relay, "--code", code, "--json"]);
    assert_eq!(enrolled["site_id"], json!(rig.site_id));
    until(|| match rig.differences() {
        found if found.is_empty() => Ok(()),
        found => Err(json!(found)),
    });
    rig.assert_equal();
    // The same once more changes nothing.
    assert_eq!(run_json(&["enroll", "--data", data, "--relay", &relay, "--code", code, "--json"]), enrolled);
}
