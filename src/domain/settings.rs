//! What may change while the site runs.

use super::money::Fen;

/// How much the log says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Only failures.
    Error,
    /// Failures and what may become one.
    Warn,
    /// Every request.
    Info,
    /// What the program does in between.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The word in rows and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
            LogLevel::Trace => "trace",
        }
    }
}

/// A word that names no level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("日志级别只能是error、warn、info、debug或trace")]
pub struct UnknownLogLevel;

impl std::str::FromStr for LogLevel {
    type Err = UnknownLogLevel;

    fn from_str(word: &str) -> Result<Self, UnknownLogLevel> {
        match word {
            "error" => Ok(LogLevel::Error),
            "warn" => Ok(LogLevel::Warn),
            "info" => Ok(LogLevel::Info),
            "debug" => Ok(LogLevel::Debug),
            "trace" => Ok(LogLevel::Trace),
            _ => Err(UnknownLogLevel),
        }
    }
}

/// The settings in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How the center calls itself.
    pub center_name: String,
    /// How long an access token lives, in minutes.
    pub session_minutes: u32,
    /// Requests that one address may make per second; 0 is no limit.
    pub requests_per_address: u32,
    /// Requests that one user may make per second, punches apart; 0 is no limit.
    pub requests_per_user: u32,
    /// Punches that one address may deliver per second; 0 is no limit.
    pub punches_per_address: u32,
    /// Failed logins for one name within 15 minutes before the name has to wait.
    pub login_failures_per_name: u32,
    /// Failed logins from one address within 15 minutes before the address has to wait.
    pub login_failures_per_address: u32,
    /// How much the log says.
    pub log_level: LogLevel,
    /// Payouts of more than this take a second person; 0 is all of them.
    pub payout_approval_limit: Fen,
}

/// Bounds of the numbers, both ends included.
pub mod bounds {
    /// Minutes that an access token may live.
    pub const SESSION_MINUTES: (u32, u32) = (5, 1440);
    /// Requests or punches per second.
    pub const PER_SECOND: (u32, u32) = (0, 1_000_000);
    /// Failed logins within 15 minutes.
    pub const LOGIN_FAILURES: (u32, u32) = (1, 10_000);
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            center_name: "月子中心".to_owned(),
            session_minutes: 120,
            requests_per_address: 2_000,
            requests_per_user: 500,
            punches_per_address: 10_000,
            login_failures_per_name: 5,
            login_failures_per_address: 50,
            log_level: LogLevel::Info,
            payout_approval_limit: Fen(100_000),
        }
    }
}
