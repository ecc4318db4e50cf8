//! Everything that the site keeps: one SQLite file, one writer, a few readers, and one file per noun with its statements.
//! It knows rows; it knows nothing of requests, answers or permissions.

pub mod appointments;
pub mod attendance;
pub mod audit;
pub mod backup;
pub mod bind_codes;
pub mod boots;
pub mod customers;
pub mod db;
pub mod dishes;
pub mod employees;
pub mod examine;
pub mod health;
pub mod idempotency;
pub mod keys;
pub mod mailbox_answers;
pub mod menus;
pub mod migrations;
pub mod notifications;
pub mod open;
pub mod page;
pub mod payees;
pub mod payment_callbacks;
pub mod payment_entries;
pub mod payment_orders;
pub mod payment_refunds;
pub mod payment_requests;
pub mod payment_tasks;
pub mod rebuild;
pub mod roles;
pub mod rows;
pub mod salaries;
pub mod search;
pub mod sessions;
pub mod settings;
pub mod site;
pub mod suppliers;
pub mod sync;
pub mod transactions;
pub mod tx;
pub mod users;
pub mod vault;
mod writer;

pub use db::Db;
pub use tx::{ReadTx, WriteTx};
pub use writer::QUEUE_MAX;
