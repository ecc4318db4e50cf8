//! One function per thing that a person does: load, decide, save. A function takes the transaction that its caller opened
//! and the actor; it knows nothing of requests and answers.

pub mod audit;
pub mod auth;
pub mod customers;
pub mod housekeeping;
pub mod passwords;
pub mod roles;
pub mod settings;
pub mod setup;
pub mod tokens;
pub mod users;
