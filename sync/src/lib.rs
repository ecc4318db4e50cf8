//! Change capture and outbox of a site. It knows tables, columns and changes; nothing of customers, HTTP or the axum router.

pub mod capture;
pub mod outbox;
