//! Runs of chance: orders of all kinds, families that pay, close and want money back, with answers that are lost, lines that break and a
//! site that dies between any two steps. Whatever happens, no order is charged twice, none is paid here without the platform's word, none is
//! paid at the platform and unpaid here once the line is up, and the books are the platform's to the fen.

use canshi::service::payments::errands;
use serde_json::{Value, json};

use super::{WAYS, World};
use crate::schedule::Seed;

/// Runs, unless `CANSHI_PAYMENT_ROUNDS` says another number.
const ROUNDS: u64 = 40;
/// Orders in a run: together with [`ROUNDS`] a thousand lives of an order.
const ORDERS: usize = 25;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_the_books_are_the_platforms_to_the_fen() {
    let rounds = std::env::var("CANSHI_PAYMENT_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let first = std::env::var("CANSHI_PAYMENT_SEED").map_or(1, |seed| seed.parse().unwrap());
    for seed in first..first + rounds {
        round(seed).await;
    }
}

async fn round(seed: u64) {
    let world = World::new().await;
    let mut chance = Seed::of("CANSHI_PAYMENT_SEED", seed);
    world.platform.chaos(seed, 0.25).await;
    let mut orders: Vec<(String, &str)> = Vec::new();
    for _ in 0..ORDERS * 6 {
        match chance.below(10) {
            0..=2 if orders.len() < ORDERS => {
                let (method, channel) = WAYS[chance.below(3) as usize];
                let amount = 1.0 + chance.below(9_999) as f64 / 100.0;
                let answer = world.app.post("/api/payment/orders", world.order(method, amount)).await;
                if let Some(order) = answer.data()["order_id"].as_str() {
                    orders.push((order.to_owned(), channel));
                }
            }
            3 | 4 => {
                if let Some((order, channel)) = pick(&orders, &mut chance) {
                    // The platform may not know it, or may have closed it.
                    drop(world.platform.pay(channel, order).await);
                }
            }
            5 => {
                if let Some((order, _)) = pick(&orders, &mut chance) {
                    let body = json!({"amount": 1.0, "reason": "退款"});
                    world.app.post(&format!("/api/payment/orders/{order}/refunds"), body).await;
                }
            }
            6 => {
                if let Some((order, _)) = pick(&orders, &mut chance)
                    && chance.below(3) == 0
                {
                    world.app.post(&format!("/api/payment/orders/{order}/close"), json!({})).await;
                }
            }
            7 => {
                if let Some((order, _)) = pick(&orders, &mut chance) {
                    world.notify_if_any("payment", order).await;
                }
            }
            8 => die_in_the_middle(&world, &mut chance).await,
            _ => {
                world.pass(1_000 + chance.below(60_000) as i64).await;
                world.work_off().await;
            }
        }
    }
    world.platform.chaos(seed, 0.0).await;
    world.platform.clear_faults().await;
    // The line is up: hours pass, nobody presses anything.
    for _ in 0..60 {
        world.pass(5 * 60_000).await;
        world.work_off().await;
    }
    check(&world, seed).await;
}

fn pick<'o>(orders: &'o [(String, &'static str)], chance: &mut Seed) -> Option<&'o (String, &'static str)> {
    (!orders.is_empty()).then(|| &orders[chance.below(orders.len() as u64) as usize])
}

/// The site is at work and dies at whatever point it has reached: what was not committed is gone, what the platform has heard stays.
async fn die_in_the_middle(world: &World, chance: &mut Seed) {
    let (db, platforms) = (world.app.app().db().clone(), world.app.app().payments().clone());
    let work = tokio::spawn(async move { errands::forward_due(&db, &platforms).await });
    for _ in 0..chance.below(400) {
        tokio::task::yield_now().await;
    }
    work.abort();
    drop(work.await);
    world.pass(25_000).await;
}

async fn check(world: &World, seed: u64) {
    let facts = world.platform.facts().await;
    let sum = |kind: &str, what: &str| -> i64 {
        facts[kind].as_array().unwrap().iter().filter_map(|fact| fact[what].as_i64()).sum()
    };
    for order in facts["orders"].as_array().unwrap() {
        let (number, moved) = (order["no"].as_str().unwrap(), order["charges"].as_i64().unwrap_or(0));
        assert!(moved <= 1, "seed {seed}: {number} was charged {moved} times");
        let status: Option<String> = world
            .app
            .rows()
            .query_row("select status from payment_orders where out_no = ?1", [number], |row| row.get(0))
            .ok();
        let paid = status.as_deref() == Some("paid");
        assert_eq!(paid, moved == 1, "seed {seed}: {number} is {status:?} here, and at the platform {order}");
    }
    let here: i64 = world
        .app
        .rows()
        .query_row("select count(*) from payment_orders where status = 'paid'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(here, sum("orders", "charges"), "seed {seed}: paid here without the platform's word");
    let charged: i64 = facts["orders"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|order| order["charges"] == 1)
        .map(|order: &Value| order["charged_fen"].as_i64().unwrap())
        .sum();
    let returned: i64 = facts["refunds"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|refund| refund["moves"] == 1)
        .map(|refund| refund["moved_fen"].as_i64().unwrap())
        .sum();
    assert_eq!(world.books(), (charged, returned), "seed {seed}: {facts}");
}
