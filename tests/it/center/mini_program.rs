//! The mini-program through the relay, with the site there and away; and headquarters.

use canshi::wechat::Config;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::{Rig, until};
use crate::process::request;
use crate::proxy::Fault;
use crate::wechat_platform::Platform;

/// A chain whose relay knows a WeChat platform.
struct Chain {
    rig: Rig,
    platform: Platform,
    admin: String,
    _runtime: Runtime,
}

impl Chain {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let platform = runtime.block_on(Platform::start());
        let Config { base_url, appid, secret } = platform.config();
        let rig = Rig::with(&[
            ("CANSHI_WECHAT_BASE_URL", &base_url),
            ("CANSHI_WECHAT_APPID", &appid),
            ("CANSHI_WECHAT_SECRET", &secret),
        ]);
        rig.drained();
        let admin = rig.site.login();
        let chain = Self { rig, platform, admin, _runtime: runtime };
        chain.online();
        chain
    }

    /// A request to the relay.
    fn relay(&self, method: &str, path: &str, token: &str, body: Option<Value>) -> (u16, Value) {
        request(self.rig.relay.address, method, path, token, body.as_ref()).unwrap()
    }

    /// A request to the site on its LAN.
    fn lan(&self, method: &str, path: &str, token: &str, body: Option<Value>) -> (u16, Value) {
        request(self.rig.site.address, method, path, token, body.as_ref()).unwrap()
    }

    /// Adds something on the LAN and gives its id.
    fn add(&self, path: &str, body: Value) -> i64 {
        let (status, answer) = self.lan("POST", path, &self.admin, Some(body));
        assert_eq!(status, 201, "{answer}");
        answer["data"]["id"].as_i64().unwrap()
    }

    /// Logs in with WeChat through the relay.
    fn login(&self, openid: &str, more: Value) -> (u16, Value) {
        let mut body = json!({"code": self.platform.code(openid)});
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        self.relay("POST", "/api/auth/wechat/login", "", Some(body))
    }

    fn token(&self, openid: &str, more: Value) -> String {
        let (status, answer) = self.login(openid, more);
        assert_eq!(status, 200, "{answer}");
        answer["data"]["token"].as_str().unwrap().to_owned()
    }

    fn online(&self) {
        let token = self.headquarters();
        until(|| {
            let (_, sites) = self.relay("GET", "/api/sites", &token, None);
            if sites["data"][0]["online"] == true { Ok(()) } else { Err(sites) }
        });
    }

    fn headquarters(&self) -> String {
        let body = json!({"username": "admin", "password": crate::app::PASSWORD});
        let (status, answer) = self.relay("POST", "/api/auth/login", "", Some(body));
        assert_eq!(status, 200, "{answer}");
        answer["data"]["token"].as_str().unwrap().to_owned()
    }

    /// Cuts the site's line, and waits until the relay knows.
    fn away(&self) {
        self.rig.line.set(Fault::Cut);
        let token = self.headquarters();
        until(|| {
            let (_, sites) = self.relay("GET", "/api/sites", &token, None);
            if sites["data"][0]["online"] == false { Ok(()) } else { Err(sites) }
        });
    }

    fn back(&self) {
        self.rig.line.set(Fault::Pass);
        self.online();
    }

    /// A user who is this employee, bound to an account by a code from the front desk.
    fn bind(&self, openid: &str, role: &str, links: Value) -> String {
        let mut user = json!({"username": openid, "password": "password-1", "role": role, "name": "某人"});
        for (key, value) in links.as_object().unwrap() {
            user[key] = value.clone();
        }
        let id = self.add("/api/users", user);
        let (status, code) = self.lan("POST", &format!("/api/users/{id}/bind-code"), &self.admin, Some(json!({})));
        assert_eq!(status, 201, "{code}");
        self.token(openid, json!({"bind_code": code["data"]["bind_code"]}))
    }
}

/// Today at the site.
fn today() -> jiff::civil::Date {
    jiff::tz::TimeZone::get("Asia/Shanghai").unwrap().to_datetime(jiff::Timestamp::now()).date()
}

fn booking() -> Value {
    let tomorrow = today().tomorrow().unwrap();
    json!({"service_type": "陪护", "date": tomorrow.to_string(), "time": "14:00", "requirements": "安静"})
}

