//! Payouts against a platform that keeps its own promises and nothing else: requests and answers that are lost or late, boxes that
//! stop between two steps, notifications that come twice and out of order, and people who press everything.
//!
//! The platform here is a model in memory. It knows how many times it paid, which no real one would tell.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use canshi::domain::payments::{OrderStatus, PaymentMethod};
use canshi::error::Error;
use canshi::payments::{Call, Outcome, Refusal, Transfer, TransferState, Trouble};
use canshi::service::payouts::{self, NewPayout};
use canshi::store::page::Page;
use canshi::store::payment_orders::{self, PaymentOrder, PaymentOrderFilter};

use crate::payouts::{Payroll, acting_as, maker};
use crate::schedule::{Seed, rounds};

const ROUNDS: u64 = 100;
const STEPS: u64 = 50;
/// A request arrives within this time or never.
const LATE_MS: u64 = 50_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Waiting,
    Working,
    Paid,
    Failed,
    Cancelled,
    Returned,
}

struct Bill {
    request: Transfer,
    stage: Stage,
}

#[derive(Default)]
struct Platform {
    bills: BTreeMap<String, Bill>,
    /// Requests on their way, and when they arrive.
    late: Vec<(i64, Transfer)>,
    /// What was notified, to come again.
    said: Vec<(String, TransferState)>,
}

impl Platform {
    /// A repeat has to be the same request; it pays nothing more.
    fn pay(&mut self, request: Transfer, method: PaymentMethod) {
        let stage = if method == PaymentMethod::Wechat { Stage::Waiting } else { Stage::Working };
        let bill = self.bills.entry(request.order_no.clone()).or_insert(Bill { request: request.clone(), stage });
        assert_eq!(bill.request, request, "a repeat differs");
    }

    fn state(&self, number: &str) -> TransferState {
        match self.bills.get(number).map(|bill| bill.stage) {
            None => TransferState::NotFound,
            Some(Stage::Waiting) => TransferState::WaitConfirm { launch: None },
            Some(Stage::Working) => TransferState::Processing,
            Some(Stage::Paid) => {
                TransferState::Succeeded { at_ms: crate::app::MORNING, platform_no: number.to_owned() }
            }
            Some(Stage::Failed) => TransferState::Failed { reason: "FAIL".to_owned() },
            Some(Stage::Cancelled) => TransferState::Cancelled,
            Some(Stage::Returned) => TransferState::Returned { reason: "REFUND".to_owned() },
        }
    }

    fn take_back(&mut self, number: &str) -> Result<TransferState, Trouble> {
        match self.bills.get_mut(number) {
            Some(bill) if bill.stage == Stage::Waiting => bill.stage = Stage::Cancelled,
            Some(bill) if bill.stage != Stage::Cancelled => return Err(refused()),
            _ => {}
        }
        Ok(self.state(number))
    }

    fn arrive(&mut self, now: i64, method: PaymentMethod) {
        let (arrived, late) = std::mem::take(&mut self.late).into_iter().partition(|(at, _)| *at <= now);
        self.late = late;
        let arrived: Vec<(i64, Transfer)> = arrived;
        for (_, request) in arrived {
            self.pay(request, method);
        }
    }

    /// A bill goes on: accepted, paid, failed, come back.
    fn advance(&mut self, seed: &mut Seed) {
        let Some(number) = self.bills.keys().nth(seed.below(self.bills.len().max(1) as u64) as usize).cloned() else {
            return;
        };
        let bill = self.bills.get_mut(&number).unwrap();
        bill.stage = match bill.stage {
            Stage::Waiting => *seed.pick(&[Stage::Waiting, Stage::Working, Stage::Failed]),
            Stage::Working => *seed.pick(&[Stage::Working, Stage::Paid, Stage::Failed]),
            Stage::Paid => *seed.pick(&[Stage::Paid, Stage::Paid, Stage::Returned]),
            last => last,
        };
        // WeChat takes nothing back that was paid.
        if bill.stage == Stage::Returned && bill.request.account.starts_with('o') {
            bill.stage = Stage::Paid;
        }
    }
}

fn refused() -> Trouble {
    Trouble::Refused { refusal: Refusal::Final, code: "NO".to_owned(), message: String::new() }
}

