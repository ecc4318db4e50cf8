//! The oracle of the mirror: whether MySQL holds exactly the rows of a site.
//!
//! It is written from the description of the mirror and shares no conversion with the product. A value of the site is in
//! the mirror in its typed column, or, when it does not fit there or there is no such column, as it is in the JSON object
//! `mirror_overflow`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use canshi::store::migrations::TRAVELLING;
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Row, TxOpts, Value as MysqlValue};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Map, Value};

use value::{Kind, Mirrored, kind_of, matches, mirror_name, mirror_text};

mod value;

/// A column of the site.
struct Column {
    name: String,
    kind: Kind,
    /// Its place in the primary key, from 1; 0 when it is not in it.
    key: i64,
}

/// The rows of a table of the site, by their keys.
struct SiteTable {
    columns: Vec<Column>,
    rows: BTreeMap<String, Vec<Value>>,
}

/// Everything in which the mirror of a site differs from the site, a line each; nothing when they are equal.
pub async fn differences(sqlite: &Path, mysql: &mut Conn, site_id: i64) -> Vec<String> {
    let mut found = Vec::new();
    let site = read_site(sqlite);
    // One snapshot of all tables.
    let mut options = TxOpts::default();
    options.with_consistent_snapshot(true);
    let mut mirror = mysql.start_transaction(options).await.unwrap();
    for (table, site) in site {
        let sql = format!("select * from `{table}` where site_id = {site_id}");
        // Text answers, so that the server itself says how its values read.
        match mirror.query::<Row, _>(sql).await {
            Ok(rows) => compare(table, &site, &rows, &mut found),
            Err(error) => found.push(format!("{table}: {error}")),
        }
    }
    mirror.rollback().await.unwrap();
    found
}

fn compare(table: &str, site: &SiteTable, mirror: &[Row], found: &mut Vec<String>) {
    let mut missing: BTreeSet<&String> = site.rows.keys().collect();
    for row in mirror {
        let row = match mirror_row(row) {
            Ok(row) => row,
            Err(wrong) => {
                found.push(format!("{table}: {wrong}"));
                continue;
            }
        };
        let key = key_text(site.columns.iter().map(|column| (column, row.get(&column.name, column.kind))));
        let Some(values) = site.rows.get(&key) else {
            found.push(format!("{table} {key}: only in the mirror"));
            continue;
        };
        if !missing.remove(&key) {
            found.push(format!("{table} {key}: twice in the mirror"));
        }
        for (column, value) in site.columns.iter().zip(values) {
            if let Err(wrong) = matches(column.kind, value, row.get(&column.name, column.kind).as_ref()) {
                found.push(format!("{table} {key} {}: {wrong}", column.name));
            }
        }
    }
    found.extend(missing.into_iter().map(|key| format!("{table} {key}: missing in the mirror")));
}

/// A row of the mirror, taken apart.
struct MirrorRow {
    typed: BTreeMap<String, Option<String>>,
    overflow: Map<String, Value>,
}

impl MirrorRow {
    /// The value of a column of the site; `None` when the row has none.
    fn get(&self, site_column: &str, kind: Kind) -> Option<Mirrored> {
        let typed = self.typed.get(mirror_name(site_column, kind)).cloned();
        let Some(overflow) = self.overflow.get(site_column) else { return typed.map(Mirrored::Typed) };
        match typed {
            // Both would be two truths.
            Some(Some(_)) => None,
            Some(None) | None => Some(Mirrored::Overflow(overflow.clone())),
        }
    }
}

fn mirror_row(row: &Row) -> Result<MirrorRow, String> {
    let mut typed = BTreeMap::new();
    for (place, column) in row.columns_ref().iter().enumerate() {
        let value = match row.as_ref(place).unwrap() {
            MysqlValue::NULL => None,
            MysqlValue::Bytes(bytes) => Some(String::from_utf8(bytes.clone()).map_err(|error| error.to_string())?),
            other => return Err(format!("{other:?} is not a text answer")),
        };
        typed.insert(column.name_str().into_owned(), value);
    }
    if typed.get("mirror_seq").is_none_or(Option::is_none) {
        return Err("a row without a mirror_seq".to_owned());
    }
    let overflow = match typed.remove("mirror_overflow") {
        Some(Some(text)) => serde_json::from_str(&text).map_err(|error| format!("mirror_overflow {text}: {error}"))?,
        Some(None) => Map::new(),
        None => return Err("there is no mirror_overflow".to_owned()),
    };
    Ok(MirrorRow { typed, overflow })
}

/// The key as the mirror writes it, the same on both sides.
fn key_text<'a>(values: impl Iterator<Item = (&'a Column, Option<Mirrored>)>) -> String {
    let mut parts: Vec<_> = values.filter(|(column, _)| column.key > 0).collect();
    parts.sort_by_key(|(column, _)| column.key);
    let texts = parts.into_iter().map(|(_, value)| match value {
        Some(Mirrored::Typed(Some(text))) => text,
        other => format!("{other:?}"),
    });
    format!("({})", texts.collect::<Vec<_>>().join(", "))
}

