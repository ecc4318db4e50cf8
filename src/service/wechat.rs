//! Who stands behind a WeChat account: the user that it is bound to, or a new one; and the ways to bind it to a person whom
//! the center knows.

use serde_json::{Value, json};

use super::audit::{Deed, record};
use super::auth::AccessEpoch;
use super::passwords::NO_PASSWORD;
use super::roles::grantable;
use crate::domain::access::{Actor, CUSTOMER, EMPLOYEE};
use crate::domain::audit::Action;
use crate::domain::ids::{CustomerId, EmployeeId, UserId};
use crate::domain::status::Status;
use crate::domain::time::Instant;
use crate::domain::wechat::{BIND_CODE_MS, Openid, bind_code, normalized_bind_code};
use crate::error::{Error, Result};
use crate::store::keys::{hex, random_bytes};
use crate::store::users::{self, NOUN, User};
use crate::store::{ReadTx, WriteTx, appointments, bind_codes, customers, employees, roles, sessions};

/// How a user is called whose name nobody has told yet.
const NAMELESS: &str = "微信用户";

/// Whom a WeChat account is to be bound to.
#[derive(Clone)]
pub enum Binding {
    /// To nobody in particular.
    None,
    /// To the user for whom the front desk made this code.
    Code(String),
    /// To the customer or employee who is reached by this number, which WeChat has confirmed.
    Phone(String),
}

/// A WeChat account that asks to be let in; WeChat has said whose it is.
#[derive(Clone)]
pub struct Resolve {
    /// The account.
    pub openid: Openid,
    /// The id that the center has given to the user, should a new one be made.
    pub assigned_user_id: Option<UserId>,
    /// Whom it is to be bound to.
    pub binding: Binding,
}

/// A code for the front desk to hand over.
pub struct BindCode {
    /// What is typed.
    pub code: String,
    /// Until when it is good.
    pub expires_at: Instant,
}

/// The active user behind a WeChat account, made or bound as asked.
///
/// # Errors
/// [`Error::Unauthenticated`] when the user is set aside; [`Error::Invalid`] when the bind code is not good or the number is
/// nobody's; [`Error::Conflict`] when the account or the user is bound otherwise, or the number is that of several people.
pub fn resolve(tx: &WriteTx<'_>, actor: &Actor, epoch: &AccessEpoch, resolve: Resolve) -> Result<User> {
    let Resolve { openid, assigned_user_id, binding } = resolve;
    let known = users::find_by_openid(tx, &openid)?;
    let target = match binding {
        Binding::None => match known {
            Some(user) if user.status == Status::Active => return Ok(user),
            Some(_) => return Err(Error::Unauthenticated("账号已停用，请联系前台")),
            None => make(tx, actor, assigned_user_id, &Identity::Unknown)?,
        },
        Binding::Code(typed) => of_code(tx, &typed)?,
        Binding::Phone(number) => {
            let identity = identify(tx, &number)?;
            match known.as_ref().filter(|known| identity.is(known)).cloned() {
                Some(known) => known,
                None => match identity.user(tx)? {
                    Some(user) => user,
                    None => make(tx, actor, assigned_user_id, &identity)?,
                },
            }
        }
    };
    bind(tx, actor, epoch, &openid, known, target)
}

/// Makes a code that binds the next WeChat account that shows it to this user; an earlier code is good no more.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] when the user is set aside; [`Error::Forbidden`] when the user may more than the
/// actor.
pub fn issue_bind_code(tx: &WriteTx<'_>, actor: &Actor, id: UserId) -> Result<BindCode> {
    let user = users::find(tx, id)?.ok_or(Error::NotFound("用户不存在"))?;
    let role = roles::find(tx, user.role_id)?.ok_or(Error::NotFound("角色不存在"))?;
    grantable(actor, role.permissions)?;
    if user.status != Status::Active {
        return Err(Error::Conflict("用户已停用".into()));
    }
    // Of 32 values of five bits one is passed over, so that 64 bytes practically always suffice.
    let code = bind_code(&random_bytes::<64>()?).ok_or(Error::Busy)?;
    let expires_at = tx.now.plus_ms(BIND_CODE_MS);
    bind_codes::insert(tx, &code, id, expires_at)?;
    record(tx, actor, deed(Action::Update, id, None, Some(json!({"bind_code": "issued"}))))?;
    Ok(BindCode { code, expires_at })
}

/// Whom a telephone number belongs to.
enum Identity {
    Unknown,
    Customer(CustomerId, String),
    Employee(EmployeeId, String),
}

impl Identity {
    fn is(&self, user: &User) -> bool {
        user.status == Status::Active
            && match self {
                Identity::Unknown => false,
                Identity::Customer(id, _) => user.customer_id == Some(*id),
                Identity::Employee(id, _) => user.employee_id == Some(*id),
            }
    }

    /// The user who is this person, if there is one.
    fn user(&self, tx: &ReadTx<'_>) -> Result<Option<User>> {
        match self {
            Identity::Unknown => Ok(None),
            Identity::Customer(id, _) => users::find_by_customer(tx, *id),
            Identity::Employee(id, _) => users::find_by_employee(tx, *id),
        }
    }
}