#[test]
fn an_appointment_is_done_at_once_or_promised_and_done_once() {
    let chain = Chain::new();
    let token = chain.token("openid-zhangsan", json!({}));
    let (status, booked) = chain.relay("POST", "/api/wechat/customer/appointment", &token, Some(booking()));
    assert_eq!((status, &booked["data"]["status"]), (201, &json!("pending")), "{booked}");
    let first = booked["data"]["appointment_id"].as_i64().unwrap();
    assert!(first >= 1_000_000_000_000, "an id of the center");

    chain.rig.drained();
    chain.away();
    let (status, promised) = chain.relay("POST", "/api/wechat/customer/appointment", &token, Some(booking()));
    assert_eq!((status, &promised["data"]["status"]), (202, &json!("pending")), "{promised}");
    let second = promised["data"]["appointment_id"].as_i64().unwrap();
    let (status, own) = chain.relay("GET", "/api/wechat/customer/appointments", &token, None);
    assert_eq!(status, 200, "{own}");
    let ids: Vec<i64> =
        own["data"]["items"].as_array().unwrap().iter().map(|item| item["id"].as_i64().unwrap()).collect();
    assert!(ids.contains(&first) && ids.contains(&second), "{own}");
    // What needs the site says that it is away, and since when.
    let (status, refused) = chain.relay("GET", "/api/dishes", &token, None);
    assert_eq!(status, 503, "{refused}");
    assert!(refused["data"]["error"].as_str().unwrap().contains("门店离线"), "{refused}");

    chain.back();
    until(|| {
        let (_, seen) = chain.lan("GET", "/api/appointments?page_size=100", &chain.admin, None);
        if seen["data"]["total"] == 2 { Ok(()) } else { Err(seen) }
    });
    let (_, seen) = chain.lan("GET", "/api/appointments?page_size=100", &chain.admin, None);
    let mut ids: Vec<i64> =
        seen["data"]["items"].as_array().unwrap().iter().map(|item| item["id"].as_i64().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, [first, second]);
    chain.rig.assert_equal();
}

#[test]
fn a_punch_counts_when_the_relay_received_it() {
    let chain = Chain::new();
    let employee = chain.add("/api/employees", json!({"name": "王五", "position": "护士"}));
    let token = chain.bind("openid-wangwu", "employee", json!({"employee_id": employee}));
    chain.rig.drained();
    chain.away();
    let before = jiff::Timestamp::now().as_millisecond();
    let (status, answer) =
        chain.relay("POST", "/api/wechat/admin/attendance", &token, Some(json!({"type": "check_in"})));
    assert_eq!((status, &answer["data"]["status"]), (202, &json!("success")), "{answer}");
    let after = jiff::Timestamp::now().as_millisecond();
    chain.back();
    until(|| match chain.rig.one("select count(*) from punches") {
        Some(count) if count == "1" => Ok(()),
        other => Err(json!(other)),
    });
    let effective = "timestampdiff(microsecond, '1970-01-01', effective_at) div 1000";
    let at: i64 = chain.rig.one(&format!("select {effective} from punches")).unwrap().parse().unwrap();
    assert!((before..=after).contains(&at), "{before} {at} {after}");
    assert_eq!(chain.rig.one("select clock_suspect from punches").as_deref(), Some("0"));
    chain.rig.assert_equal();
}

#[test]
fn what_the_site_refuses_later_comes_back_as_a_notification() {
    let chain = Chain::new();
    let employee = chain.add("/api/employees", json!({"name": "王五", "position": "护士"}));
    let token = chain.bind("openid-wangwu", "employee", json!({"employee_id": employee}));
    chain.rig.drained();
    chain.away();
    // The site sets the employee aside, which the relay can't know yet.
    let path = format!("/api/employees/{employee}");
    assert_eq!(chain.lan("PUT", &path, &chain.admin, Some(json!({"status": "inactive"}))).0, 200);
    let (status, _) = chain.relay("POST", "/api/wechat/admin/attendance", &token, Some(json!({"type": "check_in"})));
    assert_eq!(status, 202);
    chain.back();
    until(|| {
        let (_, told) = chain.relay("GET", "/api/notifications", &token, None);
        let found = told["data"]["items"].as_array().is_some_and(|items| {
            items.iter().any(|item| item["title"] == "打卡未成功" && item["content"] == "员工已停用")
        });
        if found { Ok(()) } else { Err(told) }
    });
    assert_eq!(chain.rig.one("select count(*) from punches").as_deref(), Some("0"));
    chain.rig.assert_equal();
}

