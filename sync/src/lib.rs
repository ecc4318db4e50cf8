//! Sync of a site with the center, on both sides: capture, outbox and push loop over SQLite, and what applies the batches to
//! MySQL. The protocol is in `README.md` beside this crate's manifest. It knows tables, columns and changes; nothing of customers,
//! HTTP or the axum router.

pub mod batch;
pub mod capture;
pub mod central;
pub mod chain;
pub mod digest;
pub mod ledger;
pub mod outbox;
pub mod push;
pub mod wire;
