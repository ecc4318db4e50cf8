//! `canshi site`: which sites there are, and what lets a box in as one of them.

use canshi_sync::central::{Central, CentralError, Code, SiteState};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{MysqlArgument, Refused, SiteCommand, say};
use crate::relay::sites;
use crate::relay::start;

/// Connections that a command needs: one for the schema's lock, and one for everything else.
const CONNECTIONS: usize = 2;
/// Characters of a site's name at most.
const NAME_CHARACTERS_MAX: usize = 64;

/// How an answer is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    ForPeople,
    Json,
}

pub fn site(command: &SiteCommand) -> Result<(), Refused> {
    let (mysql, form) = match command {
        SiteCommand::Add { at, .. }
        | SiteCommand::List { at }
        | SiteCommand::Code { at, .. }
        | SiteCommand::Revoke { at, .. }
        | SiteCommand::Replay { at, .. } => (&at.mysql, if at.json { Form::Json } else { Form::ForPeople }),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let central = open(mysql).await?;
        match command {
            SiteCommand::Add { name, .. } => {
                let code = central.add_site(name).await.map_err(failed)?;
                say_code(&code, &format!("Site {} ({name}) is added.", code.site_id), form)
            }
            SiteCommand::List { .. } => list(&central.states().await.map_err(failed)?, form),
            SiteCommand::Code { site_id, .. } => {
                let code = central.new_code(*site_id).await.map_err(failed)?;
                say_code(&code, &format!("Another box may become site {site_id}."), form)
            }
            SiteCommand::Revoke { site_id, .. } => {
                central.revoke(*site_id).await.map_err(failed)?;
                let text = format!(
                    "Site {site_id} is locked out within 5 s. `canshi site code {site_id}` lets a box in again."
                );
                say_either(form, &json!({"site_id": site_id, "revoked": true}), &text)
            }
            SiteCommand::Replay { site_id, .. } => replay(&central, *site_id, form).await,
        }
    })
}

/// A name that people can read and that fits.
pub fn name(text: &str) -> Result<String, String> {
    let name = text.trim();
    let characters = name.chars().count();
    if characters == 0 || characters > NAME_CHARACTERS_MAX || name.chars().any(char::is_control) {
        return Err(format!("a name has 1 to {NAME_CHARACTERS_MAX} characters"));
    }
    Ok(name.to_owned())
}

async fn open(mysql: &MysqlArgument) -> Result<Central, Refused> {
    Ok(start::open(&mysql.url, CONNECTIONS).await?)
}

fn failed(error: CentralError) -> Refused {
    match error {
        CentralError::NoSite => {
            Refused::Said("there is no such site, or no box of it was ever enrolled; see `canshi site list`".to_owned())
        }
        other => Refused::Start(other.into()),
    }
}

fn say_either(form: Form, json: &Value, text: &str) -> Result<(), Refused> {
    match form {
        Form::Json => say(json),
        Form::ForPeople => say(&text),
    }
}

fn say_code(code: &Code, what: &str, form: Form) -> Result<(), Refused> {
    let Code { site_id, code } = code;
    let text = format!(
        "{what} Its one-time code, good for 24 hours and shown only now:\n  {code}\n\nOn the box:\n  \
         canshi enroll --data DIR --relay URL --code {code}\nor, for a box that takes the place of a dead one:\n  \
         canshi restore --data DIR --relay URL --code {code}"
    );
    say_either(form, &json!({"site_id": site_id, "code": code}), &text)
}

fn list(sites: &[SiteState], form: Form) -> Result<(), Refused> {
    if form == Form::Json {
        return say(&Value::Array(sites.iter().map(as_json).collect()));
    }
    if sites.is_empty() {
        return say(&"There are no sites yet: canshi site add --name NAME");
    }
    let heads = ["ID", "STATE", "PENDING", "AS OF", "VERSION", "SCHEMA", "QUARANTINED", "NAME"].map(str::to_owned);
    let rows: Vec<[String; 8]> = std::iter::once(heads).chain(sites.iter().map(columns)).collect();
    for row in &rows {
        let mut line = String::new();
        for (place, cell) in row.iter().enumerate() {
            // The name comes last: it alone may have wide characters, which no padding gets right.
            let width = rows.iter().map(|row| row[place].len()).max().unwrap_or(0);
            line = if place + 1 == row.len() { line + cell } else { format!("{line}{cell:width$}  ") };
        }
        say(&line)?;
    }
    for site in sites {
        if let Some((reason, at)) = &site.fenced {
            say(&format!("site {} refused a box at {}: {reason}", site.id, instant(*at)))?;
        }
    }
    Ok(())
}

fn columns(site: &SiteState) -> [String; 8] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    [
        site.id.to_string(),
        sites::state(site).to_owned(),
        site.pending.to_string(),
        or_dash(site.as_of.map(instant)),
        or_dash(site.version.clone()),
        or_dash(site.schema.map(|schema| schema.to_string())),
        site.quarantined.to_string(),
        site.name.clone(),
    ]
}

/// The one word that matters most.
fn as_json(site: &SiteState) -> Value {
    json!({
        "site_id": site.id,
        "name": site.name,
        "state": sites::state(site),
        "online": site.online,
        "enrolled": site.enrolled,
        "revoked": site.revoked,
        "loading": site.loading,
        "pending": site.pending,
        "as_of": site.as_of.map(instant),
        "seen_at": site.seen_at.map(instant),
        "version": site.version,
        "schema": site.schema,
        "fenced": site.fenced.as_ref().map(|(reason, at)| json!({"reason": reason, "at": instant(*at)})),
        "quarantined": site.quarantined,
    })
}

fn instant(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |instant| instant.to_string())
}

async fn replay(central: &Central, site: i64, form: Form) -> Result<(), Refused> {
    let known = central.states().await.map_err(failed)?.iter().any(|state| state.id == site);
    if !known {
        return Err(failed(CentralError::NoSite));
    }
    let (applied, left) = central.replay(site).await.map_err(failed)?;
    let problems: Vec<Value> =
        left.iter().map(|(seq, error)| json!({"seq": seq, "problem": error.to_string()})).collect();
    let mut text = format!("{applied} transactions of site {site} left the quarantine; {} stay.", left.len());
    for (seq, error) in &left {
        text = format!("{text}\n  {seq}: {error}");
    }
    say_either(form, &json!({"site_id": site, "applied": applied, "left": problems}), &text)?;
    if left.is_empty() { Ok(()) } else { Err(Refused::Said("not everything could be applied".to_owned())) }
}
