//! Every test that goes through the edge of the site or through its real binary.

mod app;
//WAIT mod access;
//WAIT mod attendance;
//WAIT mod auth;
mod contract;
mod crash;
//WAIT mod finance;
//WAIT mod idempotency;
mod layers;
mod openapi;
mod operations;
mod outbox;
mod plans;
mod process;
mod seed;
//WAIT mod store;
