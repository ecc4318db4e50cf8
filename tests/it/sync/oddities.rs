//! What the center can't apply, and what it doesn't know: kept whole, and brought in later.

use canshi_sync::batch::Batch;
use canshi_sync::central::Central;
use canshi_sync::chain::Mark;
use canshi_sync::outbox::{Change, Op};
use canshi_sync::push::Journal as _;
use canshi_sync::wire::{Answer, Hello, RowsRequest, Stretch};
use serde_json::json;

use super::Pair;
use crate::equality::differences;
use crate::mariadb::MariaDb;

fn one(pair: &Pair, sql: &str) -> Option<String> {
    MariaDb::shared().query(&pair.database, sql)[0][0].clone()
}

#[tokio::test]
async fn a_transaction_that_cannot_be_applied_waits_whole_in_quarantine_and_the_others_go_on() {
    let pair = Pair::new().await;
    pair.assert_equal().await;
    let server = MariaDb::shared();
    // A fault of the center: nothing of this table can be added.
    server.query(&pair.database, "alter table dishes add column surprise int not null");
    let dish = pair.app.post("/api/dishes", json!({"name": "清蒸鱼", "category": "肉菜"})).await.expect(201);
    let gone = pair.app.post("/api/dishes", json!({"name": "白米饭", "category": "主食"})).await.expect(201);
    pair.app.post("/api/customers", json!({"name": "张三"})).await.expect(201);
    pair.drain_over(&pair.line()).await.unwrap();
    assert_eq!(one(&pair, "select count(*) from canshi_quarantine").as_deref(), Some("2"));
    assert_eq!(one(&pair, "select quarantined from canshi_positions").as_deref(), Some("2"));
    assert_eq!(one(&pair, "select count(*) from customers").as_deref(), Some("1"), "the next one is not held up");
    let mut conn = server.connect(&pair.database).await;
    let audit = format!("where noun = 'dishes' and noun_id = {}", dish["id"]);
    assert_eq!(one(&pair, &format!("select count(*) from audit {audit}")).as_deref(), Some("0"), "no torn transaction");

    server.query(&pair.database, "alter table dishes drop column surprise");
    // What came since stays: a later change of the one, the end of the other.
    pair.app.put(&format!("/api/dishes/{}", dish["id"]), json!({"name": "红烧鱼"})).await.expect(200);
    pair.app.delete(&format!("/api/dishes/{}", gone["id"])).await.expect(200);
    pair.drain_over(&pair.line()).await.unwrap();
    let (applied, failed) = pair.central.replay(pair.site).await.unwrap();
    assert_eq!((applied, failed.len()), (2, 0));
    let found = differences(pair.app.db().path(), &mut conn, pair.site).await;
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert_eq!(one(&pair, "select quarantined from canshi_positions").as_deref(), Some("0"));
}

