//! `canshi user password`: the way back in when nobody can log in.

use std::io::{IsTerminal as _, Read as _};
use std::path::Path;

use super::{Refused, config, say};
use crate::domain::access::Actor;
use crate::service::passwords::{Password, Passwords};
use crate::service::users;
use crate::store::Db;
use crate::store::db::{Clock, Context};
use crate::store::keys::{hex, random_bytes};
use crate::store::open::{DataDir, Options, prepare};
use crate::store::vault::Vault;

/// Bytes read from the standard input at most.
const INPUT_MAX: u64 = 4096;

pub fn set_password(data: &Path, username: &str) -> Result<(), Refused> {
    let config = config(None)?;
    if !data.join(crate::store::open::DATABASE).exists() {
        return Err(Refused::Said(format!("{} holds no canshi database", data.display())));
    }
    let directory = DataDir::lock(data)?;
    let (password, made) = given_or_made()?;
    let checked = Password::new(password.clone()).map_err(|error| Refused::Said(error.to_string()))?;
    let keys = prepare(&directory, config.zone.name())?;
    let context = Context { vault: Vault::new(&keys)?, zone: config.zone.clone(), clock: Clock::System };
    let (db, writer) = Db::open(&directory.database(), Options::default(), context)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let name = username.to_owned();
    runtime.block_on(async {
        let hash = Passwords::new(config.bcrypt_cost)?.hash(checked).await?;
        db.write(move |tx| users::reset_password(tx, &Actor::system("canshi user password"), &name, hash)).await
    })?;
    drop(db);
    writer.join();
    say(&if made { format!("{username}  {password}") } else { format!("The password of {username} is set.") })
}

/// The first line of the standard input, or on a terminal, or when nothing is there, a password that is made up.
fn given_or_made() -> Result<(String, bool), Refused> {
    let mut text = String::new();
    if !std::io::stdin().is_terminal() {
        std::io::stdin().take(INPUT_MAX).read_to_string(&mut text)?;
    }
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok((line.to_owned(), false)),
        _ => Ok((hex(&random_bytes::<8>()?), true)),
    }
}