/// Every travelling table of the site, as one moment of it.
fn read_site(sqlite: &Path) -> Vec<(&'static str, SiteTable)> {
    let mut connection = Connection::open_with_flags(sqlite, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let moment = connection.transaction().unwrap();
    TRAVELLING.into_iter().map(|table| (table, read_table(&moment, table))).collect()
}

fn read_table(connection: &Connection, table: &str) -> SiteTable {
    let mut statement = connection.prepare("select name, type, pk from pragma_table_info(?1) order by cid").unwrap();
    let columns = statement.query_map([table], |row| {
        let name: String = row.get(0)?;
        Ok(Column { kind: kind_of(&name, &row.get::<_, String>(1)?), name, key: row.get(2)? })
    });
    let columns: Vec<Column> = columns.unwrap().map(Result::unwrap).collect();
    let names: Vec<String> = columns.iter().map(|column| format!("\"{}\"", column.name)).collect();
    let mut statement = connection.prepare(&format!("select {} from \"{table}\"", names.join(", "))).unwrap();
    let mut rows = statement.query([]).unwrap();
    let mut kept = BTreeMap::new();
    while let Some(row) = rows.next().unwrap() {
        let values: Vec<Value> = (0..columns.len()).map(|place| site_value(row.get_ref(place).unwrap())).collect();
        let typed =
            values.iter().zip(&columns).map(|(value, column)| mirror_text(column.kind, value).map(Mirrored::Typed));
        let key = key_text(columns.iter().zip(typed));
        assert!(kept.insert(key, values).is_none(), "{table} has a key twice");
    }
    SiteTable { columns, rows: kept }
}

fn site_value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Text(text) => String::from_utf8(text.to_vec()).unwrap().into(),
        ValueRef::Real(_) | ValueRef::Blob(_) => panic!("there is no rule for {value:?}"),
    }
}

#[cfg(test)]
mod tests {
    use canshi::store::migrations::TRAVELLING;
    use mysql_async::prelude::Queryable as _;
    use serde_json::json;

    use super::{Kind, differences, mirror_name, mirror_text, read_site};
    use crate::app::TestApp;
    use crate::mariadb::MariaDb;

    fn column_type(kind: Kind, key: i64) -> &'static str {
        match kind {
            Kind::Money => "decimal(14,2)",
            Kind::Instant => "datetime(3)",
            Kind::Date => "date",
            Kind::Integer => "bigint",
            Kind::Text if key > 0 => "varchar(191) collate utf8mb4_bin",
            Kind::Text => "mediumtext",
        }
    }

    /// A mirror made by the oracle's own rules, which shows that it reads what it says.
    async fn mirror(app: &TestApp, mysql: &mut mysql_async::Conn) {
        for (table, site) in read_site(app.db().path()) {
            let column = |column: &super::Column| {
                format!("`{}` {}", mirror_name(&column.name, column.kind), column_type(column.kind, column.key))
            };
            let columns: Vec<String> = site.columns.iter().map(column).collect();
            let create = format!(
                "create table `{table}` (site_id bigint, {}, mirror_seq bigint, mirror_overflow json)",
                columns.join(", ")
            );
            mysql.query_drop(create).await.unwrap();
            for values in site.rows.values() {
                let texts =
                    site.columns.iter().zip(values).map(|(column, value)| mirror_text(column.kind, value).unwrap());
                let values: Vec<Option<String>> = texts.collect();
                let insert = format!("insert into `{table}` values (7, {}1, null)", "?, ".repeat(values.len()));
                mysql.exec_drop(insert, mysql_async::Params::from(values)).await.unwrap();
            }
        }
    }

    #[tokio::test]
    async fn every_difference_is_found_and_nothing_else() {
        let app = TestApp::new().await;
        app.post("/api/customers", json!({"name": "张三😀", "delivery_date": "2024-02-29"})).await.expect(201);
        app.post("/api/dishes", json!({"name": "清蒸鱼", "category": "肉菜", "price": 58.00})).await.expect(201);
        app.post("/api/employees", json!({"name": "王五", "position": "厨师"})).await.expect(201);
        let server = MariaDb::shared();
        let mut mysql = server.connect(&server.new_database()).await;
        mirror(&app, &mut mysql).await;
        let path = app.db().path();
        assert_eq!(differences(path, &mut mysql, 7).await, [""; 0]);
        mysql.query_drop("insert into customers select 8, id, name, age, gender, contact, contact_index, delivery_date, \
            check_in_date, check_out_date, dietary_restrictions, preferences, status, created_at, updated_at, deleted_at, \
            1, null from customers").await.unwrap();
        assert_eq!(differences(path, &mut mysql, 7).await, [""; 0], "other sites' rows are not this site's");
        for (change, wrong) in [
            ("update dishes set price = 58.01", "dishes (1) price_fen: the site has 5800, the mirror"),
            ("update dishes set price = 58, name = null, mirror_overflow = '{\"name\": \"清蒸鱼\"}'", "but it fits"),
            ("update dishes set mirror_overflow = '{\"price_fen\": 5800}', name = '清蒸鱼'", "two things"),
            ("update dishes set mirror_overflow = null, mirror_seq = null", "a row without a mirror_seq"),
            ("update dishes set mirror_seq = 1, id = 2", "dishes (2): only in the mirror"),
            ("delete from dishes", "dishes (1): missing in the mirror"),
            ("drop table dishes", "dishes: "),
        ] {
            mysql.query_drop(change).await.unwrap();
            let found = differences(path, &mut mysql, 7).await;
            assert!(found.iter().any(|found| found.contains(wrong)), "{change}: {found:?}");
            assert!(found.iter().all(|found| found.starts_with("dishes")), "{change}: {found:?}");
        }
        assert_eq!(differences(path, &mut mysql, 9).await.len(), rows_of(&app) + 1, "nothing of site 9 is there");
    }

    /// How many travelling rows the site has, but for dishes.
    fn rows_of(app: &TestApp) -> usize {
        let count = |table| {
            app.rows().query_row(&format!("select count(*) from {table}"), [], |row| row.get::<_, i64>(0)).unwrap()
        };
        TRAVELLING.iter().filter(|table| **table != "dishes").map(count).sum::<i64>() as usize
    }
}
