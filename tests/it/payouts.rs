//! Payouts: who may make them and who has to agree, what becomes of them whatever a platform or the bank says, and the books.

use std::sync::Arc;

use axum::http::Method;
use canshi::domain::access::{Actor, Permissions, Person, Source};
use canshi::domain::ids::{RoleId, UserId};
use canshi::domain::money::Fen;
use canshi::domain::payments::{OrderNo, OrderType, PaymentMethod};
use canshi::payments::{Call, Outcome, Refusal, TransferState, Trouble};
use canshi::service::payouts::{self, Effect, NewPayout, NextDue};
use canshi::store::payment_orders::{self, PaymentOrder};
use serde_json::{Value, json};

use crate::app::TestApp;
use crate::payees::{assert_nowhere_in_the_clear, bind};

const OPENID: &str = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o";
const BANK_ACCOUNT: &str = "6222020200012345678";
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// The administrator, who makes the payouts of these tests.
pub fn maker() -> Actor {
    acting_as(1)
}

/// A user who may do everything.
pub fn acting_as(user: i64) -> Actor {
    let person = Person {
        user_id: UserId::try_from(user).unwrap(),
        username: "admin".to_owned(),
        name: "管理员".to_owned(),
        role_id: RoleId::try_from(1).unwrap(),
        role: "admin".to_owned(),
        permissions: Permissions::all(),
        customer_id: None,
        employee_id: None,
        session_id: None,
    };
    Actor { person: Some(Arc::new(person)), source: Source::System, request_id: Arc::from("test") }
}

/// A site with an employee who is owed 5600.00 and can be paid in every way.
pub struct Payroll {
    pub app: TestApp,
    pub employee: i64,
    pub salary: i64,
    approver: String,
}

impl Payroll {
    pub async fn new() -> Self {
        let app = TestApp::new().await;
        let employee = json!({"name": "王五", "position": "护理师"});
        let employee = app.post("/api/employees", employee).await.expect(201)["id"].as_i64().unwrap();
        let permissions = ["payments.approve", "payments.read"];
        app.post("/api/roles", json!({"name": "approver", "permissions": permissions})).await.expect(201);
        let approver = app.user("approver", json!({})).await;
        for (method, account) in [("wechat", OPENID), ("alipay", "13700137000"), ("bank", BANK_ACCOUNT)] {
            let payee = json!({"account": account, "account_name": "王五", "bank_name": "中国工商银行"});
            app.put(&format!("/api/employees/{employee}/payees/{method}"), payee).await.expect(200);
        }
        let salary = Self::salary(&app, employee, "2024-01").await;
        Self { app, employee, salary, approver }
    }

    pub async fn salary(app: &TestApp, employee: i64, period: &str) -> i64 {
        let salary = json!({"employee_id": employee, "pay_period": period, "base_salary": 5600});
        app.post("/api/finance/salaries", salary).await.expect(201)["id"].as_i64().unwrap()
    }

    pub fn wages(&self, method: PaymentMethod) -> NewPayout {
        NewPayout {
            order_type: OrderType::Salary,
            payment_method: method,
            amount: Fen(560_000),
            related_id: self.salary,
            subject: None,
        }
    }

    async fn open(&self, new: NewPayout) -> canshi::error::Result<PaymentOrder> {
        self.app.db().write(move |tx| payouts::open(tx, &maker(), &new)).await
    }

    /// A payout of the wages that was approved.
    async fn approved(&self, method: PaymentMethod) -> PaymentOrder {
        let order = self.open(self.wages(method)).await.unwrap();
        self.step(&self.approver, &order, "approve", json!({})).await.expect(200);
        self.load(&order).await
    }

    async fn step(&self, token: &str, order: &PaymentOrder, step: &str, body: Value) -> crate::app::Reply {
        let path = format!("/api/payment/orders/{}/{step}", order.order_no);
        self.app.by(token, Method::POST, &path, Some(body)).await
    }

    async fn load(&self, order: &PaymentOrder) -> PaymentOrder {
        let id = order.id;
        self.app.db().read(move |tx| Ok(payment_orders::find(tx, id)?.unwrap())).await.unwrap()
    }

