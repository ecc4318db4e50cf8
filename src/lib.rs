//! canshi (餐食): the offline-first backend of a postpartum care center.

pub mod cli;
pub mod config;
mod demo;
pub mod domain;
pub mod error;
pub mod http;
pub mod jobs;
pub mod line;
pub mod payments;
pub mod relay;
pub mod service;
pub mod store;
pub mod telemetry;
pub mod wechat;
