//! One function per thing that a person does: load, decide, save. A function takes the transaction that its caller opened
//! and the actor; it knows nothing of requests and answers.

pub mod appointments;
pub mod attendance;
pub mod audit;
pub mod auth;
pub mod customers;
pub mod dashboard;
pub mod directory;
pub mod dishes;
pub mod employees;
pub mod failures;
pub mod housekeeping;
pub mod menus;
pub mod notifications;
pub mod passwords;
pub mod payees;
pub mod payment_anomalies;
pub mod payments;
pub mod payouts;
pub mod payroll_files;
pub mod reconciliations;
pub mod reports;
pub mod roles;
pub mod salaries;
pub mod settings;
pub mod setup;
pub mod sheets;
pub mod suppliers;
pub mod sync;
pub mod tokens;
pub mod trail;
pub mod transactions;
pub mod users;
pub mod wechat;
