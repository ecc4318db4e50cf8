//! Every test that goes through the edge of the site or through its real binary.
#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod access;
mod app;
mod appointments;
mod attendance;
mod auth;
mod center;
mod contract;
mod crash;
mod equality;
mod finance;
mod idempotency;
mod layers;
mod mail;
mod mailbox;
mod mariadb;
mod mirror_schema;
mod openapi;
mod operations;
mod outbox;
mod payees;
mod payout_chances;
mod payouts;
mod payroll_files;
mod plans;
mod process;
mod proxy;
mod relay;
mod relay_core;
mod schedule;
mod seed;
mod store;
mod sync;
mod wechat;
mod wechat_platform;
