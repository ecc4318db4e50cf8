//! How long headquarters waits for a site's answer, by way of the relay, MySQL and the poll that the site holds.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::mariadb::MariaDb;
use crate::process::{Site, exchange, request};
use crate::relay::{Relay, add_site};
use crate::{Desk, app, connect, quantile, say, seconds};

/// The pause between two requests.
const PAUSE: Duration = Duration::from_millis(10);

/// Measures it.
pub fn measure(server: &MariaDb, home: &Path) {
    let url = server.url(&server.new_database());
    let relay = Relay::start(&url);
    let (site_id, code) = add_site(&url, "春晖");
    let site = Site::start_enrolled(&home.join("site"), &format!("http://{}", relay.address), &code);
    let mut desk = Desk::open(&site);
    let body = json!({"username": "admin", "password": app::PASSWORD});
    let (_, answer) = request(relay.address, "POST", "/api/auth/login", "", Some(&body)).unwrap();
    let token = answer["data"]["token"].as_str().unwrap().to_owned();
    let proxy = format!("/api/sites/{site_id}/customers");
    let mut stream = connect(relay.address);
    // Until the site's first poll is held, the relay says that the site is away.
    while exchange(&mut stream, "GET", &proxy, &token, None).is_none_or(|(status, _)| status != 200) {
        std::thread::sleep(PAUSE);
    }
    say("\n7. From headquarters' request to the site's answer, through the mailbox");
    say("               |   p50 ms |   p99 ms |   max ms");
    let mut by_relay = |method: &str, body: Option<&Value>| {
        let (status, answer) = exchange(&mut stream, method, &proxy, &token, body).unwrap();
        assert!((200..300).contains(&status), "{status} {answer}");
    };
    let customer = json!({"name": "客户"});
    report("a read", timed(|| by_relay("GET", None)));
    report("a write", timed(|| by_relay("POST", Some(&customer))));
    report("on the LAN", timed(|| drop(desk.call("POST", "/api/customers", &customer))));
}

/// Does it for a while and gives how long each took, in milliseconds.
fn timed(mut work: impl FnMut()) -> Vec<f64> {
    let began = Instant::now();
    let mut times = Vec::new();
    while began.elapsed() < seconds() {
        let started = Instant::now();
        work();
        times.push(started.elapsed().as_secs_f64() * 1e3);
        std::thread::sleep(PAUSE);
    }
    times
}

fn report(what: &str, mut times: Vec<f64>) {
    let [half, most, all] = [0.5, 0.99, 1.0].map(|part| quantile(&mut times, part));
    say(&format!("  {what:<13}| {half:>8.1} | {most:>8.1} | {all:>8.1}"));
}