#[tokio::test]
async fn what_the_center_does_not_know_is_kept_until_it_does() {
    let pair = Pair::new().await;
    pair.drain_over(&pair.line()).await.unwrap();
    // A site that is newer than the center: a table and a column more.
    let at = pair.at_center().await;
    let mut hello = Hello { at, ..pair.journal().hello().await.unwrap() };
    let mut layout = hello.layouts.last().unwrap().clone();
    layout.schema += 1;
    let dishes = layout.tables.iter_mut().find(|table| table.name == "dishes").unwrap();
    dishes.columns.push("spiciness".to_owned());
    let mut columns: Vec<String> = vec!["null".to_owned(); dishes.columns.len() - 1];
    columns[0] = "7".to_owned();
    columns[1] = "\"鱼\"".to_owned();
    columns.push("3".to_owned());
    let mut stars = dishes.clone();
    (stars.name, stars.columns, stars.key) =
        ("stars".to_owned(), vec!["id".into(), "brightness".into()], vec!["id".into()]);
    layout.tables.push(stars);
    hello.layouts.push(layout.clone());
    pair.central.hello(pair.site, &hello).await.unwrap();
    let change = |seq: i64, table: &str, image: String| Change {
        seq,
        txn: 1 << 40,
        at: 0,
        table: table.to_owned(),
        op: Op::Insert,
        pk: "[7]".to_owned(),
        image: Some(image),
        schema: layout.schema,
    };
    let changes = vec![
        change(at.seq + 1, "dishes", format!("[{}]", columns.join(","))),
        change(at.seq + 2, "stars", "[7,9]".to_owned()),
    ];
    let batch = Batch {
        epoch: hello.epoch,
        boot: hello.boot,
        schema: layout.schema,
        from: at,
        to: changes.iter().fold(at, Mark::after),
        whole: true,
        changes,
    };
    pair.push(&batch).await;
    assert_eq!(one(&pair, "select name from dishes where id = 7").as_deref(), Some("鱼"));
    assert_eq!(one(&pair, "select mirror_overflow from dishes where id = 7").as_deref(), Some("{\"spiciness\":3}"));
    assert_eq!(one(&pair, "select image from canshi_unknown_rows where tbl = 'stars'").as_deref(), Some("[7,9]"));
    // The center learns of the table.
    let server = MariaDb::shared();
    server.query(
        &pair.database,
        "create table stars (site_id bigint, id bigint, brightness bigint, mirror_seq bigint, mirror_overflow json,
             primary key (site_id, id))",
    );
    let newer = Central::open(pair.central.pool().clone()).await.unwrap();
    assert_eq!(newer.promote().await.unwrap(), 1);
    assert_eq!(one(&pair, "select brightness from stars where id = 7").as_deref(), Some("9"));
    assert_eq!(one(&pair, "select count(*) from canshi_unknown_rows").as_deref(), Some("0"));
}

#[tokio::test]
async fn values_that_fit_no_column_are_kept_as_they_are() {
    let pair = Pair::new().await;
    pair.drain_over(&pair.line()).await.unwrap();
    let at = pair.at_center().await;
    let hello = pair.journal().hello().await.unwrap();
    let layout = hello.layouts.last().unwrap().clone();
    let transactions = layout.table("transactions").unwrap().clone();
    let mut images = Vec::new();
    let long = "长".repeat(400);
    let numbers = [i64::MAX, i64::MIN, -1, 0, 1];
    for (id, number) in (1..).zip(numbers) {
        let value = |column: &String| match column.as_str() {
            "id" => json!(id),
            "local_date" => json!(["9999-12-31", "0001-01-01", "2024-02-29", "no day", ""][id as usize - 1]),
            "category" => json!([&long, "😀", "\u{0}\u{10ffff}", "' \\ \" `", " "][id as usize - 1]),
            name if name.ends_with("_fen") || name.ends_with("_at") || name == "related_id" => json!(number),
            _ => serde_json::Value::Null,
        };
        images.push(transactions.columns.iter().map(value).collect::<Vec<_>>());
    }
    let changes: Vec<Change> = (1..)
        .zip(&images)
        .map(|(step, image)| Change {
            seq: at.seq + step,
            txn: 1 << 40,
            at: 0,
            table: "transactions".to_owned(),
            op: Op::Insert,
            pk: json!([image[0]]).to_string(),
            image: Some(json!(image).to_string()),
            schema: layout.schema,
        })
        .collect();
    let to = changes.iter().fold(at, Mark::after);
    let batch =
        Batch { epoch: hello.epoch, boot: hello.boot, schema: layout.schema, from: at, to, whole: true, changes };
    assert_eq!(pair.push(&batch).await, Answer::Applied(to));
    assert_eq!(one(&pair, "select count(*) from canshi_quarantine").as_deref(), Some("0"));
    let request = RowsRequest {
        schema: layout.schema,
        table: "transactions".to_owned(),
        stretch: Stretch { after: None, until: None },
        limit: 100,
    };
    let page = pair.central.rows(pair.site, &request).await.unwrap();
    assert_eq!(page.rows, images);
    let amounts = MariaDb::shared().query(&pair.database, "select amount from transactions order by id");
    let amounts: Vec<_> = amounts.into_iter().map(|mut row| row.remove(0)).collect();
    let yuan = |text: &str| Some(text.to_owned());
    assert_eq!(amounts, [None, None, yuan("-0.01"), yuan("0.00"), yuan("0.01")]);
}
