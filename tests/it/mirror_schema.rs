//! The mirror's tables in MySQL against the site's, column by column, by the rules at the head of
//! `migrations/center/V002__mirror.sql`.

use std::collections::BTreeSet;

use canshi::store::migrations::TRAVELLING;

use crate::app::TestApp;
use crate::mariadb::MariaDb;
use crate::sync::make_center;

/// A column of the mirror: its name, its type, whether it may be null.
type Column = (String, String, bool);

/// The mirror's columns of a table of the site, by the rules; columns of long text are told by MySQL's answer.
fn demanded(columns: &[(String, String, i64)], found: &[Column]) -> Vec<Column> {
    let mut demanded = vec![("site_id".to_owned(), "bigint".to_owned(), false)];
    for (name, stored, key) in columns {
        let (name, kind) = match (stored.as_str(), name.as_str()) {
            ("INTEGER", name) if name.ends_with("_fen") => (name.trim_end_matches("_fen"), "decimal(14,2)"),
            ("INTEGER", name) if name == "at" || name.ends_with("_at") => (name, "datetime(3)"),
            ("INTEGER", name) => (name, "bigint"),
            (_, name) if *key > 0 => (name, "varchar(191)"),
            (_, name) if name == "date" || name.ends_with("_date") => (name, "date"),
            (_, name) => {
                let long = found.iter().any(|(found, kind, _)| found == name && kind == "mediumtext");
                (name, if long { "mediumtext" } else { "varchar(255)" })
            }
        };
        demanded.push((name.to_owned(), kind.to_owned(), *key == 0));
    }
    demanded.push(("mirror_seq".to_owned(), "bigint".to_owned(), false));
    demanded.push(("mirror_overflow".to_owned(), "json".to_owned(), true));
    demanded
}

/// MariaDB tells the width that integers are shown with, and its JSON is text.
fn kind(told: &str) -> String {
    match told {
        "bigint(20)" => "bigint".to_owned(),
        "longtext" => "json".to_owned(),
        other => other.to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_travelling_column_has_its_mirror() {
    let server = MariaDb::shared();
    let database = server.new_database();
    make_center(&server.url(&database)).await;
    let app = TestApp::new().await;
    let site = rusqlite::Connection::open(app.db().path()).unwrap();
    let mut wrong = Vec::new();
    for table in TRAVELLING {
        let mut statement =
            site.prepare("select name, upper(type), pk from pragma_table_info(?1) order by cid").unwrap();
        let rows = statement.query_map([table], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        let columns: Vec<(String, String, i64)> = rows.map(Result::unwrap).collect();
        let sql = format!(
            "select column_name, column_type, is_nullable, column_key from information_schema.columns
             where table_schema = '{database}' and table_name = '{table}' order by ordinal_position"
        );
        let told: Vec<Vec<String>> =
            server.query("", &sql).into_iter().map(|row| row.into_iter().map(Option::unwrap).collect()).collect();
        let found: Vec<Column> = told.iter().map(|row| (row[0].clone(), kind(&row[1]), row[2] == "YES")).collect();
        let (found, demanded) = (found.clone(), demanded(&columns, &found));
        let (set, other): (BTreeSet<_>, BTreeSet<_>) = (demanded.iter().collect(), found.iter().collect());
        wrong.extend(set.difference(&other).map(|column| format!("{table} lacks {column:?}")));
        wrong.extend(other.difference(&set).map(|column| format!("{table} should not have {column:?}")));
        let sql = format!(
            "select column_name from information_schema.key_column_usage where table_schema = '{database}'
             and table_name = '{table}' and constraint_name = 'PRIMARY' order by ordinal_position"
        );
        let key: Vec<String> = server.query("", &sql).into_iter().filter_map(|mut row| row.remove(0)).collect();
        let mut own: Vec<&(String, String, i64)> = columns.iter().filter(|(_, _, place)| *place > 0).collect();
        own.sort_by_key(|(_, _, place)| *place);
        let own: Vec<&str> = std::iter::once("site_id").chain(own.iter().map(|(name, _, _)| name.as_str())).collect();
        if key != own {
            wrong.push(format!("{table} has the key {key:?}, not {own:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