    async fn status(&self, order: &PaymentOrder) -> &'static str {
        self.load(order).await.status.as_str()
    }

    /// What the platform is told or asked next; it is committed before it is made.
    async fn next(&self, order: &PaymentOrder, tries: u32) -> Option<Call> {
        let order = self.load(order).await;
        let call = self.app.db().write(move |tx| payouts::next_call(tx, &order, tries)).await.unwrap();
        call.map(|(_, call)| call)
    }

    async fn hear(&self, order: &PaymentOrder, result: Result<Outcome, Trouble>) -> NextDue {
        let order = order.clone();
        self.app.db().write(move |tx| payouts::record(tx, &order, &result)).await.unwrap()
    }

    async fn hear_state(&self, order: &PaymentOrder, state: TransferState) -> NextDue {
        self.hear(order, Ok(Outcome::Transfer(state))).await
    }

    async fn settle(&self, order: &PaymentOrder, state: TransferState) -> Effect {
        let order = order.clone();
        self.app.db().write(move |tx| payouts::settle_transfer(tx, &order, &state)).await.unwrap()
    }

    /// The books: type, category and amount of each entry.
    fn books(&self) -> Vec<(String, String, i64)> {
        let connection = self.app.rows();
        let mut statement =
            connection.prepare("select type, category, amount_fen from transactions order by id").unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        rows.map(Result::unwrap).collect()
    }

    fn told(&self, title: &str) -> i64 {
        let sql = "select count(*) from notifications where title = ?1";
        self.app.rows().query_row(sql, [title], |row| row.get(0)).unwrap()
    }
}

fn succeeded() -> TransferState {
    TransferState::Succeeded {
        at_ms: crate::app::MORNING + 1_000,
        platform_no: "1330000071100999991182020050700019480001".to_owned(),
    }
}

fn failed() -> TransferState {
    TransferState::Failed { reason: "ACCOUNT_FROZEN".to_owned() }
}

fn refused(refusal: Refusal) -> Result<Outcome, Trouble> {
    Err(Trouble::Refused { refusal, code: "PARAM_ERROR".to_owned(), message: "参数错误".to_owned() })
}

fn lost() -> Result<Outcome, Trouble> {
    Err(Trouble::unknown("no whole answer came"))
}

fn expense() -> (String, String, i64) {
    ("expense".to_owned(), "员工薪资".to_owned(), 560_000)
}

