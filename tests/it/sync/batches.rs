//! Batches at their edges: rows, bytes and transactions around the limits, in properties over small limits and as they are on
//! the way to a real server.

use canshi::service::notifications::{Audience, notify};
use canshi::store::migrations::make_tables;
use canshi_sync::batch::{Batch, Limits, cut};
use canshi_sync::chain::Mark;
use proptest::prelude::*;
use rusqlite::Connection;

use super::Pair;

/// An outbox with transactions of these sizes; each change weighs `16 + 3 + bytes`.
fn outbox(transactions: &[Vec<usize>]) -> Connection {
    let mut connection = Connection::open_in_memory().unwrap();
    make_tables(&mut connection).unwrap();
    let mut seq = 0;
    for (txn, sizes) in transactions.iter().enumerate() {
        for size in sizes {
            seq += 1;
            let image = format!("[\"{}\"]", "x".repeat(*size));
            connection
                .execute(
                    "insert into outbox (seq, txn, tbl, op, pk, image, schema, at) values (?1, ?2, 't', 'insert', '[1]', ?3, 1, 7)",
                    (seq, txn as i64 + 1, image),
                )
                .unwrap();
        }
    }
    connection
}

/// Everything in the outbox, cut into batches that were packed and unpacked.
fn cut_all(connection: &Connection, limits: Limits) -> Vec<Batch> {
    let (mut at, mut within) = (Mark::START, false);
    let mut batches = Vec::new();
    while let Some((to, whole, changes)) = cut(connection, at, within, limits).unwrap() {
        assert!(to.seq > at.seq, "a batch gets on");
        let batch = Batch { epoch: "e".to_owned(), boot: "b".to_owned(), schema: 1, from: at, to, whole, changes };
        batches.push(Batch::unpack(&batch.pack().unwrap()).unwrap());
        (at, within) = (to, !whole);
    }
    batches
}

fn check(transactions: &[Vec<usize>], limits: Limits) {
    let connection = outbox(transactions);
    let batches = cut_all(&connection, limits);
    let expected = canshi_sync::outbox::changes_after(&connection, 0, usize::MAX >> 1).unwrap();
    let changes: Vec<_> = batches.iter().flat_map(|batch| batch.changes.clone()).collect();
    assert_eq!(changes, expected, "every change once, in order");
    let mut open: Option<i64> = None;
    for batch in &batches {
        let weight: usize = batch.changes.iter().map(canshi_sync::outbox::Change::weight).sum();
        assert!(batch.changes.len() <= limits.rows.max(1), "too many rows");
        assert!(weight <= limits.bytes || batch.changes.len() == 1, "too many bytes");
        let (first, last) = (&batch.changes[0], batch.changes.last().unwrap());
        if let Some(open) = open {
            assert_eq!((first.txn, last.txn), (open, open), "the rest of a transaction travels alone");
        }
        let ends = expected.get(last.seq as usize).is_none_or(|next| next.txn != last.txn);
        assert_eq!(batch.whole, ends, "whole batches end where a transaction ends");
        if !batch.whole {
            assert_eq!(first.txn, last.txn, "only one that is too large is cut");
        }
        open = (!batch.whole).then_some(last.txn);
    }
    assert!(batches.last().is_none_or(|batch| batch.whole));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_outbox_is_cut_whole_and_within_the_limits(
        transactions in prop::collection::vec(prop::collection::vec(0_usize..60, 1..12), 0..12),
        rows in 1_usize..9,
        bytes in 1_usize..300,
    ) {
        check(&transactions, Limits { rows, bytes });
    }
}

#[test]
fn the_edges_of_rows_bytes_and_transactions() {
    for count in [0, 1, 3, 4, 5, 8, 9] {
        let limits = Limits { rows: 4, bytes: 1 << 20 };
        check(&vec![vec![0]; count], limits);
        check(&[vec![0; count.max(1)]], limits);
        // 4 changes of 23 bytes each fill the limit to the byte.
        let limits = Limits { rows: 100, bytes: 4 * 23 };
        check(&vec![vec![0]; count], limits);
        check(&[vec![0; count.max(1)], vec![0]], limits);
    }
}

/// Adds so many rows in one transaction.
async fn write_rows(pair: &Pair, rows: usize, content: &'static str) {
    pair.app
        .db()
        .write(move |tx| (0..rows).try_for_each(|_| notify(tx, Audience::Everyone, "标题", content).map(drop)))
        .await
        .unwrap();
}

#[tokio::test]
async fn batches_around_the_limit_of_rows_arrive_whole() {
    let pair = Pair::new().await;
    pair.assert_equal().await;
    let most = Limits::default().rows;
    for rows in [1, most - 1, most, most + 1, 2 * most] {
        write_rows(&pair, rows, "内容").await;
        pair.assert_equal().await;
    }
}

#[tokio::test]
async fn a_transaction_of_ten_thousand_rows_is_applied_as_one() {
    let pair = Pair::new().await;
    pair.assert_equal().await;
    let before = pair.app.db().read_rows(canshi::store::sync::tip).await.unwrap();
    write_rows(&pair, 10_000, "内容").await;
    // Its parts are set aside: the mirror does not show any of it before it has all.
    let (mut at, mut within) =
        (pair.app.db().read(move |tx| canshi::store::sync::mark_at(tx, before)).await.unwrap().unwrap(), false);
    use canshi_sync::push::Journal as _;
    loop {
        let batch = pair.journal().cut(at, within).await.unwrap().unwrap();
        let rows = crate::mariadb::MariaDb::shared().query(&pair.database, "select count(*) from notifications");
        assert_eq!(rows[0][0].as_deref(), Some("0"), "a torn transaction");
        pair.push(&batch).await;
        (at, within) = (batch.to, !batch.whole);
        if batch.whole {
            break;
        }
    }
    pair.assert_equal().await;
}

#[tokio::test]
async fn a_row_of_a_mebibyte_travels() {
    let pair = Pair::new().await;
    let text: &'static str = Box::leak("餐".repeat((1 << 20) / 3).into_boxed_str());
    write_rows(&pair, 1, text).await;
    write_rows(&pair, 3, text).await;
    write_rows(&pair, 1, "短").await;
    pair.assert_equal().await;
}
