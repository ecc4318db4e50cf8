//! The relay's core as real processes on a real server: starting, the commands, headquarters, and who may do what.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use canshi::domain::access::Access;
use canshi::domain::access::Permission::SitesRead;
use canshi::relay;
use canshi::service::tokens::{Claims, Tokens};
use canshi::store::keys::Secret;
use serde_json::{Value, json};

use crate::app::PASSWORD;
use crate::mariadb::MariaDb;
use crate::process::{Site, canshi, lasting_address, request};
use crate::relay::{Relay, add_site};

/// How long a relay may believe what it found out, and a little more for a busy machine.
const BELIEVED_AT_MOST: Duration = Duration::from_secs(20);

/// A center in a database of its own.
struct Center {
    url: String,
    database: String,
    relay: Relay,
}

/// A site that has enrolled, without a box behind it.
struct Box {
    id: i64,
    credential: String,
    token_key: Secret,
    relay_key: Secret,
}

fn new_url() -> (String, String) {
    let database = MariaDb::shared().new_database();
    (MariaDb::shared().url(&database), database)
}

impl Center {
    fn start() -> Self {
        let (url, database) = new_url();
        let relay = Relay::start(&url);
        Self { url, database, relay }
    }

    fn ask(&self, method: &str, path: &str, token: &str, body: Option<Value>) -> (u16, Value) {
        ask(&self.relay, method, path, token, body)
    }

    fn sql(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        MariaDb::shared().query(&self.database, sql)
    }

    fn login(&self, username: &str) -> String {
        login(&self.relay, username)
    }

    /// Enrols a box as a new site, and gives the site a user 1 of this role in the mirror.
    fn enrol(&self, name: &str, role: &str) -> Box {
        let (id, code) = add_site(&self.url, name);
        let enrolled = self.trade(&code, &credential(id));
        assert_eq!(enrolled.0, 200, "{}", enrolled.1);
        let data = &enrolled.1["data"];
        assert_eq!((data["site_id"].as_i64(), data["name"].as_str()), (Some(id), Some(name)));
        self.sql(&format!("insert into roles (site_id, id, name, mirror_seq) values ({id}, 1, 'admin', 1)"));
        self.sql(&format!("insert into roles (site_id, id, name, mirror_seq) values ({id}, 3, 'customer', 1)"));
        let permissions = "insert into role_permissions (site_id, role_id, permission, mirror_seq) values";
        self.sql(&format!("{permissions} ({id}, 3, 'menus.read', 1), ({id}, 3, 'sites.read', 1)"));
        let role_id = if role == "admin" { 1 } else { 3 };
        self.sql(&format!(
            "insert into users (site_id, id, username, name, role_id, status, mirror_seq)
             values ({id}, 1, 'somebody', '某人', {role_id}, 'active', 1)"
        ));
        Box {
            id,
            credential: credential(id),
            token_key: token_key(id),
            relay_key: Secret::from_base64(data["relay_key"].as_str().unwrap()).unwrap(),
        }
    }

    fn trade(&self, code: &str, credential: &str) -> (u16, Value) {
        let site = i64::from_str_radix(&credential[..2], 16).unwrap();
        let request = json!({
            "code": code, "credential": credential, "time_zone": "Asia/Shanghai", "keys": "{}", "keys_id": format!("{site}"),
            "token_key": token_key(site).to_base64(), "layouts": [], "complete": true,
            "tip": {"seq": 0, "hash": "0".repeat(64)},
        });
        self.ask("POST", "/sync/v1/enroll", "", Some(request))
    }
}

fn ask(relay: &Relay, method: &str, path: &str, token: &str, body: Option<Value>) -> (u16, Value) {
    request(relay.address, method, path, token, body.as_ref()).unwrap()
}

fn login(relay: &Relay, username: &str) -> String {
    let body = json!({"username": username, "password": PASSWORD});
    let (status, answer) = ask(relay, "POST", "/api/auth/login", "", Some(body));
    assert_eq!(status, 200, "{answer}");
    answer["data"]["token"].as_str().unwrap().to_owned()
}

