//! What a site has from its first start: the built-in roles, with what later versions add to them, and the first
//! administrator.

use super::audit::{Deed, record};
use super::passwords::Passwords;
use crate::domain::access::{ADMIN, Actor, BUILT_IN_ROLES, LATER_PERMISSIONS, Permission, Permissions, granted_fact};
use crate::domain::audit::Action;
use crate::domain::status::Status;
use crate::error::{Error, Result};
use crate::service::passwords::Password;
use crate::store::keys::{hex, random_bytes};
use crate::store::roles::{self, Role};
use crate::store::users::{self, User};
use crate::store::{Db, WriteTx, boots, site};

/// What the first start gave to the first administrator.
#[derive(PartialEq, Eq)]
pub enum FirstPassword {
    /// The site has been started before.
    SetBefore,
    /// It was given from outside.
    Given,
    /// It was made up, and has to be told once.
    Made(String),
}

/// Notes this start of the program under a random word, and gives the word: two boxes that were one until now differ from here on.
pub async fn note_start(db: &Db) -> Result<String> {
    let nonce = hex(&random_bytes::<16>()?);
    let noted = nonce.clone();
    db.write(move |tx| boots::insert(tx, &noted, env!("CARGO_PKG_VERSION"))).await?;
    Ok(nonce)
}

/// Makes the built-in roles and the user `admin` where the site has none yet.
///
/// # Errors
/// [`Error::Invalid`] when the given password is too short or too long.
pub async fn first_start(db: &Db, passwords: &Passwords, given: Option<String>) -> Result<FirstPassword> {
    if db.read(|tx| roles::find_by_name(tx, ADMIN)).await?.is_some() {
        grant_later_permissions(db).await?;
        return Ok(FirstPassword::SetBefore);
    }
    let (password, outcome) = match given {
        Some(given) => (given, FirstPassword::Given),
        None => {
            let made = hex(&random_bytes::<8>()?);
            (made.clone(), FirstPassword::Made(made))
        }
    };
    let password =
        Password::new(password).map_err(|error| Error::invalid("CANSHI_ADMIN_PASSWORD", error.to_string()))?;
    let password_hash = passwords.hash(password).await?;
    db.write(move |tx| {
        let actor = Actor::system("setup");
        for built_in in &BUILT_IN_ROLES {
            let role = Role {
                id: roles::next_id(tx)?,
                name: built_in.name.to_owned(),
                title: built_in.title.to_owned(),
                built_in: true,
                permissions: built_in.permissions.iter().copied().collect(),
            };
            roles::insert(tx, &role)?;
        }
        note_granted(tx)?;
        first_admin(tx, &actor, password_hash)
    })
    .await?;
    Ok(outcome)
}

/// Gives the built-in roles what a later version has added to them: once, so that what an administrator takes away again
/// stays away.
async fn grant_later_permissions(db: &Db) -> Result<()> {
    db.write(|tx| {
        let granted = note_granted(tx)?;
        for built_in in &BUILT_IN_ROLES {
            let Some(mut role) = roles::find_by_name(tx, built_in.name)? else { continue };
            let added: Permissions =
                built_in.permissions.iter().copied().filter(|permission| granted.has(*permission)).collect();
            if added == Permissions::default() {
                continue;
            }
            role.permissions = role.permissions.iter().chain(added.iter()).collect();
            roles::update(tx, &role)?;
            let names: Vec<&str> = added.iter().map(Permission::as_str).collect();
            let deed = Deed {
                action: Action::Update,
                noun: roles::NOUN,
                noun_id: Some(role.id.get()),
                before: None,
                after: Some(serde_json::json!({"granted": names})),
            };
            record(tx, &Actor::system("setup"), deed)?;
        }
        Ok(())
    })
    .await
}

/// Notes that the later permissions are granted, and gives those for which that was not noted before.
fn note_granted(tx: &WriteTx<'_>) -> Result<Permissions> {
    let mut new = Vec::new();
    for permission in LATER_PERMISSIONS {
        let fact = granted_fact(permission);
        if site::fact(tx, &fact)?.is_none() {
            site::record(tx, &fact, "1")?;
            new.push(permission);
        }
    }
    Ok(new.into_iter().collect())
}

fn first_admin(tx: &WriteTx<'_>, actor: &Actor, password_hash: String) -> Result<()> {
    let role = roles::find_by_name(tx, ADMIN)?.ok_or(Error::NotFound("角色不存在"))?;
    let user = User {
        id: users::next_id(tx)?,
        username: "admin".to_owned(),
        password_hash,
        role_id: role.id,
        role: role.name,
        name: "管理员".to_owned(),
        employee_id: None,
        customer_id: None,
        status: Status::Active,
        created_at: tx.now,
        updated_at: tx.now,
    };
    users::insert(tx, &user)?;
    let deed = Deed {
        action: Action::Create,
        noun: users::NOUN,
        noun_id: Some(user.id.get()),
        before: None,
        after: Some(serde_json::json!({"username": user.username, "role": user.role})),
    };
    record(tx, actor, deed)
}
