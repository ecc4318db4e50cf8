//! Settings: loaded at the start, changed while the site runs.

use serde_json::{Value, json};

use super::audit::{Deed, record};
use crate::domain::access::Actor;
use crate::domain::audit::Action;
use crate::domain::money::Fen;
use crate::domain::settings::Settings;
use crate::error::{Error, Result};
use crate::store::settings::{self, NOUN};
use crate::store::{ReadTx, WriteTx};

/// The settings as the rows have them; what was never set has its default.
pub fn read(tx: &ReadTx<'_>) -> Result<Settings> {
    let mut settings = Settings::default();
    for (key, value) in settings::all(tx)? {
        let value: Value = serde_json::from_str(&value)
            .map_err(|error| Error::Corrupt(format!("setting {key} is not JSON: {error}")))?;
        put(&mut settings, &key, &value).ok_or_else(|| Error::Corrupt(format!("setting {key} can't be read")))?;
    }
    Ok(settings)
}

/// Writes what differs between the settings in force and the wanted ones.
///
/// # Errors
/// [`Error::Invalid`] when an amount is negative.
pub fn update(tx: &WriteTx<'_>, actor: &Actor, change: impl FnOnce(&mut Settings)) -> Result<Settings> {
    let before = read(tx)?;
    let mut after = before.clone();
    change(&mut after);
    if after.payout_approval_limit < Fen::ZERO {
        return Err(Error::invalid("payout_approval_limit", "付款审批限额不能为负数"));
    }
    let (old, new) = (image(&before), image(&after));
    for (key, value) in new.as_object().into_iter().flatten().filter(|(key, value)| old[key.as_str()] != **value) {
        settings::set(tx, key, &value.to_string())?;
    }
    let deed = Deed { action: Action::Update, noun: NOUN, noun_id: None, before: Some(old), after: Some(new) };
    record(tx, actor, deed)?;
    Ok(after)
}

fn image(settings: &Settings) -> Value {
    json!({
        "center_name": settings.center_name,
        "session_minutes": settings.session_minutes,
        "requests_per_address": settings.requests_per_address,
        "requests_per_user": settings.requests_per_user,
        "punches_per_address": settings.punches_per_address,
        "login_failures_per_name": settings.login_failures_per_name,
        "login_failures_per_address": settings.login_failures_per_address,
        "log_level": settings.log_level.as_str(),
        "payout_approval_limit": settings.payout_approval_limit.to_string(),
    })
}

/// Puts one key's value into the settings; keys of a newer version are passed over.
fn put(settings: &mut Settings, key: &str, value: &Value) -> Option<()> {
    let number = || value.as_u64().and_then(|number| u32::try_from(number).ok());
    match key {
        "center_name" => value.as_str()?.clone_into(&mut settings.center_name),
        "session_minutes" => settings.session_minutes = number()?,
        "requests_per_address" => settings.requests_per_address = number()?,
        "requests_per_user" => settings.requests_per_user = number()?,
        "punches_per_address" => settings.punches_per_address = number()?,
        "login_failures_per_name" => settings.login_failures_per_name = number()?,
        "login_failures_per_address" => settings.login_failures_per_address = number()?,
        "log_level" => settings.log_level = value.as_str()?.parse().ok()?,
        "payout_approval_limit" => settings.payout_approval_limit = value.as_str()?.parse().ok()?,
        _ => {}
    }
    Some(())
}
