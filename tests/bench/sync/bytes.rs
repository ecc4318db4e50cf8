//! What a change weighs on the line.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;

use canshi::line::client::Client;
use canshi::line::enrolment::Credential;
use canshi_sync::batch::{Batch, Limits, cut};
use canshi_sync::chain::{GENESIS, Mark};
use canshi_sync::push::Transport as _;
use serde_json::{Value, json};

use crate::mariadb::MariaDb;
use crate::process::Site;
use crate::{Desk, database, entry, say, tip};

/// People who come in the morning and go in the evening.
const EMPLOYEES: usize = 300;
/// There is an entry in the books for so many punches.
const PUNCHES_PER_ENTRY: usize = 4;
/// And a customer for so many.
const PUNCHES_PER_CUSTOMER: usize = 15;
const ANSWER: &str = r#"{"code":200,"message":"已收到","data":{"answer":"applied","seq":100000,"hash":""}}"#;

/// Measures it on a day of punches, entries in the books and customers.
pub fn measure(_: &MariaDb, home: &Path) {
    let data = home.join("site");
    let mut site = Site::start(&data);
    let mut desk = Desk::open(&site);
    let names: Vec<Value> = (1..=EMPLOYEES).map(|n| json!({"name": format!("员工{n}"), "position": "护士"})).collect();
    let created = desk.call("POST", "/api/employees/batch", &json!({"create": names}));
    let from = tip(&data);
    day(&mut desk, created["created"].as_array().unwrap());
    site.terminate();
    let head = head_bytes();
    say(&format!("\n4. Bytes on the line for a change, of {} changes of an ordinary day", tip(&data) - from));
    say(&format!("  changes a batch | packed | with HTTP's heads ({head} a batch) | as in the outbox | of that"));
    for rows in [100, 300, 1_000] {
        let mut at = Mark { seq: from, hash: GENESIS };
        let (mut changes_all, mut batches, mut packed, mut plain) = (0, 0, 0, 0);
        let limits = Limits { rows, ..Limits::default() };
        while let Some((to, whole, changes)) = cut(&database(&data), at, false, limits).unwrap() {
            // The rest of the day is no full batch.
            if changes.len() < rows * 9 / 10 {
                break;
            }
            (changes_all, batches) = (changes_all + changes.len(), batches + 1);
            plain += changes.iter().map(canshi_sync::outbox::Change::weight).sum::<usize>();
            let (epoch, boot) = ("0123456789abcdef0123456789abcdef".to_owned(), "fedcba9876543210".to_owned());
            let schema = changes[0].schema;
            packed += Batch { epoch, boot, schema, from: at, to, whole, changes }.pack().unwrap().len();
            at = to;
        }
        let each = |bytes: usize| bytes as f64 / changes_all as f64;
        let line = each(packed + batches * head);
        say(&format!(
            "  {:>15.0} | {:>6.1} | {line:>32.1} | {:>16.1} | {:>6.2}x",
            changes_all as f64 / batches as f64,
            each(packed),
            each(plain),
            line / each(plain)
        ));
    }
}

fn day(desk: &mut Desk, employees: &[Value]) {
    let punches = ["check_in", "check_out"].into_iter().flat_map(|kind| employees.iter().map(move |one| (kind, one)));
    for (n, (kind, employee)) in punches.enumerate() {
        let punch = json!({"employee_id": employee["id"], "type": kind});
        desk.call("POST", "/api/employees/attendance", &punch);
        if n.is_multiple_of(PUNCHES_PER_ENTRY) {
            desk.call("POST", "/api/finance/transactions", &entry(n));
        }
        if n.is_multiple_of(PUNCHES_PER_CUSTOMER) {
            let customer = json!({
                "name": format!("客户{n}"), "age": 25 + n % 15, "gender": "女", "contact": format!("138{:08}", n * 7919),
                "delivery_date": "2026-03-01", "check_in_date": "2026-03-04", "dietary_restrictions": "不吃辣",
            });
            desk.call("POST", "/api/customers", &customer);
        }
    }
}

/// The bytes of a push and its answer besides the batch.
fn head_bytes() -> usize {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let relay = format!("http://{}", listener.local_addr().unwrap());
    let counting = std::thread::spawn(move || {
        let mut stream = BufReader::new(listener.accept().unwrap().0);
        let (mut head, mut body) = (0, 0);
        loop {
            let mut line = String::new();
            head += stream.read_line(&mut line).unwrap();
            if let Some(length) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                body = length.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
        }
        stream.read_exact(&mut vec![0; body]).unwrap();
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{ANSWER}",
            ANSWER.len()
        );
        stream.get_mut().write_all(answer.as_bytes()).unwrap();
        // The hash is 64 digits, and the relay's own headers come to about as much again.
        head + answer.len() + 64 + RELAY_HEADERS
    });
    let client = Client::new(&relay, Some(&Credential::random().unwrap()), None).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // Nobody reads the answer: that the question was counted is enough.
    drop(runtime.block_on(client.push(vec![0; 5_000])));
    counting.join().unwrap()
}

/// What the relay adds to each answer: protection, cache, request id, date.
const RELAY_HEADERS: usize = 220;