/// The one active customer or employee who is reached by this number.
fn identify(tx: &ReadTx<'_>, number: &str) -> Result<Identity> {
    let mut customers = customers::find_by_contact(tx, number, 2)?;
    let mut employees = employees::find_by_contact(tx, number, 2)?;
    match (customers.pop(), employees.pop()) {
        (Some(customer), None) if customers.is_empty() => Ok(Identity::Customer(customer.id, customer.name)),
        (None, Some(employee)) if employees.is_empty() => Ok(Identity::Employee(employee.id, employee.name)),
        (None, None) => Err(Error::invalid("phone_code", "该手机号未登记，请联系前台")),
        (Some(_), _) | (_, Some(_)) => Err(Error::Conflict("该手机号登记了多人，请到前台绑定".into())),
    }
}

/// The active user for whom the code was made; it is used up with this transaction.
fn of_code(tx: &WriteTx<'_>, typed: &str) -> Result<User> {
    let code = normalized_bind_code(typed);
    let user = match bind_codes::find_good(tx, &code)? {
        Some(id) => users::find(tx, id)?.filter(|user| user.status == Status::Active),
        None => None,
    };
    let user = user.ok_or_else(|| Error::invalid("bind_code", "绑定码无效或已过期"))?;
    bind_codes::mark_used(tx, &code)?;
    Ok(user)
}

/// Makes a user who has no password and is this person.
fn make(tx: &WriteTx<'_>, actor: &Actor, assigned_id: Option<UserId>, identity: &Identity) -> Result<User> {
    let (role, name, customer_id, employee_id) = match identity {
        Identity::Unknown => (CUSTOMER, NAMELESS, None, None),
        Identity::Customer(id, name) => (CUSTOMER, name.as_str(), Some(*id), None),
        Identity::Employee(id, name) => (EMPLOYEE, name.as_str(), None, Some(*id)),
    };
    let role = roles::find_by_name(tx, role)?.ok_or(Error::NotFound("角色不存在"))?;
    let user = User {
        id: assigned_id.map_or_else(|| users::next_id(tx), Ok)?,
        username: format!("wechat_{}", hex(&random_bytes::<8>()?)),
        password_hash: NO_PASSWORD.to_owned(),
        role_id: role.id,
        role: role.name,
        name: name.to_owned(),
        employee_id,
        customer_id,
        status: Status::Active,
        created_at: tx.now,
        updated_at: tx.now,
    };
    users::insert(tx, &user)?;
    let after = json!({
        "username": user.username,
        "role": user.role,
        "name": user.name,
        "employee_id": employee_id.map(EmployeeId::get),
        "customer_id": customer_id.map(CustomerId::get),
        "status": user.status.as_str(),
    });
    record(tx, actor, deed(Action::Create, user.id, None, Some(after)))?;
    Ok(user)
}

/// Lets the target log in with the account, which may so far have been that of a provisional user.
fn bind(
    tx: &WriteTx<'_>,
    actor: &Actor,
    epoch: &AccessEpoch,
    openid: &Openid,
    known: Option<User>,
    target: User,
) -> Result<User> {
    if known.as_ref().is_some_and(|known| known.id == target.id) {
        return Ok(target);
    }
    if users::has_openid(tx, target.id)? {
        return Err(Error::Conflict("该用户已绑定其他微信".into()));
    }
    if let Some(known) = known {
        if !is_provisional(&known) {
            return Err(Error::Conflict("该微信已绑定其他用户".into()));
        }
        retire(tx, actor, epoch, known, &target)?;
    }
    users::set_openid(tx, target.id, openid)?;
    record(tx, actor, deed(Action::Update, target.id, None, Some(json!({"wechat": "bound"}))))?;
    Ok(target)
}

/// Whether the user was made for a WeChat account and is nobody whom the center knows.
fn is_provisional(user: &User) -> bool {
    user.password_hash == NO_PASSWORD && user.customer_id.is_none() && user.employee_id.is_none()
}

/// Sets a provisional user aside; what it has booked is the target's from then on.
fn retire(tx: &WriteTx<'_>, actor: &Actor, epoch: &AccessEpoch, mut user: User, target: &User) -> Result<()> {
    users::clear_openid(tx, user.id)?;
    let before = user.status;
    user.status = Status::Inactive;
    user.updated_at = tx.now;
    users::update(tx, &user)?;
    sessions::end_all_of(tx, user.id)?;
    epoch.changes(tx);
    appointments::hand_over(tx, user.id, target.id, target.customer_id)?;
    let after = json!({"status": user.status.as_str(), "wechat": "moved", "moved_to": target.id.get()});
    record(tx, actor, deed(Action::Update, user.id, Some(json!({"status": before.as_str()})), Some(after)))
}

fn deed(action: Action, id: UserId, before: Option<Value>, after: Option<Value>) -> Deed<'static> {
    Deed { action, noun: NOUN, noun_id: Some(id.get()), before, after }
}
