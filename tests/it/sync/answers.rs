//! The four answers of the center, each for what calls for it, and nothing of a fenced box applied.

use canshi_sync::batch::Batch;
use canshi_sync::chain::{GENESIS, Mark};
use canshi_sync::push::Journal as _;
use canshi_sync::wire::{Answer, Hello};
use serde_json::json;

use super::Pair;
use crate::mariadb::MariaDb;

fn rows(pair: &Pair, table: &str) -> i64 {
    let rows = MariaDb::shared().query(&pair.database, &format!("select count(*) from {table}"));
    rows[0][0].as_deref().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_batch_that_follows_is_applied_and_a_repeat_is_already_applied() {
    let pair = Pair::new().await;
    assert_eq!(pair.hello_at(Mark::START).await, Answer::Applied(Mark::START));
    let batch = pair.cut(Mark::START).await;
    assert_eq!(pair.push(&batch).await, Answer::Applied(batch.to));
    let after = rows(&pair, "audit");
    assert_eq!(pair.push(&batch).await, Answer::AlreadyApplied(batch.to));
    assert_eq!(rows(&pair, "audit"), after);
}

#[tokio::test]
async fn a_batch_that_leaves_a_gap_is_told_where_to_go_on() {
    let pair = Pair::new().await;
    pair.hello_at(Mark::START).await;
    let first = pair.cut(Mark::START).await;
    pair.app.post("/api/customers", json!({"name": "张三"})).await.expect(201);
    let second = pair.cut(first.to).await;
    assert_eq!(pair.push(&second).await, Answer::Rewind(Mark::START));
    assert_eq!(rows(&pair, "customers"), 0);
    assert_eq!(pair.push(&first).await, Answer::Applied(first.to));
    assert_eq!(pair.push(&second).await, Answer::Applied(second.to));
    // What was confirmed long ago and comes again is told the same.
    assert_eq!(pair.push(&first).await, Answer::Rewind(second.to));
}

#[tokio::test]
async fn another_history_is_fenced_and_nothing_of_it_is_applied() {
    let pair = Pair::new().await;
    pair.hello_at(Mark::START).await;
    let first = pair.cut(Mark::START).await;
    pair.push(&first).await;
    pair.app.post("/api/customers", json!({"name": "张三"})).await.expect(201);
    let honest = pair.cut(first.to).await;
    let forked = Mark { seq: first.to.seq, hash: GENESIS };
    let changes = honest.changes.clone();
    let to = changes.iter().fold(forked, Mark::after);
    let fork = Batch { from: forked, to, ..honest.clone() };
    assert!(matches!(pair.push(&fork).await, Answer::Fenced { .. }));
    assert_eq!(rows(&pair, "customers"), 0);
    // The box stays fenced, whatever it sends then.
    assert!(matches!(pair.push(&honest).await, Answer::Fenced { .. }));
    assert!(matches!(pair.hello_at(first.to).await, Answer::Fenced { .. }));
}

#[tokio::test]
async fn a_box_that_lacks_what_the_center_has_is_fenced() {
    let pair = Pair::new().await;
    pair.drain_over(&pair.line()).await.unwrap();
    let seq = pair.journal().hello().await.unwrap().tip;
    // It was restored from a backup: it knows neither the newest place nor its hash.
    assert!(matches!(pair.hello_at(Mark::START).await, Answer::Rewind(mark) if mark.seq == seq));
    assert!(matches!(pair.hello_at(Mark { seq, hash: GENESIS }).await, Answer::Fenced { .. }));
}

#[tokio::test]
async fn a_box_of_an_earlier_epoch_is_fenced() {
    let pair = Pair::new().await;
    pair.drain_over(&pair.line()).await.unwrap();
    let code = pair.central.new_code(pair.site).await.unwrap();
    pair.central.take_over(&code.code, "another").await.unwrap();
    pair.app.post("/api/customers", json!({"name": "张三"})).await.expect(201);
    let reason = pair.drain_over(&pair.line()).await.unwrap_err();
    assert!(reason.contains("replaced"), "{reason}");
    assert_eq!(rows(&pair, "customers"), 0);
    assert_eq!(pair.journal().fenced().await.unwrap(), Some(reason));
    // The site itself goes on.
    pair.app.post("/api/customers", json!({"name": "李四"})).await.expect(201);
}

#[tokio::test]
async fn who_has_not_said_hello_since_the_other_did_has_to_say_it() {
    let pair = Pair::new().await;
    pair.hello_at(Mark::START).await;
    let batch = pair.cut(Mark::START).await;
    let stranger = Hello { boot: "another start".to_owned(), at: Mark::START, ..pair.journal().hello().await.unwrap() };
    assert!(pair.central.hello(pair.site, &stranger).await.is_err(), "it has only just said hello");
    let gone = || MariaDb::shared().query(&pair.database, "update canshi_positions set lease_until = utc_timestamp(3)");
    gone();
    // Nobody is connected, so the newest start has the place.
    assert_eq!(pair.central.hello(pair.site, &stranger).await.unwrap(), Answer::Applied(Mark::START));
    gone();
    assert_eq!(pair.push(&batch).await, Answer::Rewind(Mark::START));
    assert_eq!(rows(&pair, "audit"), 0);
}

#[tokio::test]
async fn bytes_that_are_no_batch_are_refused() {
    let pair = Pair::new().await;
    let batch = pair.cut(Mark::START).await;
    let packed = batch.pack().unwrap();
    assert_eq!(Batch::unpack(&packed).unwrap(), batch);
    for wrong in [&b""[..], b"not zstd", &packed[..packed.len() / 2]] {
        assert!(Batch::unpack(wrong).is_err());
    }
    let mut altered = batch.clone();
    altered.changes[0].pk = "[2]".to_owned();
    assert!(Batch::unpack(&altered.pack().unwrap()).is_err(), "a hash that is not that of the changes");
}
