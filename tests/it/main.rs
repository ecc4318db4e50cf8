//! Every test that goes through the edge of the site or through its real binary.
#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod app;
//WAIT mod access;
mod attendance;
//WAIT mod auth;
mod contract;
mod crash;
mod finance;
//WAIT mod idempotency;
mod layers;
mod openapi;
mod operations;
mod outbox;
mod plans;
mod process;
mod seed;
mod store;