#[test]
fn menu_and_dashboard_come_from_the_mirror_with_its_time_while_the_site_is_away() {
    let chain = Chain::new();
    let dish = chain.add("/api/dishes", json!({"name": "小米粥", "category": "汤品", "description": "营养丰富"}));
    let today = today().to_string();
    let menu = json!({"date": today, "type": "breakfast", "dishes": [{"dish_id": dish, "quantity": 1}]});
    chain.add("/api/menus", menu);
    chain.add("/api/customers", json!({"name": "张三", "check_in_date": today}));
    let staff = chain.bind("openid-staff", "employee", json!({}));
    let token = chain.token("openid-zhangsan", json!({}));
    let read = || {
        let menu = chain.relay("GET", "/api/wechat/customer/menu", &token, None);
        let dashboard = chain.relay("GET", "/api/wechat/admin/dashboard", &staff, None);
        assert_eq!((menu.0, dashboard.0), (200, 200), "{menu:?} {dashboard:?}");
        (menu.1, dashboard.1)
    };
    let live = read();
    assert_eq!(live.0["data"]["breakfast"][0]["name"], "小米粥", "{}", live.0);
    assert_eq!(live.1["data"]["today_customers"], 1, "{}", live.1);
    chain.rig.drained();
    chain.away();
    assert_eq!(read(), live);
}

#[test]
fn a_token_of_the_relay_works_on_the_sites_lan_and_the_other_way_round() {
    let chain = Chain::new();
    let token = chain.token("openid-zhangsan", json!({}));
    let (status, me) = chain.lan("GET", "/api/auth/me", &token, None);
    assert_eq!((status, &me["data"]["role"]), (200, &json!("customer")), "{me}");
    // The site's own token, at the relay: its administrator sees the site's customers, live.
    assert_eq!(chain.relay("GET", "/api/customers", &chain.admin, None).0, 200);
    // But nothing of headquarters.
    assert_eq!(chain.relay("GET", "/api/sites", &chain.admin, None).0, 403);
    let headquarters = chain.headquarters();
    assert_eq!(chain.lan("GET", "/api/customers", &headquarters, None).0, 401);
}

#[test]
fn headquarters_reads_and_writes_at_a_site_and_tells_all_of_them() {
    let chain = Chain::new();
    let token = chain.headquarters();
    let proxy = format!("/api/sites/{}/customers", chain.rig.site_id);
    let (status, made) = chain.relay("POST", &proxy, &token, Some(json!({"name": "总部客户"})));
    assert_eq!(status, 201, "{made}");
    let (status, list) = chain.relay("GET", &format!("{proxy}?search=总部"), &token, None);
    assert_eq!((status, &list["data"]["total"]), (200, &json!(1)), "{list}");
    let (status, said) =
        chain.relay("POST", "/api/broadcast", &token, Some(json!({"title": "通知", "content": "明日消防演习"})));
    assert_eq!(status, 202, "{said}");
    until(|| {
        let (_, told) = chain.lan("GET", "/api/notifications", &chain.admin, None);
        if told["data"]["items"][0]["content"] == "明日消防演习" { Ok(()) } else { Err(told) }
    });
    let by = chain.lan("GET", "/api/audit?noun=customers", &chain.admin, None).1;
    assert_eq!(by["data"]["items"][0]["role"], "headquarters", "{by}");
    chain.rig.assert_equal();
    // The whole state of the site, from what the center has confirmed.
    let (_, sites) = chain.relay("GET", "/api/sites", &token, None);
    let site = &sites["data"][0];
    assert_eq!(
        (&site["pending"], &site["quarantined"], &site["fenced"]),
        (&json!(0), &json!(0), &Value::Null),
        "{sites}"
    );
}
