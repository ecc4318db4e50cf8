//! Pure rules of the care center: no I/O, no async, no SQL, no clock, no serialisation.

pub mod access;
pub mod appointments;
pub mod attendance;
pub mod audit;
pub mod customers;
pub mod employees;
pub mod ids;
pub mod menus;
pub mod money;
pub mod payees;
pub mod payment_anomalies;
pub mod payments;
pub mod payouts;
pub mod phone;
pub mod reconciliations;
pub mod reports;
pub mod salaries;
pub mod search;
pub mod settings;
pub mod status;
pub mod text;
pub mod time;
pub mod transactions;
pub mod wechat;