struct Round<'a> {
    payroll: &'a Payroll,
    new: NewPayout,
    platform: Platform,
}

impl Round<'_> {
    async fn orders(&self) -> Vec<PaymentOrder> {
        let filter = PaymentOrderFilter {
            order_type: Some(self.new.order_type),
            related_id: Some(self.new.related_id),
            ..PaymentOrderFilter::default()
        };
        let page = Page { number: 1, size: 100 };
        self.payroll.app.db().read(move |tx| payment_orders::list(tx, &filter, page)).await.unwrap().items
    }

    fn now(&self) -> i64 {
        self.payroll.app.clock.load(Ordering::SeqCst)
    }

    fn pass_ms(&mut self, ms: i64) {
        self.payroll.app.pass_ms(ms);
        self.platform.arrive(self.now(), self.new.payment_method);
    }

    /// One call, whatever becomes of it.
    async fn speak(&mut self, seed: &mut Seed, order: &PaymentOrder) {
        let (loaded, tries) = (order.clone(), seed.below(2) as u32);
        let call = self.payroll.app.db().write(move |tx| payouts::next_call(tx, &loaded, tries)).await.unwrap();
        let Some((_, call)) = call else { return };
        let lost = || Err(Trouble::unknown("lost"));
        let result = match (seed.below(6), call) {
            // It never arrives.
            (0, _) => lost(),
            (1, Call::Transfer(request)) => {
                self.platform.late.push((self.now() + seed.below(LATE_MS) as i64, request));
                lost()
            }
            (2, Call::Transfer(request)) if !self.platform.bills.contains_key(&request.order_no) => Err(refused()),
            (fate, call) => {
                let answer = match call {
                    Call::Transfer(request) => {
                        let number = request.order_no.clone();
                        self.platform.pay(request, self.new.payment_method);
                        Ok(self.platform.state(&number))
                    }
                    Call::QueryTransfer(request) => Ok(self.platform.state(&request.order_no)),
                    Call::CancelTransfer(request) => self.platform.take_back(&request.order_no),
                    other => panic!("{other:?}"),
                };
                match fate {
                    // The answer is lost, or the box stops before it is written down.
                    3 => lost(),
                    4 => return,
                    _ => answer.map(Outcome::Transfer),
                }
            }
        };
        // The box may stop here too, and hear the same again.
        for _ in 0..=seed.below(2) {
            let heard = match &result {
                Ok(outcome) => Ok(outcome.clone()),
                Err(Trouble::Refused { .. }) => Err(refused()),
                Err(_) => lost(),
            };
            let order = order.clone();
            self.payroll.app.db().write(move |tx| payouts::record(tx, &order, &heard)).await.unwrap();
        }
    }

    /// The platform notifies, or says again what it said before.
    async fn notify(&mut self, seed: &mut Seed) {
        if let Some(number) = self.platform.bills.keys().nth(seed.below(3) as usize).cloned() {
            let state = self.platform.state(&number);
            self.platform.said.push((number, state));
        }
        if self.platform.said.is_empty() {
            return;
        }
        let (number, state) = seed.pick(&self.platform.said).clone();
        let settle = move |tx: &canshi::store::WriteTx<'_>| {
            let order = payment_orders::find_by_out_number(tx, &number.parse().unwrap())?.unwrap();
            payouts::settle_transfer(tx, &order, &state)
        };
        self.payroll.app.db().write(settle).await.unwrap();
    }

    /// Somebody presses something; what is refused is refused.
    async fn press(&mut self, what: u64, order: Option<PaymentOrder>) {
        let new = self.new.clone();
        let pressed = self.payroll.app.db().write(move |tx| match (what, order) {
            (0, _) | (_, None) => payouts::open(tx, &maker(), &new),
            (1, Some(order)) => payouts::cancel(tx, &maker(), &order.order_no),
            (2, Some(order)) => payouts::reissue(tx, &maker(), &order.order_no, None),
            (3, Some(order)) => payouts::reject(tx, &acting_as(2), &order.order_no, "不"),
            (_, Some(order)) => payouts::approve(tx, &acting_as(2), &order.order_no),
        });
        match pressed.await {
            Ok(_) | Err(Error::Conflict(_)) => {}
            Err(error) => panic!("{error:?}"),
        }
    }

    async fn run(&mut self, seed: &mut Seed) {
        self.press(0, None).await;
        let first = self.orders().await.pop();
        self.press(4, first).await;
        for _ in 0..seed.below(STEPS) {
            let orders = self.orders().await;
            let order = seed.pick(&orders).clone();
            match seed.below(10) {
                0..=2 => self.speak(seed, &order).await,
                3 => self.platform.advance(seed),
                4 => self.notify(seed).await,
                5..=6 => self.press(seed.below(4), Some(order)).await,
                7 => self.press(4, Some(order)).await,
                8 => self.pass_ms(seed.below(90_000) as i64),
                _ => self.pass_ms(if seed.below(10) == 0 { 90_000_000 } else { 61_000 }),
            }
        }
    }

    /// The line is up, the platform brings everything to its end, and the people approve nothing more.
    async fn come_to_the_end(&mut self, seed: &mut Seed) {
        for _ in 0..200 {
            let open: Vec<_> = self.orders().await.into_iter().filter(|order| order.status.is_open_payout()).collect();
            if open.is_empty() && self.platform.late.is_empty() {
                return;
            }
            self.pass_ms(61_000);
            for order in open {
                self.speak(seed, &order).await;
                self.platform.advance(seed);
                if order.status == OrderStatus::AwaitingApproval {
                    self.press(3, Some(order)).await;
                } else if order.status == OrderStatus::Queued {
                    // Where the platform refused for good a person has to look.
                    self.press(1, Some(order)).await;
                }
            }
        }
        panic!("a payout does not come to its end: {:?}", self.orders().await);
    }

    async fn check(&self) {
        let paid = |stage: Stage| self.platform.bills.values().filter(move |bill| bill.stage == stage).count();
        assert!(paid(Stage::Paid) <= 1, "paid twice");
        assert_eq!(paid(Stage::Waiting) + paid(Stage::Working), 0, "something is still on its way");
        let mut booked = 0;
        for order in self.orders().await {
            let stage = self.platform.bills.get(order.out_no.as_str()).map(|bill| bill.stage);
            // Nobody asks after a payout that was paid; that it came back is heard by a notification, or from the bill.
            let is_paid = matches!(stage, Some(Stage::Paid | Stage::Returned)) && order.status == OrderStatus::Paid;
            assert!(is_paid || stage != Some(Stage::Paid), "{order:?} was paid");
            assert!(is_paid || order.status != OrderStatus::Paid, "{order:?} was not paid");
            assert!(!order.refund_due, "{order:?}");
            let (payout, back) = self.entries(order.id.get());
            assert_eq!(payout - back, i64::from(order.status == OrderStatus::Paid), "{order:?}");
            booked += payout - back;
        }
        assert!(booked <= 1);
    }

    fn entries(&self, order: i64) -> (i64, i64) {
        let sql = "select coalesce(sum(kind = 'payout'), 0), coalesce(sum(kind = 'return'), 0)
                   from payment_entries where subject_id = ?1 and kind in ('payout', 'return')";
        self.payroll.app.rows().query_row(sql, [order], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    }
}

#[tokio::test]
async fn whatever_is_lost_late_or_pressed_nobody_is_paid_twice_and_the_books_are_right() {
    let mut seed = Seed::from_env("CANSHI_PAYOUT_SEED");
    let payroll = Payroll::new().await;
    for round in 0..rounds("CANSHI_PAYOUT_ROUNDS", ROUNDS) {
        let method = *seed.pick(&[PaymentMethod::Wechat, PaymentMethod::Alipay]);
        let period = format!("{}-{:02}", 2024 + round / 12, round % 12 + 1);
        let salary =
            if round == 0 { payroll.salary } else { Payroll::salary(&payroll.app, payroll.employee, &period).await };
        let new = NewPayout { related_id: salary, ..payroll.wages(method) };
        let mut round = Round { payroll: &payroll, new, platform: Platform::default() };
        round.run(&mut seed).await;
        round.come_to_the_end(&mut seed).await;
        round.check().await;
    }
}