fn credential(site: i64) -> String {
    format!("{site:02x}").repeat(32)
}

fn token_key(site: i64) -> Secret {
    Secret::from_base64(&"A".repeat(42).replacen('A', &format!("{}", site % 10), 1)).unwrap()
}

fn claims(user: i64, session: &str) -> Claims {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    Claims {
        iss: String::new(),
        sub: user,
        role: String::new(),
        sid: session.to_owned(),
        jti: "token".to_owned(),
        iat: now,
        exp: now + 600,
        site: None,
    }
}

impl Box {
    /// A token as the site itself issues them.
    fn site_token(&self, user: i64) -> String {
        Tokens::of_site(&self.token_key).sign(claims(user, "anything")).unwrap()
    }

    /// A token as the relay issues them, with its session.
    fn relay_token(&self, center: &Center, user: i64) -> String {
        let session = format!("session {} {user}", self.id);
        center.sql(&format!(
            "insert into canshi_sessions (id, site_id, user_id, token_id, refreshable_until, created_at)
             values ('{session}', {}, {user}, 'token', utc_timestamp(3) + interval 1 day, utc_timestamp(3))",
            self.id
        ));
        Tokens::of_relay(&self.relay_key, self.id).sign(claims(user, &session)).unwrap()
    }
}

/// Waits for what a relay has to find out, at the latest when it stops believing what it knew.
fn soon(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < BELIEVED_AT_MOST, "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn refused(output: &Output, code: i32, why: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(why), "{said}");
}

#[test]
fn a_mysql_that_acknowledges_before_the_disk_is_refused() {
    let server = MariaDb::start();
    let url = server.url(&server.new_database());
    server.query("", "set global innodb_flush_log_at_trx_commit = 2");
    let address = lasting_address().to_string();
    let arguments = ["relay", "--mysql", &url, "--listen", &address];
    refused(&canshi(&arguments).output().unwrap(), 1, "innodb_flush_log_at_trx_commit is 2, not 1");
    let mut command = canshi(&arguments);
    let mut child = command.env("CANSHI_RELAY_ALLOW_WEAK_MYSQL", "true").stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let warning = lines.find(|line| line.as_ref().is_ok_and(|line| line.starts_with("WARNING"))).unwrap().unwrap();
    assert!(warning.contains("innodb_flush_log_at_trx_commit"), "{warning}");
    assert!(lines.next().unwrap().unwrap().contains("canshi relays at http://"));
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    assert!(child.wait().unwrap().success(), "a relay stops in good order");
}

#[test]
fn a_schema_of_a_newer_program_is_refused() {
    let (url, database) = new_url();
    add_site(&url, "春晖");
    MariaDb::shared().query(
        &database,
        "insert into refinery_schema_history (version, name, applied_on, checksum)
         values (999, 'later', '2030-01-01T00:00:00Z', '1')",
    );
    let address = lasting_address().to_string();
    let output = canshi(&["relay", "--mysql", &url, "--listen", &address]).output().unwrap();
    refused(&output, 1, "schema has version 999");
}

#[test]
fn two_relays_start_at_once_on_an_empty_mysql_and_are_one_center() {
    let (url, database) = new_url();
    let (one, other) = std::thread::scope(|scope| {
        let one = scope.spawn(|| Relay::start(&url));
        let other = scope.spawn(|| Relay::start(&url));
        (one.join().unwrap(), other.join().unwrap())
    });
    let counts = "select (select count(*) from canshi_secrets), (select count(*) from canshi_users)";
    assert_eq!(MariaDb::shared().query(&database, counts)[0], [Some("1".to_owned()), Some("1".to_owned())]);
    let token = login(&one, "admin");
    assert_eq!(ask(&other, "GET", "/api/auth/me", &token, None).0, 200, "a token of one is good at the other");
    assert_eq!(ask(&other, "POST", "/api/auth/logout", &token, None).0, 200);
    soon("a logout at one relay is known at the other", || ask(&one, "GET", "/api/auth/me", &token, None).0 == 401);
}