#[track_caller]
fn names(result: canshi::error::Result<PaymentOrder>, field: &str) {
    match result {
        Err(canshi::error::Error::Invalid(invalid)) => assert_eq!(invalid.field, field),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_payout_is_for_something_that_is_owed_and_goes_to_somebody_known() {
    let payroll = Payroll::new().await;
    let wages = payroll.wages(PaymentMethod::Bank);
    names(payroll.open(NewPayout { related_id: 99, ..wages.clone() }).await, "related_id");
    names(payroll.open(NewPayout { related_id: -1, ..wages.clone() }).await, "related_id");
    names(payroll.open(NewPayout { amount: Fen(560_001), ..wages.clone() }).await, "amount");
    names(payroll.open(NewPayout { subject: Some("长".repeat(33)), ..wages.clone() }).await, "subject");
    let supplier = json!({"name": "鲜蔬配送行", "category": "食材采购"});
    let supplier = payroll.app.post("/api/suppliers", supplier).await.expect(201)["id"].as_i64().unwrap();
    let bill = NewPayout {
        order_type: OrderType::SupplierPayment,
        payment_method: PaymentMethod::Alipay,
        amount: Fen(10),
        related_id: supplier,
        subject: None,
    };
    for amount in [-1, 0, 9] {
        names(payroll.open(NewPayout { amount: Fen(amount), ..bill.clone() }).await, "amount");
    }
    names(payroll.open(bill.clone()).await, "payee");
    let payee = json!({"account": "a@example.com", "account_name": "鲜蔬配送行"});
    payroll.app.put(&format!("/api/suppliers/{supplier}/payees/alipay"), payee).await.expect(200);
    payroll.app.put(&format!("/api/suppliers/{supplier}"), json!({"status": "inactive"})).await.expect(200);
    names(payroll.open(bill.clone()).await, "related_id");
    payroll.app.put(&format!("/api/suppliers/{supplier}"), json!({"status": "active"})).await.expect(200);
    let order = payroll.open(bill).await.unwrap();
    assert_eq!((order.status.as_str(), order.category.as_str()), ("queued", "食材采购"));
    // A correction takes the place of what was entered first.
    let salary = json!({"employee_id": payroll.employee, "pay_period": "2024-01", "base_salary": 1});
    payroll.app.post("/api/finance/salaries", salary).await.expect(201);
    names(payroll.open(wages).await, "related_id");
}

#[tokio::test]
async fn more_than_the_limit_takes_a_second_person() {
    let payroll = Payroll::new().await;
    let order = payroll.open(payroll.wages(PaymentMethod::Wechat)).await.unwrap();
    assert_eq!(order.status.as_str(), "awaiting_approval");
    assert_eq!(payroll.next(&order, 0).await, None);
    let text = payroll.step(payroll.app.admin(), &order, "approve", json!({})).await.refused(403, None);
    assert!(text.contains("另一人"), "{text}");
    let stranger = payroll.app.user("employee", json!({})).await;
    payroll.step(&stranger, &order, "approve", json!({})).await.refused(403, None);
    let approved = payroll.step(&payroll.approver, &order, "approve", json!({})).await.expect(200);
    assert_eq!((&approved["status"], &approved["payee"]["account"]), (&json!("queued"), &json!("****eS6o")));
    assert_eq!((&approved["created_by"], &approved["approved_by"]), (&json!(1), &json!(2)));
    payroll.step(&payroll.approver, &order, "approve", json!({})).await.refused(409, None);
    assert!(matches!(payroll.next(&order, 0).await, Some(Call::Transfer(_))));
    let tasks: i64 = payroll.app.rows().query_row("select count(*) from payment_tasks", [], |row| row.get(0)).unwrap();
    assert_eq!(tasks, 1);
    let unknown = payroll.app.post("/api/payment/orders/P1/approve", json!({})).await;
    unknown.refused(404, None);
}

#[tokio::test]
async fn nobody_agrees_to_what_is_paid_to_himself() {
    let payroll = Payroll::new().await;
    let order = payroll.open(payroll.wages(PaymentMethod::Bank)).await.unwrap();
    let own = json!({"username": "own", "password": "password-1", "role": "approver", "name": "王五",
                     "employee_id": payroll.employee});
    payroll.app.post("/api/users", own).await.expect(201);
    let own = payroll.app.login("own", "password-1").await;
    assert!(payroll.step(&own, &order, "approve", json!({})).await.refused(403, None).contains("本人"));
}

#[tokio::test]
async fn headquarters_does_not_agree_to_what_headquarters_made() {
    use crate::mail::headquarters;
    let payroll = Payroll::new().await;
    let new = payroll.wages(PaymentMethod::Bank);
    let made_by_nobody_here = Actor { person: None, ..maker() };
    let order = payroll.app.db().write(move |tx| payouts::open(tx, &made_by_nobody_here, &new)).await.unwrap();
    let path = format!("/api/payment/orders/{}/approve", order.order_no);
    payroll.app.deliver(headquarters("m1"), Method::POST, &path, Some(json!({}))).await.refused(403, None);
    payroll.step(&payroll.approver, &order, "approve", json!({})).await.expect(200);
}

#[tokio::test]
async fn what_is_not_agreed_to_is_owed_again_and_its_maker_hears_why() {
    let payroll = Payroll::new().await;
    let order = payroll.open(payroll.wages(PaymentMethod::Wechat)).await.unwrap();
    payroll.step(&payroll.approver, &order, "reject", json!({})).await.refused(400, "reason");
    let rejected = payroll.step(&payroll.approver, &order, "reject", json!({"reason": "金额有误"})).await.expect(200);
    assert_eq!((&rejected["status"], &rejected["failure"]), (&json!("cancelled"), &json!("金额有误")));
    assert_eq!(payroll.told("付款未获批准"), 1);
    payroll.step(&payroll.approver, &order, "approve", json!({})).await.refused(409, None);
    payroll.open(payroll.wages(PaymentMethod::Wechat)).await.unwrap();
}

#[tokio::test]
async fn a_salary_has_one_open_payout_however_many_are_asked_for_at_once() {
    let payroll = Payroll::new().await;
    let mut made = Vec::new();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (db, new) = (payroll.app.db().clone(), payroll.wages(PaymentMethod::Alipay));
        tasks.spawn(async move { db.write(move |tx| payouts::open(tx, &maker(), &new)).await });
    }
    while let Some(result) = tasks.join_next().await {
        made.push(result.unwrap());
    }
    assert_eq!(made.iter().filter(|result| result.is_ok()).count(), 1);
    let conflicts = made.iter().filter(|result| matches!(result, Err(canshi::error::Error::Conflict(_)))).count();
    assert_eq!(conflicts, 7);
    // A corrected salary would be another row: it can't be entered while the payout is open.
    let salary = json!({"employee_id": payroll.employee, "pay_period": "2024-01", "base_salary": 1});
    payroll.app.post("/api/finance/salaries", salary).await.refused(409, None);
    let slip = payroll.app.get(&format!("/api/finance/salaries/{}", payroll.salary)).await.expect(200);
    assert_eq!(slip["payout"]["status"], "awaiting_approval");
}

#[tokio::test]
async fn the_index_holds_even_where_the_check_is_passed_by() {
    let payroll = Payroll::new().await;
    let first = payroll.open(payroll.wages(PaymentMethod::Wechat)).await.unwrap();
    let number: OrderNo = "P20240101101000099000001".parse().unwrap();
    let result = payroll
        .app
        .db()
        .write(move |tx| {
            let id = payment_orders::next_id(tx)?;
            payment_orders::insert(tx, &PaymentOrder { id, order_no: number.clone(), out_no: number, ..first })
        })
        .await;
    assert!(matches!(result, Err(canshi::error::Error::Conflict(_))), "{result:?}");
}

#[tokio::test]
async fn a_payout_that_is_accepted_is_paid_and_in_the_books_once() {
    let payroll = Payroll::new().await;
    let order = payroll.approved(PaymentMethod::Wechat).await;
    let Some(Call::Transfer(request)) = payroll.next(&order, 0).await else { panic!("nothing was sent") };
    assert_eq!((request.account.as_str(), request.amount_fen), (OPENID, 560_000));
    assert_eq!((request.subject.as_str(), request.name.as_deref()), ("2024-01工资", Some("王五")));
    let launch = json!({"mchId": "1900000001", "appId": "wx0", "package": "affffddafdfafddffda=="});
    payroll.hear_state(&order, TransferState::WaitConfirm { launch: Some(launch) }).await;
    assert_eq!(payroll.status(&order).await, "wait_confirm");
    assert!(payroll.books().is_empty());
    assert!(matches!(payroll.next(&order, 0).await, Some(Call::QueryTransfer(asked)) if asked == request));
    assert_eq!(
        payroll.hear_state(&order, TransferState::Processing).await,
        NextDue::At(canshi::domain::time::Instant(crate::app::MORNING + 3_000))
    );
    assert_eq!(payroll.settle(&order, succeeded()).await, Effect::Moved);
    // The question and the notification cross each other.
    assert_eq!(payroll.hear_state(&order, succeeded()).await, NextDue::Never);
    for stale in [TransferState::Processing, TransferState::WaitConfirm { launch: None }, succeeded()] {
        assert_eq!(payroll.settle(&order, stale).await, Effect::Nothing);
    }
    assert_eq!(payroll.status(&order).await, "paid");
    assert_eq!(payroll.books(), [expense()]);
    assert_eq!(payroll.told("付款成功"), 1);
    assert_eq!(payroll.next(&order, 9).await, None);
    let tasks: i64 = payroll.app.rows().query_row("select count(*) from payment_tasks", [], |row| row.get(0)).unwrap();
    assert_eq!(tasks, 0);
    let salary = json!({"employee_id": payroll.employee, "pay_period": "2024-01", "base_salary": 1});
    payroll.app.post("/api/finance/salaries", salary).await.refused(409, None);
    assert_nowhere_in_the_clear(&payroll.app, OPENID);
}

#[tokio::test]
async fn the_payee_is_told_to_accept_the_money() {
    let payroll = Payroll::new().await;
    payroll.app.user("employee", json!({"employee_id": payroll.employee})).await;
    bind(&payroll.app, 3, "oOther-account-0001").await;
    let order = payroll.approved(PaymentMethod::Wechat).await;
    payroll.next(&order, 0).await;
    let wanted = json!({"mchId": "1900000001", "appId": "wx0", "package": "affffddafdfafddffda=="});
    for launch in [Some(wanted.clone()), None] {
        payroll.settle(&order, TransferState::WaitConfirm { launch }).await;
    }
    assert_eq!(payroll.told("请确认收款"), 1);
    let person = |actor: Actor, employee_id| {
        let person = Person { employee_id, ..(*actor.person.unwrap()).clone() };
        Actor { person: Some(Arc::new(person)), ..maker() }
    };
    let own = canshi::domain::ids::EmployeeId::try_from(payroll.employee).unwrap();
    let launch = |actor: Actor| {
        let order = order.clone();
        async { payroll.app.db().read(move |tx| payouts::launch(tx, &actor, &order)).await.unwrap() }
    };
    // What WeChat wants is the payee's alone, whatever else one may do.
    assert_eq!(launch(maker()).await, None);
    assert_eq!(launch(person(acting_as(3), Some(own))).await, Some(wanted));
    payroll.settle(&order, succeeded()).await;
    assert_eq!(launch(person(acting_as(3), Some(own))).await, None);
}

#[tokio::test]
async fn a_lost_answer_is_asked_after_and_the_same_is_said_again_when_nothing_is_there() {
    let payroll = Payroll::new().await;
    let order = payroll.approved(PaymentMethod::Wechat).await;
    let Some(Call::Transfer(first)) = payroll.next(&order, 0).await else { panic!("nothing was sent") };
    payroll.hear(&order, lost()).await;
    payroll.app.pass_ms(5_000);
    assert!(matches!(payroll.next(&order, 1).await, Some(Call::QueryTransfer(_))));
    // So early it may still be on its way.
    payroll.hear_state(&order, TransferState::NotFound).await;
    payroll.app.pass_ms(56_000);
    assert!(matches!(payroll.next(&order, 2).await, Some(Call::QueryTransfer(_))));
    payroll.hear_state(&order, TransferState::NotFound).await;
    // What the payee's account is by now does not matter: it is the same payout.
    let payee = json!({"account": "oOther-account-0001"});
    payroll.app.put(&format!("/api/employees/{}/payees/wechat", payroll.employee), payee).await.expect(200);
    let Some(Call::Transfer(second)) = payroll.next(&order, 3).await else { panic!("nothing was said again") };
    assert_eq!(second, first);
    assert!(matches!(payroll.next(&order, 4).await, Some(Call::QueryTransfer(_))));
    assert_eq!(payroll.status(&order).await, "queued");
    payroll.step(payroll.app.admin(), &order, "cancel", json!({})).await.refused(409, None);
    payroll.step(payroll.app.admin(), &order, "reissue", json!({})).await.refused(409, None);
}

#[tokio::test]
async fn whatever_a_platform_refuses_with_the_number_stays() {
    let payroll = Payroll::new().await;
    let order = payroll.approved(PaymentMethod::Wechat).await;
    let Some(Call::Transfer(first)) = payroll.next(&order, 0).await else { panic!("nothing was sent") };
    for refusal in [Refusal::Configuration, Refusal::Later, Refusal::AlreadyPaid, Refusal::Closed] {
        payroll.hear(&order, refused(refusal)).await;
        assert_eq!(payroll.status(&order).await, "queued");
        assert!(matches!(payroll.next(&order, 1).await, Some(Call::QueryTransfer(_))), "{refusal:?}");
    }
    payroll.app.pass_ms(2 * MINUTE_MS);
    payroll.hear_state(&order, TransferState::NotFound).await;
    assert_eq!(payroll.next(&order, 2).await, Some(Call::Transfer(first)));
    // WeChat refused for good: that is said to people, and nothing else happens by itself.
    payroll.hear(&order, refused(Refusal::Final)).await;
    payroll.hear(&order, refused(Refusal::Final)).await;
    assert_eq!(payroll.told("付款被平台拒绝"), 1);
    payroll.step(payroll.app.admin(), &order, "cancel", json!({})).await.refused(409, None);
    payroll.app.pass_ms(2 * MINUTE_MS);
    payroll.hear_state(&order, TransferState::NotFound).await;
    assert_eq!(payroll.status(&order).await, "queued");
    assert!(matches!(payroll.next(&order, 3).await, Some(Call::QueryTransfer(_))));
    payroll.step(payroll.app.admin(), &order, "reissue", json!({})).await.refused(409, None);
    // A person who has read the reason may take it back now.
    payroll.step(payroll.app.admin(), &order, "cancel", json!({})).await.expect(200);
    assert_eq!(payroll.next(&order, 4).await, None);
}

#[tokio::test]
async fn a_question_that_is_refused_says_nothing_of_the_payout() {
    let payroll = Payroll::new().await;
    let order = payroll.approved(PaymentMethod::Alipay).await;
    let first = payroll.next(&order, 0).await;
    payroll.hear(&order, lost()).await;
    payroll.app.pass_ms(2 * MINUTE_MS);
    payroll.next(&order, 1).await;
    payroll.hear(&order, refused(Refusal::Final)).await;
    payroll.next(&order, 2).await;
    payroll.hear_state(&order, TransferState::NotFound).await;
    assert_eq!((payroll.status(&order).await, payroll.told("付款被平台拒绝")), ("queued", 0));
    assert_eq!(payroll.next(&order, 3).await, first);
}

#[tokio::test]
async fn alipay_has_failed_when_it_refused_for_good_and_knows_nothing() {
    let payroll = Payroll::new().await;
    let order = payroll.approved(PaymentMethod::Alipay).await;
    payroll.next(&order, 0).await;
    payroll.hear(&order, refused(Refusal::Final)).await;
    payroll.hear_state(&order, TransferState::NotFound).await;
    assert_eq!(payroll.status(&order).await, "queued");
    payroll.app.pass_ms(MINUTE_MS);
    assert_eq!(payroll.hear_state(&order, TransferState::NotFound).await, NextDue::Never);
    assert_eq!(payroll.status(&order).await, "failed");
    assert_eq!(payroll.load(&order).await.failure.as_deref(), Some("PARAM_ERROR 参数错误"));
    assert!(payroll.books().is_empty());
}

#[tokio::test]
async fn what_failed_is_owed_again_and_made_anew_once_with_a_new_number_and_a_new_approval() {
    let payroll = Payroll::new().await;
    let order = payroll.approved(PaymentMethod::Wechat).await;
    for status in ["queued", "wait_confirm"] {
        assert_eq!(payroll.status(&order).await, status);
        payroll.step(payroll.app.admin(), &order, "reissue", json!({})).await.refused(409, None);
        payroll.next(&order, 0).await;
        payroll.settle(&order, TransferState::WaitConfirm { launch: None }).await;
    }
    assert_eq!(payroll.settle(&order, failed()).await, Effect::Moved);
    assert_eq!(payroll.settle(&order, failed()).await, Effect::Nothing);
    assert_eq!((payroll.told("付款失败"), payroll.books().len()), (1, 0));
    payroll.step(&payroll.approver, &order, "reissue", json!({})).await.refused(403, None);
    let anew =
        payroll.step(payroll.app.admin(), &order, "reissue", json!({"payment_method": "bank"})).await.expect(201);
    assert_ne!(anew["order_id"], order.order_no.as_str());
    assert_eq!((&anew["status"], &anew["payment_method"]), (&json!("awaiting_approval"), &json!("bank")));
    payroll.step(payroll.app.admin(), &order, "reissue", json!({})).await.refused(409, None);
    let replaces: i64 = payroll
        .app
        .rows()
        .query_row("select replaces_id from payment_orders where order_no = ?1", [anew["order_id"].as_str()], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(replaces, order.id.get());
    let path = format!("/api/payment/orders/{}/approve", anew["order_id"].as_str().unwrap());
    payroll.app.post(&path, json!({})).await.refused(403, None);
    payroll.app.by(&payroll.approver, Method::POST, &path, Some(json!({}))).await.expect(200);
}

#[tokio::test]
async fn a_small_payout_made_anew_takes_approval_too() {
    let payroll = Payroll::new().await;
    payroll.app.put("/api/settings", json!({"payout_approval_limit": 9000})).await.expect(200);
    let order = payroll.open(payroll.wages(PaymentMethod::Alipay)).await.unwrap();
    assert_eq!(order.status.as_str(), "queued");
    payroll.next(&order, 0).await;
    payroll.settle(&order, failed()).await;
    let anew = payroll.step(payroll.app.admin(), &order, "reissue", json!({})).await.expect(201);
    assert_eq!(anew["status"], "awaiting_approval");
}

#[tokio::test]
async fn money_that_goes_after_all_is_in_the_books_and_people_hear_of_it() {
    let payroll = Payroll::new().await;
    let order = payroll.approved(PaymentMethod::Wechat).await;
    payroll.next(&order, 0).await;
    payroll.settle(&order, failed()).await;
    let anew = payroll.step(payroll.app.admin(), &order, "reissue", json!({})).await.expect(201);
    assert_eq!(payroll.settle(&order, succeeded()).await, Effect::Contradicts);
    assert_eq!(payroll.settle(&order, succeeded()).await, Effect::Nothing);
    assert_eq!((payroll.status(&order).await, payroll.books()), ("failed", vec![expense()]));
    assert!(payroll.load(&order).await.refund_due);
    assert_eq!(payroll.told("付款状态异常"), 1);
    assert_eq!(anew["status"], "awaiting_approval");
    // Where nothing was made in its place it is simply paid.
    let second = Payroll::new().await;
    let order = second.approved(PaymentMethod::Wechat).await;
    second.next(&order, 0).await;
    second.settle(&order, failed()).await;
    assert_eq!(second.settle(&order, succeeded()).await, Effect::Moved);
    assert_eq!((second.status(&order).await, second.books()), ("paid", vec![expense()]));
}

#[tokio::test]
async fn what_comes_back_is_in_the_books_as_what_came_back() {
    let payroll = Payroll::new().await;
    let order = payroll.approved(PaymentMethod::Alipay).await;
    payroll.next(&order, 0).await;
    payroll.settle(&order, succeeded()).await;
    let back = TransferState::Returned { reason: "收款账户已注销".to_owned() };
    assert_eq!(payroll.settle(&order, failed()).await, Effect::Contradicts);
    assert_eq!(payroll.settle(&order, back.clone()).await, Effect::Moved);
    assert_eq!(payroll.settle(&order, back).await, Effect::Nothing);
    assert_eq!(payroll.settle(&order, succeeded()).await, Effect::Nothing);
    assert_eq!(payroll.status(&order).await, "returned");
    assert_eq!(payroll.books(), [expense(), ("income".to_owned(), "付款退回".to_owned(), 560_000)]);
    payroll.step(payroll.app.admin(), &order, "reissue", json!({})).await.expect(201);
}

#[tokio::test]
async fn what_never_was_seen_paid_comes_back_to_no_entry() {
    let payroll = Payroll::new().await;
    let order = payroll.approved(PaymentMethod::Alipay).await;
    payroll.next(&order, 0).await;
    payroll.settle(&order, TransferState::Returned { reason: "退票".to_owned() }).await;
    assert_eq!((payroll.status(&order).await, payroll.books().len()), ("failed", 0));
}

#[tokio::test]
async fn a_payout_that_nobody_was_told_of_is_taken_back_at_once_and_an_unaccepted_one_by_the_platform() {
    let payroll = Payroll::new().await;
    let order = payroll.approved(PaymentMethod::Wechat).await;
    let cancelled = payroll.step(payroll.app.admin(), &order, "cancel", json!({})).await.expect(200);
    assert_eq!(cancelled["status"], "cancelled");
    assert_eq!(payroll.next(&order, 0).await, None);

    let order = payroll.approved(PaymentMethod::Wechat).await;
    payroll.next(&order, 0).await;
    payroll.settle(&order, TransferState::WaitConfirm { launch: Some(json!({"package": "p"})) }).await;
    payroll.step(&payroll.approver, &order, "cancel", json!({})).await.refused(403, None);
    let cancelling = payroll.step(payroll.app.admin(), &order, "cancel", json!({})).await.expect(200);
    assert_eq!(cancelling["status"], "cancelling");
    payroll.step(payroll.app.admin(), &order, "cancel", json!({})).await.refused(409, None);
    payroll.step(payroll.app.admin(), &order, "reissue", json!({})).await.refused(409, None);
    assert!(matches!(payroll.next(&order, 0).await, Some(Call::CancelTransfer(_))));
    payroll.hear(&order, lost()).await;
    assert!(matches!(payroll.next(&order, 1).await, Some(Call::QueryTransfer(_))));
    payroll.hear_state(&order, TransferState::WaitConfirm { launch: None }).await;
    assert_eq!(payroll.status(&order).await, "cancelling");
    assert!(matches!(payroll.next(&order, 2).await, Some(Call::CancelTransfer(_))));
    payroll.hear_state(&order, TransferState::Cancelling).await;
    assert_eq!(payroll.hear_state(&order, TransferState::Cancelled).await, NextDue::Never);
    assert_eq!((payroll.status(&order).await, payroll.books().len()), ("cancelled", 0));
    let anew = payroll.step(payroll.app.admin(), &order, "reissue", json!({})).await.expect(201);
    assert_eq!(anew["status"], "awaiting_approval");
}

#[tokio::test]
async fn a_payee_who_accepts_while_it_is_taken_back_is_paid() {
    let payroll = Payroll::new().await;
    let order = payroll.approved(PaymentMethod::Wechat).await;
    payroll.next(&order, 0).await;
    payroll.settle(&order, TransferState::WaitConfirm { launch: None }).await;
    payroll.step(payroll.app.admin(), &order, "cancel", json!({})).await.expect(200);
    payroll.settle(&order, TransferState::Processing).await;
    assert_eq!(payroll.status(&order).await, "cancelling");
    payroll.settle(&order, succeeded()).await;
    assert_eq!((payroll.status(&order).await, payroll.books()), ("paid", vec![expense()]));
}

#[tokio::test]
async fn an_unaccepted_payout_is_asked_after_until_the_platform_says_and_people_hear_of_it_once() {
    let payroll = Payroll::new().await;
    let order = payroll.approved(PaymentMethod::Wechat).await;
    payroll.next(&order, 0).await;
    payroll.hear_state(&order, TransferState::WaitConfirm { launch: None }).await;
    for hours in [25, 24, 24, 24] {
        payroll.app.pass_ms(hours * HOUR_MS);
        assert!(matches!(payroll.next(&order, 0).await, Some(Call::QueryTransfer(_))));
        let due = payroll.hear(&order, lost()).await;
        assert!(matches!(due, NextDue::At(_)), "{due:?}");
        assert_eq!(payroll.status(&order).await, "wait_confirm");
    }
    assert_eq!(payroll.told("付款长时间没有结果"), 1);
    assert_eq!(
        payroll.hear_state(&order, TransferState::Failed { reason: "OVERDUE_CLOSE".to_owned() }).await,
        NextDue::Never
    );
    assert_eq!(payroll.status(&order).await, "failed");
}

#[tokio::test]
async fn nothing_is_believed_of_a_payout_that_was_never_sent() {
    let payroll = Payroll::new().await;
    let order = payroll.open(payroll.wages(PaymentMethod::Wechat)).await.unwrap();
    assert_eq!(payroll.settle(&order, succeeded()).await, Effect::Contradicts);
    let bank = Payroll::new().await;
    let by_file = bank.approved(PaymentMethod::Bank).await;
    assert_eq!(bank.settle(&by_file, succeeded()).await, Effect::Contradicts);
    assert_eq!(bank.next(&by_file, 0).await, None);
    assert_eq!((payroll.books().len(), bank.books().len()), (0, 0));
}

/// Makes a payout of an employee's wages to a bank account, and gives its number.
pub async fn pay_wages(app: &TestApp, employee: i64, period: &str) -> String {
    let new = NewPayout {
        order_type: OrderType::Salary,
        payment_method: PaymentMethod::Bank,
        amount: Fen(560_000),
        related_id: Payroll::salary(app, employee, period).await,
        subject: None,
    };
    app.db().write(move |tx| payouts::open(tx, &maker(), &new)).await.unwrap().order_no.to_string()
}

#[tokio::test]
async fn a_bill_is_made_anew_once_for_each_time_that_it_failed() {
    let payroll = Payroll::new().await;
    let supplier = json!({"name": "鲜蔬配送行", "category": "食材采购"});
    let supplier = payroll.app.post("/api/suppliers", supplier).await.expect(201)["id"].as_i64().unwrap();
    let payee = json!({"account": "a@example.com", "account_name": "鲜蔬配送行"});
    payroll.app.put(&format!("/api/suppliers/{supplier}/payees/alipay"), payee).await.expect(200);
    let first = payroll
        .open(NewPayout {
            order_type: OrderType::SupplierPayment,
            payment_method: PaymentMethod::Alipay,
            amount: Fen(1_234),
            related_id: supplier,
            subject: Some("一月货款".to_owned()),
        })
        .await
        .unwrap();
    let admin = payroll.app.admin();
    payroll.step(admin, &first, "reissue", json!({})).await.refused(409, None);
    payroll.next(&first, 0).await;
    payroll.step(admin, &first, "reissue", json!({})).await.refused(409, None);
    payroll.settle(&first, failed()).await;
    let (one, two) = tokio::join!(
        payroll.step(admin, &first, "reissue", json!({})),
        payroll.step(admin, &first, "reissue", json!({}))
    );
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    let id = canshi::domain::ids::PaymentOrderId::try_from(first.id.get() + 1).unwrap();
    let second = payroll.app.db().read(move |tx| payment_orders::find(tx, id)).await.unwrap().unwrap();
    assert_eq!((second.subject.as_str(), second.replaces_id), ("一月货款", Some(first.id)));
    payroll.step(&payroll.approver, &second, "approve", json!({})).await.expect(200);
    payroll.next(&second, 0).await;
    payroll.settle(&second, failed()).await;
    payroll.step(admin, &first, "reissue", json!({})).await.refused(409, None);
    payroll.step(admin, &second, "reissue", json!({})).await.expect(201);
    payroll.settle(&second, succeeded()).await;
    assert_eq!(payroll.books(), [("expense".to_owned(), "食材采购".to_owned(), 1_234)]);
    assert!(payroll.load(&second).await.refund_due);
}
