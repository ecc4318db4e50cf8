//! Every statement can be prepared, and every list finds its rows by an index, however many there are.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use canshi::store::page::SQL;
use rusqlite::Connection;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use crate::app::TestApp;

#[derive(Clone, Default)]
struct Heard(Arc<Mutex<BTreeSet<String>>>);

impl Visit for Heard {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "sql" {
            self.0.lock().unwrap().insert(value.to_owned());
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

impl<S: tracing::Subscriber> Layer<S> for Heard {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == SQL {
            event.record(&mut self.clone());
        }
    }
}

fn plan(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(&format!("explain query plan {sql}")).unwrap();
    for parameter in 1..=statement.parameter_count() {
        statement.raw_bind_parameter(parameter, 1).unwrap();
    }
    let mut rows = statement.raw_query();
    let mut steps = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        steps.push(row.get::<_, String>(3).unwrap());
    }
    steps
}

/// Every list, with each of its filters.
const LISTS: &[&str] = &[
    "/api/customers",
    "/api/customers?status=active",
    "/api/customers?search=zs",
    "/api/customers?search=zs&status=active",
    "/api/dishes",
    "/api/dishes?category=a",
    "/api/dishes?status=active",
    "/api/dishes?search=a",
    "/api/employees",
    "/api/employees?position=a",
    "/api/employees?status=active",
    "/api/employees?search=a",
    "/api/employees/attendance",
    "/api/employees/attendance?employee_id=1",
    "/api/employees/attendance?employee_id=1&start_date=2024-01-01&end_date=2024-02-01",
    "/api/employees/attendance?start_date=2024-01-01&end_date=2024-02-01",
    "/api/finance/transactions",
    "/api/finance/transactions?type=income",
    "/api/finance/transactions?category=a",
    "/api/finance/transactions?payment_method=a",
    "/api/finance/transactions?start_date=2024-01-01&end_date=2024-02-01",
    "/api/finance/transactions?type=income&start_date=2024-01-01&end_date=2024-02-01",
    "/api/finance/transactions?related_type=customer&related_id=1",
    "/api/appointments",
    "/api/appointments?status=pending",
    "/api/appointments?status=pending&start_date=2024-01-01&end_date=2024-02-01",
    "/api/appointments?start_date=2024-01-01&end_date=2024-02-01",
    "/api/appointments?employee_id=1",
    "/api/appointments?customer_id=1&status=pending",
    "/api/wechat/customer/appointments",
    "/api/wechat/customer/menu",
    "/api/wechat/admin/dashboard",
    "/api/menus",
    "/api/menus?date=2024-01-01",
    "/api/menus?type=lunch",
    "/api/menus?start_date=2024-01-01&end_date=2024-02-01",
    "/api/users",
    "/api/users?role=admin",
    "/api/users?status=active",
    "/api/notifications",
    "/api/suppliers",
    "/api/suppliers?status=active",
    "/api/suppliers?search=a",
    "/api/finance/salaries",
    "/api/finance/salaries?employee_id=1",
    "/api/finance/salaries?pay_period=2024-01",
    "/api/finance/salaries?employee_id=1&pay_period=2024-01",
    "/api/payment/payroll-files",
    "/api/payment/anomalies",
    "/api/payment/anomalies?channel=wechat",
    "/api/payment/anomalies?kind=forged&open=1",
    "/api/payment/anomalies?open=0",
    "/api/payment/reconciliations",
    "/api/payment/reconciliations?channel=wechat",
    "/api/payment/reconciliations?status=different",
    "/api/payment/reconciliations?start_date=2024-01-01&end_date=2024-02-01",
    "/api/payment/differences",
    "/api/payment/differences?open=1",
    "/api/payment/differences?open=0",
    "/api/payment/differences?reconciliation_id=1",
    "/api/payment/differences?reconciliation_id=1&open=1",
    "/api/audit",
    "/api/audit?user_id=1",
    "/api/audit?noun=customers",
    "/api/audit?noun=customers&noun_id=1",
    "/api/audit?action=login",
    "/api/audit?start_date=2024-01-01&end_date=2024-02-01",
];

#[tokio::test]
async fn every_list_finds_and_orders_its_rows_by_an_index() {
    let app = TestApp::new().await;
    let heard = Heard::default();
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(heard.clone())).unwrap();
    for path in LISTS {
        app.get(path).await.expect(200);
    }
    let statements = heard.0.lock().unwrap().clone();
    assert!(statements.len() > 40, "only {} statements were heard", statements.len());
    let connection = app.rows();
    let mut slow = Vec::new();
    for sql in statements {
        for step in plan(&connection, &sql) {
            let scans = step.starts_with("SCAN") && !step.contains("USING");
            // Users, roles and notifications are few, the totals are one row per day and category, and search hits are
            // sorted where they were found.
            let few = ["search_terms", "from users", "from roles", "from notifications", "from transaction_totals"];
            let bounded = few.iter().any(|part| sql.contains(part));
            if !bounded && (scans || step.contains("TEMP B-TREE FOR ORDER BY")) {
                slow.push(format!("{step}\n    {sql}"));
            }
        }
    }
    assert!(slow.is_empty(), "{}", slow.join("\n"));
}

/// The string literals of a source file.
fn literals(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut characters = source.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '/' if characters.peek() == Some(&'/') => {
                characters.by_ref().take_while(|c| *c != '\n').for_each(drop);
            }
            // A quoted quotation mark begins no text.
            '\'' if characters.peek() == Some(&'"') => {
                characters.next();
            }
            '"' => {
                let mut text = String::new();
                while let Some(c) = characters.next() {
                    match c {
                        '"' => break,
                        '\\' => {
                            characters.next();
                        }
                        c => text.push(c),
                    }
                }
                found.push(text);
            }
            _ => {}
        }
    }
    found
}

#[tokio::test]
async fn every_statement_of_the_store_can_be_prepared() {
    let app = TestApp::new().await;
    let connection = app.rows();
    let mut prepared = 0;
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store")).unwrap() {
        let path = entry.unwrap().path();
        for text in literals(&fs::read_to_string(&path).unwrap()) {
            let text = text.trim();
            let is_statement =
                ["select ", "insert into ", "update ", "delete from "].iter().any(|verb| text.starts_with(verb));
            // What holds a brace or ends openly is put together at run time; the lists' plans are tested above.
            if !is_statement || text.contains('{') || text.ends_with("from") || text.contains("canshi_txn") {
                continue;
            }
            assert!(!text.contains("or replace"), "{}: {text}", path.display());
            let outcome = connection.prepare(text);
            // The writing triggers need the writer's function; everything else is prepared in full.
            if let Err(error) = outcome {
                let message = error.to_string();
                assert!(message.contains("canshi_txn"), "{}: {message}: {text}", path.display());
            }
            prepared += 1;
        }
    }
    assert!(prepared > 60, "only {prepared} statements were found");
}
