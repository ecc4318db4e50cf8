//! What the audit trail says was done.

/// The kind of deed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Someone logged in.
    Login,
    /// Someone tried to log in and was refused.
    LoginFailed,
    /// A token was exchanged for a new one.
    Refresh,
    /// Someone logged out.
    Logout,
    /// A row came into being.
    Create,
    /// A row changed.
    Update,
    /// A row was hidden.
    Delete,
    /// A transaction was voided.
    Void,
    /// Somebody punched.
    Punch,
    /// A notification was read.
    Read,
    /// A file with sensitive data was taken out.
    Export,
}

impl Action {
    /// Every action.
    pub const ALL: [Action; 11] = [
        Action::Login,
        Action::LoginFailed,
        Action::Refresh,
        Action::Logout,
        Action::Create,
        Action::Update,
        Action::Delete,
        Action::Void,
        Action::Punch,
        Action::Read,
        Action::Export,
    ];

    /// The word in rows and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Action::Login => "login",
            Action::LoginFailed => "login_failed",
            Action::Refresh => "refresh",
            Action::Logout => "logout",
            Action::Create => "create",
            Action::Update => "update",
            Action::Delete => "delete",
            Action::Void => "void",
            Action::Punch => "punch",
            Action::Read => "read",
            Action::Export => "export",
        }
    }
}

/// A word that names no action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("没有这种操作")]
pub struct UnknownAction;

impl std::str::FromStr for Action {
    type Err = UnknownAction;

    fn from_str(word: &str) -> Result<Self, UnknownAction> {
        Self::ALL.into_iter().find(|action| action.as_str() == word).ok_or(UnknownAction)
    }
}
