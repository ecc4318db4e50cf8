//! What the site remembers of its sending: places of the chain are found again, and old changes go only when that harms nothing.

use canshi::domain::time::{DAY_MS, Instant};
use canshi::store::sync as rows;
use canshi_sync::chain::Mark;
use serde_json::json;

use super::Pair;

#[tokio::test]
async fn any_place_of_the_chain_is_found_again_from_the_kept_ones() {
    let pair = Pair::new().await;
    for name in ["甲", "乙", "丙"] {
        pair.app.post("/api/customers", json!({"name": name})).await.expect(201);
    }
    let changes = pair.app.rows();
    let changes = canshi_sync::outbox::changes_after(&changes, 0, 1_000).unwrap();
    let mut place = Mark::START;
    let mut places = vec![place];
    for change in &changes {
        place = place.after(change);
        places.push(place);
    }
    let middle = places[places.len() / 2];
    pair.app.db().write(move |tx| rows::confirm(tx, middle)).await.unwrap();
    for place in &places {
        let seq = place.seq;
        let found = pair.app.db().read(move |tx| rows::mark_at(tx, seq)).await.unwrap();
        assert_eq!(found, Some(*place));
    }
    let beyond = place.seq + 1;
    assert_eq!(pair.app.db().read(move |tx| rows::mark_at(tx, beyond)).await.unwrap(), None);
}

#[tokio::test]
async fn only_what_was_confirmed_long_ago_is_forgotten_and_the_chain_goes_on() {
    let pair = Pair::new().await;
    pair.app.post("/api/customers", json!({"name": "早"})).await.expect(201);
    pair.drain_over(&pair.line()).await.unwrap();
    let confirmed = pair.at_center().await;
    pair.app.db().write(move |tx| rows::confirm(tx, confirmed)).await.unwrap();
    let before = pair.app.db().now();
    pair.app.pass_ms(31 * DAY_MS);
    let late = pair.app.login("admin", crate::app::PASSWORD).await;
    pair.app.by(&late, axum::http::Method::POST, "/api/customers", Some(json!({"name": "晚"}))).await.expect(201);
    let oldest = |tx: &canshi::store::ReadTx<'_>| rows::is_complete(tx);
    // Confirmed a moment ago is not long ago.
    assert_eq!(pair.app.db().write(move |tx| rows::prune(tx, Instant(before.0))).await.unwrap(), 0);
    assert!(pair.app.db().read(oldest).await.unwrap());
    let gone = pair.app.db().write(canshi::service::sync::forget_confirmed).await.unwrap();
    pair.app.pruned.store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(gone > 0);
    assert!(!pair.app.db().read(oldest).await.unwrap());
    // What is not confirmed is all there, and the site goes on from where the center is.
    pair.assert_equal().await;
}