#[test]
fn a_relay_has_no_place_for_a_certificate_of_its_own() {
    let address = lasting_address().to_string();
    let mut command = canshi(&["relay", "--mysql", "mysql://root@127.0.0.1:1/canshi", "--listen", &address]);
    refused(&command.env("CANSHI_TLS", "self-signed").output().unwrap(), 1, "tls: a relay has no data directory");
}

#[test]
fn sites_are_added_listed_and_given_codes() {
    let (url, _) = new_url();
    let run = |arguments: &[&str]| canshi(arguments).env("CANSHI_MYSQL", &url).output().unwrap();
    let json = |arguments: &[&str]| -> Value {
        let output = run(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    assert_eq!(json(&["site", "list", "--json"]), json!([]));
    let added = json(&["site", "add", "--name", "春晖", "--json"]);
    assert_eq!((added["site_id"].as_i64(), added["code"].as_str().map(str::len)), (Some(1), Some(20)));
    let again = json(&["site", "code", "1", "--json"]);
    assert_ne!(added["code"], again["code"]);
    let listed = json(&["site", "list", "--json"]);
    assert_eq!((&listed[0]["name"], &listed[0]["state"]), (&json!("春晖"), &json!("added")));
    let table = String::from_utf8(run(&["site", "list"]).stdout).unwrap();
    assert!(table.starts_with("ID  STATE") && table.contains("春晖"), "{table}");
    assert_eq!(json(&["site", "replay", "1", "--json"])["applied"], 0);
    refused(&run(&["site", "code", "7"]), 1, "no such site");
    refused(&run(&["site", "revoke", "7"]), 1, "no such site");
    refused(&run(&["site", "replay", "7"]), 1, "no such site");
    refused(&run(&["site", "add", "--name", " "]), 2, "a name has 1 to 64 characters");
    refused(&run(&["site", "code", "none"]), 2, "invalid value");
    refused(&run(&["site", "nothing"]), 2, "unrecognized");
}

#[test]
fn a_mysql_url_that_cannot_be_meant_is_wrong_use_and_is_not_repeated() {
    for (url, why) in [("nonsense", "can't be read"), ("mysql://root:verysecret@127.0.0.1:1/", "names no database")] {
        let output = canshi(&["site", "list", "--mysql", url]).output().unwrap();
        refused(&output, 2, why);
        assert!(!String::from_utf8_lossy(&output.stderr).contains("verysecret"));
    }
    refused(&canshi(&["site", "list"]).env_remove("CANSHI_MYSQL").output().unwrap(), 2, "--mysql");
    let output = canshi(&["site", "list", "--mysql", "mysql://root:verysecret@127.0.0.1:1/canshi"]).output().unwrap();
    refused(&output, 1, "MySQL");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("verysecret"));
}

#[test]
fn a_code_is_good_once_and_for_a_day() {
    let center = Center::start();
    let (id, code) = add_site(&center.url, "春晖");
    let first = center.trade(&code, &credential(id));
    assert_eq!(first.0, 200, "{}", first.1);
    assert_eq!(center.trade(&code, &credential(id)), first, "a repeat of a lost answer gets the same");
    let (status, answer) = center.trade(&code, &credential(id + 1));
    assert_eq!((status, answer["data"]["field"].as_str()), (400, Some("code")), "{answer}");
    let (late, code) = add_site(&center.url, "秋实");
    center.sql(&format!("update canshi_codes set expires_at = utc_timestamp(3) where site_id = {late}"));
    assert_eq!(center.trade(&code, &credential(late)).0, 400);
    assert_eq!(center.trade("NOSUCHCODE", &credential(late)).0, 400);
    assert_eq!(center.trade(&code, "ab").0, 400, "a credential has 64 digits");
}

#[test]
fn a_credential_that_is_taken_back_is_a_strangers() {
    let center = Center::start();
    let (spring, autumn) = (center.enrol("春晖", "admin"), center.enrol("秋实", "admin"));
    let loaded = |site: &Box| center.ask("POST", "/sync/v1/loaded", &site.credential, Some(json!({}))).0;
    assert_eq!((loaded(&spring), loaded(&autumn)), (200, 200));
    let me = |token: &str| center.ask("GET", "/api/auth/me", token, None).0;
    let tokens = [spring.site_token(1), spring.relay_token(&center, 1)];
    assert_eq!(tokens.each_ref().map(|token| me(token)), [200, 200]);
    let id = spring.id.to_string();
    assert!(canshi(&["site", "revoke", &id, "--mysql", &center.url]).status().unwrap().success());
    soon("the box is a stranger", || loaded(&spring) == 401);
    soon("so are its users", || tokens.each_ref().map(|token| me(token)) == [401, 401]);
    assert_eq!(loaded(&autumn), 200);
    assert_eq!(me(&autumn.site_token(1)), 200);
}

#[test]
fn headquarters_logs_in_refreshes_and_logs_out() {
    let center = Center::start();
    let wrong = json!({"username": "admin", "password": "not the password"});
    let (status, answer) = center.ask("POST", "/api/auth/login", "", Some(wrong));
    assert_eq!((status, answer["data"]["error"].as_str()), (401, Some("用户名或密码错误")));
    let token = center.login("admin");
    let (status, me) = center.ask("GET", "/api/auth/me", &token, None);
    assert_eq!((status, &me["data"]["username"], &me["data"]["site_id"]), (200, &json!("admin"), &Value::Null));
    assert!(me["data"]["permissions"].as_array().unwrap().contains(&json!("sites.write")));
    let (status, answer) = center.ask("POST", "/api/auth/refresh", &token, None);
    assert_eq!(status, 200, "{answer}");
    let renewed = answer["data"]["token"].as_str().unwrap();
    assert_eq!(center.ask("GET", "/api/auth/me", &token, None).0, 401, "the old token is dead");
    assert_eq!(center.ask("POST", "/api/auth/refresh", &token, None).0, 401);
    assert_eq!(center.ask("POST", "/api/auth/logout", renewed, None).0, 200);
    assert_eq!(center.ask("GET", "/api/auth/me", renewed, None).0, 401);
}

#[test]
fn whoever_fails_too_often_has_to_wait() {
    let center = Center::start();
    let attempt = |password: &str| {
        let body = json!({"username": "admin", "password": password});
        center.ask("POST", "/api/auth/login", "", Some(body)).0
    };
    let failed: Vec<u16> = (0..6).map(|_| attempt("not the password")).collect();
    assert_eq!(failed, [401, 401, 401, 401, 401, 429]);
    assert_eq!(attempt(PASSWORD), 429, "the right password too");
}

#[test]
fn people_of_headquarters_hold_what_their_role_allows() {
    let center = Center::start();
    let admin = center.login("admin");
    let new = |name: &str, role: &str| json!({"username": name, "password": PASSWORD, "role": role, "name": name});
    let ask = |method: &str, path: &str, token: &str, body: Value| center.ask(method, path, token, Some(body));
    let role = json!({"name": "deputy", "title": "副手", "permissions": ["users.read", "users.write", "sites.read"]});
    let (status, role) = ask("POST", "/api/relay/roles", &admin, role);
    assert_eq!(status, 201, "{role}");
    assert_eq!(ask("POST", "/api/relay/users", &admin, new("deputy", "deputy")).0, 201);
    assert_eq!(ask("POST", "/api/relay/users", &admin, new("deputy", "deputy")).0, 409, "the name is taken");
    assert_eq!(ask("POST", "/api/relay/users", &admin, new("nobody", "nothing")).0, 400);
    let deputy = center.login("deputy");
    assert_eq!(ask("POST", "/api/relay/users", &deputy, new("viewer", "viewer")).0, 201);
    assert_eq!(
        ask("POST", "/api/relay/users", &deputy, new("boss", "admin")).0,
        403,
        "nobody gives more than he holds"
    );
    assert_eq!(ask("PUT", "/api/relay/users/1", &deputy, json!({"password": "another password"})).0, 403);
    assert_eq!(ask("PUT", "/api/relay/users/1", &admin, json!({"status": "inactive"})).0, 409, "one admin stays");
    let permissions = format!("/api/relay/roles/{}/permissions", role["data"]["id"]);
    assert_eq!(ask("PUT", &permissions, &admin, json!({"permissions": ["sites.read"]})).0, 200);
    assert_eq!(ask("POST", "/api/relay/users", &deputy, new("late", "viewer")).0, 403, "at once");
    assert_eq!(ask("PUT", "/api/relay/roles/1/permissions", &admin, json!({"permissions": []})).0, 409);
    assert_eq!(ask("PUT", "/api/relay/users/2", &admin, json!({"status": "inactive"})).0, 200);
    assert_eq!(center.ask("GET", "/api/auth/me", &deputy, None).0, 401, "logged out with it");
    let (_, listed) = center.ask("GET", "/api/relay/users?page_size=2&fields=id,username", &admin, None);
    assert_eq!(listed["data"]["total"], 3);
    assert_eq!(listed["data"]["items"], json!([{"id": 1, "username": "admin"}, {"id": 2, "username": "deputy"}]));
}

#[test]
fn every_route_is_open_to_those_whom_it_names_and_to_nobody_else() {
    let center = Center::start();
    let admin = center.login("admin");
    let viewer = json!({"username": "viewer", "password": PASSWORD, "role": "viewer", "name": "viewer"});
    assert_eq!(center.ask("POST", "/api/relay/users", &admin, Some(viewer)).0, 201);
    let viewer = center.login("viewer");
    let site = center.enrol("春晖", "admin");
    let customer = center.enrol("秋实", "customer");
    // Nobody, headquarters' viewer and administrator, a box, a site's administrator and customer.
    let tokens = ["", &viewer, &admin, &site.credential, &site.site_token(1), &customer.relay_token(&center, 1)];
    for route in relay::routes() {
        let path = route.path.replace("{id}", "999999").replace("{file}", "nothing").replace("{*path}", "nothing");
        if path == "/api/auth/logout" || path == "/api/auth/refresh" {
            continue;
        }
        let statuses = tokens.map(|token| center.ask(route.method.as_str(), &path, token, Some(json!({}))).0);
        let passed = statuses.map(|status| status != 401 && status != 403);
        // What the sites answer is not for headquarters, which has `/api/sites/{id}` for it.
        let own = path.starts_with("/api/relay/") || path == "/api/auth/me";
        let expected = match route.access {
            Access::Public => continue,
            Access::Site => [false, false, false, true, false, false],
            Access::Headquarters(permission) => [false, permission == SitesRead, true, false, false, false],
            Access::SignedIn => [false, own, own, false, true, true],
            // Whoever holds the permission is for the site's rows to say; a box is never a person.
            _ => [false, own && passed[1], own, false, passed[4], passed[5]],
        };
        assert_eq!(passed, expected, "{} {path}: {statuses:?}", route.method);
    }
}

#[test]
fn a_sites_user_is_nobody_at_another_site_and_never_headquarters() {
    let center = Center::start();
    let (spring, autumn) = (center.enrol("春晖", "admin"), center.enrol("秋实", "customer"));
    let me = |token: &str| {
        let (status, answer) = center.ask("GET", "/api/auth/me", token, None);
        (status, answer["data"]["site_id"].as_i64(), answer["data"]["role"].as_str().map(str::to_owned))
    };
    let admin = (200, Some(spring.id), Some("admin".to_owned()));
    let customer = (200, Some(autumn.id), Some("customer".to_owned()));
    assert_eq!(me(&spring.site_token(1)), admin);
    assert_eq!(me(&autumn.site_token(1)), customer);
    assert_eq!(me(&spring.relay_token(&center, 1)), admin);
    let token = autumn.relay_token(&center, 1);
    assert_eq!(me(&token), customer);
    let (_, permissions) = center.ask("GET", "/api/auth/me?fields=permissions", &spring.site_token(1), None);
    let permissions = permissions["data"]["permissions"].as_array().unwrap();
    assert!(permissions.contains(&json!("users.write")) && !permissions.contains(&json!("sites.read")));
    // A token that names another site than the one whose key signed it, or whose session is another site's.
    let crossed = Tokens::of_relay(&autumn.relay_key, spring.id).sign(claims(1, "session 1 1")).unwrap();
    assert_eq!(me(&crossed).0, 401);
    let borrowed = format!("session {} 1", spring.id);
    assert_eq!(me(&Tokens::of_relay(&autumn.relay_key, autumn.id).sign(claims(1, &borrowed)).unwrap()).0, 401);
    assert_eq!(me(&Tokens::of_site(&Secret::random().unwrap()).sign(claims(1, "x")).unwrap()).0, 401);
    // Its session ends at the relay, the site's own does not.
    assert_eq!(center.ask("POST", "/api/auth/logout", &token, None).0, 200);
    assert_eq!(me(&token).0, 401);
    assert_eq!(center.ask("POST", "/api/auth/refresh", &autumn.site_token(1), None).0, 401);
    center.sql(&format!("update users set status = 'inactive' where site_id = {}", autumn.id));
    soon("who is set aside on the site is nobody here", || me(&autumn.site_token(1)).0 == 401);
    assert_eq!(me(&spring.site_token(1)), admin);
}

#[test]
fn who_came_by_wechat_is_a_customer_before_his_row_has_come() {
    let center = Center::start();
    let site = center.enrol("春晖", "admin");
    let provisional = 1_000_000_000_001;
    let me = |token: &str| center.ask("GET", "/api/auth/me?fields=role,permissions", token, None);
    let (status, answer) = me(&site.relay_token(&center, provisional));
    assert_eq!((status, &answer["data"]), (200, &json!({"role": "customer", "permissions": ["menus.read"]})));
    assert_eq!(me(&site.relay_token(&center, 77)).0, 401, "an id that the center never gave");
    assert_eq!(me(&site.site_token(provisional)).0, 401, "a token that the site issued needs a row");
}

#[test]
fn a_relay_refuses_in_the_one_shape_and_says_whether_it_is_ready() {
    let center = Center::start();
    let (status, answer) = center.ask("GET", "/api/nothing", "", None);
    assert_eq!((status, answer["code"].as_u64(), answer["message"].as_str()), (404, Some(404), Some("资源不存在")));
    assert_eq!(center.ask("GET", "/healthz", "", None).0, 200);
    let (status, document) = center.ask("GET", "/openapi.json", "", None);
    assert_eq!(status, 200);
    assert!(document["paths"]["/sync/v1/push"]["post"].is_object());
    let site = center.enrol("春晖", "admin");
    assert_eq!(center.ask("POST", "/sync/v1/hello", &site.credential, Some(json!({"epoch": 1}))).0, 400);
    assert_eq!(center.ask("POST", "/sync/v1/push", &site.credential, Some(json!({}))).0, 400, "no batch");
}

#[test]
fn a_site_that_enrols_is_mirrored_and_its_token_is_good_at_the_center() {
    let mut center = Center::start();
    let (id, code) = add_site(&center.url, "春晖");
    let data = tempfile::tempdir().unwrap();
    let mut site = Site::start_enrolled(data.path(), &center.relay.url(), &code);
    let mirrored = |center: &Center| center.sql("select username from users") == [[Some("admin".to_owned())]];
    soon("the site's rows are in MySQL", || mirrored(&center));
    let token = site.login();
    let (status, me) = center.ask("GET", "/api/auth/me?fields=username,site_id,role", &token, None);
    assert_eq!((status, &me["data"]), (200, &json!({"username": "admin", "role": "admin", "site_id": id})));
    center.relay.kill();
    let customer = json!({"name": "王女士"});
    assert_eq!(request(site.address, "POST", "/api/customers", &token, Some(&customer)).unwrap().0, 201);
    center.relay = Relay::start_on(&center.url, center.relay.address);
    soon("what was written meanwhile follows", || {
        center.sql("select count(*) from customers")[0][0].as_deref() == Some("1")
    });
    site.kill();
    let listed = canshi(&["site", "list", "--json", "--mysql", &center.url]).output().unwrap();
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!((&listed[0]["pending"], &listed[0]["quarantined"]), (&json!(0), &json!(0)), "{listed}");
}
