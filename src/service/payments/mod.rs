//! Payments by families: orders made, told to a platform, settled by its word, given back. Payouts are in [`super::payouts`].
//!
//! A platform is called between two transactions: [`errands`] notes what will be called, [`errands::record`] what came of it. A notification,
//! an answer and a question all end in [`settle`].

pub mod errands;
pub mod orders;
pub mod refunds;
pub mod settle;

use serde_json::{Value, json};

use super::audit::{Deed, record};
use super::notifications::{Audience, notify};
use super::transactions::{self, NewTransaction};
use crate::domain::access::{ADMIN, Actor};
use crate::domain::audit::Action;
use crate::domain::ids::CustomerId;
use crate::domain::money::Fen;
use crate::domain::payments::OrderType;
use crate::domain::time::Instant;
use crate::domain::transactions::Direction;
use crate::error::{Error, Result};
use crate::store::keys::random_bytes;
use crate::store::payment_entries::{self, EntryKind};
use crate::store::payment_orders::{self, NOUN, PaymentOrder};
use crate::store::{ReadTx, WriteTx, customers, roles, site, users};

/// The name of the fact that says which site of a center this is.
pub const SITE_FACT: &str = "payment.site";
/// There is no such order for the actor.
pub const NO_SUCH: Error = Error::NotFound("支付订单不存在");

/// What goes into the books.
struct Movement<'a> {
    kind: EntryKind,
    subject_id: i64,
    direction: Direction,
    category: &'a str,
    amount: Fen,
    at: Instant,
    description: String,
}

/// The number of this site at its center, 0 without one, and a word of chance, for the numbers of orders and refunds.
pub fn number_parts(tx: &ReadTx<'_>) -> Result<(i64, u32)> {
    let site = match site::fact(tx, SITE_FACT)? {
        Some(text) => text.parse().map_err(|_| Error::Corrupt(format!("the fact {SITE_FACT} is {text:?}")))?,
        None => 0,
    };
    Ok((site, u32::from_le_bytes(random_bytes()?)))
}

/// Books a movement of an order's money, unless it is booked already; a second entry is impossible by constraint.
fn book(tx: &WriteTx<'_>, order: &PaymentOrder, movement: Movement<'_>) -> Result<()> {
    if payment_entries::is_booked(tx, movement.kind, movement.subject_id)? {
        return Ok(());
    }
    let new = NewTransaction {
        direction: movement.direction,
        category: movement.category.to_owned(),
        amount: movement.amount,
        description: Some(movement.description),
        transaction_at: Some(movement.at.min(tx.now)),
        payment_method: Some(order.payment_method.as_str().to_owned()),
        related_id: Some(order.related_id),
        related_type: Some("customer".to_owned()),
    };
    let transaction = transactions::create(tx, &Actor::system("payments"), new)?;
    payment_entries::insert(tx, movement.kind, movement.subject_id, (transaction.id, movement.amount))
}

/// Writes an order's new state and leaves a trace of it.
fn change(tx: &WriteTx<'_>, actor: &Actor, before: &PaymentOrder, mut after: PaymentOrder) -> Result<PaymentOrder> {
    after.updated_at = tx.now;
    payment_orders::update(tx, before.status, &after)?;
    let deed = Deed {
        action: Action::Update,
        noun: NOUN,
        noun_id: Some(after.id.get()),
        before: Some(image(before)),
        after: Some(image(&after)),
    };
    record(tx, actor, deed)?;
    Ok(after)
}

/// The row as the audit trail may show it.
fn image(order: &PaymentOrder) -> Value {
    json!({
        "order_id": order.order_no.as_str(),
        "order_type": order.order_type.as_str(),
        "payment_method": order.payment_method.as_str(),
        "trade": order.trade.as_str(),
        "amount": order.amount.to_string(),
        "related_id": order.related_id,
        "status": order.status.as_str(),
        "platform_no": order.platform_no,
        "reference": order.slip.as_ref().map(|slip| slip.reference.as_str()),
        "failure": order.failure,
        "refund_due": order.refund_due,
    })
}

/// Tells the customer, and whoever made the order, something about it.
fn tell(tx: &WriteTx<'_>, order: &PaymentOrder, title: &str, content: &str) -> Result<()> {
    let customer = match (order.order_type, CustomerId::try_from(order.related_id)) {
        (OrderType::CustomerOrder, Ok(id)) => users::find_by_customer(tx, id)?.map(|user| user.id),
        _ => None,
    };
    for user_id in customer.into_iter().chain(order.created_by.filter(|maker| Some(*maker) != customer)) {
        notify(tx, Audience::User(user_id), title, content)?;
    }
    Ok(())
}

/// Tells the administrators something that a person has to look at.
pub(super) fn alarm(tx: &WriteTx<'_>, title: &str, content: &str) -> Result<()> {
    tracing::error!(title, content, "a person has to look at a payment");
    let Some(role) = roles::find_by_name(tx, ADMIN)? else { return Ok(()) };
    notify(tx, Audience::Role(role.id), title, content).map(drop)
}

/// Such as 张三, for texts; empty when the customer is gone.
fn name_of(tx: &ReadTx<'_>, order: &PaymentOrder) -> Result<String> {
    let customer = match CustomerId::try_from(order.related_id) {
        Ok(id) => customers::find(tx, id)?,
        Err(_) => None,
    };
    Ok(customer.map(|customer| customer.name).unwrap_or_default())
}
